"""One generation of a log: from the moment its file was empty until it was rotated away, cut or deleted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from holdfast.monitor.fingerprint import NOTHING, Print
from holdfast.monitor.lines import Line, Place

# How long after its last change a file is still looked at again although nothing shows: clocks of file systems are coarse (2 s on FAT).
RACY_NS = 2_000_000_000


class Stamp(NamedTuple):
    """What a look at a file's metadata tells."""

    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Found(NamedTuple):
    """A file at a path."""

    path: str
    stamp: Stamp


@dataclass(slots=True, eq=False)
class Generation:
    """How far one generation was read, and where its file was seen last.

    Attributes:
        log: the path that names the log.
        path: where the file is, or was seen last.
        print: of what was delivered.
        is_there: whether it was found at its path when looked for last.
        is_packed: its file is a compressed one now.
        looked_ns: when the stamp was taken, wall clock.
        searched: up to where there is no further line end.
        continues: the last line was given without an end.
    """

    id: int
    log: str
    path: str
    stamp: Stamp
    birth: int | None = None
    print: Print = NOTHING
    continues: bool = False
    looked_ns: int = 0
    is_there: bool = True
    # not kept:
    is_packed: bool = False
    is_unlinked: bool = False
    is_truncated: bool = False
    is_outside: bool = False  # found where nobody looks by himself
    is_new: bool = True
    is_ended: bool = False  # nothing more will come: a compressed file that was read
    searched: int = 0
    tick: int = -1  # the look that found it
    quiet_size: int = -1  # its size when it was found to have nothing but an unended line
    quiet_tick: int = 0
    quiet_us: int = 0
    idle_since_us: int = 0

    @property
    def place(self) -> Place:
        return Place(self.print.consumed, self.print.crc, self.searched, self.continues)

    @property
    def unread_bytes(self) -> int:
        """How much was seen and not delivered."""
        return max(0, self.stamp.size - self.print.consumed)

    @property
    def may_hold_lines(self) -> bool:
        """Whether there may be a line end that was not looked for."""
        return self.stamp.size > max(self.print.consumed, self.searched)

    @property
    def is_racy(self) -> bool:
        """Whether it may have changed since without showing it."""
        return self.looked_ns - max(self.stamp.ctime_ns, self.stamp.mtime_ns) < RACY_NS


@dataclass(frozen=True, slots=True)
class TailEvent:
    """Something about a log that is no line: `kind` is one of KINDS, `generation` the one it happened to (None: to none)."""

    kind: str
    log: str | None
    generation: int | None
    figures: dict[str, int | str | None] = field(default_factory=dict)


KINDS = {
    "rotated": "its file left the log's path: `to` is where it is now, null: deleted, or out of sight",
    "truncated": "its file was cut, or written anew in place: it had `size_bytes`, of which `read_bytes` were read",
    "gap": "`bytes` that were seen were lost before they could be read",
    "line_cut": "the line at `start` was longer than is held; `cut_bytes` of it were left out",
    "reader_behind": "`bytes` in `logs` logs were left for the next poll; the oldest has waited for `seconds`",
    "unreadable": "a file or directory cannot be read: `why`",
    "readable": "it can be read again",
    "state_lost": "what was known of the positions was damaged; it lies at `set_aside`, and all is read anew",
}


@dataclass(slots=True)
class Batch:
    """Lines and events in their order, with the positions behind them. Keep it with what was made of it, in one transaction."""

    number: int
    lines: list[Line] = field(default_factory=list)
    events: list[TailEvent] = field(default_factory=list)
    changed: dict[int, Generation] = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)
    before: dict[int, tuple[Print, int, bool]] = field(default_factory=dict)  # to go back to
    size_bytes: int = 0

    def touch(self, generation: Generation) -> None:
        """Note that a generation moves on."""
        if generation.id not in self.changed:
            self.changed[generation.id] = generation
            self.before[generation.id] = (generation.print, generation.searched, generation.continues)

    def undo(self) -> None:
        """It was not kept: go back to where reading was."""
        for number, generation in self.changed.items():
            generation.print, generation.searched, generation.continues = self.before[number]
