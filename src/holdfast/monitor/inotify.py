"""The kernel's own notes about directories (Linux inotify(7)), through the C library; nothing else of the system is used.

`watchdog` was refused for this: it keeps an overflow of the kernel's queue to itself, has no bound on the number of watches,
and needs threads. A hint that may be silently incomplete is worth nothing to a caller that wants to scan less.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# linux/inotify.h
MODIFY = 0x2
ATTRIB = 0x4
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800
QUEUE_OVERFLOW = 0x4000
IGNORED = 0x8000
ONLY_DIRECTORIES = 0x0100_0000
IS_DIRECTORY = 0x4000_0000
# What changes a file or a name. Opening, reading and closing are left out: a reader's own work must not wake it.
CHANGES = MODIFY | ATTRIB | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF
NAMES = MOVED_TO | CREATE | DELETE_SELF | MOVE_SELF  # what brings a name, or takes the directory away

_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name with its padding
_READ_BYTES = 64 << 10


class Event(NamedTuple):
    """One note: the watch (-1: of none), what happened, and the name in the directory ("": the directory itself)."""

    watch: int
    mask: int
    name: str


class Inotify:
    """An open queue of notes.

    Raises:
        OSError: there is no inotify here, or no more queues are allowed.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        if not hasattr(library, "inotify_init1"):
            raise OSError("this system has no inotify")
        self._library = library
        self.fd: int = _checked(library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def watch(self, directory: str, what: int = CHANGES) -> int:
        """Watch a directory; the same one under another path gets the same number. Raises OSError."""
        mask = what | ONLY_DIRECTORIES
        return _checked(self._library.inotify_add_watch(self.fd, os.fsencode(directory), mask))

    def unwatch(self, watch: int) -> None:
        """Watch it no longer; one that the kernel has dropped already is fine."""
        self._library.inotify_rm_watch(self.fd, watch)

    def read(self) -> Iterator[Event]:
        """A read's worth of what is in the queue; nothing when it is empty."""
        try:
            raw = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return
        at = 0
        while at < len(raw):
            watch, mask, _, length = _EVENT.unpack_from(raw, at)
            at += _EVENT.size
            yield Event(watch, mask, os.fsdecode(raw[at : at + length].rstrip(b"\0")))
            at += length

    def close(self) -> None:
        os.close(self.fd)


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
