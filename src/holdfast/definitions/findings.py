"""What is wrong with a definition, or worth knowing about it: where, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ERROR: Final = "error"
WARNING: Final = "warning"
NOTE: Final = "note"
CHANGED: Final = (
    "stale",
    "stale-session",
    "maybe-other",
    "changed-since",
)  # of a run whose file says something else, the gravest first
_ORDER = {ERROR: 0, WARNING: 1, NOTE: 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        level: `error` (its tool cannot use it so), `warning` (it does something else than it says), `note`.
        code: a word for programs that stays the same.
        text: what was found.
        hint: what to do about it; "" where there is nothing to do.
        line: in its file, from 1; None: it is about all of it, or about other files too.
    """

    level: str
    code: str
    text: str
    hint: str = ""
    line: int | None = None


def in_order(found: list[Finding]) -> tuple[Finding, ...]:
    """The worst first, then by line; each once."""
    return tuple(
        sorted(dict.fromkeys(found), key=lambda one: (_ORDER[one.level], one.line or 0, one.code, one.text))
    )


def worst(found: tuple[Finding, ...]) -> str | None:
    """The worst level of all; None: nothing was found."""
    return min((one.level for one in found), key=_ORDER.__getitem__, default=None)
