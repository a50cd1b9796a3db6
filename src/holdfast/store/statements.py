"""SQL lives in `sql/*.sql`, each statement under its name: `-- name: session_seen`."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def text(file: str, package: str = "holdfast.store") -> str:
    """One file of a package's `sql/` as it is."""
    return (resources.files(package) / "sql" / f"{file}.sql").read_text("utf-8")


@cache
def statements(file: str, package: str = "holdfast.store") -> dict[str, str]:
    """The named statements of one file of a package's `sql/`; two of one name would hide each other."""
    parts = _NAME.split(text(file, package))[1:]
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    assert len(found) * 2 == len(parts), f"{package}/{file}: a name stands there twice"
    return found
