"""What survives a redaction: every view a reader could take of a record, and the marks a redactor earns."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections import defaultdict
from urllib.parse import unquote

FRAGMENT = 5  # a fragment of more than four characters is a leak
JSON_LEVELS = 4
TRANSFORM_LEVELS = 3

ANSI = re.compile(r"(?:\x1b|\\u001[bB]|\\x1[bB]|\\033|\\e)(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")
BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{10,}={0,2}")
CONTINUED = re.compile(r"[\"'`]?\s*[+.=\\]*[ \t]*\r?\n[ \t]*(?:[>|│#+-]+[ \t]?)?[ \t]*(?:\+ ?)?[\"'`]?")
FILLED = re.compile(r" *[│|]? *\r?\n *[│|]? *")
ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|\\([nrt\"'/\\$ ])")
CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}


def decoded_views(body: bytes) -> list[str]:
    """Every text a reader could take from the body: raw, JSON-decoded, unescaped, joined, base64-decoded."""
    raw = body.decode("utf-8", "replace")
    return _all_views([raw, *_json_texts(raw)])


def item_views(bodies: tuple[bytes, ...]) -> list[str]:
    """The views of all bodies together; of a stream also its pieces joined, whatever field they travel in."""
    texts = [one.decode("utf-8", "replace") for one in bodies]
    starts = ["\n".join(texts)]
    for text in texts:
        starts += _json_texts(text)
    if len(bodies) > 1:
        joined = _joined_leaves(texts)
        starts += joined
        for text in joined:
            starts += _json_texts(text)
    return _all_views(starts)


def _json_texts(text: str, level: int = 0) -> list[str]:
    """The strings in a JSON text, keys too; strings that are JSON are opened again."""
    if level > JSON_LEVELS or text[:1] not in '{["':
        return []
    try:
        value = json.loads(text)
    except ValueError:
        return []
    found: list[str] = []
    for _, leaf in _leaves(value, ()):
        found.append(leaf)
        found += _json_texts(leaf.strip(), level + 1)
    return found


def _leaves(value: object, path: tuple):
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield (*path, "key", key), key
            yield from _leaves(one, (*path, key))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from _leaves(one, (*path, place))


def _joined_leaves(texts: list[str]) -> list[str]:
    """For each field, its texts of consecutive records put together."""
    fields: dict[tuple, list[str]] = defaultdict(list)
    for text in texts:
        try:
            value = json.loads(text)
        except ValueError:
            continue
        for path, leaf in _leaves(value, ()):
            fields[path].append(leaf)
    return ["".join(parts) for parts in fields.values() if len(parts) > 1]


def _all_views(starts: list[str]) -> list[str]:
    seen = dict.fromkeys(starts)
    latest = list(seen)
    for _ in range(TRANSFORM_LEVELS):
        made = dict.fromkeys(view for text in latest for view in _transforms(text))
        latest = [view for view in made if view not in seen]
        seen.update(dict.fromkeys(latest))
    return list(seen)


def _transforms(text: str):
    """Every other way to read a text that differs from the text itself."""
    if "\x1b" in text or "\\" in text:
        yield ANSI.sub("", text)
    if "%" in text:
        yield unquote(text)
    if "\\" in text:
        yield _paired(ESCAPED.sub(_unescape, text))
    if "&" in text:
        yield html.unescape(text)
    if "\n" in text:
        yield CONTINUED.sub("", text)
        yield FILLED.sub("", text)
    for run in BASE64_RUN.findall(text):
        yield from _base64_views(run)


def _unescape(found: re.Match) -> str:
    code = found[1] or found[2]
    if code:
        return chr(int(code, 16))
    return CONTROLS.get(found[3], found[3])


def _paired(text: str) -> str:
    """Surrogate halves written as two escapes, put together."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _base64_views(run: str):
    """What a run of base64 letters decodes to, from each of the four places a byte group may start."""
    standard = run.rstrip("=").replace("-", "+").replace("_", "/")
    for start in range(4):
        part = standard[start:]
        part = part[: len(part) - 1] if len(part) % 4 == 1 else part
        try:
            raw = base64.b64decode(part + "=" * (-len(part) % 4))
        except (binascii.Error, ValueError):
            continue
        raw = (
            raw.replace(b"\0", b"") if raw.count(0) > len(raw) / 3 else raw
        )  # UTF-16, as PowerShell takes it
        text = raw.decode("utf-8", "ignore")
        if len(text) >= FRAGMENT and sum(
            letter.isprintable() or letter.isspace() for letter in text
        ) > 0.8 * len(raw):
            yield text


def leaks(item, redacted: tuple[bytes, ...]) -> list[str]:
    """The fragments of more than four characters of any core that survive in any view, longest runs."""
    views = item_views(tuple(redacted))
    whole = "\x00".join(views)
    found: list[str] = []
    for core in item.cores:
        found += _surviving(core, whole)
    return list(dict.fromkeys(found))


def _surviving(core: str, whole: str) -> list[str]:
    runs: list[str] = []
    start = 0
    while start + FRAGMENT <= len(core):
        end = start + FRAGMENT
        if core[start:end] not in whole:
            start += 1
            continue
        while end < len(core) and core[start : end + 1] in whole:
            end += 1
        runs.append(core[start:end])
        start = end - FRAGMENT + 2
    return runs


def altered(item, redacted: tuple[bytes, ...]) -> bool:
    return tuple(redacted) != item.bodies


def lost(item, redacted: tuple[bytes, ...]) -> list[str]:
    """The neighbouring texts that did not survive."""
    views = item_views(tuple(redacted))
    return [text for text in item.keep if not any(text in view for view in views)]


def kept(item, redacted: tuple[bytes, ...]) -> bool:
    return not lost(item, redacted)


def redact(factory, item) -> tuple[bytes, ...]:
    """One item through a fresh redactor, its bodies in order."""
    redactor = factory()
    return tuple(redactor.body(one) for one in item.bodies)


def examine(factory, items) -> dict:
    """Every item through the redactor: counts by tier and what went wrong."""
    tiers: dict[str, dict[str, int]] = defaultdict(lambda: {"items": 0, "caught": 0, "kept": 0})
    failures: list[dict] = []
    for item in items:
        try:
            result = redact(factory, item)
        except Exception as error:  # noqa: BLE001 - whatever a redactor raises is a failure of that item
            tiers[item.tier]["items"] += 1
            failures.append(
                {
                    "name": item.name,
                    "tier": item.tier,
                    "bodies": _texts(item.bodies),
                    "result": [],
                    "raised": repr(error),
                }
            )
            continue
        tier = tiers[item.tier]
        tier["items"] += 1
        if item.label == "negative":
            wrong = {"altered": True} if altered(item, result) else {}
        else:
            wrong = _marks(item, result, tier)
        if wrong:
            shown = {
                "name": item.name,
                "tier": item.tier,
                "bodies": _texts(item.bodies),
                "result": _texts(result),
            }
            failures.append(shown | wrong)
    return {"summary": _summary(tiers, failures), "failures": failures}


def _marks(item, result, tier) -> dict:
    fragments, missing = leaks(item, result), lost(item, result)
    tier["caught"] += not fragments
    tier["kept"] += not missing
    wrong = {"leaked": fragments} if fragments else {}
    return wrong | ({"lost": missing} if missing else {})


def _texts(bodies: tuple[bytes, ...]) -> list[str]:
    return [one.decode("utf-8", "replace") for one in bodies]


def _summary(tiers: dict, failures: list[dict]) -> dict:
    positive = {name: row for name, row in tiers.items() if name != "hard-negative"}
    total = sum(row["items"] for row in positive.values())
    negatives = tiers["hard-negative"]["items"] if "hard-negative" in tiers else 0
    return {
        "recall": _share(sum(row["caught"] for row in positive.values()), total),
        "recall_by_tier": {name: _share(row["caught"], row["items"]) for name, row in positive.items()},
        "caught_by_tier": {name: [row["caught"], row["items"]] for name, row in positive.items()},
        "keep_rate": _share(sum(row["kept"] for row in positive.values()), total),
        "keep_rate_by_tier": {name: _share(row["kept"], row["items"]) for name, row in positive.items()},
        "negatives": negatives,
        "false_positives": sum(1 for one in failures if one.get("altered")),
        "raised": sum(1 for one in failures if "raised" in one),
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
