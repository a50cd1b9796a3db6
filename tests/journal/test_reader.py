"""Reading a journal: every intact record, and every damaged range by its bytes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.journal import format as fmt
from holdfast.journal import reader, segments
from holdfast.journal.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

HOST = "00000000-0000-4000-8000-000000000000"


def write(directory: Path, bodies: list[bytes], **more: int) -> list[str]:
    """Record each body in one append; returns the ids."""
    directory.mkdir(exist_ok=True)
    writer = Writer(directory, directory.parent / "blobs", HOST, fsync_interval_s=0, **more)
    ids = [writer.append("test", body) for body in bodies]
    writer.close()
    return ids


def split(directory: Path) -> tuple[list[reader.Found], list[reader.Damage]]:
    items = list(reader.read(directory))
    found = [i for i in items if isinstance(i, reader.Found) and i.record.s != fmt.SEGMENT_SOURCE]
    return found, [i for i in items if isinstance(i, reader.Damage)]


def ranges(directory: Path) -> list[tuple[int, int]]:
    """Every byte range that is reported as no record: damage and unfinished tails."""
    return [(d.start, d.end) for d in split(directory)[1]] + [
        (t.start, t.end) for t in reader.tails(directory)
    ]


def bodies_for(count: int, seed: int = 0) -> list[bytes]:
    chooser = random.Random(seed)
    makers = (
        lambda: b'{"n":%d,"text":"%s"}' % (chooser.randrange(10**9), b"x" * chooser.randrange(60)),
        lambda: b"plain text \xe2\x82\xac %d" % chooser.randrange(10**9),
        lambda: b"\xff\xfe" + chooser.randbytes(chooser.randrange(20)),
    )
    return [chooser.choice(makers)() for _ in range(count)]


def test_records_come_in_order_with_their_bytes(tmp_path):
    """Records are read in the order they were appended, and each says where it stands."""
    journal = tmp_path / "journal"
    bodies = bodies_for(20)
    ids = write(journal, bodies)
    found, damage = split(journal)
    assert [f.record.id for f in found] == ids
    assert [f.record.body_bytes() for f in found] == bodies
    assert not damage
    raw = segments.path(journal, 1).read_bytes()
    for item in found:
        assert fmt.decode(raw[item.start : item.end - 1]) == item.record
        assert raw[item.end - 1 : item.end] == b"\n"


def test_reading_goes_on_after_what_was_read(tmp_path):
    """From the end of any record on, exactly the later ones are read."""
    journal = tmp_path / "journal"
    ids = write(journal, bodies_for(12), segment_size_bytes=700)
    assert len(segments.numbers(journal)) > 2
    found = split(journal)[0]
    after: dict[int, int] = {}
    for number, item in enumerate(found):
        after[item.segment] = item.end
        later = [
            i.record.id
            for i in reader.read(journal, after)
            if isinstance(i, reader.Found) and i.record.s == "test"
        ]
        assert later == ids[number + 1 :]


def test_reading_what_is_not_there(tmp_path):
    """A journal without segments, an empty segment, and an offset past the end hold nothing."""
    assert list(reader.read(tmp_path / "nothing")) == []
    segments.path(tmp_path, 1).touch()
    assert list(reader.read(tmp_path)) == []
    assert list(reader.read(tmp_path, {1: 500})) == []
    assert list(reader.read_segment(tmp_path, 2)) == []
    assert reader.tails(tmp_path) == []


def test_one_record_by_its_place(tmp_path):
    """A record is found again at its offset; anything else there is an error."""
    journal = tmp_path / "journal"
    write(journal, bodies_for(5))
    for item in split(journal)[0]:
        assert reader.record_at(journal, item.segment, item.start) == item.record
    size = segments.path(journal, 1).stat().st_size
    for segment, offset in ((1, 3), (1, size), (9, 0)):
        with pytest.raises(fmt.Damaged):
            reader.record_at(journal, segment, offset)


@pytest.mark.slow
def test_cut_at_every_byte_of_the_last_three_records(tmp_path):
    """Cut anywhere in its last three records, a journal gives all whole ones, names the cut range, and takes the next."""
    whole = tmp_path / "whole" / "journal"
    whole.parent.mkdir()
    bodies = bodies_for(8, seed=3)
    ids = write(whole, bodies)
    found = split(whole)[0]
    raw = segments.path(whole, 1).read_bytes()
    for cut in range(found[-3].start - 1, len(raw) + 1):
        journal = tmp_path / f"{cut}" / "journal"
        journal.mkdir(parents=True)
        segments.path(journal, 1).write_bytes(raw[:cut])
        kept = [f for f in found if f.end <= cut]
        assert split(journal) == (kept, [])
        torn = [(f.start, cut) for f in found if f.start < cut < f.end]
        assert ranges(journal) == torn
        after = write(journal, [b'"after"'])
        now, damage = split(journal)
        complete = [
            f for f in found if f.end - 1 <= cut
        ]  # the next append supplies a line end that was cut off
        assert [f.record.id for f in now] == [*ids[: len(complete)], *after]
        assert [(d.start, d.end - 1) for d in damage] == [r for r in torn if len(complete) == len(kept)]
        assert reader.tails(journal) == []


def flipped_everywhere(tmp_path: Path, raw: bytes, bits: list[int]) -> None:
    journal = tmp_path / "flipped"
    journal.mkdir()
    path = segments.path(journal, 1)
    path.write_bytes(raw)
    original = {f.record.id: f.record for f in reader.read(journal) if isinstance(f, reader.Found)}
    with path.open("r+b", buffering=0) as file:
        for bit in bits:
            at = bit // 8
            file.seek(at)
            file.write(bytes([raw[at] ^ (1 << bit % 8)]))
            read = [i for i in reader.read(journal) if isinstance(i, reader.Found)]
            assert len(read) >= len(original) - 1, f"bit {bit}: more than one record is gone"
            assert all(original[i.record.id] == i.record for i in read), (
                f"bit {bit}: a record reads differently"
            )
            if len(read) == len(original):
                pytest.fail(f"bit {bit}: nothing was noticed")
            assert any(start <= at < end for start, end in ranges(journal)), (
                f"bit {bit}: byte {at} is in no range"
            )
            file.seek(at)
            file.write(raw[at : at + 1])


@pytest.mark.slow
def test_every_single_bit_of_a_segment(tmp_path):
    """One flipped bit anywhere, header included, costs at most one record, is always noticed, and names its range."""
    write(tmp_path / "journal", bodies_for(4, seed=5))
    raw = segments.path(tmp_path / "journal", 1).read_bytes()
    flipped_everywhere(tmp_path, raw, list(range(len(raw) * 8)))


@pytest.mark.slow
def test_sampled_bits_of_a_larger_segment(tmp_path):
    """The same holds in a segment of several reads' size."""
    write(tmp_path / "journal", [b'{"text":"%s"}' % (b"y" * 90_000) for _ in range(30)])
    raw = segments.path(tmp_path / "journal", 1).read_bytes()
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    flipped_everywhere(tmp_path, raw, random.Random(seed).sample(range(len(raw) * 8), 60))


NOISE = st.one_of(
    st.binary(max_size=80),
    st.just(b"\n" * 5),
    st.just(b"\0" * 4096),
    st.just(b'{"v":1,"id":"half a rec'),
    st.just(b'",\n"c":"00000000"}\n'),
    st.text(max_size=30).map(lambda t: t.encode("utf-8", "replace")),
)


@given(noise=st.lists(NOISE, min_size=7, max_size=7))
@settings(max_examples=60, deadline=None)
def test_noise_between_records_hides_nothing(tmp_path_factory, noise):
    """Whatever is written between two appends, every record is read, and every byte of the noise is in a reported range."""
    home = tmp_path_factory.mktemp("noise")
    journal = home / "journal"
    ids, noisy = [], []
    for number, extra in enumerate(noise):
        ids += write(journal, [b'{"n":%d}' % number])
        path = segments.path(journal, 1)
        size = path.stat().st_size
        with path.open("ab") as file:
            file.write(extra)
        noisy += [size + at for at, byte in enumerate(extra) if byte != 0x0A]
    found, _ = split(journal)
    assert [f.record.id for f in found] == ids
    reported = ranges(journal)
    assert all(any(start <= at < end for start, end in reported) for at in noisy)
    assert all(end <= f.start or f.end <= start for f in found for start, end in reported)


def test_an_unfinished_line_is_left_for_the_next_read(tmp_path):
    """Bytes without a line end may be a record in the making: they are not damage, and are read once they are whole."""
    journal = tmp_path / "journal"
    write(journal, [b"1", b"2"])
    path = segments.path(journal, 1)
    raw = path.read_bytes()
    last = split(journal)[0][-1]
    after = {}
    for size in range(last.start, len(raw)):
        path.write_bytes(raw[:size])
        assert [i for i in reader.read(journal, after) if isinstance(i, reader.Damage)] == []
        after = {i.segment: i.end for i in reader.read(journal)}
        assert after[1] < last.start + 1
    path.write_bytes(raw)
    assert [i.record.id for i in reader.read(journal, after)] == [last.record.id]


def test_a_newer_record_is_told_from_damage(tmp_path):
    """A record from a newer Holdfast is reported as that, with its bytes."""
    from tests.journal.test_format import sealed

    segments.path(tmp_path, 1).write_bytes(b"\n" + sealed('{"v":2,"more":true') + b"\n")
    (item,) = reader.read(tmp_path)
    assert isinstance(item, reader.Damage)
    assert item.newer
    assert (item.start, item.end) == (1, segments.path(tmp_path, 1).stat().st_size)


@pytest.mark.parametrize("length", [0, 1, 999, 1_000, 1_001, 5_000, 2_999_999])
def test_an_endless_line_is_one_damage(tmp_path, monkeypatch, length):
    """A line longer than any record is one damaged range, is not held in memory, and ends at a line end."""
    monkeypatch.setattr(reader, "_LINE_LIMIT_BYTES", 1_000)
    monkeypatch.setattr(reader, "_CHUNK_BYTES", 700)
    journal = tmp_path / "journal"
    first = write(journal, [b"1"])
    path = segments.path(journal, 1)
    with path.open("ab") as file:
        file.write(b"z" * length)
    start = path.stat().st_size - length
    if length:
        assert [(t.start, t.end) for t in reader.tails(journal)] == [(start, start + length)]
    last = write(journal, [b"2"])
    found, damage = split(journal)
    assert [f.record.id for f in found] == first + last
    assert [(d.start, d.end) for d in damage] == ([(start, start + length + 1)] if length else [])
    if length > 1_000:
        assert damage[0].why == "longer than any record"
        with pytest.raises(fmt.Damaged, match="longer"):
            reader.record_at(journal, 1, start)


@pytest.mark.parametrize("size", [1, 7, 64, 1_000])
def test_the_size_of_a_read_does_not_matter(tmp_path, monkeypatch, size):
    """Records across the border of two reads are read like any other."""
    journal = tmp_path / "journal"
    ids = write(journal, bodies_for(9))
    with segments.path(journal, 1).open("ab") as file:
        file.write(b"tail")
    expected = split(journal), reader.tails(journal)
    monkeypatch.setattr(reader, "_CHUNK_BYTES", size)
    assert (split(journal), reader.tails(journal)) == expected
    assert [f.record.id for f in split(journal)[0]] == ids


def test_a_file_that_is_one_unfinished_line(tmp_path):
    """A segment without any line end is one tail."""
    segments.path(tmp_path, 1).write_bytes(b"x" * 10)
    assert reader.tails(tmp_path) == [reader.Tail(1, 0, 10)]
    assert list(reader.read(tmp_path)) == []


def test_reading_changes_nothing(tmp_path):
    """Reading a damaged journal leaves every byte as it is."""
    journal = tmp_path / "journal"
    write(journal, bodies_for(3))
    path = segments.path(journal, 1)
    path.write_bytes(path.read_bytes()[:-7] + b"\nnoise")
    before = path.read_bytes()
    split(journal), reader.tails(journal)
    assert path.read_bytes() == before
    assert list(journal.iterdir()) == [path]
