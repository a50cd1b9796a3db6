"""Foreign JSON: what stands on a torn line, and values of a shape that nobody promised.

Everything here gives None, or an empty value, for what is not what it should be; nothing raises but RecursionError.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from holdfast.ids import short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.store.project import Translation

_ID_LIMIT = 200
_ID_MOST = 16_000  # characters; what is longer is no id. A condensed body keeps more of each string
_RESYNC_EFFORT = 3  # characters read again on a damaged line, as a multiple of its length
_RESYNC_LIMIT = 200  # tries to find the next object on a damaged line; each may cost the line's length
_TOKEN_LIMIT = 2**53  # larger figures are not counts of anything


def pieces(body: bytes, out: Translation) -> Iterator[tuple[int, Any]]:
    """The JSON values on a line that is not one: two writers' records may be spliced, a tail may be torn."""
    text = body.decode("utf-8", "backslashreplace")
    if "\0" in text:
        text = text.replace("\0", " ")
    decoder = json.JSONDecoder()
    at, lost_from, attempts, spent = 0, None, 0, 0
    while at < len(text) and attempts < _RESYNC_LIMIT and spent <= _RESYNC_EFFORT * len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            value, end = decoder.raw_decode(text, at)
        except RecursionError:
            lost_from = at if lost_from is None else lost_from
            break
        except ValueError as exc:
            value, end = None, at
            spent += getattr(exc, "pos", at) - at
        if end > at and (lost_from is None or _looks_whole(value)):
            if lost_from is not None:
                out.problems.append(f"characters {lost_from} to {at} of the line are not JSON")
                lost_from = None
            yield at, value
            at = end
            continue
        attempts += 1
        lost_from = at if lost_from is None else lost_from
        at = text.find('{"', at + 1)
        if at < 0:
            break
    if lost_from is not None:
        out.problems.append(f"characters {lost_from} to {len(text)} of the line are not JSON")


def _looks_whole(value: object) -> bool:
    """Whether an object found behind damage is a record, not a part of a torn one."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("type"), str)
        and ("sessionId" in value or "payload" in value)
    )


def clean(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Replace what no database takes: lone surrogates become their escapes, non-finite numbers None."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124
        return None
    return value


# ── values of foreign shape ──


def text_in(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def id_in(value: object) -> str | None:
    """A native id; an absurdly long one is cut and told apart by a digest, one beyond any sense is none."""
    if not isinstance(value, str) or not value or len(value) > _ID_MOST:
        return None
    return value if len(value) <= _ID_LIMIT else f"{value[: _ID_LIMIT - 20]}~{short(value)}"


def object_in(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def count_in(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < _TOKEN_LIMIT else None


def blocks(content: object) -> list[dict[str, Any]]:
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def text_of(content: object) -> str:
    """The text of a message's or a result's content."""
    if isinstance(content, str):
        return content
    return "\n".join(text for block in blocks(content) if (text := text_in(block.get("text"))))
