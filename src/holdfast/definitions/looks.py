"""Which looks are recorded, so that it can be told later what lay where when nothing changed.

A look that found nothing new says as much as one that did: it lets a text be called observed. One in ten minutes is enough, for a change is recorded
whenever it is seen, and nothing lies between two looks that agree. Who looks again within seconds watches, and records spans that join.

    <home>/definitions/looked   from each directory the look recorded last, and what it reached; in the form of the index. Losing it costs one record.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast import clock
from holdfast.definitions.past import WATCH_GAP_US, Look, Reached
from holdfast.journal import digested
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.definitions.ledger import Ledger
    from holdfast.definitions.roots import Root

FILE: Final = "looked"
EVERY_US: Final = 600_000_000
_MOST_DIRECTORIES: Final = 10_000  # that are remembered

Json = dict[str, Any]
Reach = tuple[Reached, ...]


class Last(msgspec.Struct):
    """By directory: until when it was looked at from there as was recorded last, and a digest of what was reached."""

    looks: dict[str, tuple[int, str]] = {}


@dataclass(slots=True)
class Watch:
    """Looks from a directory that followed each other closely: since when, the last one, and what they reached."""

    since_us: int
    last_us: int
    roots: Reach


def reach(roots: Iterable[Root], unreadable: Iterable[str]) -> Reach:
    """What a look reached.

    Args:
        roots: the strongest first.
        unreadable: paths that could not be looked at.
    """
    broken = [printable_path(path) for path in unreadable]
    return tuple(
        Reached(root.tool, root.tier, real, root.counts, not any(_is_in(path, root, real) for path in broken))
        for root in roots
        for real in [printable_path(root.real)]
    )


def _is_in(path: str, root: Root, real: str) -> bool:
    return any(f"{path}/".startswith(f"{start}/") for start in (printable_path(root.path), real))


def note(kept: Ledger, reached: Mapping[str, Reach], now_us: int) -> list[Look]:
    """Record looks as far as that is due; every one of them, for whoever asks now.

    Args:
        kept: its lock is held.
        reached: by directory, after what changed was recorded.
        now_us: when this is.

    Raises:
        OSError, AppendFailed: it could not be recorded; the next one does.
    """
    path = kept.directory / FILE
    last = (digested.read(path, Last) if path.exists() else None) or Last()
    looks, due = [], []
    for cwd, roots in reached.items():
        digest = hashlib.sha256(repr(roots).encode()).hexdigest()[:16]
        since_us = _watched_since(kept, cwd, roots, now_us)
        looks.append(Look(cwd, since_us, now_us, roots))
        until_us, before = last.looks.get(cwd, (0, ""))
        if digest != before or not until_us <= now_us < until_us + EVERY_US:
            from_us = max(since_us, until_us) if until_us <= now_us else since_us
            due.append(Look(cwd, from_us, now_us, roots))
            last.looks[cwd] = (now_us, digest)
    if due:
        kept.record(_body(due, now_us))
        while len(last.looks) > _MOST_DIRECTORIES:
            del last.looks[min(last.looks, key=lambda cwd: last.looks[cwd])]
        digested.write(path, last)
    return looks


def watch(kept: Ledger, reached: Mapping[str, Reach], now_us: int) -> None:
    """Take down, in memory alone, that directories were looked at now and hold what is recorded."""
    for cwd, roots in reached.items():
        _watched_since(kept, cwd, roots, now_us)


def _watched_since(kept: Ledger, cwd: str, roots: Reach, now_us: int) -> int:
    """Since when this process has looked from there again and again, without a gap."""
    watched = kept.watched.get(cwd)
    if (
        watched is None
        or watched.roots != roots
        or not watched.last_us <= now_us <= watched.last_us + WATCH_GAP_US
    ):
        watched = kept.watched[cwd] = Watch(now_us, now_us, roots)
    watched.last_us = now_us
    return watched.since_us


def _body(due: list[Look], now_us: int) -> Json:
    """The event; each directory of definitions stands in it once."""
    places: dict[Reached, int] = {}
    directories = []
    for look in due:
        numbers = [places.setdefault(root, len(places)) for root in look.roots]
        since = {} if look.from_us == now_us else {"since": clock.iso(look.from_us)}
        directories.append({"cwd": look.cwd, "roots": numbers, **since})
    roots = [
        {
            name: value for name, value in asdict(root).items() if value is not True
        }  # as the event leaves it out
        for root in places
    ]
    return {
        "kind": "definition.looked",
        "time": now_us,
        "fields": {"roots": roots, "directories": directories},
    }
