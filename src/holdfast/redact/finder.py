"""Find the secrets in one text, in every reading of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from holdfast.redact import deltas, views
from holdfast.redact.gate import Gate
from holdfast.redact.named import Found
from holdfast.redact.shapes import KeyBlock, Pattern, SignedToken, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdfast.redact.rules import Rules
    from holdfast.redact.shapes import Shape

# Encodings that may hide a secret from the expressions of the rules; each is looked at only when it stands there.
_HIDDEN = (
    deltas.MARK,
    rb"\\u00(?:2[dD]|5[fF]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])",
    rb"\\x(?:2[dD]|5[fF]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])",
    rb"(?:%(?:2[dD]|5[fF]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])){2}",
    rb"%(?:2[dD]|5[fF]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])[A-Za-z0-9_]{3}|[A-Za-z0-9_]{3}%(?:2[dD]|5[fF]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])",
    rb"[A-Za-z0-9_=:+/.-](?:\\*(?:u001[bB]|x1[bB]|033|e|\x1b)\[[0-9;]*[mK])+[A-Za-z0-9_=:+/.-]",
    rb"[A-Za-z0-9_-](?:\xe2\x80[\x8b-\x8d]|\xe2\x81\xa0|\xef\xbb\xbf|\xc2\xad|\\+u(?:200[b-dB-D]|2060|[fF][eE][fF][fF]|00[aA][dD]))[A-Za-z0-9_-]",
    rb"(?i:base64(?:[ ]|\\{0,8}[\"'])+(?:-d|--decode)|base64.?decode|-enc(?:odedcommand)?[ ]+[A-Za-z0-9+/]{20})",
)
_WORDS_IN_BASE64 = (
    "password", "passwd", "secret", "token", "api_key", "apikey", "access_key", "private_key", "client_secret",
    "credential", "authorization", "bearer ",
)  # fmt: skip
_FORMS_IN_BASE64 = (
    "PRIVATE KEY", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "sk-ant-", "sk-proj-", "sk_live_", "npm_",
    "postgres://", "postgresql://", "mysql://", "mongodb", "redis://", "AIzaSy", "hf_", "dckr_pat_", "SG.", "sk-", "eyJhbGci",
)  # fmt: skip
_LEAST_IN_BASE64 = 6
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_STEP_BYTES = 4 << 10


class Region(NamedTuple):
    """Where one shape may begin."""

    start: int
    end: int


class TooLong(Exception):
    """Looking took longer than it may."""


def in_base64(word: str) -> set[str]:
    """What a word looks like in base64, at each of its three places in a group; only what does not depend on its neighbours."""
    bits = "".join(f"{byte:08b}" for byte in word.encode())
    found = set()
    for skipped in (0, 2, 4):
        whole = bits[(6 - (8 * (skipped // 2)) % 6) % 6 :]
        text = "".join(_ALPHABET[int(whole[at : at + 6], 2)] for at in range(0, len(whole) - 5, 6))
        found.add(text)
    return found


def _base64_gates(prefixes: Iterable[str] = ()) -> list[bytes]:
    words = {form for word in _WORDS_IN_BASE64 for form in (word, word.upper(), word.title())} | set(
        _FORMS_IN_BASE64
    )
    found = {text for word in words.union(prefixes) for text in in_base64(word)}
    long = {text for text in found if len(text) >= _LEAST_IN_BASE64}
    short = {text + "[A-Za-z0-9+/_-]{24}" for text in found if len(text) == _LEAST_IN_BASE64 - 1}
    return [text.replace("+", r"\+").encode() for text in sorted(long)] + [
        text.encode() for text in sorted(short) if "+" not in text[:5]
    ]


class Finder:
    """Finds secrets by `rules`.

    Args:
        rules: the rules.
        load, keep: see `Gate`.
    """

    def __init__(
        self,
        rules: Rules,
        load: Callable[[str], bytes | None] = lambda _: None,
        keep: Callable[[str, bytes], None] = lambda _, __: None,
    ) -> None:
        self._rules = rules
        expressions: list[bytes] = []
        self._owners: list[int] = []
        for number, shape in enumerate(rules.shapes):
            for gate in shape.gates:
                expressions.append(gate)
                self._owners.append(number)
        self._hidden_from = len(expressions)
        expressions.extend(_HIDDEN)
        self.stream_mark = len(expressions) - len(_HIDDEN)  # the first of them
        self._base64_from = len(expressions) - 1  # the last of the hidden ones, too
        prefixes = {
            prefix.decode() for shape in rules.shapes if isinstance(shape, Token) for prefix in shape.prefixes
        }
        expressions.append(b"|".join(_base64_gates(prefix for prefix in prefixes if len(prefix) >= 4)))
        self.gate = Gate(expressions, load, keep)
        self.key_blocks = frozenset(
            n for n, owner in enumerate(self._owners) if isinstance(rules.shapes[owner], KeyBlock)
        )
        self.joining = frozenset(
            number for number, owner in enumerate(self._owners) if _is_certain(rules.shapes[owner])
        ) | {self._base64_from, self._base64_from + 1}
        self.tokens = [shape for shape in rules.shapes if isinstance(shape, Pattern) and shape.prefixes]

    def find(
        self, text: bytes, check: Callable[[], None] = lambda: None, *, joined: bool = True
    ) -> list[Found]:
        """Every secret in a decoded text, in its order, none overlapping.

        Args:
            text: what a string says, without the escapes of the JSON it stands in.
            check: called again and again; may raise TooLong.
            joined: whether what was broken over lines is looked for too.
        """
        found: list[tuple[int, int, int, str, bytes]] = []
        for depth, view in enumerate(views.readings(text, joined=joined)):
            check()
            for secret in self._in_reading(view.text, check, certain=view.guessed):
                value = secret.value or view.text[secret.start : secret.end]
                place = view.places(secret.start, secret.end)
                if (
                    view.joined
                    and secret.loose
                    and not any(place[0] <= other[0] < place[1] for other in found)
                ):
                    continue  # the line it begins in says nothing of the kind
                if not self._rules.lets_through(value):
                    found.append((*place, depth, secret.kind, value))
        return _merged(found)

    def _in_reading(self, text: bytes, check: Callable[[], None], *, certain: bool = False) -> list[Found]:
        hits = self.gate.hits(text)
        if not hits:
            return []
        found: list[Found] = []
        ends: dict[int, list[int]] = {}
        encoded = False
        for number, end in hits:
            if number >= self._base64_from:
                encoded = True
            elif number < self._hidden_from:
                ends.setdefault(self._owners[number], []).append(end)
        for owner in sorted(ends):
            shape = self._rules.shapes[owner]
            if certain and not _is_certain(shape):
                continue
            for region in _regions(ends[owner], shape.back_bytes, len(text)):
                check()
                loose = not isinstance(shape, (Pattern, SignedToken, KeyBlock))
                found.extend(
                    secret._replace(loose=loose) for secret in shape.find(text, region.start, region.end)
                )
        if encoded:
            found.extend(self._in_base64(text, check))
        return found

    def _in_base64(self, text: bytes, check: Callable[[], None]) -> Iterable[Found]:
        for start, end, said, width in views.base64_runs(views.View(text)):
            check()
            for secret in self._in_reading(said, check):
                value = secret.value or said[secret.start : secret.end]
                if self._rules.lets_through(value):
                    continue
                stop = min(end, start + -(-secret.end * width // 3) * 4)
                yield Found(start + secret.start * width // 3 * 4, stop, secret.kind, value)


def _is_certain(shape: Shape) -> bool:
    """Whether a shape is known by how it begins."""
    return isinstance(shape, SignedToken) or (isinstance(shape, Pattern) and bool(shape.prefixes))


def _regions(ends: list[int], back: int, length: int) -> list[Region]:
    """Where a shape may begin, given where its gate's matches end; each at most `_STEP_BYTES` long."""
    found: list[Region] = []
    for end in sorted(ends):
        start, stop = max(0, end - back), min(length, end + 1)
        if found and start <= found[-1].end:
            found[-1] = Region(found[-1].start, max(stop, found[-1].end))
        else:
            found.append(Region(start, stop))
    return [
        Region(at, min(at + _STEP_BYTES, region.end))
        for region in found
        for at in range(region.start, region.end, _STEP_BYTES)
    ]


def _merged(found: list[tuple[int, int, int, str, bytes]]) -> list[Found]:
    """Overlapping finds as one: from the first byte to the last, by the name of the one that was sure first."""
    out: list[Found] = []
    for first, last, _, kind, value in sorted(found):
        if out and first < out[-1].end:
            whole = value if first == out[-1].start and last > out[-1].end else out[-1].value
            out[-1] = out[-1]._replace(end=max(last, out[-1].end), value=whole)
        else:
            out.append(Found(first, last, kind, value))
    return out
