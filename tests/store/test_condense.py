"""Condensing a body: the same facts in fewer bytes."""

from __future__ import annotations

import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.capture import claude_transcripts
from holdfast.store.condense import LEAST_STRING_LIMIT_BYTES, condense
from holdfast.store.project import Entry

LIMIT = LEAST_STRING_LIMIT_BYTES
SURE_CHARS = LIMIT // 12 - 2  # a string keeps at least so many characters, however it is written
ENDLESS = 1 << 30

_PIECES = st.sampled_from(
    [b"a", b"line of text ", b'\\"', b"\\\\", b"\\n", b"\\u00e9", b"\\ud83d\\ude00", b"\\\\u12", "é".encode()]  # noqa: RUF005
    + ["€".encode(), "😀".encode(), b"[{", b"}]", b":,", b"/", b"\\/", b"\xe2\x80\xa8"]
)
_DAMAGE = st.sampled_from(
    [
        b"\xff",
        b"\\q",
        b"\\u12G4",
        b"\x01",
        b"\n",
        b"\xc3",
        b"\\ud800",
        b"\\udc00",
        b'"',
        b"\\",
        b"\xed\xa0\x80",
    ]
)


@st.composite
def strings(draw):
    """The raw form of a string, often longer than the limit, and about the limit."""
    piece = draw(_PIECES)
    text = piece * draw(st.integers(0, 2 * LIMIT // len(piece)))
    return b"a" * draw(st.integers(0, 8)) + text + b"".join(draw(st.lists(_PIECES, max_size=30)))


def bodies():
    scalars = st.one_of(
        strings().map(lambda raw: b'"' + raw + b'"'),
        st.sampled_from([b"1", b"-1.5e3", b"true", b"null", b"9" * 30, b' "" ']),
    )
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=5).map(lambda of: b"[" + b" , ".join(of) + b"]"),
            st.lists(inner, max_size=5).map(
                lambda of: b"{" + b",".join(b'"k%d" : ' % n + v for n, v in enumerate(of)) + b"}"
            ),
        ),
        max_leaves=8,
    )


@st.composite
def damaged(draw):
    body = draw(bodies())
    for damage in draw(st.lists(_DAMAGE, max_size=2)):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + damage + body[at + draw(st.integers(0, 3)) :]
    return body[: draw(st.integers(0, len(body)))] if draw(st.booleans()) else body


def whole(body: bytes) -> bytes:
    found = condense([body], string_limit_bytes=LIMIT, limit_bytes=ENDLESS)
    assert found is not None
    return found


def in_chunks(body: bytes, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    cuts = sorted(chance.randrange(len(body) + 1) for _ in range(chance.choice([1, 3, 40])))
    return [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def heads(value):
    if isinstance(value, str):
        return value[:SURE_CHARS]
    if isinstance(value, list):
        return [heads(item) for item in value]
    return {key: heads(item) for key, item in value.items()} if isinstance(value, dict) else value


def read(body: bytes):
    """What JSON says, as heads; None when it is none."""
    try:
        return [heads(json.loads(body.decode()))]
    except (ValueError, RecursionError):
        return None


@settings(deadline=None, max_examples=300)
@given(damaged(), st.integers(0, 2**32))
def test_what_comes_out_is_the_same_whatever_the_chunks(body, seed):
    chunks = in_chunks(body, seed)
    assert condense(chunks, string_limit_bytes=LIMIT, limit_bytes=ENDLESS) == whole(body), f"seed {seed}"


@settings(deadline=None, max_examples=500)
@given(damaged())
def test_it_is_json_when_the_body_was_and_says_the_same(body):
    """Strings keep their head, everything else is equal; damage stays damage, also in a part that is cut off."""
    assert read(whole(body)) == read(body)


@pytest.mark.parametrize("damage", [b"\\u12", b"\\q", b"\x01", b"\xff", b"\\u"])
@pytest.mark.parametrize("before", range(LIMIT - 7, LIMIT + 3))
def test_damage_where_a_string_is_cut_stays_damage(damage, before):
    """It may look like an escape that the cut tore."""
    for tail in (b"", b"x" * 9, b"x" * LIMIT):
        body = b'{"k":"' + b"a" * before + damage + tail + b'"}'
        assert read(body) is None
        assert read(whole(body)) is None


@settings(deadline=None)
@given(bodies())
def test_a_string_never_takes_much_more_than_its_limit(body):
    assert all(len(found) <= LIMIT + 2 for found in re.findall(rb'"(?:[^"\\]|\\.)*"', whole(body)))


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_a_body_without_long_strings_stands_as_it_stood(body):
    assert whole(body) == body


@pytest.mark.parametrize(
    "body", [b'["' + b"x" * 600 + b'","' + b"y" * 600 + b'"]', b"[" + b"1," * 600 + b"1]"]
)
def test_more_than_the_limit_is_none_and_every_chunk_is_taken(body):
    chunks = iter([body[:100], body[100:900], body[900:]])
    assert condense(chunks, string_limit_bytes=LIMIT, limit_bytes=1000) is None
    assert list(chunks) == []


def test_deep_nesting_costs_no_stack():
    body = b"[" * 200_000 + b'"' + b"x" * 600 + b'"' + b"]" * 200_000
    assert len(whole(body)) == 400_000 + LIMIT + 2


# ── what the translator understands ──


def entry(body: bytes) -> Entry:
    return Entry(body, "record", 1, "file", "/p/11111111-2222-4333-8444-555555555555.jsonl", 0)


def told(body: bytes):
    """Every event of a transcript's line, with texts as rows keep them."""
    translation = claude_transcripts.translate(entry(body))
    shown = [{name: getattr(event, name) for name in event.__struct_fields__} for event in translation.events]
    for event in shown:
        event["data"] = {name: getattr(event["data"], name) for name in event["data"].__struct_fields__}
    return heads(shown), translation.kept, bool(translation.problems)


def line(kind: str, seed: int) -> bytes:
    """A line with one long text in it, in one of the places where texts stand."""
    chance = random.Random(seed)
    long = "".join(chance.choices(["text ", '"', "\\", "\n", "é", "😀", "\ud800", "\0"], k=LIMIT))
    record = {
        "type": "user" if kind.startswith("user") else "assistant",
        "sessionId": "s",
        "uuid": "u",
        "timestamp": "2026-11-20T10:00:00Z",
    }
    if kind == "user result":
        result = {
            "type": "tool_result",
            "tool_use_id": "t",
            "content": long,
            "is_error": chance.random() < 0.5,
        }
        patch = [{"lines": ["+" + long, "-b", "+c", " d"]}]
        record |= {
            "message": {"content": [result]},
            "toolUseResult": {"structuredPatch": patch, "stdout": long},
        }
    elif kind == "user image":
        image = {"type": "image", "source": {"type": "base64", "data": "iVBOR" * LIMIT}}
        record["message"] = {"content": [image]}
    elif kind == "user prompt":
        record["message"] = {"content": long}
    elif kind == "assistant tool":
        record["message"] = {
            "content": [{"type": "tool_use", "id": "t", "name": "Write", "input": {"content": long}}]
        }
    else:
        record["message"] = {
            "id": "é" * 200_000,
            "usage": {"input_tokens": 7, "output_tokens": 8},
            "content": [],
        }
    return json.dumps(record, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    "kind", ["user result", "user image", "user prompt", "assistant tool", "assistant id"]
)
@pytest.mark.parametrize("seed", range(8))
def test_a_translator_understands_a_condensed_line_as_it_does_the_whole(kind, seed):
    body = line(kind, seed)
    limit = 192 << 10 if kind == "assistant id" else LIMIT
    condensed = condense(in_chunks(body, seed), string_limit_bytes=limit, limit_bytes=ENDLESS)
    assert condensed is not None
    assert len(condensed) < len(body)
    assert told(condensed) == told(body)
