"""Follow growing logs: each line once, in order, whatever happens to their files. `docs/reference/tailing.md` has the rules.

    tailer = Tailer(Scope([directory]), db)
    for batch in tailer.poll():
        with transaction(db):
            use(batch.lines, batch.events)
            tailer.keep(batch)

Lines and positions are kept in one transaction, or neither is: what was not kept is given again. A batch holds a bounded number of
bytes; as long as the consumer does not ask for the next one nothing more is read. A look costs one `stat` for each file; hints of
what changed (`holdfast.monitor.notice`) make it cheaper, but only looking at everything is certain.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING

from holdfast import clock
from holdfast.failpoints import failpoint
from holdfast.monitor import fingerprint
from holdfast.monitor.fingerprint import read_from, stands
from holdfast.monitor.generation import RACY_NS, Batch, Found, Generation, TailEvent
from holdfast.monitor.handles import LIMIT as HANDLE_LIMIT
from holdfast.monitor.handles import Handles
from holdfast.monitor.lines import MAX_LINE_BYTES, Line, Reading
from holdfast.monitor.matching import Matcher
from holdfast.monitor.names import rotation_of
from holdfast.monitor.packed import NotReadable, Packed
from holdfast.monitor.positions import Positions
from holdfast.monitor.registry import Registry
from holdfast.monitor.scope import stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    import apsw

    from holdfast.monitor.scope import Scope

BATCH_BYTES = 4 << 20
BATCH_LINES = 16_384
POLL_BYTES = 64 << 20
SETTLE_US = 2_000_000
_LINE_COST_BYTES = 256  # of memory, beside its bytes
_LINGER_US = 60_000_000
_TELL_AGAIN_US = 10_000_000
_GONE_LIMIT = 64  # generations without a file that are remembered of each log


class Unsteady(Exception):
    """A file was changed while it was read."""


class Tailer:
    """Reads what is new in the files of a scope. One at a time for a database; not for several threads.

    Args:
        scope: the files.
        db: the consumer's database; two tables in it hold the positions.
        max_line_bytes: what is longer is given cut.
        handle_limit: how many files are held open between two polls.
        poll_bytes: how much one poll reads at most; `is_behind` tells that there is more.
        settle_us: how long a rotated file must have stood still before its last line counts as ended without a line end.

    Raises:
        TailFailed: the positions cannot be read.
    """

    def __init__(
        self,
        scope: Scope,
        db: apsw.Connection,
        *,
        max_line_bytes: int = MAX_LINE_BYTES,
        handle_limit: int = HANDLE_LIMIT,
        poll_bytes: int = POLL_BYTES,
        settle_us: int = SETTLE_US,
        now_us: Callable[[], int] = clock.now_us,
    ) -> None:
        self._scope = scope
        self._positions = Positions(db)
        self._max_line_bytes = max_line_bytes
        self._poll_bytes = poll_bytes
        self._settle_us = settle_us
        self._now_us = now_us
        self._handles = Handles(handle_limit)
        self._registry = Registry(self._positions.generations())
        self._matcher = Matcher(scope, self._registry, self._handles)
        self._number = self._positions.batch_number()
        self._tick = 0
        self._unread: set[int] = set()  # generations that may hold lines
        self._tails: set[int] = set()  # rotated ones with an end that is no line yet
        self._packs: dict[int, Packed] = {}
        self._given: Batch | None = None
        self._behind_since_us: int | None = None
        self._behind_told_us = 0
        self.cut_lines = 0
        for generation in self._registry.by_id.values():
            if generation.print.consumed < generation.stamp.size:
                self._unread.add(generation.id)

    @property
    def open_handles(self) -> int:
        """How many files of logs are held open."""
        return len(self._handles) + len(self._packs)

    @property
    def log_count(self) -> int:
        """How many logs are known."""
        return len(self._registry.by_log)

    @property
    def is_behind(self) -> bool:
        """Whether the last poll left lines that it saw unread; poll again at once."""
        return self._behind_since_us is not None

    def keep(self, batch: Batch) -> None:
        """Write the positions behind a batch; call it in the transaction that takes the batch in.

        Raises:
            TailTaken: another reader uses the same positions; roll back.
        """
        self._positions.keep(batch)
        failpoint("tail.keeping")

    def close(self) -> None:
        """Give the open files back. What was not kept is given again by the next one."""
        self._handles.close()
        for pack in self._packs.values():
            pack.close()
        self._packs.clear()

    def poll(self, changed: set[str] | None = None) -> Iterator[Batch]:
        """Look, and give what is new in batches; go on with the next one only after the last was kept, or given up.

        Args:
            changed: look only at the files directly in these directories; None: at all.
        """
        self._settle()
        self._look(changed)
        yield from self._read()

    # ── looking ──

    def _look(self, only: set[str] | None) -> None:
        """Find what changed since the last look, and decide what it is."""
        self._tick = tick = self._tick + 1
        now_ns = time.time_ns()
        at = self._registry.at
        found: list[Found] = []
        for path, status in self._scope.look(only):
            known = at.get(path)
            if known is not None:
                stamp = known.stamp
                if (
                    status.st_size == stamp.size
                    and status.st_mtime_ns == stamp.mtime_ns
                    and status.st_ctime_ns == stamp.ctime_ns
                    and status.st_ino == stamp.ino
                    and stamp.ctime_ns + RACY_NS < known.looked_ns
                    and status.st_dev == stamp.dev
                ):
                    known.tick = tick
                    continue
            file = Found(path, stamp_of(status))
            if self._matcher.is_known_copy(file):
                if known is not None:
                    known.tick = tick
                continue
            found.append(file)
        outside = list(self._outside())
        looked_in = (
            only if only is None else only.union(_directory(each.path) for each in self._registry.outside())
        )
        self._matcher.resolve(found, outside, looked_in, tick, now_ns)
        self._matcher.tell_of_directories(self._scope.unlistable)
        self._note(found + outside)

    def _outside(self) -> Iterator[Found]:
        """Files that are followed although no look finds them: rotated out of what is looked at."""
        for generation in self._registry.outside():
            try:
                stamp = stamp_of(os.stat(generation.path))  # noqa: PTH116
            except OSError:
                continue
            if stamp == generation.stamp and not generation.is_racy:
                generation.tick = self._tick
            elif stamp[:2] == generation.stamp[:2]:
                yield Found(generation.path, stamp)

    def _note(self, found: list[Found]) -> None:
        """Note which generations may hold lines now."""
        for file in found:
            generation = self._registry.at.get(file.path)
            if generation is not None and generation.may_hold_lines:
                self._unread.add(generation.id)
        for number in self._matcher.moved:
            generation = self._registry.by_id.get(number)
            if generation is not None and (generation.may_hold_lines or generation.is_packed):
                self._unread.add(number)
            if generation is not None and generation.unread_bytes:
                self._tails.add(number)
        for number in self._handles.held():
            generation = self._registry.by_id.get(number)
            if generation is None:
                self._handles.drop(number)
            elif not generation.is_there:
                self._look_at_handle(generation)

    def _look_at_handle(self, generation: Generation) -> None:
        """A file that is open and nowhere to be seen may still grow."""
        fd = self._handles.fd(generation.id)
        assert fd is not None
        status = os.fstat(fd)
        now_us = self._now_us()
        if status.st_size != generation.stamp.size:
            generation.stamp = generation.stamp._replace(size=status.st_size, mtime_ns=status.st_mtime_ns)
            generation.idle_since_us = now_us
        generation.idle_since_us = generation.idle_since_us or now_us
        if generation.may_hold_lines:
            self._unread.add(generation.id)
        elif generation.unread_bytes:
            self._tails.add(generation.id)
        else:
            self._handles.unpin(generation.id)
            if now_us - generation.idle_since_us > _LINGER_US:  # a deleted file takes room while it is open
                self._handles.drop(generation.id)

    # ── reading ──

    def _read(self) -> Iterator[Batch]:
        batch = self._new_batch()
        left_bytes = self._poll_bytes
        queues = self._queues()
        while queues and left_bytes > 0:
            queue = queues.popleft()
            lines = self._take(queue[0], batch)
            if not lines:
                queue.popleft()
            for line in lines:
                left_bytes -= len(line.body)
            if queue:
                queues.append(queue)  # every log gets its share before one gets another
            if batch.size_bytes >= BATCH_BYTES or len(batch.lines) >= BATCH_LINES:
                if not (yield from self._give(batch)):
                    return
                batch = self._new_batch()
        self._tell_behind(batch)
        for number in sorted(self._tails):
            self._take_tail(number, batch)
        self._handles.trim()
        if batch.lines or batch.events or batch.changed or batch.gone:
            yield from self._give(batch)

    def _queues(self) -> deque[deque[Generation]]:
        """What may hold lines, by log, in the order in which it is read."""
        by_log: dict[str, deque[Generation]] = {}
        for number in sorted(self._unread):
            generation = self._registry.by_id.get(number)
            if generation is None:
                self._unread.discard(number)
            else:
                by_log.setdefault(generation.log, deque()).append(generation)
        return deque(by_log.values())

    def _new_batch(self) -> Batch:
        batch = Batch(self._number, events=self._matcher.events, gone=self._matcher.forgotten)
        for number in self._matcher.moved:
            if (generation := self._registry.by_id.get(number)) is not None:
                batch.touch(generation)
        self._matcher.events, self._matcher.moved, self._matcher.forgotten = [], set(), []
        return batch

    def _take(self, generation: Generation, batch: Batch, *, is_final: bool = False) -> list[Line]:
        """Some lines of a generation; none: there are no more, or its file is not what it was."""
        try:
            opened = self._open(generation)
            lines = self._take_from(generation, batch, *opened, is_final=is_final) if opened else []
        except Unsteady:  # the next look tells what became of it
            generation.looked_ns = 0
            lines = []
        except (OSError, NotReadable) as exc:
            self._matcher.tell_unreadable(generation.path, getattr(exc, "strerror", None) or str(exc))
            generation.looked_ns = 0
            lines = []
        if not lines:
            self._unread.discard(generation.id)
            if generation.unread_bytes:
                self._tails.add(generation.id)
            else:
                self._handles.unpin(generation.id)
        return lines

    def _open(self, generation: Generation) -> tuple[fingerprint.ReadAt, int | None] | None:
        """How to read a generation; None: its file is not there."""
        if generation.is_packed:
            pack = self._packs.get(generation.id)
            if pack is None:
                pack = self._packs[generation.id] = Packed.to_read(generation.path)
            return pack.read_at, None
        if generation.id not in self._handles and not generation.is_there:
            return None
        fd = self._handles.use(generation)
        if generation.birth is None:
            generation.birth = fingerprint.birth_of(fd)
        return read_from(fd), fd

    def _take_from(
        self,
        generation: Generation,
        batch: Batch,
        read_at: fingerprint.ReadAt,
        fd: int | None,
        *,
        is_final: bool,
    ) -> list[Line]:
        if fd is not None and stamp_of(os.fstat(fd))[:2] != generation.stamp[:2]:
            raise Unsteady("another file has taken its place since the look")
        reading = Reading(generation.log, generation.id, read_at, fd, self._max_line_bytes)
        is_final = is_final or generation.is_packed
        lines, place = reading.take(generation.place, generation.stamp.size, is_final=is_final)
        failpoint("tail.read")
        if not lines:
            generation.searched = place.searched
            if generation.is_packed:
                self._end(generation, batch)
            return []
        after: fingerprint.Print | None
        if fd is not None:
            if not stands(read_at, generation.print, 0):
                raise Unsteady("it was changed while it was read")
            after = fingerprint.taken(read_at, place.consumed, place.crc)
        else:
            after = self._packs[generation.id].print_of(place.consumed, place.crc)
        if after is None:
            raise Unsteady("it was changed while it was read")
        batch.touch(generation)
        generation.print, generation.searched, generation.continues = after, place.searched, place.continues
        self._add(batch, lines)
        return lines

    def _add(self, batch: Batch, lines: list[Line]) -> None:
        batch.lines += lines
        batch.size_bytes += sum(len(line.body) for line in lines) + _LINE_COST_BYTES * len(lines)
        for line in lines:
            if line.cut_bytes:
                self.cut_lines += 1
                figures: dict[str, int | str | None] = {"start": line.start, "cut_bytes": line.cut_bytes}
                batch.events.append(TailEvent("line_cut", line.log, line.generation, figures))

    def _end(self, generation: Generation, batch: Batch) -> None:
        """A compressed file was read to its end; nothing comes after it."""
        batch.touch(generation)
        generation.is_packed, generation.is_ended = False, True
        self._packs.pop(generation.id).close()

    def _take_tail(self, number: int, batch: Batch) -> None:
        """The end of a rotated file that no line end closes, once it stands still."""
        generation = self._registry.by_id.get(number)
        if generation is None or not generation.unread_bytes:
            self._tails.discard(number)
            return
        if number in self._unread or not self._is_rotated(generation):
            return
        size, now_us = generation.stamp.size, self._now_us()
        if generation.quiet_size != size:
            generation.quiet_size, generation.quiet_tick, generation.quiet_us = size, self._tick, now_us
        elif generation.quiet_tick < self._tick and now_us - generation.quiet_us >= self._settle_us:
            self._take(generation, batch, is_final=True)

    def _is_rotated(self, generation: Generation) -> bool:
        """Whether a log's writer is not expected to go on in this file."""
        if not generation.is_there:
            return generation.id in self._handles
        if generation.path == generation.log or self._registry.at.get(generation.log) is generation:
            return False  # its own path, or a link there leads to it
        return rotation_of(generation.path, generation.log) is not None or generation.log in self._registry.at

    def _tell_behind(self, batch: Batch) -> None:
        waiting = [self._registry.by_id[number] for number in self._unread if number in self._registry.by_id]
        now_us = self._now_us()
        if not waiting:
            self._behind_since_us = None
            return
        if self._behind_since_us is None:
            self._behind_since_us = self._behind_told_us = now_us
        elif now_us - self._behind_told_us < _TELL_AGAIN_US:
            return
        self._behind_told_us = now_us
        figures: dict[str, int | str | None] = {
            "bytes": sum(each.unread_bytes for each in waiting),
            "logs": len({each.log for each in waiting}),
            "seconds": (now_us - self._behind_since_us) // 1_000_000,
        }
        batch.events.append(TailEvent("reader_behind", None, None, figures))

    # ── giving ──

    def _give(self, batch: Batch) -> Generator[Batch, None, bool]:
        self._forget_old(batch)
        self._given = batch
        yield batch
        return self._settle()

    def _settle(self) -> bool:
        """Whether the batch that was given has been kept; if not, go back to before it."""
        batch, self._given = self._given, None
        if batch is None:
            return True
        if self._positions.batch_number() == batch.number + 1:
            self._number = batch.number + 1
            return True
        self._number = self._positions.batch_number()
        batch.undo()
        self._unread |= batch.changed.keys()
        self._matcher.events = batch.events + self._matcher.events
        self._matcher.moved |= batch.changed.keys()
        self._matcher.forgotten += batch.gone
        return False

    def _forget_old(self, batch: Batch) -> None:
        """Of a log that is rotated again and again, only the last generations are remembered."""
        for log in {generation.log for generation in batch.changed.values()}:
            known = self._registry.by_log.get(log, [])
            gone = [each for each in known if not each.is_there and each.id not in self._handles]
            for generation in gone[: max(0, len(gone) - _GONE_LIMIT)]:
                self._registry.forget(generation)
                batch.changed.pop(generation.id, None)
                batch.gone.append(generation.id)


def _directory(path: str) -> str:
    return path.rpartition(os.sep)[0]
