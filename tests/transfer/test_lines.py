"""Export, import, export: the same bytes, whatever the records hold."""

from __future__ import annotations

import io
import json
import shutil
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.ids import derived, uuid7
from holdfast.journal import blobs, reader
from holdfast.journal import format as fmt
from holdfast.journal.writer import Writer
from holdfast.store.known import Known, Sight
from holdfast.transfer import incoming, lines, outgoing

ALL = outgoing.Choice()
HOST = "7b0c6f5e-0000-4000-8000-000000000000"
BODIES = [
    b'{"kind":"of.my.own","any":["thing",null,1e400,123456789012345678901234567890],"extra":{"a":1}}',
    b'{"twice":1,"twice":2}',
    b'{"nul":"\\u0000","half":"\\ud800"}',
    b"[" * 200 + b"]" * 200,
    b"[" * 201 + b"]" * 201,
    b"text\x00with NUL\r\nand lines",
    "separators \u2028\u0085\u000c".encode(),
    b"\xff\xfe no UTF-8 \x00",
    b"",
    b" {} ",
    b'{"x":"y","b":"z","c":"00000000"}',
    b'text with ,"b":1,"c":"00000000"}',
    b'{"large":"' + b"l" * 5000 + b'"}',
    'ü\u4e2d\U0001f600\x01"\\'.encode() * 700,
    b"\xff" * 4999,
]


class Home:
    """A journal with its blobs, and a way out and in."""

    def __init__(self, path):
        self.path = path
        shutil.rmtree(path, ignore_errors=True)
        (path / "journal").mkdir(parents=True)

    def writer(self, **more):
        given = {"segment_size_bytes": 4000, "inline_limit_bytes": 1000, "fsync_interval_s": 0} | more
        return Writer(self.path / "journal", self.path / "blobs", HOST, **given)

    def export(self, choice=ALL, translators=None):
        out = io.BytesIO()
        work = outgoing.Export(
            self.path / "journal", self.path / "blobs", self.path, translators or {}, choice
        )
        return out, work.write(out)

    def take(self, raw, **more):
        writer = self.writer(**more)
        with Known(self.path) as known:
            incoming.fill(known, self.path / "journal")
            taken = incoming.Import(writer, known).read(io.BytesIO(raw))
        writer.close()
        return taken

    def bodies(self):
        found = []
        for item in reader.read(self.path / "journal"):
            assert isinstance(item, reader.Found), item
            if item.record.s != fmt.SEGMENT_SOURCE:
                body = item.record.body_bytes()
                found.append(blobs.get(self.path / "blobs", item.record.f) if body is None else body)
        return found


def sealed(head: bytes) -> bytes:
    return b'%b,"c":"%08x"}' % (head, zlib.crc32(head))


def line(member=b'"b":{"kind":"info"}', **more) -> bytes:
    told = {"record_id": uuid7(), "time_us": 5, "source": "sdk", "member": member} | more
    return fmt.encode(**told)


def export_of(*records: bytes) -> bytes:
    return b"".join([lines.first_line(), *(r + b"\n" for r in records), lines.last_line(len(records))])


positions = st.none() | st.builds(
    lambda file, start, length: fmt.Position(file, start, start + length),
    st.sampled_from(["0a0df2857ffb24ea", "f" * 16]),
    st.integers(0, 2**62),
    st.integers(0, 2**40),
)
records = st.tuples(
    st.binary(max_size=3000) | st.sampled_from(BODIES) | st.text(max_size=2000).map(str.encode),
    st.sampled_from(["sdk", "claude.transcript", "nobody.knows", "holdfast.file", "holdfast.later"]),
    positions,
    st.sampled_from(["\n", "\r\n", ""]),
    st.integers(0, 2**63 - 1),
    st.integers(0, 20).map(lambda n: derived("t", str(n))) | st.builds(uuid7),
)


@settings(max_examples=120, deadline=None, print_blob=True)
@given(st.lists(records, max_size=12), st.sampled_from([10, 1000, 10**6]))
@example([(body, "sdk", None, "\n", 7, derived("b", str(n))) for n, body in enumerate(BODIES)], 10)
def test_export_import_export_gives_the_same_bytes(tmp_path_factory, given_records, inline):
    """Bodies of every sort, blobs, positions, line ends, unknown sources, ids given twice; and every body is as it was."""
    place = tmp_path_factory.mktemp("trip")
    one, two = Home(place / "one"), Home(place / "two")
    writer = one.writer()
    for body, source, position, end, time_us, record_id in given_records:
        made = writer.line(source, body, record_id, position, end)
        other_time = fmt.encode(record_id, time_us, source, fmt.body_member(body), position, end)
        writer.append_lines([made if len(body) > 1000 else other_time])
    writer.close()
    first, written = one.export()
    taken = two.take(first.getvalue(), inline_limit_bytes=inline)
    again, _ = two.export()
    assert again.getvalue() == first.getvalue()
    assert (taken.new, taken.skipped, taken.whole) == (written.records, [], True)
    kept = {}
    for body, *_, record_id in given_records:
        kept.setdefault(record_id, body)
    assert two.bodies() == list(kept.values())
    assert written.repeated == len(given_records) - len(kept)
    repeated = two.take(first.getvalue(), inline_limit_bytes=inline)
    assert (repeated.new, repeated.known, repeated.differing) == (0, written.records, 0)


def test_every_line_of_an_export_is_a_record_of_the_journal_s_own_format(tmp_path):
    home = Home(tmp_path / "h")
    writer = home.writer()
    for number, body in enumerate(BODIES):
        writer.append_lines([writer.line("sdk", body, derived("b", str(number)))])
    out, written = home.export()
    decoded = [fmt.decode(each) for each in out.getvalue().split(b"\n")[:-1]]
    assert [record.body_bytes() for record in decoded[1:-1]] == BODIES
    assert all(record.f is None for record in decoded)
    assert json.loads(out.getvalue().split(b"\n")[0])["b"]["format"] == lines.FORMAT
    assert json.loads(out.getvalue().split(b"\n")[-2])["b"]["records"] == written.records == len(BODIES)
    assert written.size_bytes == len(out.getvalue())


def test_members_that_this_version_does_not_know_travel_along(tmp_path):
    """In the line, and behind a blob; on the way out and on the way in."""
    one, two = Home(tmp_path / "one"), Home(tmp_path / "two")
    small, big = line(), line(b'"b":"' + b"l" * 5000 + b'"')
    extended = [sealed(each[: -fmt.SUFFIX_BYTES] + b',"q":[1, 2],"w":"\\u00e9"') for each in (small, big)]
    assert one.take(export_of(*extended)).new == 2
    out, _ = one.export()
    assert out.getvalue() == export_of(*extended)
    assert two.take(out.getvalue(), inline_limit_bytes=10).new == 2
    assert two.export()[0].getvalue() == out.getvalue()
    assert len(list((two.path / "blobs").iterdir())) == 2


def test_a_removed_body_stays_removed(tmp_path):
    one = Home(tmp_path / "one")
    kept = b'{"sha256":"%b","size":7,"crc":1,"why":"retired","later":[1, 2]}' % (b"00" * 32)
    tombstone = sealed(b'{"v":1,"id":"%b","t":5,"s":"sdk","z":%b' % (uuid7().encode(), kept))
    assert one.take(export_of(tombstone)).new == 1
    assert one.export()[0].getvalue() == export_of(tombstone)


GOOD = [line() for _ in range(3)]
HOSTILE = {
    "bit flip": (bytes([*GOOD[0][:40], GOOD[0][40] ^ 1, *GOOD[0][41:]]), "checksum does not fit"),
    "not JSON": (sealed(b'{"v":1,"id":'), "cannot be read"),
    "text": (b"hello there", "no checksum"),
    "newer": (sealed(b'{"v":2,"id":"x","b":{}'), "newer Holdfast"),
    "no version 0": (sealed(b'{"v":0,"id":"x","t":1,"s":"sdk","b":{}'), "no format version 0"),
    "path as id": (line(record_id="../../../../etc/cron.d/x"), "no UUID"),
    "NUL in id": (line(record_id="a\\u0000b"), "no UUID"),
    "long id": (line(record_id="9" * 300), "no UUID"),
    "upper-case id": (line(record_id=uuid7().upper()), "usual form"),
    "id in braces": (line(record_id="{" + uuid7() + "}"), "usual form"),
    "source with escape": (line(source="\\u001b[2J"), "not plain"),
    "long source": (line(source="s" * 300), "not plain"),
    "file id with a line": (line(position=fmt.Position("a\\nb", 0, 1)), "not plain"),
    "backwards": (line(position=fmt.Position("a", 9, 1)), "ends before"),
    "negative time": (line(time_us=-1), "cannot be read"),
    "time too large": (line(time_us=2**63), "cannot be read"),
    "line end": (line(line_end="x"), "line end"),
    "blob elsewhere": (line(b'"f":{"sha256":"../../etc/passwd","size":3}'), "blob"),
    "no body": (sealed(b'{"v":1,"id":"%b","t":5,"s":"sdk"' % uuid7().encode()), "no body"),
    "two bodies": (line(b'"b":{},"x":"text"'), "more than one"),
    "bad base64": (line(b'"y":"%%%"'), "base64"),
    "deep": (line(b'"b":' + b"[" * 100_000 + b"]" * 100_000), "cannot be read"),
    "array": (sealed(b"[1"), "cannot be read"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_line_costs_only_itself_and_is_named_by_its_bytes(name, tmp_path):
    home = Home(tmp_path / "h")
    bad, why = HOSTILE[name]
    raw = export_of(GOOD[0], bad, GOOD[1])
    taken = home.take(raw)
    assert taken.new == 2
    [skipped] = taken.skipped
    assert raw[skipped.start_byte : skipped.end_byte] == bad + b"\n"
    assert why in skipped.why
    assert taken.whole  # its own account is true: the line is there, and reported
    assert home.bodies() == [b'{"kind":"info"}'] * 2
    assert {p.name for p in tmp_path.iterdir()} == {"h"}


def test_a_line_without_end_is_passed_over_without_being_held(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "LINE_LIMIT_BYTES", 3 << 20)
    home = Home(tmp_path / "h")
    raw = export_of(GOOD[0], b"x" * (9 << 20), GOOD[1])
    taken = home.take(raw)
    assert (taken.new, [s.why for s in taken.skipped]) == (2, ["longer than any record"])
    assert taken.skipped[0].end_byte - taken.skipped[0].start_byte == (9 << 20) + 1


def test_odd_spellings_of_a_record_are_written_as_our_own(tmp_path):
    """Spaces and another order fit the checksum, but a reader after the specification would stumble over them."""
    home, two = Home(tmp_path / "h"), Home(tmp_path / "two")
    odd = sealed(
        b'{ "id":"%b", "v":1,"s":"sdk","t":5,"b": {"deep": %b}' % (uuid7().encode(), b"[" * 300 + b"]" * 300)
    )
    assert home.take(export_of(odd)).new == 1
    out, _ = home.export()
    assert out.getvalue().split(b"\n")[1].startswith(b'{"v":1,"id":"')
    assert b'"x":"{\\"deep\\": [[' in out.getvalue()
    two.take(out.getvalue())
    assert two.export()[0].getvalue() == out.getvalue()


def test_an_export_cut_at_any_byte_gives_what_is_whole_and_says_so(tmp_path):
    raw = export_of(*GOOD)
    ends = [n for n, byte in enumerate(raw) if byte == 0x0A]
    for cut in range(len(raw)):
        home = Home(tmp_path / "h")
        taken = home.take(raw[:cut])
        whole = sum(end <= cut for end in ends[1:-1])  # the line end itself may be missing
        assert taken.new == whole, cut
        assert taken.whole == (cut >= ends[-1])
        assert bool(taken.skipped) == (cut > 0 and cut not in ends and cut - 1 not in ends)


def test_a_missing_line_shows(tmp_path):
    raw = export_of(*GOOD).split(b"\n")
    for missing in (0, 2, 4):
        home = Home(tmp_path / "h")
        assert not home.take(b"\n".join(raw[:missing] + raw[missing + 1 :])).whole
    assert Home(tmp_path / "h").take(b"\n".join(raw)).whole


def test_exports_may_be_joined(tmp_path):
    home = Home(tmp_path / "h")
    taken = home.take(export_of(GOOD[0]) + export_of(*GOOD[1:]))
    assert (taken.new, taken.whole, taken.skipped) == (3, True, [])
    assert not Home(tmp_path / "h").take(export_of(GOOD[0])[:-90] + export_of(*GOOD[1:])).whole


def test_an_export_of_the_future_is_refused_before_anything_of_it_is_taken(tmp_path):
    from holdfast.errors import ExportFromFuture

    home = Home(tmp_path / "h")
    newer = lines.first_line().replace(b'"format":1', b'"format":2')[:-1]
    with pytest.raises(ExportFromFuture):
        home.take(sealed(newer[: -fmt.SUFFIX_BYTES]) + b"\n" + GOOD[0] + b"\n")
    with pytest.raises(ExportFromFuture):
        home.take(sealed(newer.replace(b'"v":1', b'"v":2')[: -fmt.SUFFIX_BYTES]) + b"\n" + GOOD[0] + b"\n")
    assert home.bodies() == []


def test_the_same_id_with_another_content_is_counted_and_what_was_first_stays(tmp_path):
    home = Home(tmp_path / "h")
    record_id = uuid7()
    home.take(export_of(line(record_id=record_id)))
    for body in (b'"b":{"kind":"other"}', b'"b":"' + b"l" * 5000 + b'"'):
        taken = home.take(export_of(line(body, record_id=record_id, time_us=9)))
        assert (taken.new, taken.known, taken.differing) == (0, 1, 1)
    assert home.take(export_of(line(record_id=record_id, time_us=9))).differing == 0
    assert home.bodies() == [b'{"kind":"info"}']


def test_damage_is_left_out_and_told(tmp_path):
    home = Home(tmp_path / "h")
    home.take(export_of(*GOOD, line(b'"b":"' + b"l" * 5000 + b'"')))
    segment = next((home.path / "journal").iterdir())
    raw = bytearray(segment.read_bytes())
    at = raw.index(GOOD[1])
    raw[at + 30] ^= 1
    segment.write_bytes(raw)
    blob = next((home.path / "blobs").iterdir())
    blob.write_bytes(b"m" + blob.read_bytes()[1:])
    out, written = home.export()
    assert out.getvalue() == export_of(GOOD[0], GOOD[2])
    assert written.records == 2
    first, second = written.lost
    assert (first.start_byte, first.end_byte, first.why) == (
        at,
        at + len(GOOD[1]) + 1,
        "checksum does not fit",
    )
    assert "SHA-256" in second.why


def test_what_is_known_is_told_apart_and_leaves_nothing_behind(tmp_path):
    with Known(tmp_path) as known:
        assert known.add("not a uuid", b"1") is Sight.NEW
        for number in range(2000):
            assert known.add(derived("k", str(number)), b"%d" % number) is Sight.NEW
        assert known.add(derived("k", "5"), b"5") is Sight.SAME
        assert known.add(derived("k", "5"), b"6") is Sight.OTHER
        assert known.add("not a uuid", b"1") is Sight.SAME
        assert list(tmp_path.iterdir()) == []  # a kill would leave nothing either
