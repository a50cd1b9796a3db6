"""What redaction does to real recordings: next to nothing, and nothing at all to signatures and pictures."""

from __future__ import annotations

import json
from functools import cache
from typing import NamedTuple

import pytest

from holdfast.redact import Redactor, rules
from tests.conftest import SHARED_DATA

MOST_ALTERED = 0.001  # of the events
_EXACT = {"signature", "thoughtSignature", "encrypted_content"}

pytestmark = [pytest.mark.needs_shared, pytest.mark.slow]


class Altered(NamedTuple):
    """A line that lost something."""

    place: str
    kinds: dict[str, int]
    around: list[str]  # what the placeholders stand behind
    exact: bool  # whether signatures and pictures are the same as before


class Report(NamedTuple):
    events: int
    exact_texts: int  # signatures and pictures seen
    altered: list[Altered]

    def __str__(self) -> str:
        return "\n".join(f"{one.place}: {one.kinds} {one.around}" for one in self.altered)


@cache
def report(folder: str) -> Report:
    events = exact_texts = 0
    altered = []
    for path in sorted((SHARED_DATA / folder).rglob("*.jsonl")):
        redactor = _fresh()
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            events += 1
            exact_texts += line.count(b'"signature":"') + line.count(b'"type":"base64"')
            cleaned = redactor.clean(line)
            if cleaned.body is not line:
                place = f"{path.relative_to(SHARED_DATA)}:{number}"
                altered.append(_altered(place, line, cleaned))
    return Report(events, exact_texts, altered)


def _fresh() -> Redactor:
    """A redactor that has heard of no stream yet."""
    made, compiled = _made()
    return Redactor(b"key", made, load=compiled.get, keep=compiled.__setitem__)


@cache
def _made():
    return rules.load(), {}


def _altered(place, line, cleaned) -> Altered:
    pieces = cleaned.body.split(b"[REDACTED:")
    around = [piece[-60:].decode("utf-8", "replace") for piece in pieces[:-1]]
    return Altered(place, dict(cleaned.kinds), around[:5], _exact(line) == _exact(cleaned.body))


def _exact(line: bytes) -> list[str]:
    """The signatures, pictures and encrypted texts of a line."""
    found: list[str] = []

    def visit(value):
        if isinstance(value, list):
            for item in value:
                visit(item)
        elif isinstance(value, dict):
            for name, item in value.items():
                secret_bytes = name in _EXACT or (
                    name == "data" and value.get("type") in {"base64", "redacted_thinking"}
                )
                if isinstance(item, str) and secret_bytes:
                    found.append(item)
                visit(item)

    try:
        visit(json.loads(line))
    except ValueError:
        return []
    return found


FOLDERS = ("public-transcripts", "claude-code", "codex")


@pytest.mark.parametrize("folder", FOLDERS)
def test_signatures_and_pictures_of_recordings_are_byte_identical(folder):
    """What a client must get back exactly is exactly what was written."""
    assert [one.place for one in report(folder).altered if not one.exact] == []


def test_the_recordings_hold_signatures_and_pictures():
    """Without them the test above would prove nothing."""
    assert sum(report(folder).exact_texts for folder in FOLDERS) > 100


def test_next_to_no_event_of_public_transcripts_is_altered():
    """At most one in a thousand loses something; each that does is listed, to be judged."""
    found = report("public-transcripts")
    print(f"{len(found.altered)} of {found.events} events altered\n{found}")
    assert len(found.altered) <= MOST_ALTERED * found.events, str(found)
