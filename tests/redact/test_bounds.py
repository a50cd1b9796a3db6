"""Rules that somebody else wrote: which are refused, and what the gate looks for in their place."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import RuleError
from holdfast.redact import Redactor, bounds, rules


@pytest.mark.parametrize(
    ("match", "why"),
    [
        ("acme_[a-z]+", "without a limit"),
        ("acme_[a-z]*?x", "without a limit"),
        ("acme_[a-z]{8,}", "without a limit"),
        ("x{3}(a{1,100}){1,100}b", "too many ways"),
        ("acme(?:[a-z]{1,5}[0-9]{1,5}){1,8}", "too many ways"),
        ("acme(?:-[a-z0-9]{1,200}){1,200}", "come to 40000"),
        (r"(acme)-\1", "refers back"),
        ("(acme", "no regular expression"),
        ("(?:acme)?", "nothing at all"),
        ("acme[a-z]{2600}", "2600 is the most"),
    ],
)
def test_an_expression_that_may_take_long_or_is_none_is_refused(match, why):
    with pytest.raises(bounds.Unfit, match=why):
        bounds.check(match)


@pytest.mark.parametrize(
    ("match", "gate"),
    [
        ("acme_[ab]{32}", "acme_[ab]{12}"),
        ('ACME: "(?P<secret>[a-z0-9]{32})"', r"ACME:\ "),
        (r"(?<![A-Za-z])(?:foo-|bar-)[0-9]{8,40}\b", r"(?:foo\-|bar\-)"),
        ("(?i)key=[ab]{10}", "(?i:key=[ab]{10})"),
        ("abc[ab]{20}defg[01]{8}", "[ab]{12}defg[01]{8}"),
        ("[ab]{300}acme[01]{4}", "[ab]{12}acme[01]{4}"),
        ("acme(?:-[a-z0-9]{1,12}){1,8}", "acme"),
    ],
)
def test_the_gate_is_a_stretch_that_every_match_holds(match, gate):
    bounds.check(match)
    assert bounds.gate_of(match) == gate


@pytest.mark.parametrize("match", ["[a-z]{30}", "ab[0-9]{30}", "[a-z]{390}acme[0-9]{4}", '"é"[0-9]{9}'])
def test_an_expression_without_three_fixed_characters_near_its_beginning_is_refused(match):
    with pytest.raises(bounds.Unfit, match="three fixed characters"):
        bounds.gate_of(match)


@given(st.data())
def test_whatever_an_expression_matches_passes_its_gate_also_in_json(data):
    """Pieces put together at random; the text they match is put into a JSON string."""
    pieces = data.draw(
        st.lists(
            st.sampled_from(
                [
                    "acme",
                    "k-",
                    "[a-f]{2}",
                    "[0-9]{3,6}",
                    "[xyz]{14}",
                    '"',
                    "/",
                    r"\\",
                    "é",
                    "(?:one|two)",
                    " ",
                ]
            ),
            min_size=1,
            max_size=6,
        )
    )
    match = "".join(pieces)
    try:
        gate = bounds.gate_of(match)
    except bounds.Unfit:
        return
    text = data.draw(st.from_regex(match, fullmatch=True))
    assert re.search(gate.encode(), text.encode())
    assert re.search(gate.encode(), json.dumps(f"before {text} behind").encode())


def own(tmp_path, text):
    path = tmp_path / rules.FILE_NAME
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("emails = 1\n", "true or false"),
        ("alow = 1\n", "there is no 'alow'"),
        ("\n[token]\nkind = 'a'\n", r"\[\[token\]\]"),
        ("\n[[token]]\nkind = 'acme'\n", "line 2: token 1: `prefixes` is missing"),
        ("[[pattern]]\nkind = 'A'\nmatch = 'x'\n", "line 1: pattern 1: `kind`"),
        ("[[pattern]]\nkind = 'acme'\nmatch = 'acme_[0-9]+'\n", "line 1: pattern 1: .*without a limit"),
        ("[[pattern]]\nkind = 'acme'\nmatch = 'acme_[0-9]{9}'\ngate = '(?=a)b'\n", "gate cannot look for"),
        ("[allow]\nvalues = 'abc'\n", "lists of texts"),
        ("[allow]\nvalue = []\n", "holds `values` and `patterns`"),
        ("[allow]\npatterns = ['.*']\n", "pattern 1: .*without a limit"),
        ("emails = \n", "line 1"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_place_and_the_reason(tmp_path, text, why):
    path = own(tmp_path, text)
    with pytest.raises(RuleError, match=why) as refused:
        rules.load(path)
    assert str(path) in str(refused.value)


def test_rules_of_ones_own_are_found_in_json_before_the_bundled_ones(tmp_path):
    secret, other = "Zq7Kw2Vx9" * 3, "Jh5Nc3Mf6" * 3
    path = own(
        tmp_path,
        f"[[pattern]]\nkind = 'acme'\nmatch = 'ACME: \"(?P<secret>[A-Za-z0-9]{{27}})\"'\n"
        f"[[token]]\nkind = 'corp'\nprefixes = ['corp_']\nchars = 'A-Za-z0-9'\nleast = 20\nmost = 40\n"
        f"[allow]\nvalues = ['corp_{secret[::-1]}']\n",
    )
    body = json.dumps(
        {"text": f'ACME: "{other}x" and ACME: "{secret}" and corp_{other}, corp_{secret[::-1]}'}
    )
    assert len(secret) == 27
    cleaned = Redactor(b"k" * 32, rules.load(path)).clean(body.encode())
    assert dict(cleaned.kinds) == {"acme": 1, "corp": 1}
    assert secret[::-1].encode() in cleaned.body
