"""Every reading of a text knows which bytes each stretch of it came from."""

from __future__ import annotations

import json
import string

from hypothesis import given
from hypothesis import strategies as st

from holdfast.redact import Redactor, rules, views
from tests.redact.model import Dice, assemble

ENGINE = Redactor(b"key", rules.load())
TOKEN, _ = assemble("ghp_{b:36}", Dice("a token in disguise"))
WORDS = st.text(string.ascii_letters + string.digits + "_-.", min_size=1, max_size=60)


class Encoded:
    """A text in another spelling, and where each of its letters begins and ends in it."""

    def __init__(self, letters: list[tuple[str, str]]) -> None:
        """Letters: (what stands before it and says nothing, how it is spelt)."""
        self.text, self.starts, self.ends = "", [], []
        for before, spelt in letters:
            self.text += before
            self.starts.append(len(self.text))
            self.text += spelt
            self.ends.append(len(self.text))

    def inside(self, outer: Encoded) -> Encoded:
        """This spelling, spelt again as `outer` does."""
        found = Encoded([])
        found.text = outer.text
        found.starts = [outer.starts[at] for at in self.starts]
        found.ends = [outer.ends[at - 1] for at in self.ends]
        return found


def spelt(draw, text: str, *ways) -> Encoded:
    return Encoded([("", draw(st.sampled_from(ways))(letter)) for letter in text])


def in_json(letter: str) -> str:
    return json.dumps(letter, ensure_ascii=False)[1:-1]


def escaped(draw, text: str) -> Encoded:
    return spelt(draw, text, in_json, lambda letter: f"\\u{ord(letter):04x}")


def percent(draw, text: str) -> Encoded:
    return spelt(
        draw, text, lambda letter: "%25" if letter == "%" else letter, lambda letter: f"%{ord(letter):02X}"
    )


def broken_by(draw, text: str, *breaks: str) -> Encoded:
    """Something that says nothing stands between some of the letters."""
    choices = st.sampled_from(("", "", *breaks))
    return Encoded([("" if number == 0 else draw(choices), letter) for number, letter in enumerate(text)])


def coloured(draw, text: str) -> Encoded:
    return broken_by(draw, text, "\x1b[31m", "\x1b[0m", "\x1b[01;31m\x1b[K")


def continued(draw, text: str) -> Encoded:
    """Broken where a token can be known by its beginning."""
    head = Encoded([("", letter) for letter in text[:16]])
    rest = broken_by(draw, text[16:], "\\\n", "\\\r\n    ")
    skipped = len(head.text.encode())
    whole = Encoded([])
    whole.text = head.text + rest.text
    whole.starts = head.starts + [skipped + at for at in rest.starts]
    whole.ends = head.ends + [skipped + at for at in rest.ends]
    return whole


def _leads_back(view, encoded: Encoded, text: str, draw) -> None:
    assert view is None or view.text == text.encode()
    if view is None:
        assert encoded.text == text
        return
    start = draw(st.integers(0, len(text) - 1))
    end = draw(st.integers(start + 1, len(text)))
    assert view.places(start, end) == (encoded.starts[start], encoded.ends[end - 1])


@given(st.data(), WORDS)
def test_escapes_lead_back(data, text):
    """A letter written as an escape stands where the escape stands."""
    encoded = escaped(data.draw, text + '"\\\n')
    _leads_back(views.unescaped(views.View(encoded.text.encode())), encoded, text + '"\\\n', data.draw)


@given(st.data(), WORDS)
def test_escapes_of_escapes_lead_back(data, text):
    """However often a text was put into JSON, its letters lead back to the bytes that spell them."""
    inner = escaped(data.draw, text)
    outer = escaped(data.draw, inner.text)
    once = views.unescaped(views.View(outer.text.encode()))
    if once is None:
        return
    twice = views.unescaped(once)
    _leads_back(once if twice is None else twice, inner.inside(outer), text, data.draw)


@given(st.data(), WORDS)
def test_percent_encoding_leads_back(data, text):
    """A letter written as %41 stands where its three bytes stand."""
    encoded = percent(data.draw, text + "%")
    _leads_back(views.percent_decoded(views.View(encoded.text.encode())), encoded, text + "%", data.draw)


@given(st.data(), WORDS)
def test_colours_lead_back(data, text):
    """A stretch begins behind the colour before it, and ends before the colour after it."""
    encoded = coloured(data.draw, text)
    _leads_back(views.uncoloured(views.View(encoded.text.encode())), encoded, text, data.draw)


@given(st.data(), WORDS)
def test_continued_lines_lead_back(data, text):
    """A stretch over continued lines stands for their ends, too."""
    encoded = continued(data.draw, text)
    _leads_back(views.unwrapped(views.View(encoded.text.encode()), guessed=False), encoded, text, data.draw)


@given(st.data(), st.integers(1, 5), st.sampled_from([64, 76, 80, 120]))
def test_lines_wrapped_at_a_column_lead_back(data, rows, width):
    """Lines that a terminal broke are read as one, and lead back to their places."""
    text = (string.ascii_letters + string.digits) * 12
    text = text[: width * rows + 7]
    encoded = Encoded([("\n" if at and at % width == 0 else "", letter) for at, letter in enumerate(text)])
    _leads_back(views.unwrapped(views.View(encoded.text.encode()), guessed=False), encoded, text, data.draw)


@given(st.data(), st.lists(st.sampled_from(["\\ud83d\\udd11", "\\ud83d", "🔑", "\\u00e9"]), max_size=4))
def test_halves_of_pairs_do_not_move_what_follows(data, before):
    """Characters beyond the basic plane, whole or cut, leave the places of their neighbours right."""
    encoded = escaped(data.draw, TOKEN)
    prefix = "".join(before)
    view = views.unescaped(views.View((prefix + encoded.text).encode()))
    if view is not None:
        at = view.text.index(TOKEN.encode())
        start = len(prefix.encode())
        assert view.places(at, at + len(TOKEN)) == (start, start + len(encoded.text))


DISGUISES = {"escaped": escaped, "percent": percent, "coloured": coloured, "continued": continued}


@given(st.data(), st.sampled_from(sorted(DISGUISES)), st.integers(0, 3))
def test_exactly_the_bytes_of_a_disguised_secret_are_replaced(data, how, depth):
    """Whatever the disguise, and however often it was put into JSON, its neighbours stay byte for byte."""
    encoded = DISGUISES[how](data.draw, TOKEN)
    text, start, end = f"see {encoded.text} now", 4, 4 + len(encoded.text)
    for _ in range(depth + 1):
        outer = Encoded([("", in_json(letter)) for letter in text])
        text, start, end = f'{{"a":"{outer.text}"}}', 6 + outer.starts[start], 6 + outer.ends[end - 1]
    body = text.encode()
    cleaned = ENGINE.clean(body).body
    assert cleaned == body[:start] + ENGINE.placeholder("github-token", TOKEN.encode()) + body[end:]
