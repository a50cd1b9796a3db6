"""Names and order of segments: `00000001.jsonl`, `00000002.jsonl`, ..."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"(\d{8,})\.jsonl\Z")


def path(directory: Path, number: int) -> Path:
    """The file of a segment."""
    return directory / f"{number:08d}.jsonl"


def numbers(directory: Path) -> list[int]:
    """The numbers of all segments, rising. An absent directory has none."""
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names only
    except FileNotFoundError:
        return []
    return sorted(int(found[1]) for name in names if (found := _NAME.match(name)))
