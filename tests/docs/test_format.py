"""The reader printed in `docs/format.md` reads what the real writer writes, as the real reader does."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest

from holdfast.ids import derived
from holdfast.journal import blobs, reader, sealed, sealing, segments
from holdfast.journal import format as fmt
from holdfast.journal.writer import Writer

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "format.md").read_text("utf-8")
SCENARIOS = ROOT / "tests" / "data" / "claude-code"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
HOST = "7b0c6f5e-0000-4000-8000-000000000000"
READER = next(text for text in EXAMPLES if "def parse" in text)
LOOP = next(text for text in EXAMPLES if "seen = set()" in text)
UNSEAL = next(text for text in EXAMPLES if "def unseal" in text)
BODIES = [
    b'{"a": 1,  "b":[1,2]}',
    b"{}",
    b"7",
    b'{"n":' + b"9" * 5000 + b"}",
    b"[" * 200 + b"]" * 200,
    b"[" * 201 + b"]" * 201,
    b'{"twice":1,"twice":2}',
    b'{"x":"y","b":"z","c":"00000000"}',
    b'text with ,"b":1,"c":"00000000"}',
    '{"separators":"\u2028\u0085\u000c"}'.encode(),
    "separators \u2028\u0085\x1c\x00 and a NUL".encode(),
    b'"\\ud800"',
    b' {"space": "before"}',
    b"two\nlines",
    b"carriage\rreturn",
    b"",
    b"\xff\xfe no UTF-8 \x00",
    b"\xef\xbb\xbf{}",
    b'{"large":"' + b"l" * 3000 + b'"}',
    b"\xff" * 3000,
]


@pytest.fixture
def example():
    """The functions of the page's first example."""
    names: dict[str, object] = {}
    exec(compile(READER, "docs/format.md", "exec"), names)
    return names


@pytest.fixture
def place(tmp_path):
    (tmp_path / "journal").mkdir()
    return tmp_path


@pytest.fixture
def writer(place):
    made = Writer(
        place / "journal",
        place / "blobs",
        HOST,
        segment_size_bytes=3000,
        inline_limit_bytes=2000,
        fsync_interval_s=0,
    )
    yield made
    made.close()


def ours(home):
    """What the real reader finds, in the example's form."""
    for item in reader.read(home / "journal"):
        if isinstance(item, reader.Damage):
            yield item.segment, item.start, item.end, None
        else:
            body = item.record.body_bytes()
            if body is None:
                body = blobs.get(home / "blobs", item.record.f)
            yield item.segment, item.start, item.end, (item.record, body)


def same(home, example):
    """Assert that both readers find the same; returns how many records and damaged ranges."""
    records = damaged = 0
    for theirs, own in zip(example["read"](home), ours(home), strict=True):
        assert theirs[:3] == own[:3]
        if own[3] is None:
            assert theirs[3] is None
            damaged += 1
            continue
        members, body = theirs[3]
        record, expected = own[3]
        assert body == expected
        assert (members["v"], members["id"], members["t"], members["s"]) == (1, record.id, record.t, record.s)
        assert tuple(members.get("p") or ()) == tuple(record.p or ())
        assert members.get("e", "\n") == record.e
        records += 1
    return records, damaged


def segment(home, number):
    return home / "journal" / f"{number:08d}.jsonl"


def test_the_example_needs_the_standard_library_only_and_is_short():
    assert set(re.findall(r"^(?:import|from) ([\w, ]+?)(?: import.*)?$", READER, re.MULTILINE)) == {
        "base64, hashlib, json, zlib",
        "pathlib",
    }
    assert len([line for line in READER.splitlines() if line.strip()]) <= 36


def test_every_sort_of_body_comes_back_byte_for_byte(place, writer, example):
    """JSON, other text, binary, empty, deep, with every line end, inline and as blobs, over many segments."""
    for number, body in enumerate(BODIES):
        for end in ("\n", "\r\n", ""):
            position = fmt.Position("0a0df2857ffb24ea", number, number + len(body))
            record_id = derived("test", str(number), end)
            writer.append_lines([writer.line("claude.transcript", body, record_id, position, end)])
    records, damaged = same(place, example)
    bodies = [found[1] for *_, found in example["read"](place) if found[0]["s"] == "claude.transcript"]
    assert bodies == [body for body in BODIES for _ in range(3)]
    assert damaged == 0
    assert records > len(bodies)  # and a header for each segment
    assert len(list((place / "journal").iterdir())) > 2


def test_damage_torn_tails_and_newer_records_cost_only_themselves(place, writer, example):
    for number in range(12):
        writer.append("sdk", b'{"kind":"info","number":%d}' % number)
    writer.close()
    first = segment(place, 1)
    raw = bytearray(first.read_bytes())
    raw[raw.index(b'"number":3') + 3] ^= 1
    raw[raw.index(b'"number":5')] ^= 0x80
    head = b'{"v":2,"id":"of the future","b":{}'
    newer = head + b',"c":"%08x"}' % zlib.crc32(head)
    nonsense = b',"c":"%08x"}' % zlib.crc32(b"")
    first.write_bytes(
        bytes(raw) + b"\n" + newer + b"\n\x00\xff\n" + nonsense + b'\n\n{"v":1,"id":"half a rec'
    )
    assert same(place, example) == (11, 5)
    writer.append("sdk", b'"after the torn one"')
    assert same(place, example) == (12, 6)


def test_a_record_without_its_line_end_is_left_until_the_next_append(place, writer, example):
    writer.append("sdk", b"1")
    writer.close()
    first = segment(place, 1)
    first.write_bytes(first.read_bytes()[:-1])
    assert same(place, example) == (1, 0)
    writer.append("sdk", b"2")
    assert same(place, example) == (3, 0)


def test_records_given_twice_are_read_once_by_the_page_s_loop(place, writer, example, capsys):
    for body in (b'{"kind":"first"}', b'{"kind":"again"}'):
        writer.append("sdk", body, record_id=derived("sdk", "", "key"))
    exec(compile(LOOP, "docs/format.md", "exec"), example | {"home": place})
    assert capsys.readouterr().out == "{'kind': 'first'}\n"


def test_derived_ids_are_made_as_the_page_says(run, home, example):
    """The recipe for ids, for file ids and for giving a file back, on a real import."""
    import hashlib

    def recipe(*parts):
        h = hashlib.sha256(b"".join(b"%d:%b" % (len(p.encode()), p.encode()) for p in parts)).hexdigest()
        return f"{h[0:8]}-{h[8:12]}-8{h[13:16]}-{'89ab'[int(h[16], 16) % 4]}{h[17:20]}-{h[20:32]}"

    assert run("import", SCENARIOS / "async-subagents").returncode == 0
    run("record", stdin='{"kind":"info","session":"s","key":"k"}')
    import json

    declared, lines = {}, {}
    for *_, (record, body) in example["read"](home):
        if record["s"] == "holdfast.file":
            said = json.loads(body)
            declared[said["id"]] = said["path"]
            assert record["id"] == recipe("holdfast.file", said["id"])
            named = f"{said['path']}\0{said['generation']}".encode()
            assert said["id"] == hashlib.sha256(named).hexdigest()[:16]
        elif record["s"] == "claude.transcript":
            file, start, end = record["p"]
            assert record["id"] == recipe(f"claude.transcript:{file}", str(start))
            lines.setdefault(file, {})[start] = body + record.get("e", "\n").encode()
            assert end == start + len(lines[file][start])
        elif record["s"] == "sdk":
            assert record["id"] == recipe("sdk", "s", "k")
    assert declared
    for file, path in declared.items():
        assert b"".join(body for _, body in sorted(lines[file].items())) == Path(path).read_bytes()


@pytest.mark.parametrize(
    "source",
    [
        "holdfast.segment",
        "holdfast.file",
        "claude.transcript",
        "claude.agent_meta",
        "claude.tool_result",
        "sdk",
    ],
)
def test_every_source_that_is_written_is_specified(source):
    from holdfast.capture import claude_transcripts, sdk
    from holdfast.store import project

    written = {
        fmt.SEGMENT_SOURCE,
        project.FILE_SOURCE,
        claude_transcripts.SOURCE,
        *claude_transcripts.WHOLE_SOURCES,
        sdk.SOURCE,
    }
    assert source in written
    assert len(written) == 6
    assert f"`{source}`" in PAGE


def test_the_page_names_every_member_of_a_record():
    for name in fmt.Record.__struct_fields__:
        assert re.search(rf"^\|.*`{name}`.*\|", PAGE, re.MULTILINE), name


def test_the_example_unseals_what_sealing_wrote(place, writer):
    """The page's second reader proves every sealed segment, a rewritten one too, and gives the plain ones back."""
    for number, body in enumerate(BODIES * 6):
        writer.append("test", body, record_id=derived("sealed", str(number)))
    writer.close()
    directory = place / "journal"
    plain = {number: segments.path(directory, number).read_bytes() for number in segments.numbers(directory)}
    assert len(sealing.seal_all(directory, HOST)) > 5
    sealing.rewrite(directory, 3, HOST, [b"\n"], "for the test")
    names: dict[str, object] = {}
    exec(compile(UNSEAL, "docs/format.md", "exec"), names)
    link = sealed.NO_LINK
    for number in segments.sealed_numbers(directory):
        content, link = names["unseal"](segments.sealed_path(directory, number), link)
        assert content == (b"\n" if number == 3 else plain[number])


def test_the_example_reads_exports_whole_and_notices_what_is_missing(place, writer, example):
    import io

    from holdfast.transfer import outgoing

    for number, body in enumerate(BODIES):
        writer.append_lines([writer.line("sdk", body, derived("test", str(number)))])
    out = io.BytesIO()
    outgoing.Export(place / "journal", place / "blobs", place, {}, outgoing.Choice()).write(out)
    [code] = [text for text in EXAMPLES if "def exported" in text]
    exec(compile(code, "docs/format.md", "exec"), example)
    export = place / "export.jsonl"
    export.write_bytes(out.getvalue())
    assert [body for _, body in example["exported"](export)] == BODIES
    lines = out.getvalue().splitlines(keepends=True)
    for missing in (0, 5, len(lines) - 1):
        export.write_bytes(b"".join(lines[:missing] + lines[missing + 1 :]))
        with pytest.raises(AssertionError):
            list(example["exported"](export))
