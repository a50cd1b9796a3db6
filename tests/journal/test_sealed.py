"""Sealed segments: compressed, chained, readable around any damage."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import SealFailed
from holdfast.journal import format as fmt
from holdfast.journal import reader, sealed, sealing, segments, verify
from holdfast.journal import writer as writer_module
from holdfast.journal.writer import Writer
from tests.journal.sealing_cases import HOST, bodies_for, found, journal_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "journal"
    path.mkdir()
    return path


def sealed_file(path: Path, pieces: list[bytes]) -> sealed.Seal:
    with path.open("wb") as file:
        return sealed.write(file.fileno(), pieces, HOST, 1, sealed.NO_LINK)


def content(path: Path, start: int = 0) -> tuple[bytes, list[sealed.Hole]]:
    """What can be read from a byte on, with NULs where it cannot, and the holes."""
    out, holes = bytearray(), []
    with sealed.opened(path) as segment:
        for item in segment.read(start):
            if isinstance(item, sealed.Hole):
                holes.append(item)
                out += bytes(item.end - item.start)
            else:
                assert item[0] == start + len(out)
                out += item[1]
    return bytes(out), holes


def test_sealing_changes_no_answer(journal):
    """Every record of sealed segments is read as before, at the same place; only the newest segment stays plain."""
    ids = journal_of(journal, bodies_for(200))
    before = list(reader.read(journal))
    seals = sealing.seal_all(journal, HOST)
    assert len(seals) > 3
    assert segments.plain_numbers(journal) == [len(seals) + 1]
    assert list(reader.read(journal)) == before
    assert list(found(journal)) == ids
    for item in before:
        assert reader.record_at(journal, item.segment, item.start) == item.record
        after = dict.fromkeys(segments.numbers(journal), 0) | {item.segment: item.end}
        (following,) = [i for i in before if i.segment == item.segment and i.start > item.start][:1] or [None]
        assert next(reader.read_segment(journal, item.segment, after[item.segment]), None) == following


def test_zstd_gives_the_segment_back(journal):
    """Any zstd tool turns a sealed segment into the plain one, byte for byte."""
    zstd = shutil.which("zstd")
    if zstd is None:
        pytest.skip("needs zstd (Debian, Ubuntu: apt install zstd)")
    journal_of(journal, bodies_for(80))
    plain = {n: segments.path(journal, n).read_bytes() for n in segments.numbers(journal)}
    for seal in sealing.seal_all(journal, HOST):
        path = segments.sealed_path(journal, seal.segment)
        done = subprocess.run([zstd, "-dc", str(path)], capture_output=True, check=True)
        assert done.stdout == plain[seal.segment]
        assert subprocess.run([zstd, "-tq", str(path)], check=False).returncode == 0


@given(
    st.lists(
        st.binary(max_size=3_000) | st.just(b"\n") | st.binary(min_size=1, max_size=20).map(lambda b: b * 900)
    ),
    st.integers(0, 80_000),
)
@settings(max_examples=60, deadline=None)
def test_any_bytes_come_back(tmp_path_factory, pieces, start):
    """Whatever a segment holds, damage and torn ends included, comes back from any byte on."""
    path = tmp_path_factory.mktemp("sealed") / "1"
    whole = b"".join(pieces)
    with pytest.MonkeyPatch.context() as small:
        small.setattr(sealed, "FRAME_BYTES", 700)
        small.setattr(sealed, "FRAME_LIMIT_BYTES", 2_000)
        seal = sealed_file(path, pieces)
        start = min(start, len(whole))
        assert content(path, start) == (whole[start:], [])
        with sealed.opened(path) as segment:
            assert (segment.seal, segment.size) == (seal, len(whole))
            assert all(group.size <= 2_000 for group in segment.groups)


def test_a_frame_ends_at_a_line_end(journal, monkeypatch):
    """Frames hold whole lines, so that damage to one costs no line of another."""
    monkeypatch.setattr(sealed, "FRAME_BYTES", 2_000)
    journal_of(journal, bodies_for(200), segment_bytes=40_000)
    sealing.seal_all(journal, HOST)
    with sealed.opened(segments.sealed_path(journal, 1)) as segment:
        assert len(segment.groups) > 5
        assert all(item[1].endswith(b"\n") for item in segment.read() if not isinstance(item, sealed.Hole))


@pytest.mark.parametrize("kind", ["flip", "delete", "insert", "cut"])
def test_damage_costs_at_most_the_frames_it_touches(tmp_path, kind, monkeypatch):
    """Bytes flipped, missing or added anywhere: every frame that was not touched is read, the rest is reported as holes."""
    monkeypatch.setattr(sealed, "FRAME_BYTES", 1_500)
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chooser = random.Random(seed)
    lines = [b'{"n":%d,"text":"%s"}\n' % (n, chooser.randbytes(40).hex().encode()) for n in range(300)]
    path = tmp_path / "sealed"
    sealed_file(path, lines)
    raw, plain = path.read_bytes(), b"".join(lines)
    with sealed.opened(path) as segment:
        groups = segment.groups
    for _ in range(150):
        broken, at = bytearray(raw), chooser.randrange(len(raw))
        size = chooser.choice((1, 5, 300))
        if kind == "flip":
            broken[at] ^= 1 << chooser.randrange(8)
            touched = (at, at + 1)
        elif kind == "delete":
            del broken[at : at + size]
            touched = (at, at + size)
        elif kind == "insert":
            broken[at:at] = chooser.randbytes(size)
            touched = (at, at)
        else:
            del broken[at:]
            touched = (at, len(raw))
        path.write_bytes(broken)
        read, holes = content(path)
        for group in groups:
            inside = group.at < touched[1] and touched[0] < group.at + group.stored
            if not inside and not (kind == "insert" and group.at < at < group.at + group.stored):
                assert read[group.start : group.end] == plain[group.start : group.end], (
                    kind,
                    at,
                    size,
                    group,
                )
        lost = sum(hole.end - hole.start for hole in holes)
        kept = bytes(a if a == b else 0 for a, b in zip(read, plain, strict=False))
        assert len(kept) - sum(a == b for a, b in zip(read, plain, strict=False)) <= lost


def test_a_damaged_frame_is_damage_of_its_range(journal, monkeypatch):
    """The journal's reader reports what cannot be decompressed by its plain bytes and goes on behind it."""
    monkeypatch.setattr(sealed, "FRAME_BYTES", 1_000)
    ids = journal_of(journal, bodies_for(60))
    sealing.seal_all(journal, HOST)
    path = segments.sealed_path(journal, 2)
    with sealed.opened(path) as segment:
        hit = segment.groups[1]
    raw = bytearray(path.read_bytes())
    raw[hit.at + 60] ^= 1
    path.write_bytes(raw)
    items = list(reader.read(journal))
    damage = [item for item in items if isinstance(item, reader.Damage)]
    assert [(d.segment, d.start, d.end) for d in damage] == [(2, hit.start, hit.end)]
    lost = set(ids) - set(found(journal))
    assert 0 < len(lost) < 30
    with pytest.raises(fmt.Damaged, match="cannot be decompressed"):
        reader.record_at(journal, 2, hit.start)


def test_a_frame_that_claims_too_much_takes_no_memory(journal):
    """A frame's claims are compared with its marker before anything is decompressed."""
    import zstandard

    bomb = zstandard.ZstdCompressor(write_checksum=True).compress(bytes(64 << 20))
    path = journal / "bomb"
    group = sealed.marker(0, 1_000, bomb) + bomb
    seal = sealed.Seal(1, HOST, 1, 1_000, "0" * 64, len(group), "0" * 64, sealed.NO_LINK).linked()
    path.write_bytes(group + sealed.trailer(seal, [sealed.Group(0, len(group), 0, 1_000)]))
    assert content(path) == (bytes(1_000), [sealed.Hole(0, 1_000)])


# ── writers and sealing ──


def test_a_segment_that_is_written_is_not_sealed(journal):
    """Whoever writes a segment holds it; sealing waits for it and for nothing else, and writers never wait."""
    slow = Writer(journal, journal.parent / "blobs", HOST, fsync_interval_s=0, segment_size_bytes=3_000)
    slow.append("test", b"1")
    ids = journal_of(journal, bodies_for(40), segment_bytes=3_000)
    assert sealing.seal_all(journal, HOST) == []
    late = slow.append("test", b'"late, into the old segment"')
    slow.close()
    assert [seal.segment for seal in sealing.seal_all(journal, HOST)] == sealing_range(journal)
    assert set(found(journal)) >= {late, *ids}


def sealing_range(journal: Path) -> list[int]:
    return list(range(1, max(segments.numbers(journal))))


def test_a_writer_never_joins_a_segment_that_was_just_sealed(journal, monkeypatch):
    """Between looking for the newest segment and taking part in it, others may fill it and seal it."""
    journal_of(journal, bodies_for(3), segment_bytes=100_000)
    writer = Writer(journal, journal.parent / "blobs", HOST, fsync_interval_s=0, segment_size_bytes=100_000)
    opened = os.open
    sealed_meanwhile = []

    def open_late(path, *args, **more):
        fd = opened(path, *args, **more)
        if str(path).endswith("00000001.jsonl") and not sealed_meanwhile:
            sealed_meanwhile.append(True)
            segments.path(journal, 2).write_bytes(b"")
            sealing.seal_all(journal, HOST)
        return fd

    monkeypatch.setattr(writer_module.os, "open", open_late)
    late = writer.append("test", b'"late"')
    writer.close()
    monkeypatch.undo()
    assert segments.sealed_numbers(journal) == [1]
    assert late in found(journal)


def test_a_writer_never_keeps_a_segment_that_was_sealed_before_it_held_it(journal, monkeypatch):
    """Between creating a segment and taking its lock, others may use it up and seal it: what is acknowledged must be elsewhere."""
    writer = Writer(journal, journal.parent / "blobs", HOST, fsync_interval_s=0)
    opened = os.open
    sealed_meanwhile = []

    def open_late(path, flags, *args, **more):
        fd = opened(path, flags, *args, **more)
        if flags & os.O_CREAT and str(path).endswith("00000001.jsonl") and not sealed_meanwhile:
            sealed_meanwhile.append(True)
            journal_of(journal, bodies_for(3), segment_bytes=200)
            sealing.seal_all(journal, HOST)
        return fd

    monkeypatch.setattr(writer_module.os, "open", open_late)
    late = writer.append("test", b'"late"', durable=True)
    writer.close()
    monkeypatch.undo()
    assert 1 in segments.sealed_numbers(journal)
    assert late in found(journal)


def test_a_seal_that_was_cut_is_finished(journal):
    """Whatever step sealing was cut after, the plain segment or the sealed one holds everything, and the next sealing ends it."""
    journal_of(journal, bodies_for(40))
    before = found(journal)
    plain = {n: segments.path(journal, n).read_bytes() for n in segments.numbers(journal)}
    sealing.seal_all(journal, HOST)
    whole = {path.name: path.read_bytes() for path in journal.iterdir()}
    segments.path(journal, 3).write_bytes(plain[3])  # cut before the plain segment was removed
    assert found(journal) == before
    assert not verify.verify(journal, journal.parent / "blobs").findings
    segments.sealed_path(journal, 3).write_bytes(
        whole["00000003.jsonl.zst"][:100]
    )  # half of it never reached the disk
    assert found(journal) == before
    assert verify.verify(journal, journal.parent / "blobs").findings
    assert [seal.segment for seal in sealing.seal_all(journal, HOST)] == [3]
    assert {path.name: path.read_bytes() for path in journal.iterdir()} == whole


def test_what_cannot_be_read_back_is_not_sealed(journal, monkeypatch):
    """The plain segment goes only after the sealed one was read back whole."""
    journal_of(journal, bodies_for(40))
    before = found(journal)
    wrong = sealed.marker
    monkeypatch.setattr(sealed, "marker", lambda start, size, frame: wrong(start, size + 1, frame))
    with pytest.raises(SealFailed, match="read back"):
        sealing.seal_all(journal, HOST)
    monkeypatch.undo()
    assert found(journal) == before
    assert segments.sealed_numbers(journal) == []
    assert [path.name for path in journal.iterdir() if path.name.startswith(".")] == []


def test_a_rewritten_segment_keeps_its_place(journal):
    """New content in a sealed segment's place: the chain holds, the hash of what stood there stays, verify names it."""
    journal_of(journal, bodies_for(60))
    sealing.seal_all(journal, HOST)
    old = verify.verify(journal, journal.parent / "blobs")
    made = sealing.rewrite(journal, 2, HOST, [b"\n\n"], "for the test")
    again = sealing.rewrite(journal, 2, HOST, [b"\n"], "once more")
    assert [was.sha256 for was in again.was][1] == made.sha256
    journal_of(journal, bodies_for(60, seed=1))
    sealing.seal_all(journal, HOST)
    new = verify.verify(journal, journal.parent / "blobs")
    assert new.findings == []
    assert new.rewritten == [(2, "for the test"), (2, "once more")]
    assert verify.verify(journal, journal.parent / "blobs", anchor=old.anchor).findings


def test_without_a_thread_sealing_waits_for_the_end(journal, monkeypatch):
    """When the system gives no thread to seal beside, nobody is hindered, and what waits is sealed at the end."""

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    journal_of(journal, bodies_for(40))
    monkeypatch.setattr(threading.Thread, "start", refused)
    beside = sealing.Beside(journal, lambda: HOST)
    beside.look()
    assert segments.sealed_numbers(journal) == []
    beside.close(finish=True)
    assert beside.failed is None
    assert sealing.sealable(journal) == []


@pytest.mark.parametrize(
    "lacking", [zstandard.ZstdError("no memory"), MemoryError(), OSError(errno.EIO, "gone")]
)
def test_what_a_sealer_beside_lacks_is_kept_for_the_end(journal, monkeypatch, lacking):
    """No memory, for us or for the compressor, is a refusal like any other; every record stays readable."""

    def refused(*_: object) -> None:
        raise lacking

    journal_of(journal, bodies_for(40))
    before = found(journal)
    with monkeypatch.context() as patch:
        patch.setattr(sealed.zstandard, "ZstdCompressor", lambda **_: SimpleNamespace(compress=refused))
        beside = sealing.Beside(journal, lambda: HOST)
        beside.look()
        beside.close(finish=True)
    assert isinstance(beside.failed, SealFailed)
    assert found(journal) == before
    assert sealing.seal_all(journal, HOST)
    assert found(journal) == before


def test_every_line_of_a_segment_makes_up_its_bytes(journal):
    """Empty lines, damage and a last line without its end too; what cannot be decompressed is no line."""
    plain = b"\n{}\n\n\nhalf a rec\n" + b"x" * 3_000_000 + b"\n\nno end"
    segments.path(journal, 1).write_bytes(plain)
    lines = list(reader.every_line(journal, 1))
    assert b"".join(text + b"\n" * ended for _, text, ended in lines) == plain
    assert [plain[at : at + len(text)] for at, text, _ in lines] == [text for _, text, _ in lines]
    (journal / "00000002.jsonl").touch()
    assert sealing.seal(journal, 1, HOST)
    assert list(reader.every_line(journal, 1)) == lines
    assert list(reader.every_line(journal, 2)) == []
    path = segments.sealed_path(journal, 1)
    raw = bytearray(path.read_bytes())
    raw[40] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(reader.Lost, match="cannot be decompressed"):
        list(reader.every_line(journal, 1))


def test_the_anchor_of_the_chain_is_that_of_verify(journal):
    assert verify.anchor(journal) is None
    journal_of(journal, bodies_for(30), segment_bytes=600)
    sealing.seal_all(journal, HOST)
    found = verify.verify(journal, journal.parent / "blobs").anchor
    assert found is not None
    assert verify.anchor(journal) == found
