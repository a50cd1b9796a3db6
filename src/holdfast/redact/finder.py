"""Find the secrets in one text, in every reading of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.redact import deltas, views
from holdfast.redact.gate import APART_BYTES, Gate
from holdfast.redact.named import Found, united
from holdfast.redact.shapes import KeyBlock, Pattern, SignedToken, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdfast.redact.rules import Rules
    from holdfast.redact.shapes import Shape

# Encodings that may hide a secret from the expressions of the rules; each is looked at only when it stands there.
_ENCODED = (
    rb"\\u00(?:2[dD]|5[fF]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])",
    rb"\\x(?:2[dD]|5[fF]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])",
    rb"(?:%(?:2[dD]|5[fF]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])){2}",
    rb"%(?:2[dD]|5[fF]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])[A-Za-z0-9_]{3}|[A-Za-z0-9_]{3}%(?:2[dD]|5[fF]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])",
    rb"[A-Za-z0-9_=:+/.-](?:\\*(?:u001[bB]|x1[bB]|033|e|\x1b)\[[0-9;]*[mK])+[A-Za-z0-9_=:+/.-]",
    rb"[A-Za-z0-9_-](?:\xe2\x80[\x8b-\x8d]|\xe2\x81\xa0|\xef\xbb\xbf|\xc2\xad|\\+u(?:200[b-dB-D]|2060|[fF][eE][fF][fF]|00[aA][dD]))[A-Za-z0-9_-]",
)
_DECODES_BASE64 = rb"(?i:base64(?:[ ]|\\{0,8}[\"'])+(?:-d|--decode)|base64.?decode|-enc(?:odedcommand)?[ ]+[A-Za-z0-9+/]{20})"
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
        owned = [(number, gate) for number, shape in enumerate(rules.shapes) for gate in shape.gates]
        self._owners = [number for number, _ in owned]
        self.stream_mark = len(owned)
        prefixes = {
            prefix.decode() for shape in rules.shapes if isinstance(shape, Token) for prefix in shape.prefixes
        }
        said = b"|".join(_base64_gates(prefix for prefix in prefixes if len(prefix) >= 4))
        expressions = [*(gate for _, gate in owned), deltas.MARK, *_ENCODED, _DECODES_BASE64, said]
        self._base64 = frozenset((len(expressions) - 2, len(expressions) - 1))
        self.gate = Gate(expressions, load, keep)
        self.key_blocks = frozenset(
            n for n, owner in enumerate(self._owners) if isinstance(rules.shapes[owner], KeyBlock)
        )
        self.joining = self._base64.union(
            number for number, owner in enumerate(self._owners) if _is_certain(rules.shapes[owner])
        )
        self._prefixes = tuple(
            prefix
            for shape in rules.shapes
            if isinstance(shape, Pattern)
            for prefix in shape.prefixes
            if len(prefix) > 2
        )
        self.tokens = [shape for shape in rules.shapes if isinstance(shape, Pattern) and shape.prefixes]

    def begins_a_token(self, value: bytes) -> bool:
        """Whether a value of nothing but letters of base64 begins as a provider's tokens do, by a mark that base64 has not."""
        return (b"_" in value[:16] or b"-" in value[:16]) and value.startswith(self._prefixes)

    def find(
        self, text: bytes, check: Callable[[], None] = lambda: None, *, joined: bool = True
    ) -> list[Found]:
        """Every secret in a decoded text, in its order, none overlapping.

        Args:
            text: what a string says, without the escapes of the JSON it stands in.
            check: called again and again; may raise TooLong.
            joined: whether what was broken over lines is looked for too.
        """
        found: list[Found] = []
        for view in views.readings(text, joined=joined):
            check()
            for secret in self._in_reading(view.text, check, certain=view.guessed):
                value = secret.value or view.text[secret.start : secret.end]
                start, end = view.places(secret.start, secret.end)
                if view.joined and secret.loose and not any(start <= other.start < end for other in found):
                    continue  # the line it begins in says nothing of the kind
                if not self._rules.lets_through(value):
                    found.append(Found(start, end, secret.kind, value))
        return united(found)

    def _in_reading(self, text: bytes, check: Callable[[], None], *, certain: bool = False) -> list[Found]:
        hits = self.gate.hits(text)
        if not hits:
            return []
        found: list[Found] = []
        ends: dict[int, list[int]] = {}
        encoded = False
        for number, end in hits:
            encoded |= number in self._base64
            if number < len(self._owners):
                ends.setdefault(self._owners[number], []).append(end)
        for owner in sorted(ends):
            shape = self._rules.shapes[owner]
            if certain and not _is_certain(shape):
                continue
            loose = not isinstance(shape, (Pattern, SignedToken, KeyBlock))
            for start, end in _regions(ends[owner], shape.back_bytes, len(text)):
                check()
                found.extend(secret._replace(loose=loose) for secret in shape.find(text, start, end))
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


def _regions(ends: list[int], back: int, length: int) -> list[tuple[int, int]]:
    """Where a shape may begin, given where its gate's matches end; each at most `_STEP_BYTES` long."""
    found: list[tuple[int, int]] = []
    for end in sorted(ends):
        start, stop = max(0, end - back), min(length, end + APART_BYTES)
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], stop
        else:
            found.append((start, stop))
    return [
        (at, min(at + _STEP_BYTES, stop)) for start, stop in found for at in range(start, stop, _STEP_BYTES)
    ]
