"""A journal's segments on disk: `00000001.jsonl` while it is written, `00000001.jsonl.zst` once it is sealed.

Both may stand side by side while a seal is being finished; the plain one counts then.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"(\d{8,})\.jsonl(\.zst)?\Z")


def path(directory: Path, number: int) -> Path:
    """The file of a segment that is not sealed."""
    return directory / f"{number:08d}.jsonl"


def sealed_path(directory: Path, number: int) -> Path:
    """The file of a sealed segment."""
    return directory / f"{number:08d}.jsonl.zst"


def present(directory: Path, number: int) -> Path:
    """The file that a segment's content is read from now."""
    plain = path(directory, number)
    return plain if plain.exists() else sealed_path(directory, number)


def numbers(directory: Path) -> list[int]:
    """The numbers of all segments, rising. An absent directory has none."""
    return sorted({number for number, _ in _listed(directory)})


def plain_numbers(directory: Path) -> list[int]:
    """The numbers of the segments that are not sealed, or whose seal is not finished, rising."""
    return sorted(number for number, is_sealed in _listed(directory) if not is_sealed)


def sealed_numbers(directory: Path) -> list[int]:
    """The numbers of the segments that have a sealed file, rising."""
    return sorted(number for number, is_sealed in _listed(directory) if is_sealed)


def _listed(directory: Path) -> list[tuple[int, bool]]:
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names only
    except FileNotFoundError:
        return []
    return [(int(found[1]), bool(found[2])) for name in names if (found := _NAME.match(name))]
