"""Appending: what a returned append promises, whatever fails."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast import redact
from holdfast.errors import AppendFailed
from holdfast.ids import uuid7
from holdfast.journal import blobs, reader, segments
from holdfast.journal import format as fmt
from holdfast.journal import writer as writer_module
from holdfast.journal.writer import Writer

HOST = "00000000-0000-4000-8000-000000000000"
LIMIT_S = 20
REPO_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "journal"
    path.mkdir()
    return path


def open_writer(journal: Path, **more: float) -> Writer:
    return Writer(journal, journal.parent / "blobs", HOST, **{"fsync_interval_s": 0, **more})  # type: ignore[arg-type]


def records(journal: Path) -> list[tuple[int, str]]:
    """(segment, id) of every record but the segments' headers; fails on damage."""
    items = list(reader.read(journal))
    assert not [i for i in items if isinstance(i, reader.Damage)]
    return [(i.segment, i.record.id) for i in items if i.record.s != fmt.SEGMENT_SOURCE]


def headers(journal: Path) -> list[int]:
    return [i.segment for i in reader.read(journal) if i.record.s == fmt.SEGMENT_SOURCE]


# ── what an append writes ──


def test_an_append_is_one_write(journal, monkeypatch):
    """An append is one write of LF, record, LF: whatever stands before it, it begins a line."""
    writer = open_writer(journal)
    writer.append("test", b"1")
    writes = []
    whole = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: writes.append(bytes(data)) or whole(fd, data))
    writer.append("test", b"2")
    (data,) = writes
    assert data[:1] == data[-1:] == b"\n"
    assert fmt.decode(data[1:-1]).body_bytes() == b"2"


def test_an_append_is_there_when_it_returns(journal):
    """Another reader sees a record as soon as `append` has returned; nothing is held back."""
    writer = open_writer(journal)
    for _ in range(3):
        record_id = writer.append("test", b"{}")
        assert records(journal)[-1] == (1, record_id)


def test_a_torn_predecessor_swallows_nothing(journal):
    """A record appended after a half-written one is read."""
    with segments.path(journal, 1).open("wb") as file:
        file.write(b'\n{"v":1,"id":"half')
    record_id = open_writer(journal).append("test", b"1")
    found = [i.record.id for i in reader.read(journal) if isinstance(i, reader.Found)]
    assert found == [record_id]


def test_many_lines_in_one_write(journal):
    """Lines appended together stand in order, each on lines of their own; no lines are no write."""
    writer = open_writer(journal)
    ids = [uuid7() for _ in range(50)]
    writer.append_lines([writer.line("test", b"%d" % n, record_id) for n, record_id in enumerate(ids)])
    writer.append_lines([])
    assert records(journal) == [(1, record_id) for record_id in ids]


def test_an_id_may_be_given(journal):
    """A record appended under an id of the caller's gets that id."""
    assert open_writer(journal).append("test", b"1", record_id="mine") == "mine"
    assert records(journal) == [(1, "mine")]


def test_a_large_body_is_in_its_blob_before_a_record_names_it(journal, monkeypatch):
    """A body over the limit goes into a blob, which is complete before the record is written."""
    writer = open_writer(journal, inline_limit_bytes=100)
    writer.append("test", b"x" * 100)
    put, before = blobs.put, []

    def put_first(directory: Path, content: bytes) -> fmt.BlobRef:
        ref = put(directory, content)
        before.append(len(records(journal)))
        return ref

    monkeypatch.setattr(blobs, "put", put_first)
    writer.append("test", b"x" * 101)
    assert before == [1]
    small, large = [i.record for i in reader.read(journal) if i.record.s == "test"]
    assert small.body_bytes() == b"x" * 100
    assert large.f is not None
    assert blobs.get(journal.parent / "blobs", large.f) == b"x" * 101


def test_a_line_never_outgrows_what_readers_take(journal):
    """However high the limit for bodies in lines is set, a line stays below what readers give up as endless."""
    writer = open_writer(journal, inline_limit_bytes=2**40)
    body = b"\x00" * (writer_module.LARGEST_INLINE_BYTES + 1)
    record_id = writer.append("test", body)
    (found,) = [i.record for i in reader.read(journal) if i.record.id == record_id]
    assert found.f is not None
    assert len(writer.line("test", body[1:], "i")) < reader._LINE_LIMIT_BYTES


def test_a_blob_that_cannot_be_written_acknowledges_nothing(journal):
    """When the blob cannot be written, no record names it."""
    (journal.parent / "blobs").write_text("in the way")
    writer = open_writer(journal, inline_limit_bytes=10)
    with pytest.raises(AppendFailed, match="blobs"):
        writer.append("test", b"x" * 11)
    assert records(journal) == []


@pytest.mark.parametrize("raw", [b'{"a":\n1}', b"not JSON", b'"\xff"'])
def test_an_event_that_brings_its_own_json(home, raw):
    """An event with a ready-made piece of JSON in it, well made or not, is there when it was acknowledged."""
    import msgspec

    import holdfast

    try:
        record_id = holdfast.record("probe.noted", piece=[msgspec.Raw(raw)])
    except holdfast.HoldfastError:
        return  # refusing it is fine; acknowledging and losing it is not
    finally:
        holdfast.door.close()
    items = list(reader.read(home / "journal"))
    assert record_id in [i.record.id for i in items if isinstance(i, reader.Found)]


# ── segments ──


def test_a_segment_begins_with_whose_it_is(journal):
    """The first record of a segment gives format, host and redaction level."""
    open_writer(journal).append("test", b"1")
    header = next(iter(reader.read(journal))).record
    assert header.s == fmt.SEGMENT_SOURCE
    assert json.loads(header.body_bytes()) == {"format": 1, "host": HOST, "redaction": redact.LEVEL}


def test_a_segment_is_for_its_owner_only(journal):
    """Segments are made with mode 0600, whatever the umask."""
    before = os.umask(0)
    try:
        open_writer(journal).append("test", b"1")
    finally:
        os.umask(before)
    assert segments.path(journal, 1).stat().st_mode & 0o777 == 0o600


def test_a_full_segment_is_followed_by_the_next(journal):
    """A segment that has reached its size is left; every record is in exactly one."""
    writer = open_writer(journal, segment_size_bytes=1_000)
    ids = [writer.append("test", b'"%s"' % (b"x" * 200)) for _ in range(20)]
    assert [record_id for _, record_id in records(journal)] == ids
    numbers = segments.numbers(journal)
    assert numbers == list(range(1, len(numbers) + 1))
    assert headers(journal) == numbers
    sizes = [segments.path(journal, n).stat().st_size for n in numbers]
    assert all(1_000 <= size < 2_000 for size in sizes[:-1])


def test_a_second_writer_joins_the_newest_segment_that_has_room(journal):
    """Writers share a segment; a full one is not joined."""
    first, second = (
        open_writer(journal, segment_size_bytes=1_000),
        open_writer(journal, segment_size_bytes=1_000),
    )
    first.append("test", b"1")
    second.append("test", b"2")
    assert segments.numbers(journal) == [1]
    first.append("test", b'"%s"' % (b"x" * 1_000))
    third = open_writer(journal, segment_size_bytes=1_000)
    third.append("test", b"3")
    assert segments.numbers(journal) == [1, 2]
    second.append("test", b"4")  # still in the first one, which has grown past its size
    second.append("test", b"5")
    assert [segment for segment, _ in records(journal)] == [1, 1, 1, 1, 2, 2]


def test_a_segment_that_is_being_sealed_is_not_written(journal):
    """Nobody waits for whoever holds a segment exclusively: the next one is begun."""
    import fcntl

    first = open_writer(journal)
    first.append("test", b"1")
    first.close()
    with segments.path(journal, 1).open("rb") as sealing:
        fcntl.flock(sealing, fcntl.LOCK_EX | fcntl.LOCK_NB)
        open_writer(journal).append("test", b"2")
    assert [segment for segment, _ in records(journal)] == [1, 2]


def test_who_is_second_to_create_a_segment_joins_it(journal, monkeypatch):
    """Of two writers that create the same segment, one creates it and the other takes part."""
    mine, other = open_writer(journal), open_writer(journal)
    numbers = segments.numbers

    def while_the_other_is_quicker(directory: Path) -> list[int]:
        found = numbers(directory)
        monkeypatch.setattr(segments, "numbers", numbers)
        other.append("test", b"1")
        return found

    monkeypatch.setattr(segments, "numbers", while_the_other_is_quicker)
    mine.append("test", b"2")
    assert [segment for segment, _ in records(journal)] == [1, 1]
    assert headers(journal) == [1]


def test_the_segment_of_a_creator_that_died_at_once_is_used(journal):
    """A segment left empty by a writer that was killed as it made it is no obstacle."""
    segments.path(journal, 1).touch(0o600)
    record_id = open_writer(journal).append("test", b"1")
    assert records(journal) == [(1, record_id)]


def test_a_segment_is_never_followed_through_a_link(journal, tmp_path):
    """A symbolic link in the place of a segment is refused, so nobody can lead records elsewhere."""
    (tmp_path / "elsewhere").touch()
    segments.path(journal, 1).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AppendFailed):
        open_writer(journal).append("test", b"1")
    assert (tmp_path / "elsewhere").stat().st_size == 0


def test_closing_and_going_on(journal):
    """A closed writer opens the journal again when something is appended; closing twice is fine."""
    writer = open_writer(journal)
    writer.close()
    first = writer.append("test", b"1")
    writer.close()
    writer.close()
    second = writer.append("test", b"2")
    assert [record_id for _, record_id in records(journal)] == [first, second]


# ── writes that fall short or fail ──

_CUT_WRITES = """
import json, resource, signal, sys
from pathlib import Path
from holdfast.errors import AppendFailed
from holdfast.journal import reader, segments
from holdfast.journal.writer import Writer

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
base, out, length = Path(sys.argv[1]), [], None
room = 0
while length is None or room <= length:
    journal = base / str(room)
    journal.mkdir()
    writer = Writer(journal, base, "h", fsync_interval_s=0)
    before = writer.append("test", b'"before"')
    size = segments.path(journal, 1).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, resource.RLIM_INFINITY))
    try:
        acknowledged = writer.append("test", b'{"n":"cut"}', record_id="cut")
    except AppendFailed as exc:
        acknowledged, why = None, str(exc)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    after = Writer(journal, base, "h", fsync_interval_s=0).append("test", b'"after"')
    again = writer.append("test", b'"again"')
    items = list(reader.read(journal))
    length = len(writer.line("test", b'{"n":"cut"}', "cut")) + 2
    out.append({
        "room": room, "length": length, "acknowledged": acknowledged, "size": size,
        "found": [i.record.id for i in items if isinstance(i, reader.Found)][1:],
        "expected": [before, after, again],
        "damage": [[i.start, i.end] for i in items if isinstance(i, reader.Damage)],
    })
    room += 1
print(json.dumps(out))
"""


@pytest.mark.slow
def test_a_write_cut_at_every_byte(tmp_path):
    """A short write, wherever it stops, acknowledges nothing, is reported with its range, and harms no neighbour."""
    done = subprocess.run(
        [sys.executable, "-c", _CUT_WRITES, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    trials = json.loads(done.stdout)
    assert len(trials) > 80
    for trial in trials:
        room, length, size = trial["room"], trial["length"], trial["size"]
        if room == length:  # it fitted
            assert trial["acknowledged"] == "cut"
        else:
            assert trial["acknowledged"] is None
        complete = room >= length - 1  # only the line end was missing, which the next append supplied
        before, after, again = trial["expected"]
        assert trial["found"] == [before, *(["cut"] if complete else []), after, again]
        assert trial["damage"] == ([[size + 1, size + room + 1]] if 1 < room < length - 1 else [])


def test_a_short_write_is_not_continued(journal, monkeypatch):
    """After a short write the whole record is appended again; a reader sees it once, and the stump as damage."""
    writer = open_writer(journal)
    first = writer.append("test", b"1")
    whole, cuts = os.write, [20]
    monkeypatch.setattr(os, "write", lambda fd, data: whole(fd, data[: cuts.pop()] if cuts else data))
    second = writer.append("test", b"2")
    items = list(reader.read(journal))
    assert [i.record.id for i in items if isinstance(i, reader.Found)][1:] == [first, second]
    (damage,) = [i for i in items if isinstance(i, reader.Damage)]
    assert damage.end - damage.start == 20


def test_writes_that_stay_short_are_given_up(journal, monkeypatch):
    """When nothing fits, the append fails after a few attempts instead of going on for ever."""
    writer = open_writer(journal)
    writer.append("test", b"1")
    whole, attempts = os.write, []
    monkeypatch.setattr(os, "write", lambda fd, data: attempts.append(1) or whole(fd, data[:5]))
    with pytest.raises(AppendFailed, match="only a part of it fitted"):
        writer.append("test", b"2")
    assert len(attempts) == writer_module._ATTEMPTS


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_a_refused_write_says_what_and_where(journal, monkeypatch, number):
    """A write that fails names the segment and the cause, and acknowledges nothing; the next one that works does."""
    writer = open_writer(journal)
    first = writer.append("test", b"1")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
        with pytest.raises(AppendFailed, match=f"00000001.jsonl.*{os.strerror(number)}") as caught:
            writer.append("test", b"2")
    assert caught.value.exit_code == 21
    assert caught.value.hint
    third = writer.append("test", b"3")
    assert records(journal) == [(1, first), (1, third)]


@pytest.mark.parametrize("call", ["open", "write", "listdir"])
def test_a_segment_that_cannot_be_begun(journal, monkeypatch, call):
    """When no segment can be opened, created or begun, the append fails cleanly and the next one may work."""
    writer = open_writer(journal)
    with monkeypatch.context() as patch:
        patch.setattr(
            os, call, lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EACCES, "Permission denied"))
        )
        for _ in range(3):
            with pytest.raises(AppendFailed, match="Permission denied"):
                writer.append("test", b"1")
    record_id = writer.append("test", b"2")
    assert records(journal) == [(1, record_id)]


def test_a_journal_that_vanished(journal):
    """A journal directory that is gone is an append that failed, not a crash."""
    journal.rmdir()
    with pytest.raises(AppendFailed):
        open_writer(journal).append("test", b"1")


# ── syncing ──


class Disk:
    """Stands in for fsync: says what was synced, and fails on demand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: list[str] = []
        self.failures = 0
        self.directory_failures = 0
        monkeypatch.setattr(writer_module, "_fsync", self._fsync)
        monkeypatch.setattr(blobs, "sync_directory", self._sync_directory)

    def _fsync(self, fd: int) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EIO, "Input/output error")
        self.synced.append(Path(f"/proc/self/fd/{fd}").readlink().name)

    def _sync_directory(self, path: Path) -> None:
        if self.directory_failures:
            self.directory_failures -= 1
            raise OSError(errno.EIO, "Input/output error")
        self.synced.append(path.name)


@pytest.fixture
def disk(monkeypatch):
    if sys.platform != "linux":
        pytest.skip("needs /proc to name what is synced")
    return Disk(monkeypatch)


def test_durable_syncs_the_segment_and_its_name(journal, disk):
    """`durable=True` returns after the segment was forced, and once for each segment its name, and that of the journal, too."""
    writer = open_writer(journal)
    writer.append("test", b"1")
    assert disk.synced == []
    writer.append("test", b"2", durable=True)
    assert disk.synced == ["00000001.jsonl", "journal", journal.parent.name]
    writer.append("test", b"3", durable=True)
    assert disk.synced == ["00000001.jsonl", "journal", journal.parent.name, "00000001.jsonl"]


def test_a_segment_that_another_made_is_named_durably_too(journal, disk):
    """The creator of a segment may have died before its name was durable; who joins it does not rely on that."""
    open_writer(journal).append("test", b"1")
    open_writer(journal).append("test", b"2", durable=True)
    assert disk.synced == ["00000001.jsonl", "journal", journal.parent.name]


def test_syncing_nothing_costs_nothing(journal, disk):
    """Nothing is forced when nothing was appended since the last time."""
    writer = open_writer(journal)
    writer.sync()
    writer.append("test", b"1")
    writer.sync()
    before = list(disk.synced)
    writer.sync()
    writer.close()
    assert disk.synced == before


def test_a_segment_is_synced_before_it_is_left(journal, disk):
    """A full segment is forced before the next one is begun, and the names there are before another is added."""
    writer = open_writer(journal, segment_size_bytes=1)
    writer.append("test", b"1")
    writer.append("test", b"2")
    assert disk.synced == ["00000001.jsonl", "journal", journal.parent.name, "journal"]


def test_a_segment_of_another_writer_is_named_for_good_before_the_next(journal, disk):
    """Names reach the disk in the order of their numbers, whoever made them: no power cut leaves a gap that looks like a loss."""
    other = open_writer(journal, segment_size_bytes=1)
    other.append("test", b"1")
    assert disk.synced == []
    open_writer(journal, segment_size_bytes=1).append("test", b"2")
    assert disk.synced == ["journal"]
    assert segments.numbers(journal) == [1, 2]


def test_what_is_kept_for_a_failed_sync_is_bounded(journal, disk, monkeypatch):
    """Reaching the limit of what is kept in memory syncs at once."""
    monkeypatch.setattr(writer_module, "UNSYNCED_LIMIT_BYTES", 1_000)
    writer = open_writer(journal)
    for _ in range(30):
        writer.append("test", b'"%s"' % (b"x" * 100))
        assert writer._unsynced_bytes <= 1_000
    assert disk.synced.count("00000001.jsonl") > 3


@pytest.mark.parametrize("what", ["failures", "directory_failures"])
def test_after_a_failed_sync_everything_is_appended_again_elsewhere(journal, disk, what):
    """A failed fsync is not repeated on that file: what it was to make durable goes to a new segment, same ids, and is synced."""
    writer = open_writer(journal)
    ids = [writer.append("test", b"%d" % n) for n in range(3)]
    setattr(disk, what, 1)
    ids.append(writer.append("test", b"3", durable=True))
    assert records(journal) == [(1, i) for i in ids] + [(2, i) for i in ids]
    assert disk.synced[-1] == "00000002.jsonl"
    assert writer.sync_failures == 1
    later = writer.append("test", b"4", durable=True)
    assert records(journal)[-1] == (2, later)
    assert writer.sync_failures == 1


def test_durable_is_never_acknowledged_while_the_disk_refuses(journal, disk):
    """While fsync keeps failing, `durable=True`, `sync` and `close` keep failing too; no later success hides it."""
    writer = open_writer(journal)
    kept = writer.append("test", b"1")
    disk.failures = 10**9
    for _ in range(3):
        with pytest.raises(AppendFailed, match="fsync failed"):
            writer.append("test", b"2", durable=True)
        with pytest.raises(AppendFailed, match="fsync failed"):
            writer.sync()
    disk.failures = 0
    assert not [name for name in disk.synced if name.endswith(".jsonl")]
    writer.sync()
    last = segments.numbers(journal)[-1]
    assert (last, kept) in records(journal)
    assert disk.synced[-1] == segments.path(journal, last).name


def test_a_rescue_that_finds_the_disk_full_is_tried_again(journal, disk, monkeypatch):
    """What could not be appended again stays to be appended again; a sync of the new segment alone does not count."""
    writer = open_writer(journal)
    kept = writer.append("test", b"1")
    disk.failures = 1
    whole = os.write

    def full_for_records(fd: int, data: bytes) -> int:
        if kept.encode() in bytes(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(fd, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full_for_records)
        for _ in range(3):
            with pytest.raises(AppendFailed, match="No space left"):
                writer.sync()
    assert records(journal) == [(1, kept)]
    writer.sync()
    assert records(journal) == [(1, kept), (2, kept)]


def test_a_rescue_goes_on_when_another_writer_is_quicker(journal, disk, monkeypatch):
    """When the segment that a rescue wants to create was just made by another writer, it takes the next number."""
    writer = open_writer(journal)
    kept = writer.append("test", b"1")
    newest = writer._newest

    def overtaken() -> int:
        number = newest()
        if number == 1:
            segments.path(journal, 2).touch()
        return number

    monkeypatch.setattr(writer, "_newest", overtaken)
    disk.failures = 1
    writer.sync()
    assert records(journal) == [(1, kept), (3, kept)]


def test_a_disk_that_refuses_does_not_fill_with_copies(journal, disk):
    """While every fsync fails, attempts to rescue leave headers behind, not copies of everything."""
    writer = open_writer(journal)
    writer.append("test", b'"%s"' % (b"x" * 100_000))
    disk.failures = 10**9
    for _ in range(10):
        with pytest.raises(AppendFailed):
            writer.sync()
    assert sum(p.stat().st_size for p in journal.iterdir()) < 110_000


def test_background_sync_forces_what_was_appended_and_ends(journal, disk):
    """The background thread forces what was appended within an interval, and ends when nothing more comes."""
    writer = open_writer(journal, fsync_interval_s=0.001)
    writer.append("test", b"1")
    thread = writer._syncer
    assert thread is not None
    thread.join(LIMIT_S)
    assert disk.synced == ["00000001.jsonl", "journal", journal.parent.name]
    writer.append("test", b"2")
    assert writer._syncer is not None
    writer._syncer.join(LIMIT_S)
    assert disk.synced == ["00000001.jsonl", "journal", journal.parent.name, "00000001.jsonl"]


def test_without_a_thread_the_append_syncs_itself(journal, disk, monkeypatch):
    """When the system gives no thread, the appender syncs, and the next one asks for a thread again."""

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    writer = open_writer(journal, fsync_interval_s=0.001)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        kept = writer.append("test", b"1")
    assert disk.synced[0] == "00000001.jsonl"
    before = len(disk.synced)
    later = writer.append("test", b"2")
    assert writer._syncer is not None
    writer._syncer.join(LIMIT_S)
    assert len(disk.synced) == before + 1
    assert records(journal) == [(1, kept), (1, later)]


def test_a_background_sync_that_fails_is_made_good(journal, disk):
    """After a failed background fsync its records are appended again to a new segment and synced."""
    disk.failures = 1
    writer = open_writer(journal, fsync_interval_s=0.001)
    record_id = writer.append("test", b"1")
    assert writer._syncer is not None
    writer._syncer.join(LIMIT_S)
    assert writer.sync_failures == 1
    assert records(journal) == [(1, record_id), (2, record_id)]
    assert disk.synced[-1] == "00000002.jsonl"


def test_a_background_sync_that_finds_no_memory_is_made_good(journal, disk, monkeypatch):
    """When the background thread finds no memory in the middle of a sync, what it was to force is appended again and synced."""
    refusals = iter([MemoryError])

    def failpoint(name: str) -> None:
        if name == "journal.naming" and (refusal := next(refusals, None)):
            raise refusal

    monkeypatch.setattr(writer_module, "failpoint", failpoint)
    writer = open_writer(journal, fsync_interval_s=0.001)
    record_id = writer.append("test", b"1")
    assert writer._syncer is not None
    writer._syncer.join(LIMIT_S)
    assert writer._syncer is None
    writer.sync()
    assert records(journal) == [(1, record_id), (2, record_id)]
    assert disk.synced[-1] == "00000002.jsonl"


@pytest.mark.parametrize("why", [MemoryError, KeyboardInterrupt])
def test_what_was_left_in_the_middle_of_a_sync_is_made_good(journal, disk, monkeypatch, why):
    """Closed by a process that finds no memory or is interrupted, what is not synced is synced by whoever appends or asks next."""
    refusals = iter([why])

    def failpoint(name: str) -> None:
        if name == "journal.naming" and (refusal := next(refusals, None)):
            raise refusal

    monkeypatch.setattr(writer_module, "failpoint", failpoint)
    writer = open_writer(journal)
    first = writer.append("test", b"1")
    with pytest.raises(why):
        writer.close()
    second = writer.append("test", b"2")
    writer.close()
    assert records(journal) == [(1, first), (2, first), (2, second)]
    assert disk.synced[-1] == "00000002.jsonl"


@pytest.mark.parametrize("why", [errno.EIO, errno.EACCES, errno.EMFILE])
def test_blobs_that_cannot_be_opened_refuse_the_append(journal, monkeypatch, why):
    """When the directory of the blobs cannot be opened, nothing is acknowledged, and the error says so."""
    (journal.parent / "blobs").mkdir()
    whole = os.open

    def refused(path, flags, *args, **more):
        if flags & os.O_DIRECTORY and Path(path).name == "blobs":
            raise OSError(why, os.strerror(why), os.fspath(path))
        return whole(path, flags, *args, **more)

    writer = open_writer(journal, inline_limit_bytes=10)
    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(AppendFailed, match=os.strerror(why)):
        writer.append("test", b"x" * 100)
    monkeypatch.setattr(os, "open", whole)
    assert records(journal) == []
    kept = writer.append("test", b"x" * 100)
    assert records(journal) == [(1, kept)]


def test_a_background_sync_that_fails_for_good_is_told_to_the_next(journal, disk):
    """When nothing can be synced any more, the thread ends and whoever asks next is told."""
    disk.failures = 10**9
    writer = open_writer(journal, fsync_interval_s=0.001)
    writer.append("test", b"1")
    assert writer._syncer is not None
    writer._syncer.join(LIMIT_S)
    with pytest.raises(AppendFailed, match="fsync failed"):
        writer.close()


class SlowSync:
    """A background fsync that is under way until it is told how to end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, fails: bool) -> None:
        self.begun, self.end = threading.Event(), threading.Event()
        self.calls: list[str] = []
        self._fails = fails
        monkeypatch.setattr(writer_module, "_fsync", self._fsync)

    def _fsync(self, fd: int) -> None:
        if threading.current_thread().name != "holdfast-fsync" or self.end.is_set():
            self.calls.append(
                "foreground" if threading.current_thread().name != "holdfast-fsync" else "background"
            )
            return
        self.begun.set()
        assert self.end.wait(LIMIT_S)
        self.calls.append("background")
        if self._fails:  # the kernel tells one of two waiting callers, and the other that all is well
            raise OSError(errno.EIO, "Input/output error")


def in_background(action) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


@pytest.mark.parametrize("ask", ["durable", "sync", "close"])
def test_an_error_told_to_the_background_sync_is_not_missed(journal, monkeypatch, ask):
    """A sync that is asked for while another is under way waits for it, and makes good what that one failed to do."""
    slow = SlowSync(monkeypatch, fails=True)
    writer = open_writer(journal, fsync_interval_s=0.001)
    first = writer.append("test", b"1")
    assert slow.begun.wait(LIMIT_S)
    ids = [first]
    asks = {
        "durable": lambda: ids.append(writer.append("test", b"2", durable=True)),
        "sync": writer.sync,
        "close": writer.close,
    }
    asking = in_background(asks[ask])
    assert slow.calls == []
    slow.end.set()
    asking.join(LIMIT_S)
    assert not asking.is_alive()
    assert slow.calls[0] == "background"
    assert {record_id for segment, record_id in records(journal) if segment == 2} == set(ids)


def test_appending_does_not_wait_for_a_background_sync(journal, monkeypatch):
    """While the disk is slow, appends go on; only who asks for durability waits."""
    slow = SlowSync(monkeypatch, fails=False)
    writer = open_writer(journal, fsync_interval_s=0.001)
    writer.append("test", b"1")
    assert slow.begun.wait(LIMIT_S)
    for _ in range(100):
        writer.append("test", b"2")
    assert slow.calls == []
    asking = in_background(writer.sync)
    slow.end.set()
    asking.join(LIMIT_S)
    assert slow.calls[0] == "background"
    writer.close()
    assert len(records(journal)) == 101


# ── threads ──


@pytest.mark.slow
def test_threads_share_a_writer(journal):
    """Threads may append through one writer: nothing is lost, nothing is mixed up, segments are begun in between."""
    writer = open_writer(journal, segment_size_bytes=20_000, fsync_interval_s=0.001)
    acknowledged: list[list[str]] = [[] for _ in range(8)]

    def work(mine: list[str]) -> None:
        mine.extend(writer.append("test", b'{"n":%d}' % n, durable=n % 50 == 0) for n in range(200))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in acknowledged]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    writer.close()
    assert sorted(i for mine in acknowledged for i in mine) == sorted(i for _, i in records(journal))
    order = {record_id: place for place, (_, record_id) in enumerate(records(journal))}
    assert all([order[i] for i in mine] == sorted(order[i] for i in mine) for mine in acknowledged)
