"""What `redact check` says would be taken out is what recording takes out, byte for byte."""

from __future__ import annotations

import io
import json
import os
import random
import string

import pytest

from holdfast.redact import Redactor
from holdfast.redaction_check import KEY, Checker, without_secrets

KEY_BYTES = b"k" * 32
LETTERS = string.ascii_letters + string.digits


KEPT: dict[str, bytes] = {}  # the compiled gate: making it takes most of a second


@pytest.fixture(scope="module", autouse=True)
def kept():
    Redactor(KEY_BYTES, load=KEPT.get, keep=KEPT.__setitem__)


def tail(dice, length):
    return "".join(dice.choice(LETTERS) for _ in range(length))


def texts(dice):
    """Pieces of what agents say, some of them with secrets."""
    password = f"{tail(dice, 5)}7!{tail(dice, 6)}"
    return [
        "nothing to see here",
        f"use gh{'p_'}{tail(dice, 36)} now",
        f"gh{'p_'}{tail(dice, 36)}",
        f"DB_PASSWORD={password}",
        f"postgres://app:{password}@db.example.org/x",
        f"it was {password} again",
        json.dumps({"clientSecret": tail(dice, 30), "é": "ü"}),
        f"Authorization: Bearer {tail(dice, 40)}",
        "x = os.environ['TOKEN']",
    ]


@pytest.fixture
def home(tmp_path):
    (tmp_path / KEY).write_text(KEY_BYTES.hex())
    return tmp_path


@pytest.mark.parametrize("seed", range(12))
def test_each_place_that_is_told_is_one_that_recording_replaces(home, seed):
    """A file of JSON lines with the told places replaced is the file that recording would write."""
    dice = random.Random(seed)
    pieces = texts(dice)
    lines = []
    for number in range(6):
        said = dice.choices(pieces, k=3)
        record = {
            "n": number,
            "text": " | ".join(said),
            "nested": json.dumps({"in": said[0]}),
            said[1][:90]: 1,
        }
        lines.append(json.dumps(record, ensure_ascii=dice.random() < 0.5).encode())
    raw = b"\n".join(lines) + b"\n"
    checker = Checker(home, load=KEPT.get)
    redactor = Redactor(KEY_BYTES, load=KEPT.get, environment=os.environ)
    parts, at = [], 0
    for place in checker.stream(io.BytesIO(raw), "-"):
        assert place.start_byte >= at
        parts += [raw[at : place.start_byte], place.placeholder.encode()]
        at = place.end_byte
    told = b"".join([*parts, raw[at:]])
    assert told == b"\n".join(redactor.clean(line).body for line in lines) + b"\n"
    assert checker.looked.records == 6


def test_nothing_that_is_told_holds_a_secret(home):
    dice = random.Random(7)
    secret = tail(dice, 36)
    text = f"a gh{'p_'}{secret}{' '}gh{'p_'}{secret} b\n" * 40
    for place in Checker(home, load=KEPT.get).stream(io.BytesIO(text.encode()), "-"):
        assert secret[:8] not in repr(place)


def test_a_message_keeps_its_words_and_loses_its_secrets():
    secret = tail(random.Random(3), 36)
    said = without_secrets(f"no session starts with 'gh{'p_'}{secret}', nor with 'abc'")
    assert said == "no session starts with '[REDACTED:github-token]', nor with 'abc'"
    assert without_secrets("no session starts with 'abc'") == "no session starts with 'abc'"
