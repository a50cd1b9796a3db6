"""What `Redactor.clean` promises of every body, whatever stands in it."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import json
import random
import re
import uuid

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from holdfast.redact import Redactor, redactor, rules
from tests.redact.model import ALPHABETS, Dice, assemble

RULES = rules.load()
KEPT: dict[str, bytes] = {}
ENGINE = Redactor(b"key", RULES, load=KEPT.get, keep=KEPT.__setitem__)
PLACEHOLDER = re.compile(rb"\[REDACTED:[a-z0-9-]{1,40}:[0-9a-f]{4}\]")
TOKEN, (CORE,) = assemble("ghp_{b:36}", Dice("a token"))
slowly = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])

# ── bodies ──

PARTS = st.sampled_from(
    [
        "password=", "password: ", "the token is ", "DB_PASSWORD=", '"secret": "', "Authorization: Bearer ", "postgres://me:", "@db.host/x",
        TOKEN, CORE[:9], "k7Qz2Vw9Rt4!", "hunter2", "correct-Horse7", base64.b64encode(f"password={CORE[:12]}".encode()).decode(),
        "\\", "\\\\", '"', "'", "\\u0061", "\\ud83d", "%41", "%25", "%", "\x1b[31m", "\x1b[0m", "\n", "\r\n", "\t", " ", " ", ",", "}", "]",
        "é", "🔑", "密码", "\x00", "\u2028", "\u200b", "-----BEGIN PRIVATE " + "KEY-----\n", "MIIEvQ" + CORE, "\n-----END PRIVATE " + "KEY-----",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=12), st.lists(PARTS, max_size=9).map("".join))
NAMES = st.sampled_from(
    [
        "text",
        "password",
        "api_key",
        "name",
        "value",
        "token",
        "type",
        "delta",
        "signature",
        "data",
        "x y",
        'a"b',
    ]
)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4), inner.map(json.dumps)
    ),
    max_leaves=12,
)  # fmt: skip


@st.composite
def bodies(draw) -> bytes:
    """JSON in its many spellings, without a placeholder in it."""
    value = draw(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
    text = json.dumps(
        value,
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")])),
        indent=draw(st.sampled_from([None, 1])),
    )
    return text.encode("utf-8", "backslashreplace")


@slowly
@given(bodies())
def test_json_remains_json(body):
    """What comes out is a valid JSON text whenever what went in was one."""
    json.loads(ENGINE.clean(body).body)


@slowly
@given(bodies())
def test_everything_outside_placeholders_is_unchanged(body):
    """Between the placeholders stand the body's own bytes, in their order, from its first to its last."""
    pieces = PLACEHOLDER.split(ENGINE.clean(body).body)
    assert body.startswith(pieces[0])
    assert body.endswith(pieces[-1])
    at = 0
    for piece in pieces:
        at = body.find(piece, at)
        assert at >= 0, piece
        at += len(piece)


@slowly
@given(bodies())
@example('{"name":"cGFzc3dvcmQ9SnNHSGRodjlhNmZh","value":"0𐀀"}'.encode())
def test_cleaning_twice_is_cleaning_once(body):
    """A cleaned body holds nothing more to take out."""
    once, twice = (Redactor(b"key", RULES, load=KEPT.get, keep=KEPT.__setitem__) for _ in range(2))
    cleaned = once.clean(body).body  # by one that knows of no stream under way
    assert twice.clean(cleaned).body == cleaned


@slowly
@given(bodies())
def test_kinds_say_how_many_places_were_taken_out(body):
    """The count of kinds is that of the placeholders, and the very object comes back where there is none."""
    cleaned = ENGINE.clean(body)
    assert sum(cleaned.kinds.values()) == len(PLACEHOLDER.findall(cleaned.body))
    assert (cleaned.body is body) == (not cleaned.kinds)


@pytest.mark.parametrize("mentions", [10, 100, 1000])
@pytest.mark.parametrize("between", [0, 5_000])
def test_a_secret_is_found_behind_any_number_of_harmless_mentions(mentions, between):
    """Code that speaks of passwords again and again does not hide the token that follows it."""
    text = "password = getpass()\n" * mentions + "x = 1\n" * between
    for value in ({"text": text + TOKEN}, {"text": text, "more": TOKEN}, [text, "x", TOKEN]):
        assert CORE[4:9] not in ENGINE.clean(json.dumps(value).encode()).body.decode()


@pytest.mark.parametrize("length", [6_100, 12_300, 40_000])
def test_a_cut_never_falls_inside_an_escape(length):
    """A secret that goes on for long, in a long field of escapes, leaves a valid record."""
    for extra in range(4):
        text = "credential c4a8f09b1d" + "\\" * (length + extra) + " " * 20_000
        json.loads(ENGINE.clean(json.dumps({"text": text}).encode()).body)


# ── what is never touched ──

BASE64 = st.binary(min_size=60, max_size=2_000).map(lambda data: base64.b64encode(data).decode())
PROTECTED = {
    "a thinking signature": lambda code: {"type": "thinking", "thinking": "Let me see.", "signature": code},
    "a signature's piece": lambda code: {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": code}},
    "redacted thinking": lambda code: {"type": "redacted_thinking", "data": code},
    "an image": lambda code: {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": code}},
    "encrypted reasoning": lambda code: {"type": "reasoning", "summary": [], "encrypted_content": code},
}  # fmt: skip


@pytest.mark.parametrize("what", PROTECTED)
@given(code=BASE64, looks_like=st.sampled_from(["", "/AKIA" + "Q7ZK2M4P" * 2, "+eyJhbGciOi", "/cGFzc3dvcmQ9azdRejJWdzlSdDQ"]))  # fmt: skip
def test_signatures_and_pictures_are_left_alone(what, code, looks_like):
    """They are byte for byte the same, also where their letters happen to look like a key."""
    value = {"message": {"content": [PROTECTED[what](code[:40] + looks_like + code[40:])]}}
    body = json.dumps(value).encode()
    assert ENGINE.clean(body).body == body


def _ids(dice: random.Random) -> list[str]:
    sha1, sha256 = f"{dice.getrandbits(160):040x}", f"{dice.getrandbits(256):064x}"
    sha512 = base64.b64encode(dice.randbytes(64)).decode()
    return [
        str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        f"commit {sha1}\nindex {sha1[:7]}..{sha1[7:14]} 100644",
        f'"integrity": "sha512-{sha512}"',
        f'    {{file = "x-1.0.whl", hash = "sha256:{sha256}"}},',
        f"example.org/mod v1.2.3 h1:{base64.b64encode(dice.randbytes(32)).decode()}",
        f"--hash=sha256:{sha256} \\",
        f"toolu_01{''.join(dice.choices(ALPHABETS['b'], k=22))}",
        f"00-{sha256[:32]}-{sha1[:16]}-01",
    ]


@given(st.integers(0, 2**32))
def test_ids_and_hashes_are_left_alone(seed):
    """UUIDs, git ids and lock files' hashes come back in the very object that went in."""
    body = json.dumps({"kind": "tool.used", "session": str(uuid.UUID(int=seed)), "lines": _ids(random.Random(seed))}).encode()  # fmt: skip
    assert ENGINE.clean(body).body == body


def test_paths_and_names_of_definitions_are_left_alone_where_holdfast_tells_of_them():
    told = {"path": f"/w/{TOKEN}/qa.md", "root": f"/w/{TOKEN}", "name": TOKEN, "reason": f"it was {TOKEN}"}
    ours = {"session": "holdfast.definitions", "kind": "definition.revised", "fields": told}
    for body, left in (
        (ours, {"path", "root", "name"}),
        (ours | {"kind": "note"}, set()),
        ({"x": 1} | ours, set()),
    ):
        cleaned = json.loads(ENGINE.clean(json.dumps(body, separators=(",", ":")).encode()).body)["fields"]
        assert {name for name, value in cleaned.items() if TOKEN in value} == left


# ── placeholders ──


def test_equal_secrets_get_equal_placeholders():
    """A reader can see that two places held the same secret, without knowing it."""
    here = ENGINE.clean(json.dumps({"text": f"export GH={TOKEN} now"}).encode()).body
    there = ENGINE.clean(json.dumps({"deep": [{"output": f'said "{TOKEN}".'}]}).encode()).body
    assert PLACEHOLDER.findall(here) == PLACEHOLDER.findall(there)
    assert len(PLACEHOLDER.findall(here)) == 1


def test_another_key_gives_another_placeholder():
    """Nobody without the home's key can tell which secret a placeholder stands for."""
    body = json.dumps({"text": TOKEN}).encode()
    found = {Redactor(b"key %d" % number, RULES).clean(body).body for number in range(8)}
    assert len(found) > 1


def test_environment_values_are_taken_out_wherever_they_stand():
    """The value of a variable named like a secret is one in any surroundings, also escaped, and again and again."""
    value = 'k7"Qz2-Vw9Rt'
    engine = Redactor(b"key", RULES, environment={"SHOP_PASSWORD": value, "EDITOR": "vi-improved"})
    cleaned = engine.clean(json.dumps({"text": f"it says {value} {value}{value}, in vi-improved"}).encode())
    assert "Qz2" not in cleaned.body.decode()
    assert "in vi-improved" in cleaned.body.decode()


@given(st.lists(st.integers(1, 400), max_size=8))
@settings(max_examples=40)
def test_a_stream_is_cleaned_wherever_its_chunks_are_cut(cuts):
    """A body given in chunks loses the same secrets as a whole one."""
    body = json.dumps({"text": "é " * 40 + f"password=hX7{CORE[:9]}" + ' "quoted" ' * 10 + f" see {TOKEN} end"}).encode()  # fmt: skip
    edges = sorted({0, *(cut for cut in cuts if cut < len(body)), len(body)})
    kinds: dict = redactor.Counter()
    chunks = [body[start:end] for start, end in itertools.pairwise(edges)]
    assert b"".join(ENGINE.stream(chunks, kinds)) == ENGINE.clean(body).body
    assert kinds == ENGINE.clean(body).kinds


KEY = "MIIEowIBAAKCAQEA7Zk3qPz0v8Jw2Yt5Rr1Ls9Xn4Bc6Vm7Dh0Fg2Kj3Ql5Wp8T"
BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"


def said(value, engine=ENGINE):
    """What is left of a body, placeholders as "?"."""
    cleaned = engine.clean(json.dumps(value, ensure_ascii=False).encode()).body
    return json.loads(PLACEHOLDER.sub(b"?", cleaned))


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ([BEGIN, KEY, KEY[::-1], "Ab3=", END, "other words"], [BEGIN, "?", "?", "?", END, "other words"]),
        (
            [f"+{BEGIN}", "+Proc-Type: 4,ENCRYPTED", "+", f"+{KEY}", "+Ab3="],
            [f"+{BEGIN}", "+Proc-Type: 4,ENCRYPTED", "+", "+?", "+?"],
        ),
        ([BEGIN, "words", "assistant"], [BEGIN, "words", "assistant"]),
        ([f"if '{BEGIN}' in text:", "assistant"], [f"if '{BEGIN}' in text:", "assistant"]),
    ],
)
def test_a_key_block_over_the_lines_of_an_array_ends_where_its_lines_end(lines, left):
    """What is beside the array is read as ever."""
    beside = {"role": "assistant", "sessionId": "abcdef0123456789"}
    assert said({"lines": lines, **beside, "out": f"see {TOKEN}"}) == {
        "lines": left,
        **beside,
        "out": "see ?",
    }


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (
            rb'{"t":"\nDB_PASSWORD=178392017\n","ts":1783920174}',
            rb'{"t":"\nDB_PASSWORD=?\n","ts":1783920174}',
        ),
        (
            rb'{"t":"mysql -u root -p178392017","ts":178392017123}',
            rb'{"t":"mysql -u root -p?","ts":178392017123}',
        ),
        (
            rb'{"t":"PASSWORD=nK8x92kLmQp1","u":"foo\nK8x92kLmQp1"}',
            rb'{"t":"PASSWORD=?","u":"foo\nK8x92kLmQp1"}',
        ),
        (rb'{"t":"PASSWORD=K8x92kLmQp1","u":"foo\nK8x92kLmQp1"}', rb'{"t":"PASSWORD=?","u":"foo\n?"}'),
        (
            b'{"t":"curl -u bob:production https://h","production_url":"https://production.x"}',
            b'{"t":"curl -u bob:? https://h","production_url":"https://production.x"}',
        ),
    ],
)
def test_a_secret_that_stands_again_is_taken_out_of_strings_alone(body, left):
    """Numbers, names of members, escapes and words that merely hold the same bytes remain."""
    assert PLACEHOLDER.sub(b"?", ENGINE.clean(body).body) == left


def test_values_of_the_environment_are_told_from_words_and_numbers():
    """A password that is a word, or a number, would take that word out of everything."""
    engine = Redactor(
        b"key",
        RULES,
        environment={"DB_PASSWORD": "48291357", "MYSQL_PASSWORD": "wordpress", "API_TOKEN": "aZ9kLmQp1xyz"},
    )
    kept = {"ts": 1748291357, "n": "48291357", "wordpress_version": "/srv/wordpress/wp"}
    assert said(kept, engine) == kept
    assert said({"a": "aZ9kLmQp1xyz aZ9kLmQp1xyz"}, engine) == {"a": "? ?"}


@pytest.mark.parametrize("name", ["data", "base64", "signature"])
def test_a_token_is_no_picture(name):
    """Members that hold base64 are left alone, but not what a provider's mark says is a token."""
    token = "sk-ant-api03-" + "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z" * 3
    kept = {name: "EqQBCkYIBxgCKkD" + "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z" * 3}
    assert said({name: token}) == {name: "?"}
    assert said(kept) == kept


def test_short_secrets_close_together_are_each_taken_out():
    assert said("DB_PWD=aB12cX\nFT_PWD=dE34fZ\n") == "DB_PWD=?\nFT_PWD=?\n"
    assert (
        said("A_PWD=k9Xz7\nB_PWD=k8Xz3\nC_PWD=m4Lp2\nD_PWD=m2Ln6\n") == "A_PWD=?\nB_PWD=?\nC_PWD=?\nD_PWD=?\n"
    )


# ── bodies that are not held whole ──


def streamed(body: bytes) -> bytes:
    chunks = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
    return b"".join(ENGINE.stream(chunks, redactor.Counter()))


@pytest.mark.parametrize("tail", [8 << 10, 64 << 10])
@pytest.mark.parametrize(
    "text",
    ["password: Xk29sLq0vBn ", "Authorization: Bearer Xk29sLq0vBnAz81Lm3 ", f"see {TOKEN} "],
)
def test_a_stream_is_cut_beside_secrets_and_what_names_them(text, tail):
    """Wherever a piece might end."""
    for offset in range(0, len(text), 3):
        before = "word " * (((256 << 10) - tail - 60) // 5) + "x" * offset + " "
        out = json.loads(
            PLACEHOLDER.sub(b"?", streamed(json.dumps({"t": before + text + "word " * 20_000}).encode()))
        )
        assert out["t"].count("?") == 1
        assert text.split()[-1] not in out["t"]


@pytest.mark.parametrize("damage", [b'garbage" ', b"", b'{"a":"cut sh'])
def test_a_stream_that_is_no_json_is_cleaned_too(damage):
    """A line behind what a crash left of another one, a text without any quotes."""
    text = f"{'word ' * 60_000} GITHUB_TOKEN={TOKEN} {'word ' * 60_000}"
    assert TOKEN.encode() not in streamed(damage + (json.dumps({"t": text}) if damage else text).encode())


def test_escapes_without_end_are_cut_between_them():
    body = b'{"a":"' + rb"\u4e2d" * 200_000 + b'"}'
    pieces = [
        *ENGINE.stream([body[at : at + 65_536] for at in range(0, len(body), 65_536)], redactor.Counter())
    ]
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) < 512 << 10


# ── failing closed ──


class Raises:
    """A shape that cannot look at what it is shown."""

    kind, gates, back_bytes, ahead_bytes = "raises", (rb"boom[0-9]",), 80, 80

    def find(self, text, start, end):
        raise ValueError(text)


def test_a_field_that_a_rule_fails_on_is_replaced_whole():
    """Its record remains, with every other field."""
    engine = Redactor(b"key", dataclasses.replace(RULES, shapes=(*RULES.shapes, Raises())))
    cleaned = engine.clean(json.dumps({"kind": "x", "bad": 'a "boom1" b', "good": "no boom"}).encode())
    value = json.loads(cleaned.body)
    assert PLACEHOLDER.fullmatch(value.pop("bad").encode())
    assert value == {"kind": "x", "good": "no boom"}
    assert cleaned.kinds == {"unchecked": 1}


def test_a_field_that_takes_too_long_is_replaced_whole(monkeypatch):
    """What was not looked at to its end is not written; its record remains."""
    moments = itertools.count(0, 2 * redactor.LIMIT_S)
    monkeypatch.setattr(redactor.time, "thread_time", lambda: next(moments))
    cleaned = ENGINE.clean(
        json.dumps({"kind": "x", "bad": f"say {TOKEN} and more", "good": "words"}).encode()
    )
    value = json.loads(cleaned.body)
    assert PLACEHOLDER.fullmatch(value.pop("bad").encode())
    assert value == {"kind": "x", "good": "words"}
    assert cleaned.kinds == {"unchecked": 1}


def test_a_field_that_is_late_once_is_looked_at_again(monkeypatch):
    """A pause that is none of its doing costs no words."""
    moments = itertools.chain([0, 2 * redactor.LIMIT_S], itertools.repeat(0))
    monkeypatch.setattr(redactor.time, "thread_time", lambda: next(moments))
    cleaned = ENGINE.clean(json.dumps({"kind": "x", "text": f"say {TOKEN} and more"}).encode())
    assert re.fullmatch(
        rb"say \[REDACTED:[a-z-]+:[0-9a-f]{4}\] and more", json.loads(cleaned.body)["text"].encode()
    )
    assert "unchecked" not in cleaned.kinds


def test_a_body_that_cannot_be_looked_at_is_replaced_whole():
    """Also when the first look fails; there is always a record."""

    class Fails(Redactor):
        def _fails(self, _text):
            raise MemoryError

        _hits = property(lambda self: self._fails, lambda self, value: None)

    cleaned = Fails(b"key", RULES).clean(b'{"text":"words"}')
    assert PLACEHOLDER.fullmatch(json.loads(cleaned.body).encode())
    assert cleaned.kinds == {"unchecked": 1}


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (b'{"n":1,"bad":"boom1 said","good":["a",2.5,null]}', '{"?":1,"?":"?","?":["?",2.5,null]}'),
        (b"no JSON, but boom1", "?"),
        (b'{"no":"JSON" boom1', "?"),
    ],
)
def test_a_piece_of_a_stream_that_cannot_be_looked_at_keeps_no_word(monkeypatch, body, left):
    """Numbers and the order of its parts remain, when it is JSON."""
    engine = Redactor(b"key", dataclasses.replace(RULES, shapes=(*RULES.shapes, Raises())))
    monkeypatch.setattr(engine, "_in_members", Raises().find)
    kinds: dict = redactor.Counter()
    assert PLACEHOLDER.sub(b"?", b"".join(engine.stream([body], kinds))).decode() == left
    assert set(kinds) == {"unchecked"}


def test_bodies_that_are_no_json_are_cleaned_too():
    """A line that a crash cut short loses its secret as well."""
    cut = b'{"text":"' + TOKEN.encode() + b" and then the pow"
    assert CORE.encode() not in ENGINE.clean(cut).body
    assert CORE.encode() not in ENGINE.clean(b"\xff\xfe " + TOKEN.encode()).body
