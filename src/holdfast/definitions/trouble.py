"""What is wrong with watching definitions, for whoever shows something while the service is too busy to answer.

`<home>/run/definitions.json`: a list of sentences, there while something is wrong.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.ids import uuid7

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "definitions.json"


def keep(run: Path, words: list[str]) -> None:
    """Write down what is wrong; nothing: it is well. Raises OSError."""
    path = run / NAME
    if not words:
        path.unlink(missing_ok=True)
        return
    temporary = path.with_name(f".{path.name}.{uuid7()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.encode(words))
    temporary.replace(path)


def kept(run: Path) -> list[str]:
    """What was written down last; it counts while a service runs."""
    try:
        return msgspec.json.decode((run / NAME).read_bytes(), type=list[str])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return []
