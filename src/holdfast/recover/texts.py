"""Foreign text with its source, and how it is made shorter."""

from __future__ import annotations

import msgspec

MOST_CHARS = 20_000  # of one text in a dossier; no packet has room for more
_WORD_CHARS = 20  # up to here a word is not cut


class Text(msgspec.Struct, frozen=True):
    """What somebody or something said.

    Attributes:
        text: the words, never more than `MOST_CHARS`.
        source: whose they are, in our words and names that the source gave.
        chars: how long the whole is; None: longer than `text`, by how much is unknown.
        from_end: `text` is the end of the whole and is cut at its beginning; else the other way round.
    """

    text: str
    source: str
    chars: int | None
    from_end: bool = False

    @classmethod
    def of(cls, text: str, source: str, *, from_end: bool = False) -> Text:
        """A text that is known to its end."""
        whole = cls(text, source, len(text), from_end)
        return whole.shortened(MOST_CHARS)

    @classmethod
    def beginning(cls, text: str, source: str) -> Text:
        """A text of which no more is known."""
        return cls(text[:MOST_CHARS], source, None)

    @property
    def part(self) -> str:
        """whole, beginning or end: which part `text` is."""
        if self.chars == len(self.text):
            return "whole"
        return "end" if self.from_end else "beginning"

    def shortened(self, most_chars: int) -> Text:
        """At most so many characters of it, whole words unless they are long."""
        if len(self.text) <= most_chars:
            return self
        kept = _end(self.text, most_chars) if self.from_end else _beginning(self.text, most_chars)
        return Text(kept, self.source, self.chars, self.from_end)


def _beginning(text: str, most_chars: int) -> str:
    kept = text[:most_chars]
    space = max(kept.rfind(sign, max(0, most_chars - _WORD_CHARS)) for sign in " \n")
    return kept[:space] if space > 0 else kept


def _end(text: str, most_chars: int) -> str:
    kept = text[len(text) - most_chars :]
    spaces = [at for sign in " \n" if (at := kept.find(sign, 0, _WORD_CHARS)) >= 0]
    return kept[min(spaces) + 1 :] if spaces else kept
