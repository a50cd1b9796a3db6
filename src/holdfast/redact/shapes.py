"""Secrets that are known by their own form: a provider's prefix, a key block, a signed token, a password in a URL."""

from __future__ import annotations

import base64
import binascii
import re
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from holdfast.redact.named import Found, Names, trimmed
from holdfast.redact.plausible import Place, is_secret, is_stand_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TOKEN_EDGE = rb"(?<![A-Za-z0-9])"
_BASE64_AROUND = re.compile(rb"[A-Za-z0-9+/=]{0,240}")


class Shape(Protocol):
    """A sort of secret: what the gate looks for, how far before the end of a hit it may begin, and the finding itself."""

    @property
    def gates(self) -> Sequence[bytes]: ...

    @property
    def back_bytes(self) -> int: ...

    def find(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        """The secrets in `text` that begin in [start, end)."""
        ...


class Pattern:
    """One expression. Its groups named secret, secret2, … are what is taken out; without one, all of it."""

    def __init__(
        self, kind: str, gate: str, match: str, near: Sequence[str] = (), *, distinct: int = 6
    ) -> None:
        self.kind = kind
        self.gates = (gate.encode(),)
        self.back_bytes, self.ahead_bytes = 400, 2_600
        self.expression = match
        self._near = re.compile(rb"(?i:%b)" % "|".join(map(re.escape, near)).encode()) if near else None
        self._distinct = distinct
        self.prefixes = _literal_starts(match)
        self._run = "[A-Za-z0-9_.=+/~-]{1,600}"

    # Compiled when first needed: few of some 200 ever are.

    @cached_property
    def match(self) -> re.Pattern[bytes]:
        """What is looked for around a hit of the gate."""
        return re.compile(self.expression.encode())

    @cached_property
    def begun(self) -> re.Pattern[bytes]:
        """What a secret looks like at the end of a text that may go on."""
        heads = "|".join(re.escape(prefix.decode()) for prefix in self.prefixes)
        return re.compile(f"(?<![A-Za-z0-9])(?:{heads}){self._run}\\Z".encode())

    @cached_property
    def _groups(self) -> list[str | int]:
        return sorted(name for name in self.match.groupindex if name.startswith("secret")) or [0]

    def find(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        for found in self.match.finditer(text, start, min(len(text), end + self.ahead_bytes)):
            if found.start() >= end:
                return
            if self._near is not None and not self._near.search(
                text, max(0, found.start() - 80), found.end()
            ):
                continue
            for group in self._groups:
                first, last = found.span(group)
                if last > first and self._holds(text, first, last):
                    yield Found(first, last, self.kind)

    def _holds(self, text: bytes, first: int, last: int) -> bool:
        value = text[first:last]
        if len(set(value)) < self._distinct or value.startswith(b"[REDACTED"):
            return False
        return not (len(value) < 200 and is_stand_in(value)) and not _inside_base64(text, first)


class Token(Pattern):
    """A distinctive prefix and a run of characters."""

    def __init__(
        self,
        kind: str,
        prefixes: Sequence[str],
        chars: str,
        least: int,
        most: int,
        tail: str = "",
        *,
        digits: bool = False,
        edge: bool = False,
    ) -> None:
        heads = "|".join(re.escape(prefix) for prefix in prefixes)
        run = f"[{chars}]"
        gate = (
            f"(?:{_gate_literal(prefixes)}){run}{{{min(least, 12 if min(map(len, prefixes)) > 3 else 24)}}}"
        )
        if edge:  # what begins like the end of a word
            gate = f"(?:[^A-Za-z0-9_]|\\\\+[nrt]|m){gate}|^{gate}"
        end = tail or "(?![A-Za-z0-9])"
        super().__init__(kind, gate, f"(?<![A-Za-z0-9])(?:{heads})(?P<run>{run}{{{least},{most}}}){end}")
        self.prefixes = tuple(prefix.encode() for prefix in prefixes)
        self._run = f"{run}{{1,{most}}}"
        self._digits = digits

    def _holds(self, text: bytes, first: int, last: int) -> bool:
        value = text[first:last]
        if self._digits and not any(byte in b"0123456789" for byte in value):
            return False
        return super()._holds(text, first, last)


def _literal_starts(match: str) -> tuple[bytes, ...]:
    """What every match of an expression begins with, where that is plain text of some length."""
    inside = match.partition("(?P<secret>")[2]
    found = re.match(r"(?:[A-Za-z0-9_-]|\\[.$_-])+", inside)
    if found is None or inside[found.end() : found.end() + 1] in {"?", "*", "{", "|", "+"}:
        return ()
    text = found[0].replace("\\", "")
    return (text.encode(),) if len(text) >= 3 and (not text.isalpha() or len(text) >= 4) else ()


def _gate_literal(prefixes: Sequence[str]) -> str:
    return "|".join(re.escape(prefix).replace("/", r"\\?/") for prefix in prefixes)


def _inside_base64(text: bytes, first: int) -> bool:
    """Whether a match is a stretch of a long run of base64, where any letters turn up."""
    if text[first - 1 : first] not in {b"+", b"/"} or not first:
        return False
    before = text[max(0, first - 240) : first]
    return re.search(rb"[A-Za-z0-9+/]{200}\Z", before) is not None


class KeyBlock:
    """Private keys in PEM: what stands between the two lines. Also one that is cut, quoted, or behind line prefixes."""

    kind = "private-key"
    gates = (rb"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY",)
    back_bytes, ahead_bytes = 80, 64 << 10
    begin = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
    end = re.compile(rb"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
    _line = re.compile(
        rb"(?:[^A-Za-z0-9+/\r\n]{0,12}(?:[A-Za-z0-9+/=]{16,512}|[A-Z][A-Za-z-]{2,20}: [^\r\n]{0,120}|[A-Za-z0-9+/]{1,63}={0,2})?[^A-Za-z0-9+/\r\n]{0,8}(?:\r?\n|\Z))"
    )

    def find(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        for opened in self.begin.finditer(text, start, min(len(text), end + 80)):
            if opened.start() >= end:
                return
            closed = self.end.search(text, opened.end(), opened.end() + self.ahead_bytes)
            last = closed.start() if closed else self._run_end(text, opened.end())
            first, last = trimmed(text, opened.end(), last)
            if _base64_bytes(text[first:last]) >= 24 and not is_stand_in(text[first : first + 60]):
                yield Found(first, last, self.kind)

    def _run_end(self, text: bytes, at: int) -> int:
        """Of a block without its last line: as far as its lines go."""
        while at < len(text) and (line := self._line.match(text, at)) and line.end() > at:
            at = line.end()
        return at


def _base64_bytes(text: bytes) -> int:
    return sum(len(run) for run in re.findall(rb"[A-Za-z0-9+/=]{16,}", text))


class SignedToken:
    """JSON Web Tokens of two to five parts; the first says `{"` in base64."""

    kind = "jwt"
    gates = (rb"eyJ[A-Za-z0-9_-]{8}[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{4}", rb"ZXlK[A-Za-z0-9+/]{24}")
    back_bytes, ahead_bytes = 2_100, 9_000
    _match = re.compile(
        rb"(?<![A-Za-z0-9_-])(?P<head>eyJ[A-Za-z0-9_-]{8,2000})\.(?P<rest>[A-Za-z0-9_-]{8,8000}(?:\.[A-Za-z0-9_-]{0,4000}){0,3})"
    )

    def find(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        for found in self._match.finditer(text, start, min(len(text), end + self.ahead_bytes)):
            if found.start() >= end:
                return
            if not self._is_header(found["head"]) or _is_example(found["rest"]):
                continue
            if b"." in found["rest"] or found["rest"].startswith(b"eyJ"):
                yield Found(found.start(), found.start() + len(found[0].rstrip(b".")), self.kind)

    def _is_header(self, head: bytes) -> bool:
        try:
            return base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)).lstrip().startswith(b'{"')
        except (binascii.Error, ValueError):
            return False


_EXAMPLES = (b"SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c", b"TJVA95OrM7E2cBab30RMHrHDcEfxjoYZgeFONFh7HgQ")


def _is_example(rest: bytes) -> bool:
    return rest.endswith(_EXAMPLES)


_PUBLIC_HOST = re.compile(
    rb"(?i)(?:^|\.)(?:ingest\.)?(?:[a-z]{2}\.)?sentry\.io\Z"
)  # what stands before it is no secret by itself


class Address:
    """Passwords and tokens before the host of a URL."""

    kind = "url-password"
    gates = (
        rb"[A-Za-z0-9+]:(?:\\{0,4}/){2}[^\s\"'<>@/\\:]*:[^\s\"'<>@\\]{3}[^\s\"'<>@\\]*@[A-Za-z0-9\[$%{.-]",
        rb"(?i:https?):(?:\\{0,4}/){2}[^\s\"'<>@/\\:]{16,255}@[A-Za-z0-9]",
    )
    back_bytes, ahead_bytes = 420, 420
    _match = re.compile(
        rb"[A-Za-z][A-Za-z0-9+.-]{1,40}://(?:(?P<user>[^\s\"'<>`@/:]{0,120}):(?P<password>[^\s\"'<>`]{3,240}?)|(?P<token>[^\s\"'<>`@/:]{16,255}))"
        rb"@(?P<host>\[[0-9a-fA-F:]{2,40}\]|[A-Za-z0-9][A-Za-z0-9._-]{0,120}|\$\{?\w{1,40}\}?)(?::[0-9]{1,5}|[/?#\s\"'<>`,;)\]}\\]|\Z)"
    )

    def find(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        for found in self._match.finditer(text, start, min(len(text), end + self.ahead_bytes)):
            if found.start() >= end:
                return
            group = "password" if found["password"] is not None else "token"
            value = found[group]
            if group == "password" and (value.startswith(b"//") or b"://" in value):
                continue
            user = (found["user"] or b"").lower()
            if group == "token" and _PUBLIC_HOST.search(found["host"]):
                continue
            weak_pair = value.lower() == user and len(value) < 10
            if not weak_pair and is_secret(value, Place.ARGUMENT, strong=group == "password"):
                yield Found(*found.span(group), self.kind)


class Header:
    """Credentials in HTTP headers, and what is called a bearer token anywhere."""

    kind = "authorization"
    gates = (
        rb"(?i:authorization)[\\\"'`\])]{0,6}\s{0,4}[:=,]\s{0,4}[\\\"'`]{0,5}[A-Za-z0-9$]",
        rb"(?i:bearer)(?:\s|%20|\+|\\t){1,4}[A-Za-z0-9+/_.=~-]{10}",
    )
    back_bytes, ahead_bytes = 80, 4_200
    _match = re.compile(
        rb"(?i)(?:(?P<name>(?:x-)?(?:proxy-)?(?:\w{1,20}[-_])?authorization)[\"'`]?[\])]?\s{0,4}[:=,]\s{0,4}[\"'`]?(?:(?P<scheme>bearer|basic|token|apikey|api-key|ssws|key|digest|negotiate|jwt|oauth|bot|splunk|genie-?key|sso-key)\s{1,4}(?:token=\"?)?)?|(?P<bearer>bearer)[\s+]{1,4})"
        rb"(?P<secret>[A-Za-z0-9+/_.=~:|%$-]{8,4096})"
    )

    def find(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        for found in self._match.finditer(text, start, min(len(text), end + self.ahead_bytes)):
            if found.start() >= end:
                return
            first, last = found.span("secret")
            last = first + len(found["secret"].rstrip(b".:"))
            value = text[first:last]
            after = text[last : last + 1]
            if after in {b"(", b"{"} and after:
                continue
            scheme = (found["scheme"] or found["bearer"] or b"").lower()
            if scheme == b"basic":
                if _is_basic(value):
                    yield Found(first, last, "basic-auth")
            elif is_secret(
                value, Place.ARGUMENT if found["name"] and scheme else Place.CODE, strong=bool(scheme)
            ) and not (value.isalpha() and not found["scheme"]):
                yield Found(first, last, "bearer-token" if scheme == b"bearer" else self.kind)


def _is_basic(value: bytes) -> bool:
    """Whether base64 says user:password, and the password is one."""
    try:
        said = base64.b64decode(value + b"=" * (-len(value) % 4), validate=False)
    except (binascii.Error, ValueError):
        return False
    user, sep, password = said.partition(b":")
    return (
        bool(sep)
        and not (is_stand_in(password) and is_stand_in(user))
        and said.isascii()
        and len(password) >= 3
    )


class Cookies:
    """Values of cookies that say who somebody is."""

    kind = "cookie"
    gates = (
        rb"(?i:cookie)[\\\"'`\])]{0,6}\s{0,4}[:=,]\s{0,4}[\\\"'`]{0,5}[A-Za-z0-9_.%-]{1,60}=[A-Za-z0-9%]",
    )
    back_bytes, ahead_bytes = 80, 4_200
    _match = re.compile(
        rb"(?i)(?:set-)?cookies?[\"'`]?[\])]?\s{0,4}[:=,]\s{0,4}[\"'`]?(?P<pairs>[^\r\n\"'`]{3,4096})"
    )
    _pair = re.compile(rb"(?P<name>[A-Za-z0-9_.%-]{1,64})=(?P<value>[^;\s,\"']{8,2048})")
    _who = re.compile(
        rb"(?i)sess|sid\Z|\Asid|auth|token|jwt|remember|identity|login|user|csrf|xsrf|secret|__(?:host|secure)|access|refresh|_id\Z"
    )
    _aside = re.compile(
        rb"(?i)\A(?:path|domain|expires|max-age|samesite|version|comment|priority|theme|lang|locale|_ga\w*|_gid|utm_\w+|tz|timezone)\Z"
    )

    def find(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        for found in self._match.finditer(text, start, min(len(text), end + self.ahead_bytes)):
            if found.start() >= end:
                return
            for pair in self._pair.finditer(text, *found.span("pairs")):
                if self._aside.match(pair["name"]):
                    continue
                if is_secret(pair["value"], Place.QUOTED, strong=bool(self._who.search(pair["name"]))):
                    yield Found(*pair.span("value"), self.kind)


_RULE = re.compile(rb"[-+|: \t=\r]{3,400}\Z")
_HEADING = re.compile(rb"[+-]?\s*[\"']?[A-Za-z][\w .-]{0,40}[\"']?\s*\Z")


class Table:
    """Columns whose heading says that secrets stand below it: CSV, Markdown, what a database prints."""

    _rows = 60

    def __init__(self, names: Names) -> None:
        self._names = names

    def find(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        at = text.rfind(b"\n", 0, start) + 1
        while at < end:
            stop = text.find(b"\n", at)
            if stop < 0:
                return
            yield from self._below(text, at, stop)
            at = stop + 1

    def _below(self, text: bytes, at: int, stop: int) -> Iterator[Found]:
        heading = text[at:stop].rstrip(b"\r")
        separator = next((mark for mark in (b"|", b"\t", b";", b",") if mark in heading), None)
        if separator is None or len(heading) > 400 or re.search(rb"[=(){}<>:]", heading):
            return
        if separator != b"|" and not all(map(_HEADING.match, heading.split(separator))):
            return
        columns = [
            (number, told)
            for number, name in enumerate(heading.split(separator))
            if (told := self._names.kind(name.strip(b" +\"'*`").replace(b" ", b"_"))) is not None
        ]
        if not columns:
            return
        for _ in range(self._rows):
            at, stop = stop + 1, text.find(b"\n", stop + 1)
            stop = len(text) if stop < 0 else stop
            cells = _cells(text, at, stop, separator)
            if _RULE.match(text, at, stop):
                continue
            if at >= stop or len(cells) != len(heading.split(separator)):
                return
            for number, told in columns:
                if number < len(cells) and is_secret(
                    text[slice(*cells[number])], Place.QUOTED, strong=told[1]
                ):
                    yield Found(*cells[number], told[0])


def _cells(text: bytes, at: int, stop: int, separator: bytes) -> list[tuple[int, int]]:
    """Where the cells of a row stand, without quotes and white space."""
    found = []
    pattern = re.compile(
        rb"[ \t]{0,40}\"((?:[^\"]|\"\"){0,400})\"[ \t]{0,40}(?=%b|\r|\Z)|([^%b\r]{0,400})"
        % (re.escape(separator), re.escape(separator))
    )
    while at <= stop:
        cell = pattern.match(text, at, stop)
        if cell is None:
            break
        found.append(_bared(text, *cell.span(1 if cell[1] is not None else 2)))
        at = cell.end() + 1
    return found


def _bared(text: bytes, first: int, last: int) -> tuple[int, int]:
    first, last = trimmed(text, first, last)
    while (
        last - first > 1
        and text[first : first + 1] == text[last - 1 : last]
        and text[first : first + 1] in {b"`", b"'", b'"'}
    ):
        first, last = first + 1, last - 1
    return first, last


class Named:
    """name=value, by the tables of names."""

    back_bytes = 160

    def __init__(self, names: Names) -> None:
        long = names.long_gate
        more = rb"(?:[-_.][A-Za-z0-9_.-]+|(?:Value|String|Text|Key|Secret|Prod|Dev|Base(?:64)?|Raw|Plain|Header)?[0-9]{0,2})"
        close = rb"[\\\"'`\])*]*"
        white = rb"(?:[ \t\r\n]|\\+[nrt])*"
        opens = rb"[\\\"'`@($N*]*"
        ansi = rb"(?:\\{0,8}(?:u001[bB]|x1[bB]|033|e)\[[0-9;]{0,12}m)?"
        value = rb"(?:[0-9]{0,5}[A-Za-z+/_.@!#%^&*~=?:<$|({;-]|[0-9]{6}|[\x80-\xff]|\\+u[0-9a-fA-F])(?:[^\s\"'\\]|\\+u){3}"
        equals = rb"(?:\|?[:?|]=|=>|->|={1,3}|:-?|\|\||\?\?|>|\||%3[dDaA]|\\{1,4}u003[dDaAeE])"
        breaks = rb"(?:[ \t\r\n]|\\+[nrt][+>|-]?)*"
        prefix = rb"(?:[rbuf][\\\"'`]+)?"
        assigned = ansi + white + equals + white + ansi + opens + breaks + opens + prefix + value
        after_space = (
            rb"(?:[ ]{1,4}|\t|\\+t)"
            + opens
            + rb"(?:[^\s\"':=,()<>]*[0-9][^\s\"'(]{3}|[^\s\"':=,()<>]{4}[^\s\"':=,()<>]*[0-9])"
        )
        otherwise = (
            rb"[ ]?:[ ]?[A-Za-z_&*][A-Za-z0-9_\[\]., |?&*]*=",
            rb"[,;]?(?:\\+[nr]|[\r\n])?[ +>-]*[\\\"']*(?i:value|default|content)[\\\"']*[ ]?[:=]",
            rb"[\"'][ ]?\{|[ ]\{ ?get",
            rb"[ ]{1,2}(?:[a-z]+[ ]){0,3}(?:is|was|be|to|are|ist|lautet|war|es|est)[ ]?:?[ ]"
            + opens
            + rb"[^\s\"']*[0-9]",
            rb":[ ]?[\[{|>]",
            rb"</",
            rb"[ ]?=[ ]?(?:\$\(|`)",
            rb"[ ]?[:=>]{1,2}[ ]?\\*[\"'][\[>)\]},][^\s\"'\\]{3}",
        )
        listed = rb"(?:_[A-Z0-9_]+)?\\*[\"'`][ ]?,(?:[ \r\n]|\\+[rn])*\\*[\"'`]\\*" + value
        last = rb"(?:[,;|\t]|\\+t)[ ]*[\\\"']*" + long + rb"[\\\"']*[ ]*(?:[,;|\t\r\n]|\\+[rnt])"
        # Apart, though one expression would say it: as one they are too much for the engine's fast machines.
        self.gates = (
            long + more + close + assigned,
            long + more + close + rb"(?:" + rb"|".join(otherwise) + rb")",
            long + more + close + after_space,
            names.short_gate + close + white + rb"(?:=|=>|:)" + white + opens + rb"[^\s\"'\\(]*[0-9]",
            long + listed,
            long + rb"[\\\"']*[ ]*(?:[,;|\t]|\\+t)[ ]*[\\\"']*[A-Za-z_]+[\\\"' ]*(?:[\r\n]|\\+[rn])",
            last,
            rb"(?:--|[?&;])"
            + names.flag_gate
            + rb"(?:[-_][a-z_-]{1,20})?(?:=|[ ]{1,2}(?:\\+[rn]?\s*)?)"
            + opens
            + rb"[^\s\"'-]{4}",
            names.escaped_gate + close + white + rb"[:=]",
        )
        self._table = Table(names)
        self._names = names

    def find(self, text: bytes, start: int, end: int) -> Iterator[Found]:
        yield from self._names.find(text, start, end)
        yield from self._table.find(text, start, end)
