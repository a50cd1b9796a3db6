"""Secrets that only their surroundings give away: name=value in its many spellings.

A name is found first (`password`, `DB_PASSWORD`, `clientSecret`, `--api-key`, `X-Auth-Token`), then what separates it from a
value, then the value as its surroundings delimit it; `plausible` decides.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from holdfast.redact.plausible import LONGEST, Place, is_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_EQUALS = frozenset(b":=|>,")  # what tells a value from the next word
_KEPT_NAMES = 10_000
_WASTED_BYTES = 64 << 10  # of values that were no secrets, in one stretch
_WORD = (
    rb"(?P<dash>(?<![\w-])--?)?(?P<name>[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,118}[A-Za-z0-9_])?(?:[ ](?i:secret[ ])?(?i:access[ ])?(?i:key|token|secret|phrase|string|passe))?"
    rb"|%b)"
)


class Found(NamedTuple):
    """A secret in a text: [start, end), its kind, and what it says."""

    start: int
    end: int
    kind: str
    value: bytes = b""
    loose: bool = False  # known by its surroundings only


def united(found: Iterable[Found]) -> list[Found]:
    """Finds in their order; overlapping ones as one, from the first byte to the last, by the kind of the one that was found first."""
    out: list[Found] = []
    for secret in sorted(found, key=lambda secret: (secret.start, secret.end)):
        if not out or secret.start >= out[-1].end:
            out.append(secret)
        elif secret.end > out[-1].end:
            value = secret.value if secret.start == out[-1].start else out[-1].value
            out[-1] = out[-1]._replace(end=secret.end, value=value)
    return out


class Names:
    """Which names say that a secret follows.

    Args:
        strong: parts of names that leave little doubt, as regular expressions; [(kind, part)].
        weak: parts that leave some. short: the same, of few letters: only where they begin a word.
        seen: an expression that is in every name of the tables; hint: a shorter one.
        never: whole names, or ends of names, that say something else.
    """

    def __init__(
        self,
        strong: Sequence[tuple[str, str]],
        weak: Sequence[tuple[str, str]],
        short: Sequence[tuple[str, str]],
        never: Sequence[str],
        never_cased: Sequence[str],
        seen: str,
        hint: str,
    ) -> None:
        both = [*strong, *weak, *short]
        self._kinds = [kind for kind, _ in both]
        self._strong = len(strong)
        parts = b"|".join(f"(?P<n{i}>{part})".encode() for i, (_, part) in enumerate(both))
        self._part = re.compile(rb"(?i:%b)" % parts)
        ends = [f"(?i:{end})" for end in never] + list(never_cased)
        self._never = re.compile(rb"(?:%b)\Z" % "|".join(ends).encode())
        self._hint = re.compile(rb"(?i:%b)" % hint.encode())
        written = re.findall(r"[^\x00-\x7f]{2,20}", seen)
        self._word = re.compile(_WORD % "|".join(written).encode())
        self.kind = lru_cache(_KEPT_NAMES)(self._kind)
        self.denies = lru_cache(_KEPT_NAMES)(self._denies)
        begun = b"|".join(part.encode() for _, part in short)
        self.escaped_gate = "|".join(map(_escaped, written)).encode()
        humps = b"|".join(part.title().encode() for _, all_ in short for part in all_.split("|"))
        self.long_gate = rb"(?:%b)" % seen.encode()
        self.flag_gate = rb"(?:%b|(?i:%b))" % (seen.encode(), begun)
        self.short_gate = rb"(?:(?:^|[^A-Za-z0-9]|\\[nrt])(?:%b)|[a-z](?:%b))" % (begun, humps)

    kind: Callable[[bytes], tuple[str, bool] | None]
    """(kind, whether strong) of a name that says a secret follows; None: it does not."""

    denies: Callable[[bytes], bool]
    """Whether a name says that no secret follows."""

    def _denies(self, name: bytes) -> bool:
        return self._never.search(name) is not None

    def _kind(self, name: bytes) -> tuple[str, bool] | None:
        if len(name) > 160 or not self._hint.search(name) or self._never.search(name):
            return None
        best: tuple[str, bool] | None = None
        for found in self._part.finditer(name):
            number = int(found.lastgroup[1:]) if found.lastgroup else 0
            if not _tells(name, found):
                continue
            best = self._kinds[number], number < self._strong
            if number < self._strong:
                break
        return best

    def find(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        """The secrets in `text` whose names begin in [start, end)."""
        at, wasted = start, 0
        while found := self._word.search(text, at, min(end + 160, len(text))):
            at = found.end()
            if found.start() >= end:
                return
            told = self.kind(found["name"])
            if told is None or _ELSEWHERE.search(text, max(0, found.start() - 200), found.start()):
                continue
            value = _value(text, found)
            if value is None:
                continue
            first, last, place = value
            first, last = trimmed(text, first, last)
            if (
                place is Place.CODE
                and not told[1]
                and not _EQUALS & set(text[found.end() : first])
                and not _is_drawn(text[first:last])
            ):
                continue
            if is_secret(text[first:last], place, strong=told[1] or found["dash"] is not None):
                yield Found(first, last, told[0])
                at = max(at, last)
                yield from _changed(text, last, place, told[0])
                continue
            wasted += last - first
            if wasted > _WASTED_BYTES:  # names in a value without end, each with the same end
                at = max(at, last)


def _changed(text: bytes, at: int, place: Place, kind: str) -> Iterator[Found]:
    """The value that took a secret's place: "old" -> "new"."""
    found = _INSTEAD.match(text, at)
    if found is not None and is_secret(found["value"], place, strong=True):
        yield Found(*found.span("value"), kind)


def trimmed(text: bytes, first: int, last: int) -> tuple[int, int]:
    """[first, last) without the white space at its ends."""
    while first < last and text[first : first + 1].isspace():
        first += 1
    while first < last and text[last - 1 : last].isspace():
        last -= 1
    return first, last


def _is_drawn(value: bytes) -> bool:
    """Long, and of capitals, small letters and digits: no name, and no commit."""
    plain = value.replace(b"-", b"").replace(b"_", b"")
    return (
        len(plain) >= 20 and plain.isalnum() and not (plain.islower() or plain.isupper() or plain.isalpha())
    )


def _escaped(word: str) -> str:
    """A word as JSON writes it that holds ASCII only, escaped once or more; a regular expression."""
    return "(?i:" + "".join(rf"\\+u{ord(char):04x}" for char in word) + ")"


def _tells(name: bytes, part: re.Match[bytes]) -> bool:
    """Whether a part of a name stands for itself there: "compass" holds no "pass", "author" no "auth"."""
    before, after = name[: part.start()][-1:], name[part.end() :][:1]
    first = part[0][:1]
    long = len(part[0]) >= 6  # "PGPASSWORD": nothing else ends so
    starts = long or not before.isalpha() or not first.isalpha() or (before.islower() and first.isupper())
    ends = not after.isalpha() or after.isupper() or after in {b"s", b"S"}
    return starts and ends


# ── values ──

_SEPARATOR = re.compile(
    rb"(?P<close>\\{0,3}[\"'`])?[\])]{0,2}(?:\*\*)?(?:[ \t]\[[^\]\r\n]{0,24}\])?(?:"
    rb"[ \t]{0,4}[,;]?[ \t\r\n+>-]{0,40}[\"']?(?i:value|default|content)[\"']?[ \t]{0,4}(?P<pair>[:=])(?:[ \t]{0,4}\r?\n)?[ \t]{0,40}"
    rb"|[ \t]{0,4}:[ \t]{0,4}[A-Za-z_&*][\w&*'\[\]., |?<>]{0,60}?(?:[ \t]{1,4}(?P<typed>=)(?!=)|(?P<joined>=)(?=[\"']))[ \t]{0,4}"
    rb"|[ \t]{0,40}(?P<sep>:=|=>|->|={1,3}|\?=|\|\|=|:-|(?:\|\||\?\?|or)(?=[ \t]{0,4}[\"'])|:(?:\*\*)?(?:[ \t]{0,4}\r?\n[ \t]{2,40}(?![^\r\n]{0,200}[:=][ \r\n]))?)[ \t]{0,20}(?:\([ \t]{0,4}(?:\\?[\r\n]{1,2}[ \t+]{0,24})?(?=[\"'`]))?"
    rb"|(?P<comma>,)[ \t]{0,8}"
    rb"|(?P<property>[ \t]{0,2}\{[^{}\r\n]{0,60}\}[ \t]{0,4}=[ \t]{0,4})"
    rb"|[ \t]{0,2}\{[^{}]{0,200}?(?:default|value)[ \t]{0,8}(?P<block>=)[ \t]{0,4}"
    rb"|(?P<cell>[ \t]{0,20}\|[ \t]{0,4})"
    rb"|</[\w:]{1,24}>\s{0,20}<[\w:]{1,24}(?P<element>>)"
    rb"|(?P<tag>(?:[ \t]{1,4}[\w:.-]{1,40}=\\{0,3}[\"'][^\"'<>\r\n]{0,80}[\"']){0,6}>(?:<!\[CDATA\[)?)"
    rb"|(?P<said>[ \t]{1,4}(?:[a-z]{1,10}[ \t]{1,2}){0,3}?(?:is|was|be|to|are|ist|lautet|war|es|est)[ \t]{0,2}:?[ \t]{1,2}(?:now[ \t])?)"
    rb"|(?P<space>[ \t]{1,20}|[ \t]{0,4}\\\r?\n[ \t]{0,40})"
    rb")"
)
_QUOTES = {
    quote: re.compile(rb"((?:[^%b\\\n]|\\.){0,%d})%b" % (quote, LONGEST, quote))
    for quote in (b'"', b"'", b"`")
}
_ELSEWHERE = re.compile(
    rb"arn:aws[^\s]{0,80}\Z|encryptedData:?\s[^}]{0,180}\Z|ENC\[[^\]]{0,80}\Z"
)  # names of secrets, and what is encrypted
_SETS = re.compile(rb"(?:^|[\s;&|])(?i:set|setenv|setx|export|env|arg)(?:[ ]-{1,2}[a-zA-Z]{1,8}){0,3}[ ]\Z")
_HEX = re.compile(rb"[0-9a-f]{4,64}[.,;:!?)\]}>]{0,2}\Z")
_PREFIX = re.compile(rb"(?:[rbufRBUF]{1,2}|N|@|\$)?(?=[\"'`])")
_DECODED = re.compile(
    rb"(?:\$\(|`)[^\r\n]{0,80}?base64[^\r\n]{0,60}?[\"' ](?P<code>[A-Za-z0-9+/_-]{12,4000}={0,2})[\"' )|`]"
)
_LINES = re.compile(rb"[A-Za-z0-9+/=_-]{8,200}(?:\r?\n[A-Za-z0-9+/=_-]{1,200}){1,40}")
_TRIPLE = re.compile(rb"(\"\"\"|''')([^\"']{1,%d})\1" % LONGEST)
_BARE = re.compile(rb"[^\s\"'`,;<>&|(){}\[\]\\\x00-\x1f]{1,%d}" % LONGEST)
_ARGUMENT = re.compile(rb"[^\s\"'`\x00-\x1f]{1,%d}" % LONGEST)
_REST_OF_LINE = re.compile(rb"(?:[^\r\n\x00-\x08\\]|\\(?![\"nrt\\])){1,%d}" % LONGEST)
_BLOCK = re.compile(
    rb"(?:!{1,2}[a-z]{1,12}[ \t])?[|>][-+]?[ \t]*\r?\n(?P<indent>[ \t]+)(?P<first>[^\r\n]{1,1000}(?:\r?\n(?P=indent)[^\r\n]{1,1000}){0,40})"
)
_LINE_START = re.compile(
    rb"(?:^|[\r\n])[ \t]{0,40}(?:[+-][ \t]{0,8}|>[ \t]?|#[ \t]?|//[ \t]?|[0-9]{1,6}[\t:|\xe2\x86\x92 ]{1,4}|export[ \t]+|set[ \t]+|setx[ \t]+|ENV[ \t]+|ARG[ \t]+|env[ \t]+|-[ \t]+|-e[ \t]+|--env[ \t]+|Environment=)?[\"']?\Z"
)
_INSTEAD = re.compile(rb"[\"'`]?[ ](?:->|=>|to|\xe2\x86\x92)[ ][\"'`]?(?P<value>[^\s\"'`]{5,400})")
_FALLBACK = re.compile(rb"[A-Za-z_$][\w$.()\[\]]{0,80}[ \t]{1,4}(?:\|\||\?\?|or)[ \t]{1,4}(?=[\"'`])")
_BROKEN = re.compile(rb"[\s\\]")
_CLOSED = re.compile(rb"\\{0,8}\"(?:[,}\]) ].*)?\Z")  # the end of a string that holds the line
_COMMENT = re.compile(rb"[ \t]+(?:#|//|;)(?:[ \t].*)?\Z")


def _value(text: bytes, name: re.Match[bytes]) -> tuple[int, int, Place] | None:
    """(start, end, place) of what a name is about; None: nothing follows it."""
    sep = _SEPARATOR.match(text, name.end())
    if sep is None:
        return None
    at = sep.end()
    dash = name["dash"] in {b"-", b"--"}
    if sep["comma"] and not (sep["close"] and _PREFIX.match(text, at)):
        return None
    if sep["tag"] or sep["element"]:
        stop = text.find(b"]]>" if sep[0].endswith(b"CDATA[") else b"<", at, at + LONGEST)
        return None if stop < 0 or b"\n" in text[at:stop] else (at, stop, Place.QUOTED)
    if sep["space"] is not None and not dash:
        return None if sep["close"] else _after_space(text, name, at)
    return _delimited(text, name, sep, at, dash=dash)


def _after_space(text: bytes, name: re.Match[bytes], at: int) -> tuple[int, int, Place] | None:
    """`ENV NAME value`, `set aws_secret_access_key VALUE`: only what looks drawn is one."""
    quote = text[at : at + 2].lstrip(b"Nn")[:1]
    if quote in {b'"', b"'"}:
        at = text.index(quote, at) + 1
        inside = _QUOTES[quote].match(text, at)
        return None if inside is None else (at, inside.end(1), Place.QUOTED)
    found = _ARGUMENT.match(text, at)
    variable = _SETS.search(text, max(0, name.start() - 40), name.start()) is not None
    if found is None or (
        _HEX.match(found[0]) and not variable
    ):  # the commit of a message that speaks of a token
        return None
    return at, _trimmed(found), Place.CODE


def _trimmed(found: re.Match[bytes]) -> int:
    return found.start() + len(found[0].rstrip(b".,;:!?)]}>"))


def _delimited(
    text: bytes, name: re.Match[bytes], sep: re.Match[bytes], at: int, *, dash: bool
) -> tuple[int, int, Place] | None:
    for before in (_FALLBACK, _PREFIX):
        if (found := before.match(text, at)) is not None:
            at = found.end()
    if (triple := _TRIPLE.match(text, at)) is not None:
        return *triple.span(2), Place.QUOTED
    if text[at : at + 1] in _QUOTES:
        return _quoted(text, at, dash=dash)
    if text[at : at + 1] == b"$" and (decoded := _DECODED.match(text, at)):
        return *decoded.span("code"), Place.ARGUMENT
    if sep["sep"] == b":" and (block := _BLOCK.match(text, at)) is not None:
        return *block.span("first"), Place.LINE
    if dash or sep["said"] is not None:
        return _word(text, at, dash=dash)
    return _bare(text, name, sep, at)


def _quoted(text: bytes, at: int, *, dash: bool) -> tuple[int, int, Place] | None:
    """A value in quotes, also over lines of nothing but letters and digits; without an end it is what the line holds."""
    quote = text[at : at + 1]
    if quote == b"`" and (decoded := _DECODED.match(text, at)):
        return *decoded.span("code"), Place.ARGUMENT
    at += 1
    inside = _QUOTES[quote].match(text, at)
    if inside is not None:
        return at, inside.end(1), Place.ARGUMENT if dash else Place.QUOTED
    lines = _LINES.match(text, at)
    if lines is not None and text[lines.end() : lines.end() + 1] == quote:
        return at, lines.end(), Place.QUOTED
    rest = _REST_OF_LINE.match(text, at)
    return None if rest is None else (at, rest.end(), Place.CODE)


def _word(text: bytes, at: int, *, dash: bool) -> tuple[int, int, Place] | None:
    """A flag's value, or the word that a sentence ends in."""
    found = _ARGUMENT.match(text, at)
    if found is None or (dash and found[0].startswith(b"-")):
        return None
    plain = sum(byte in b"0123456789" for byte in found[0]) < 2
    return at, _trimmed(found), Place.ARGUMENT if dash else Place.CODE if plain else Place.QUOTED


def _bare(text: bytes, name: re.Match[bytes], sep: re.Match[bytes], at: int) -> tuple[int, int, Place] | None:
    before = text[max(0, name.start() - 80) : name.start()]
    if (
        sep["sep"] in {b"=", b":"}
        and not sep["close"]
        and _LINE_START.search(b"\n" + before if name.start() < 80 else before)
    ):
        rest = _REST_OF_LINE.match(text, at)
        if rest is not None and _is_setting(name, sep, rest[0]):
            value = _COMMENT.sub(b"", _CLOSED.sub(b"", rest[0])).rstrip()
            return at, at + len(value), Place.LINE
    if before[-1:] in {b'"', b"'"} and sep[0] == b"=" and (inside := _QUOTES[before[-1:]].match(text, at)):
        return None if _BROKEN.search(inside[1]) else (at, inside.end(1), Place.ARGUMENT)
    if before[-1:] in {b"?", b"&", b";"} and sep["sep"] == b"=":
        found = _BARE.match(text, at)
        return None if found is None else (at, found.end(), Place.ARGUMENT)
    found = _BARE.match(text, at)
    if found is None:
        return None
    after = text[found.end() : found.end() + 1]
    if after in {b"(", b"[", b"{"} and after:
        return None
    shell = name["name"].isupper() and sep[0] == b"="
    return at, _trimmed(found), Place.LINE if shell else Place.CODE


def _is_setting(name: re.Match[bytes], sep: re.Match[bytes], rest: bytes) -> bool:
    """Whether a line is one of a file of settings, not of a program."""
    if rest[:1] in b"{[(" or (b" " in rest.strip() and not re.search(rb"[ \t]#", rest)):
        return False
    if sep[0] == b"=":
        return name["name"].isupper() or not re.search(rb"[()\[\]{};,]", rest)
    return sep["sep"] == b":" and rest[-1:] not in b",;{(["
