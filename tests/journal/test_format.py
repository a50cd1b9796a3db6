"""The record format: each rule that `holdfast.journal.format` states."""

from __future__ import annotations

import base64
import json
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.journal import format as fmt

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
JSON_BODIES = JSON_VALUES.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
BODIES = JSON_BODIES | st.text().map(lambda text: text.encode("utf-8", "replace")) | st.binary()


def line_of(body: bytes, *, record_id: str = "an-id", source: str = "test", **more: object) -> bytes:
    return fmt.encode(record_id, 1_795_259_242_112_000, source, fmt.body_member(body), **more)  # type: ignore[arg-type]


def sealed(text: str) -> bytes:
    """A line with a checksum that fits, whatever stands in it."""
    return text.encode() + b',"c":"%08x"}' % zlib.crc32(text.encode())


@given(BODIES)
@example(b"")
@example(b"\n")
@example(b'{"a":1}\r')
@example(b" 1")
@example(b'"\\ud800"')
@example(b"\xef\xbb\xbf{}")
@example(b'"\xe2\x80\xa8"')
@example(b"NaN")
@example(b"\x00\xff")
@example(b"[" * 300 + b"]" * 300)
def test_any_body_comes_back(body):
    """Reading back a record gives the body byte for byte, whatever it is."""
    assert fmt.decode(line_of(body)).body_bytes() == body


@given(BODIES)
def test_a_record_is_one_line_of_json(body):
    """Whatever the body, the record is one line of strict UTF-8 JSON that other programs can read."""
    line = line_of(body)
    assert b"\n" not in line
    assert b"\r" not in line
    read = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert read["v"] == 1
    assert sum(member in read for member in "bxyfz") == 1


@given(st.text(min_size=1), st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_position_and_line_end_come_back(line_end, start, end):
    """Where a record stood in its source, and how its line ended, is kept."""
    position = fmt.Position("f00d", start, end)
    record = fmt.decode(line_of(b"1", position=position, line_end=line_end))
    assert (record.p, record.e) == (position, line_end)


def test_members_stand_in_the_documented_order():
    """The members of a record stand in the order that the format gives."""
    line = line_of(b"[]", position=fmt.Position("f", 0, 2), line_end="\r\n")
    assert list(json.loads(line)) == ["v", "id", "t", "s", "p", "e", "b", "c"]


def test_the_line_end_is_left_out_when_it_is_lf():
    """An ordinary line end costs no bytes."""
    assert b'"e":' not in line_of(b"1")


def test_what_the_checksum_covers():
    """The checksum is the CRC-32 of every byte before `,"c":"`, as eight lower-case hex digits."""
    line = line_of(b'{"a":"b"}')
    covered, _, rest = line.rpartition(b',"c":"')
    assert rest == b'%08x"}' % zlib.crc32(covered)
    assert len(line) - len(covered) == fmt.SUFFIX_BYTES


@pytest.mark.parametrize(
    ("body", "member"),
    [
        (b'{"a":1}', "b"),
        (b"12", "b"),
        (b'"\x7f"', "b"),
        (b'{"a":1,"a":2}', "b"),
        (b"", "x"),
        (b" {}", "x"),
        (b"{}\t", "x"),
        (b'{"a":\n1}', "x"),
        (b'{"a":\r1}', "x"),
        (b'{"a":1', "x"),
        (b"NaN", "x"),
        (b"Infinity", "x"),
        (b'"\x01"', "x"),
        (b"\xef\xbb\xbf{}", "x"),
        (b"\x00", "x"),
        (b"[" * 200 + b"]" * 200, "b"),
        (b"[" * 201 + b"]" * 201, "x"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "b"),
        (b'{"a":' * 201 + b"1" + b"}" * 201, "x"),
        (b'["' + b"[" * 500 + b'"]', "b"),
        (b"[" + b"[]," * 300 + b"0]", "b"),
        (b'["' + b'\\"[' * 400 + b'"]', "b"),
        (b'"\xff"', "y"),
        (b"\xed\xa0\x80", "y"),
        (b'"\xed\xa0\x80"', "y"),
    ],
)
def test_which_member_holds_a_body(body, member):
    """Plain JSON of at most 200 levels stands as it is (b), other UTF-8 as a string (x), anything else as base64 (y)."""
    assert fmt.body_member(body).startswith(f'"{member}":'.encode())
    assert fmt.decode(line_of(body)).body_bytes() == body


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(
    st.recursive(
        st.text(alphabet='[]{}"\\a', max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(alphabet='[]{}"\\', max_size=2), inner, max_size=3)
        ),
        max_leaves=40,
    )
)
def test_depth_is_exact_or_a_bound_above(value):
    """Brackets in strings do not count as nesting; the quick bound is never too low."""
    body = json.dumps(value).encode()
    assert fmt._walked_depth(body) == depth_of(value)
    assert fmt._depth(body) >= depth_of(value)


def test_a_blob_is_named_and_not_held():
    """A record of a large body names its SHA-256 and size; the bytes are elsewhere."""
    ref = fmt.BlobRef("ab" * 32, 300_000)
    record = fmt.decode(fmt.encode("i", 1, "s", fmt.blob_member(ref)))
    assert record.f == ref
    assert record.body_bytes() is None


@given(st.binary(max_size=200))
def test_noise_is_damage_and_never_an_error(noise):
    """Bytes that are no record are damage, whatever they are."""
    with pytest.raises(fmt.Damaged):
        fmt.decode(noise)


@given(JSON_BODIES, st.data())
def test_every_single_flipped_bit_is_damage(body, data):
    """A record with one flipped bit anywhere is damage: it never reads as another record."""
    line = line_of(body)
    bit = data.draw(st.integers(0, len(line) * 8 - 1))
    changed = bytearray(line)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((fmt.Damaged, fmt.Newer)) as caught:
        fmt.decode(bytes(changed))
    assert caught.type is fmt.Damaged


def test_an_upper_case_checksum_is_damage():
    """One flipped bit makes a hex digit upper case; that is not overlooked."""
    for number in range(100):
        line = line_of(b"%d" % number)
        shouted = line[:-10] + line[-10:].upper()
        if shouted != line:
            with pytest.raises(fmt.Damaged):
                fmt.decode(shouted)


@pytest.mark.parametrize(
    "text",
    [
        '{"v":2,"anything":{"at":["all"]}',
        '{"v":2,"id":5,"t":"soon"',
        '{"v":9007199254740993,"id":"i","t":1,"s":"s","b":1',
    ],
)
def test_a_record_from_the_future_is_not_damage(text):
    """A record of a higher version whose checksum fits is from a newer Holdfast, whatever its members are."""
    with pytest.raises(fmt.Newer):
        fmt.decode(sealed(text))


@pytest.mark.parametrize(
    "text",
    [
        '{"v":0,"id":"i","t":1,"s":"s","b":1',
        '{"v":-1,"id":"i","t":1,"s":"s","b":1',
        '{"v":1,"id":"i","t":1',
        '{"v":1,"id":7,"t":1,"s":"s","b":1',
        '{"v":1,"id":"i","t":1.5,"s":"s","b":1',
        '{"v":1,"id":"i","t":-1,"s":"s","b":1',
        '{"v":1,"id":"i","t":9223372036854775808,"s":"s","b":1',
        '{"v":1,"id":"i","t":1,"s":"s","p":["f",0],"b":1',
        '{"v":1,"id":"i","t":1,"s":"s","p":["f",0,9223372036854775808],"b":1',
        '{"v":1,"id":"i","t":1,"s":"s","f":{"sha256":"00","size":-1}',
        '{"v":1,"id":"i","t":1,"s":"s","y":"not base64!"',
        '{"v":1,"id":"i","t":1,"s":"s","y":"QQ"',
        '{"v":1,"id":"i","t":1,"s":"s","b":',
        "[1",
        "",
    ],
)
def test_a_checksum_that_fits_nonsense_is_damage(text):
    """A record that some other writer made badly is damage, not a crash of whoever reads it."""
    with pytest.raises(fmt.Damaged):
        fmt.decode(sealed(text))


def test_unknown_members_are_no_obstacle():
    """A record may carry members that this version does not know."""
    record = fmt.decode(sealed('{"v":1,"id":"i","t":1,"s":"s","b":[1],"new":{"a":1}'))
    assert record.body_bytes() == b"[1]"


def test_a_tombstone_can_be_read():
    """A record whose body was removed is intact; it has no body, and says what is kept of it."""
    kept = '{"sha256":"00","size":7,"crc":1,"why":"retired","later":1}'
    record = fmt.decode(sealed(f'{{"v":1,"id":"i","t":1,"s":"s","z":{kept}'))
    assert record.body_bytes() is None
    assert record.z == fmt.Removed(sha256="00", size=7, crc=1, why="retired")


def test_base64_is_plain_base64():
    """Bytes that are no text can be got back with any base64 decoder."""
    assert base64.b64decode(json.loads(line_of(b"\xff\x00\xfe"))["y"]) == b"\xff\x00\xfe"


@pytest.mark.parametrize("in_place", [False, True])
def test_a_tombstone_keeps_nothing_of_the_record_but_its_place_among_others(in_place):
    position = fmt.Position("0123456789abcdef", 3, 9)
    line = fmt.encode("an-id", 1_795_259_242_112_345, "test", b'"b":{}', position, "\r\n", {"kind": 2})
    stone = fmt.decode(fmt.tombstone(fmt.decode(line), in_place=in_place))
    assert fmt.is_tombstone(stone)
    assert not fmt.is_tombstone(fmt.decode(line))
    assert fmt.has_no_body(stone)
    assert (stone.s, stone.r, stone.z) == ("test", None, fmt.Removed(why="forgotten"))
    if in_place:
        assert (stone.id, stone.t, stone.p, stone.e) == ("an-id", 1_795_259_242_112_345, position, "\r\n")
    else:
        assert stone.id != "an-id"
        assert (stone.t, stone.p, stone.e) == (1_795_258_800_000_000, None, "\n")
