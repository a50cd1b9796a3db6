"""Characters that a terminal or a reader acts on without showing them, made visible."""

from __future__ import annotations

import re

# C0 and C1 controls, zero-width and bidirectional marks, line and paragraph separators, tags, surrogates
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str, keep: str = "") -> str:
    r"""The text with an escape (`\x1b`, `\u202e`) in place of each such character, but for those to keep."""
    return _UNSAFE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def printable_path(path: str) -> str:
    """A path, or what else the system names, as text that JSON can hold; bytes that are no UTF-8 are shown as escapes."""
    if path.isascii():
        return path
    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # it holds what stands for no byte
        raw = path.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace")


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
