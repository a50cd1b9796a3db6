"""What the name of a file says about rotation: of which log it would be an earlier part, and how old. Content decides."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from holdfast.monitor.generation import Found

PACKED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z")  # never read as lines of their own

_TIME = r"\d{4}-?\d{2}-?\d{2}(?:[T_.-]?\d{2}(?:[:.-]?\d{2}(?:[:.-]?\d{2})?)?)?Z?"
_SECONDS = r"\d{9,19}"  # since 1970, also in milliseconds and the like
_BEHIND = re.compile(
    rf"(?:[._-](?:(?P<number>\d{{1,5}})|(?P<time>{_TIME}|{_SECONDS})|(?:old|bak|backup|copy|prev|previous|orig|last|saved?|archived?|rotated))|~)\Z"
)
_WITHIN = re.compile(rf"\A(?P<stem>.+?)[._-](?P<time>{_TIME}|{_SECONDS})(?P<end>\.[A-Za-z][\w]*)\Z")


class Rotation(NamedTuple):
    """The path that a rotated file had before; its number (higher is older) and its time as written, where it has them."""

    base: str
    number: int | None
    time: str | None


def rotations(path: str) -> list[Rotation]:
    """Every reading of a path as that of a rotated file, the nearest first: `app.log.1`, `app.log-20260131.gz`, `app-20260131.log`."""
    directory, name = os.path.split(path)
    if name.endswith(PACKED):
        name = name[: name.rindex(".")]
    out: list[Rotation] = []
    while True:
        found = _BEHIND.search(name)
        if found is None or not found.start():
            break
        number = None if found["number"] is None else int(found["number"])
        name = name[: found.start()]
        out.append(Rotation(os.path.join(directory, name), number, found["time"]))  # noqa: PTH118 - strings throughout
    if found := _WITHIN.match(name):
        base = os.path.join(directory, found["stem"] + found["end"])  # noqa: PTH118
        out.append(Rotation(base, None, found["time"]))
    return out


def rotation_of(path: str, base: str) -> Rotation | None:
    """How a path is that of a rotated file of `base`; None: it is not."""
    return next((each for each in rotations(path) if each.base == base), None)


def is_packed(path: str) -> bool:
    """Whether a file is compressed, by its name."""
    return path.endswith(PACKED)


def oldest_first(files: list[Found], log: str) -> list[Found]:
    """Rotated files of a log in the order in which they were written, as far as their times, or else their names, say."""
    times = [file.stamp.mtime_ns for file in files]
    ranks = [rotation_of(file.path, log) for file in files]
    if len(set(times)) == len(times) and not any(is_packed(file.path) for file in files):
        order = list(times)
    elif all(rank and rank.number is not None for rank in ranks):
        order = [-(rank.number or 0) for rank in ranks if rank]
    elif all(rank and rank.time is not None for rank in ranks):
        return [file for _, file in sorted(zip([rank.time for rank in ranks if rank], files, strict=True))]
    else:
        order = list(times)
    return [file for _, file in sorted(zip(order, files, strict=True))]
