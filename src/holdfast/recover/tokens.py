"""How many tokens a text takes: an estimate on the safe side, the same on every machine, without any model's vocabulary.

Hundredths of a token by kind of character. How the figures were chosen: docs/explanation/packets.md.
"""

from __future__ import annotations

import re
from typing import Final

# kind of character: tokens per 100 of them
RATES: Final = {
    "letters": 40,  # ASCII: 2.5 characters a token
    "digits": 80,
    "symbols": 80,  # other ASCII that is no space
    "lines": 50,  # line ends
    "spaces": 4,  # a single one goes with its word
    "two_bytes": 75,  # in UTF-8: accents, Greek, Cyrillic, Hebrew, Arabic
    "three_bytes": 150,  # most of Asia's scripts
    "four_bytes": 300,  # emoji, rare characters
}
_KINDS = {
    "letters": re.compile("[A-Za-z]+"),
    "digits": re.compile("[0-9]+"),
    "symbols": re.compile(r"[!-/:-@\[-`{-~\x00-\x08\x0b-\x1f\x7f]+"),
    "lines": re.compile("\n+"),
    "spaces": re.compile("[ \t]+"),
    "two_bytes": re.compile("[\x80-\u07ff]+"),
    "three_bytes": re.compile("[\u0800-\uffff]+"),
    "four_bytes": re.compile("[\U00010000-\U0010ffff]+"),
}


def estimate(text: str) -> int:
    """Tokens that this text takes at most, as far as can be told without the model."""
    hundredths = sum(RATES[kind] * sum(map(len, pattern.findall(text))) for kind, pattern in _KINDS.items())
    return -(-hundredths // 100)
