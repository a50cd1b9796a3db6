"""SQL lives in `sql/*.sql`, each statement under its name: `-- name: session_seen`."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def text(file: str) -> str:
    """One file of `sql/` as it is."""
    return (resources.files("holdfast.store") / "sql" / f"{file}.sql").read_text("utf-8")


@cache
def statements(file: str) -> dict[str, str]:
    """The named statements of one file of `sql/`."""
    parts = _NAME.split(text(file))[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))
