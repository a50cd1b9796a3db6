"""Which file is which generation: looked at anew for every file that changed, and for every one that is gone.

The order in which it is decided, each step for what the ones before left open:

1. the same file (number, and what the file system gives beside it) that still begins with what was read of it;
2. a generation whose file left its place: still open and not deleted, or the same file beside its old place;
3. a file that begins with all that was read of a generation: at the same path (saved anew), under a rotated name of its log
   (a copy made before it was cut), or anywhere if enough was read to tell;
4. a rotated name with the content of a log that goes on: a copy, and not read as long as the log stands;
5. for a generation that is still missing, the same among compressed files and those that are not followed;
6. rotated files of its log, younger than it, that nobody saw before it was missed: read between it and the present one;
7. what is left is new.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from holdfast.monitor import fingerprint, packed
from holdfast.monitor.fingerprint import (
    ALWAYS_WHOLE_BYTES,
    SUSPECT_WHOLE_BYTES,
    birth_of,
    read_from,
    stands,
    whole_of,
)
from holdfast.monitor.generation import Found, Generation, TailEvent
from holdfast.monitor.handles import Handles, open_regular
from holdfast.monitor.names import is_packed, oldest_first, rotation_of, rotations
from holdfast.monitor.packed import NotReadable
from holdfast.monitor.scope import stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.monitor.fingerprint import Print
    from holdfast.monitor.registry import Registry
    from holdfast.monitor.scope import Scope

_TELLING_BYTES = 4_096  # so much must be equal where no name says that two files belong together
_REMEMBERED = 10_000  # comparisons; beyond it some are made again
_COARSE_NS = 2_000_000_000  # the coarsest clock of a file system


class Matcher:
    """Decides for one look at a time; what it finds goes into the registry, what is worth telling into `events`.

    Attributes:
        moved: generations of which something changed that must be kept.
        forgotten: those that turned out to be none.
    """

    def __init__(self, scope: Scope, registry: Registry, handles: Handles) -> None:
        self._scope = scope
        self._registry = registry
        self._handles = handles
        self._tick = 0
        self._now_ns = 0
        self._beside: dict[str, list[Found]] = {}
        self._refused: dict[tuple[int, str], Found] = {}  # compared before, and not it
        self._copies: dict[str, tuple[Found, Generation]] = {}
        self._outside: set[str] = set()
        self._untouched: dict[str, Generation] = {}  # of which nothing was read, by where its file is now
        self._known_packed: set[tuple[int, ...]] = set()  # compressed files of what was read
        self._left_logs: dict[str, Generation] = {}  # whose last generation is not where it was
        self._by_head: dict[bytes, list[Generation]] = {}
        self._cut: dict[str, Generation] = {}  # by where their files are
        self._cut_unseen: list[tuple[Generation, int]] = []  # with their open files
        self._unreadable: dict[str, str] = {}
        # seen by an earlier reader as neither there nor read to their end: it had them open
        self._homeless = [each for each in registry.by_id.values() if not each.is_there and each.unread_bytes]
        self.events: list[TailEvent] = []
        self.moved: set[int] = set()
        self.forgotten: list[int] = []

    def is_known_copy(self, file: Found) -> bool:
        """Whether a file was found to be a copy of a log that still stands."""
        known = self._copies.get(file.path)
        return known is not None and known[0] == file and known[1].is_there

    def resolve(
        self,
        found: list[Found],
        outside: list[Found],
        missing_in: set[str] | None,
        tick: int,
        now_ns: int,
    ) -> None:
        """Decide about files that are new or changed, and about generations that no look found (in these directories)."""
        self._outside = {file.path for file in outside}
        self._tick, self._now_ns = tick, now_ns
        for memory in (self._refused, self._known_packed):
            if len(memory) > _REMEMBERED:
                memory.clear()
        self._beside.clear()
        self._untouched.clear()
        self._left_logs.clear()
        self._cut.clear()
        unknown = self._by_file(found + outside)
        lost = self._missing(missing_in) + self._homeless
        self._homeless = []
        if not (unknown or lost or self._left_logs):
            return
        unknown += self._no_copies_any_more(lost, {file.path for file in unknown})
        self._by_head = self._heads()
        unknown = [file for file in unknown if not self._continue_by_content(file)]
        unknown = [file for file in unknown if not self._is_copy(file)]
        for generation in lost:
            if not generation.is_there:
                self._search(generation)
        for file in unknown:  # a log that was gone is back, perhaps not for the first time
            if (known := self._registry.latest(file.path)) is not None:
                self._note_left(known)
        met = {file.stamp[:2] for file in unknown}
        unseen: dict[str, list[Found]] = {}
        for log, last in self._left_logs.items():
            files = [file for file in self._chain(log, last) if file.stamp[:2] not in met]
            unseen[log] = self._without_open(log, files) if files else []
        self._begin_open(unknown, unseen)
        self._begin(unknown, unseen)
        self._name_also(unknown)
        for generation in lost:
            self._tell_of(generation)

    # ── 1. the same file ──

    def _by_file(self, found: list[Found]) -> list[Found]:
        at = self._registry.at
        here = [file for file in found if file.path in at and at[file.path].stamp[:2] == file.stamp[:2]]
        elsewhere = [
            file for file in found if file.path not in at or at[file.path].stamp[:2] != file.stamp[:2]
        ]
        unknown: list[Found] = []
        for file in here + elsewhere:
            generation = self._same_file(file)
            if generation is None and file.path in self._unreadable and not self._is_readable(file):
                if file.path in at:
                    at[file.path].tick = self._tick  # there, but not for us
            elif generation is None:
                unknown.append(file)
            elif generation.tick == self._tick and generation.path != file.path:
                self._registry.alias(file.path, generation)
            elif not generation.print.consumed and file.path != generation.log:
                self._untouched[file.path] = generation
                if generation.path == generation.log:
                    self._note_left(generation)
                generation.tick = self._tick
                unknown.append(file)  # nothing was read of it yet: it may be a copy that is being made
            else:
                self._place(generation, file)
        return unknown

    def _same_file(self, file: Found) -> Generation | None:
        """The generation whose file this is, open now; None: of none, or it cannot be read."""
        for generation in reversed(self._registry.by_inode.get(file.stamp[:2], ())):
            if generation.is_packed:
                continue
            fd = self._open(file)
            if fd is None:
                return None
            birth = birth_of(fd)
            if generation.birth is not None and birth is not None and generation.birth != birth:
                os.close(fd)
                continue
            is_growth = (
                generation.tick >= 0
                and generation.path == file.path
                and generation.stamp.size < file.stamp.size
            )
            limit = ALWAYS_WHOLE_BYTES if is_growth else SUSPECT_WHOLE_BYTES
            if stands(read_from(fd), generation.print, limit):
                generation.birth = birth
                self._handles.keep(generation.id, fd)
                return generation
            os.close(fd)
            if generation.is_there and not generation.is_truncated:
                self._truncated(generation)
        return None

    def _truncated(self, generation: Generation) -> None:
        generation.is_truncated = True
        self._cut[generation.path] = generation
        self._handles.drop(generation.id)
        figures: dict[str, int | str | None] = {
            "size_bytes": generation.stamp.size,
            "read_bytes": generation.print.consumed,
        }
        self._tell("truncated", generation, **figures)
        self.moved.add(generation.id)

    def _open(self, file: Found) -> int | None:
        """The file, open, if it is still the one that was found; None: not, or it cannot be read."""
        try:
            fd = open_regular(file.path)
        except OSError as exc:
            if not isinstance(exc, FileNotFoundError):
                self.tell_unreadable(file.path, exc.strerror or str(exc))
            return None
        self.tell_unreadable(file.path, None)
        if os.fstat(fd).st_ino & 0xFFFF_FFFF_FFFF_FFFF != file.stamp.ino & 0xFFFF_FFFF_FFFF_FFFF:
            os.close(fd)
            return None
        return fd

    def tell_unreadable(self, path: str, why: str | None) -> None:
        """Tell once that something cannot be read, and once that it can again (`why` None)."""
        if self._unreadable.get(path) == why:
            return
        if why is None:
            del self._unreadable[path]
            self.events.append(TailEvent("readable", path, None))
        else:
            self._unreadable[path] = why
            self.events.append(TailEvent("unreadable", path, None, {"why": why}))

    def tell_of_directories(self, unlistable: dict[str, str]) -> None:
        """Tell which directories cannot be listed (and why), and which can again; forget what is gone."""
        for directory, why in unlistable.items():
            self.tell_unreadable(directory, why)
        for path in [path for path in self._unreadable if path not in unlistable]:
            if os.path.isdir(path):  # noqa: PTH112
                self.tell_unreadable(path, None)
            elif not os.path.lexists(path):
                del self._unreadable[path]

    def _place(self, generation: Generation, file: Found) -> None:
        if generation.path != file.path or not generation.is_there:
            self.moved.add(generation.id)
            if generation.path == generation.log and generation.is_there:
                self._tell("rotated", generation, to=file.path)
                self._note_left(generation)
        self._registry.place(generation, file)
        generation.tick = self._tick
        generation.looked_ns = self._now_ns

    def _note_left(self, generation: Generation) -> None:
        if self._registry.latest(generation.log) is generation:
            self._left_logs[generation.log] = generation

    # ── 2. what left its place ──

    def _missing(self, missing_in: set[str] | None) -> list[Generation]:
        """The generations that were not found and whose file is not known to be anywhere."""
        lost: list[Generation] = []
        for generation in self._registry.found_in(missing_in):
            if generation.tick == self._tick and not generation.is_truncated:
                continue
            directory = os.path.dirname(generation.path)  # noqa: PTH120
            if not generation.is_truncated and not generation.is_outside:
                if missing_in is not None and directory not in missing_in:
                    continue
                if any(_is_in(directory, each) for each in self._scope.unlistable):
                    continue
            if not self._left(generation):
                lost.append(generation)
        return lost

    def _left(self, generation: Generation) -> bool:
        """Whether a generation that left its place is still to be had: beside it, or because its file is open."""
        was_at = generation.path
        fd = self._handles.fd(generation.id)
        if fd is not None and not stands(read_from(fd), generation.print):
            self._cut_unseen.append((generation, os.dup(fd)))
            self._truncated(generation)
        is_open = fd is not None and not generation.is_truncated and os.fstat(fd).st_nlink > 0
        self._handles.pin(generation.id)
        self._registry.lose(generation)
        self._note_left(generation)
        self.moved.add(generation.id)
        if generation.is_truncated:
            return False
        for file in self._files_beside(was_at):
            if file.stamp[:2] != generation.stamp[:2] or is_packed(file.path):
                continue
            if self._same_file(file) is generation:
                if was_at == generation.log:
                    self._tell("rotated", generation, to=file.path)
                self._registry.place(generation, file)
                generation.tick, generation.looked_ns, generation.is_outside = self._tick, self._now_ns, True
                return True
        generation.is_unlinked = fd is not None and not is_open
        if is_open:
            self._tell("rotated", generation, to=None)
        return is_open

    def _files_beside(self, path: str) -> list[Found]:
        directory = os.path.dirname(path)  # noqa: PTH120
        if directory not in self._beside:
            self._beside[directory] = self._scope.beside(path)
        return self._beside[directory]

    # ── 3. by content ──

    def _continue_by_content(self, file: Found) -> bool:
        candidates = [each for each in self._candidates(file) if self._is_open_question(each, file)]
        fd = self._open(file) if candidates else None
        if fd is None:
            return False
        for generation in candidates:
            if stands(read_from(fd), generation.print, SUSPECT_WHOLE_BYTES):
                if (untouched := self._untouched.pop(file.path, None)) is not None:
                    self._registry.forget(untouched)
                    self.forgotten.append(untouched.id)
                generation.birth = birth_of(fd)
                self._handles.keep(generation.id, fd)
                self._place(generation, file)
                return True
            self._refused[generation.id, file.path] = file
        os.close(fd)
        return False

    def _candidates(self, file: Found) -> Iterable[Generation]:
        by_log = self._registry.by_log
        yield from reversed(by_log.get(file.path, []))
        for rotation in rotations(file.path):
            yield from reversed(by_log.get(rotation.base, []))
        heads = self._by_head
        if heads and file.stamp.size >= _TELLING_BYTES and (fd := self._open(file)) is not None:
            head = fingerprint.head_of(read_from(fd))
            os.close(fd)
            yield from heads.get(head or b"", [])

    def _heads(self) -> dict[bytes, list[Generation]]:
        """Missing generations of which enough was read, by their first KiB."""
        out: dict[bytes, list[Generation]] = {}
        for generation in self._registry.by_id.values():
            if not generation.is_there and generation.print.consumed >= _TELLING_BYTES:
                out.setdefault(generation.print.head, []).append(generation)
        return out

    def _is_open_question(self, generation: Generation, file: Found) -> bool:
        """Whether a generation has no file, and this one may be it."""
        if generation.is_there or generation.is_ended or generation.is_packed:
            return False
        if not 0 < generation.print.consumed <= file.stamp.size:
            return False
        if generation.id in self._handles and not generation.is_unlinked:
            return False  # its file is somewhere, under a name that we do not see
        return self._refused.get((generation.id, file.path)) != file

    # ── 4. copies of what goes on ──

    def _is_copy(self, file: Found) -> bool:
        if not file.stamp.size:
            return False
        for rotation in rotations(file.path):
            live = self._registry.at.get(rotation.base)
            if live is None or live.path != rotation.base or not live.print.consumed:
                continue
            if file.stamp.size <= live.stamp.size and self._begin_alike(file, live):
                self._copies[file.path] = (file, live)
                return True
        self._copies.pop(file.path, None)
        return False

    def _begin_alike(self, file: Found, live: Generation) -> bool:
        fd = self._open(file)
        if fd is None:
            return False
        try:
            print_ = fingerprint.taken(read_from(fd), file.stamp.size, None)
            if print_ is None or not stands(read_from(self._handles.use(live)), print_):
                return False
            end = min(file.stamp.size, SUSPECT_WHOLE_BYTES)
            other = fingerprint.crc_of(read_from(self._handles.use(live)), 0, end)
            return other is not None and fingerprint.crc_of(read_from(fd), 0, end) == other
        except OSError:
            return False
        finally:
            os.close(fd)

    def _no_copies_any_more(self, lost: list[Generation], seen: set[str]) -> list[Found]:
        """Copies of logs that do not stand any more: they are what is left of them."""
        out = [file for file, live in self._copies.values() if live in lost]
        for file in out:
            del self._copies[file.path]
        return [file for file in out if file.path not in seen]

    # ── 5. where nobody looks otherwise ──

    def _search(self, generation: Generation) -> None:
        if generation.id in self._handles or not generation.print.consumed:
            return  # its file is open, or nothing is known by which to find it
        for file in self._files_beside(generation.log):
            is_named_so = rotation_of(file.path, generation.log) is not None
            if not is_named_so and generation.print.consumed < _TELLING_BYTES:
                continue
            if file.stamp.mtime_ns + _COARSE_NS < generation.stamp.mtime_ns:
                continue
            if self._refused.get((generation.id, file.path)) == file:
                continue
            if self._attach(generation, file):
                return
            self._refused[generation.id, file.path] = file

    def _attach(self, generation: Generation, file: Found) -> bool:
        if is_packed(file.path):
            try:
                if not packed.which(file.path, [generation.print]):
                    return False
                size = packed.size_of(file.path)
            except NotReadable:
                return False
            self._pack(generation, file, size)
            return True
        if file.path in self._registry.at or not self._continue_by_content(file):
            return False
        generation.is_outside = True
        return generation.is_there

    def _pack(self, generation: Generation, file: Found, size: int) -> None:
        """Its content is in a compressed file now; that has a size, and otherwise no place among the others."""
        generation.path = file.path
        generation.stamp = generation.stamp._replace(size=size, mtime_ns=file.stamp.mtime_ns)
        generation.is_packed = True
        generation.tick = self._tick

    # ── 6. what came and went unseen ──

    def _chain(self, log: str, last: Generation) -> list[Found]:
        """Rotated files of a log, younger than its last known generation, that no look gives."""
        return [
            file
            for file in self._files_beside(log)
            if rotation_of(file.path, log) is not None
            and self._registry.at.get(file.path) is None
            and self._is_younger(file, last, log)
            and not self._is_known(file, log)
        ]

    def _without_open(self, log: str, files: list[Found]) -> list[Found]:
        """Without those that hold what is read from a deleted file that is still open."""
        fds = [fd for earlier, fd in self._cut_unseen if earlier.log == log]
        for generation in self._registry.by_log[log]:
            fd = self._handles.fd(generation.id) if generation.is_unlinked else None
            fds += [] if fd is None else [fd]
        wholes = [whole for fd in fds if (whole := whole_of(fd)) is not None]
        return [file for file in files if not any(self._begins_with(file, whole) for whole in wholes)]

    def _begins_with(self, file: Found, whole: Print) -> bool:
        try:
            if is_packed(file.path):
                return bool(packed.which(file.path, [whole]))
            fd = open_regular(file.path)
        except (NotReadable, OSError):
            return False
        try:
            return stands(read_from(fd), whole, SUSPECT_WHOLE_BYTES)
        finally:
            os.close(fd)

    def _is_younger(self, file: Found, last: Generation, log: str) -> bool:
        here = rotation_of(file.path, log)
        there = rotation_of(last.path, log) if last.is_there or last.is_packed else None
        if here is not None and there is not None:
            if here.number is not None and there.number is not None:
                return here.number < there.number
            if here.time is not None and there.time is not None:
                return here.time > there.time
        return file.stamp.mtime_ns >= last.stamp.mtime_ns

    def _is_known(self, file: Found, log: str) -> bool:
        """Whether a file is a generation that was known before, or what became of one."""
        if not is_packed(file.path):
            return self._same_file(file) is not None
        mark = file.stamp[:4]  # without the time that renaming changes
        if mark not in self._known_packed:
            try:
                if not packed.which(file.path, [each.print for each in self._registry.by_log[log]]):
                    return False
            except NotReadable:
                return True
            self._known_packed.add(mark)
        return True

    # ── 7. what is new ──

    def _begin(self, unknown: list[Found], unseen: dict[str, list[Found]]) -> None:
        """Begin with new files, those of one log in the order in which they were written."""
        by_log: dict[str, list[Found]] = {log: list(files) for log, files in unseen.items()}
        met = {file.path for files in unseen.values() for file in files}
        for file in self._once(
            [file for file in unknown if file.path not in met and self._is_readable(file)]
        ):
            by_log.setdefault(self._log_of(file), []).append(file)
        for log, files in by_log.items():
            rotated = [file for file in files if file.path != log]
            for file in [*oldest_first(rotated, log), *(file for file in files if file.path == log)]:
                self._begin_one(
                    log, file, is_outside=file in unseen.get(log, ()) or file.path in self._outside
                )

    def _name_also(self, unknown: list[Found]) -> None:
        """Note the other names of the same files."""
        for file in unknown:
            for generation in self._registry.by_inode.get(file.stamp[:2], ()):
                if generation.tick == self._tick and generation.is_there and generation.path != file.path:
                    self._registry.alias(file.path, generation)

    def _begin_open(self, unknown: list[Found], unseen: dict[str, list[Found]]) -> None:
        """Begin with what was written anew into files that are deleted, or out of sight, but open."""
        named = {file.stamp[:2] for files in (unknown, *unseen.values()) for file in files}
        for earlier, fd in self._cut_unseen:
            stamp = stamp_of(os.fstat(fd))
            if stamp[:2] in named or not stamp.size:
                os.close(fd)
                continue
            beside = [file for file in self._files_beside(earlier.log) if file.stamp[:2] == stamp[:2]]
            file = next((file for file in beside if not is_packed(file.path)), None)
            generation = self._new(earlier.log, file or Found(earlier.log, stamp), fd)
            if file is not None:
                generation.is_outside = True
                continue
            self._registry.lose(generation)
            self._handles.pin(generation.id)
            generation.is_unlinked = os.fstat(fd).st_nlink == 0
        self._cut_unseen.clear()

    def _begin_one(self, log: str, file: Found, *, is_outside: bool) -> None:
        if (untouched := self._untouched.pop(file.path, None)) is not None:
            if untouched.log == log:
                self._place(untouched, file)
                return
            self._registry.forget(untouched)  # it was met under another name, before anything stood in it
            self.forgotten.append(untouched.id)
        if not is_packed(file.path):
            self._new(log, file).is_outside = is_outside
            return
        try:
            size = packed.size_of(file.path)
        except NotReadable:
            return
        generation = self._new(log, file)
        self._registry.lose(generation)
        self._pack(generation, file, size)

    def _is_readable(self, file: Found) -> bool:
        fd = self._open(file)
        if fd is not None:
            os.close(fd)
        return fd is not None

    def _once(self, unknown: list[Found]) -> list[Found]:
        """Each file under one of its names; one that is no link, if there is one."""
        out: dict[tuple[int, int], Found] = {}
        for file in sorted(unknown, key=lambda file: os.path.islink(file.path)):  # noqa: PTH114
            out.setdefault(file.stamp[:2], file)
        return sorted(out.values())

    def _log_of(self, file: Found) -> str:
        """The log that a new file belongs to: its own path, or that of which it bears a rotated name, or what was cut there."""
        if file.path in self._cut:
            return self._cut[file.path].log
        for rotation in rotations(file.path):
            if rotation.base in self._registry.by_log or os.path.isfile(rotation.base):  # noqa: PTH113
                return rotation.base
        return file.path

    def _new(self, log: str, file: Found, fd: int | None = None) -> Generation:
        generation = Generation(self._registry.next_id, log, file.path, file.stamp, looked_ns=self._now_ns)
        generation.tick = self._tick
        self._registry.add(generation)
        self.moved.add(generation.id)
        if fd is None and not is_packed(file.path):
            fd = self._open(file)
        if fd is not None:
            generation.birth = birth_of(fd)
            self._handles.keep(generation.id, fd)
        return generation

    # ── what is worth telling ──

    def _tell_of(self, generation: Generation) -> None:
        if generation.is_there or generation.is_packed:
            return
        if not generation.is_truncated and generation.path == generation.log:
            self._tell("rotated", generation, to=None)
        if generation.id not in self._handles and generation.unread_bytes:
            self._tell("gap", generation, bytes=generation.unread_bytes)
            generation.stamp = generation.stamp._replace(size=generation.print.consumed)

    def _tell(self, kind: str, generation: Generation, **figures: int | str | None) -> None:
        self.events.append(TailEvent(kind, generation.log, generation.id, figures))


def _is_in(directory: str, top: str) -> bool:
    return directory == top or directory.startswith(top.rstrip(os.sep) + os.sep)
