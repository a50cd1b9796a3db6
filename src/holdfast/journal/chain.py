"""`chain.jsonl`: the seals of all sealed segments, one a line, in order.

It shows which seal a segment had, should somebody change a segment together with its seal; and it tells the sizes of all sealed
segments in one look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.journal import sealed

if TYPE_CHECKING:
    from pathlib import Path

NAME = "chain.jsonl"


def seals(directory: Path) -> list[sealed.Seal]:
    """What the file says, as far as it can be read."""
    return [seal for seal in map(sealed.read_seal, lines(directory)) if seal is not None]


def lines(directory: Path) -> list[bytes]:
    """Its lines, without line ends. An absent file has none."""
    try:
        raw = (directory / NAME).read_bytes()
    except FileNotFoundError:
        return []
    return raw.removesuffix(b"\n").split(b"\n") if raw else []


def ends_whole(directory: Path) -> bool:
    """Whether its last line has its line end; an absent or empty file is whole."""
    try:
        raw = (directory / NAME).read_bytes()
    except FileNotFoundError:
        return True
    return not raw or raw.endswith(b"\n")
