"""What a reader can get out of a record: its strings, decoded in all the ways a secret may hide in."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import urllib.parse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSI = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\-_]")
CSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{12,}")
LINE_BREAK = re.compile(r"\\?\r?\n(?:\s*[>+|]\s?|[ \t]*)")
LITERAL_BREAK = re.compile(r"[\"']\s*(?:\+|\|\||\\)?\s*[\"']")
INVISIBLE = re.compile("[\u200b-\u200d\u2060\ufeff]")
JSON_DEPTH = 5
STEP_DEPTH = 3


def json_leaves(value: object, path: tuple = ()) -> Iterator[tuple[tuple, str]]:
    """Yield each string of a JSON value, keys too, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*path, "key", key), key
            yield from json_leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from json_leaves(item, (*path, index))


def parsed(text: str) -> object | None:
    """Parse JSON text; None if it is none or only a number."""
    stripped = text.strip()
    if not stripped or stripped[0] not in '{["':
        return None
    try:
        return json.loads(stripped)
    except ValueError:
        return None


def base64_texts(text: str) -> Iterator[str]:
    """Decode every run of base64 characters, at each of its four alignments."""
    unbroken = re.sub(r"(?<=[A-Za-z0-9+/]{60})\n(?=[A-Za-z0-9+/=])", "", text)
    for source in {text, unbroken}:
        for run in BASE64_RUN.findall(source):
            for offset in range(4):
                yield from base64_text(run[offset:])


def base64_text(run: str) -> Iterator[str]:
    """Decode one run of base64; yields nothing if it is not mostly text."""
    usable = run[: len(run) - 1] if len(run) % 4 == 1 else run
    padded = usable.replace("-", "+").replace("_", "/") + "=" * (-len(usable) % 4)
    try:
        data = base64.b64decode(padded)
    except (binascii.Error, ValueError):
        return
    printable = sum(32 <= byte < 127 or byte in (9, 10, 13) for byte in data)
    if data and printable >= 0.6 * len(data):
        yield data.decode("utf-8", "replace")


def transformed(text: str) -> Iterator[str]:
    """Yield the other readings of one text."""
    if "\x1b" in text:
        yield ANSI.sub("", text)
        yield CSI.sub("", text)
    if PERCENT.search(text):
        yield urllib.parse.unquote(text, errors="replace")
    if "\\u" in text:
        yield ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), text)
    if "&" in text and ";" in text:
        yield html.unescape(text)
    if "\n" in text:
        yield LINE_BREAK.sub("", text)
    if LITERAL_BREAK.search(text):
        yield LITERAL_BREAK.sub("", text)
    if INVISIBLE.search(text):
        yield INVISIBLE.sub("", text)
    if "\\" in text:
        yield re.sub(r"\\([\"'\\$`/])", r"\1", text)
        yield text.replace("\\n", "\n")
    if '""' in text:
        yield text.replace('""', '"')
    yield from base64_texts(text)


def spread(text: str, seen: dict[str, None], parses: int = JSON_DEPTH, steps: int = STEP_DEPTH) -> None:
    """Collect a text and all its readings, with so many more JSON levels and other decodings allowed."""
    if text in seen or not text:
        return
    seen[text] = None
    value = parsed(text) if parses else None
    if value is not None:
        for _, leaf in json_leaves(value):
            spread(leaf, seen, parses - 1, steps)
    if steps:
        for other in transformed(text):
            spread(other, seen, parses, steps - 1)


def decoded_views(body: bytes) -> list[str]:
    """All readings of one body: raw, JSON-decoded, unescaped, percent-decoded, base64-decoded and so on."""
    seen: dict[str, None] = {}
    raw = body.decode("utf-8", "replace")
    value = parsed(raw)
    leaves = [raw] if value is None else [leaf for _, leaf in json_leaves(value)]
    for leaf in leaves:
        spread(leaf, seen)
    return [raw, *seen]


def joined_views(bodies: tuple[bytes, ...]) -> list[str]:
    """The readings of the texts that consecutive bodies carry at the same path, joined."""
    if len(bodies) < 2:
        return []
    texts: dict[tuple, list[str]] = {}
    for body in bodies:
        value = parsed(body.decode("utf-8", "replace"))
        for path, leaf in json_leaves(value):
            texts.setdefault(path, []).append(leaf)
    seen: dict[str, None] = {}
    for parts in texts.values():
        if len(parts) > 1:
            spread("".join(parts), seen)
    return list(seen)


def all_views(bodies: tuple[bytes, ...]) -> list[str]:
    """All readings of consecutive bodies, single and joined."""
    views: dict[str, None] = {}
    for body in bodies:
        views.update(dict.fromkeys(decoded_views(body)))
    views.update(dict.fromkeys(joined_views(bodies)))
    return list(views)


def fragments(core: str, haystack: str, size: int = 5) -> list[str]:
    """The longest pieces of a core, of at least that size, that occur in the haystack."""
    found: list[str] = []
    start = 0
    while start + size <= len(core):
        if core[start : start + size] not in haystack:
            start += 1
            continue
        end = start + size
        while end < len(core) and core[start : end + 1] in haystack:
            end += 1
        found.append(core[start:end])
        start = end - size + 2 if end < len(core) else end
    return found
