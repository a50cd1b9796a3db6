"""Retention: old sealed segments give up their bodies and keep what was understood in them.

Each record stays, under its id and at its place in its source, with `z` in place of its body: the body's hash, and the events that its
translator found, their texts cut to what answers show and what can be searched. Folded again, they give the same answers. What is gone for good is the
text behind that, and what a later version might have understood.

A segment is retired as a whole, when everything in it was received before a moment and every session it tells of has been quiet since.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.errors import BlobDamaged
from holdfast.events import Event, codec
from holdfast.journal import format as fmt
from holdfast.journal import reader, sealed, segments
from holdfast.store import bodies
from holdfast.store.project import Translation, start_of, translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from holdfast.store.bodies import Body
    from holdfast.store.project import Translator

WHY = "retired"
# Names, places and what is compared as a whole; rows keep them as they are.
_WHOLE = frozenset(
    [
        "about",
        "commit",
        "cwd",
        "entrypoint",
        "error_type",
        "git_branch",
        "line",
        "message_id",
        "model",
        "name",
        "new",
        "old",
        "operation",
        "parent",
        "path",
        "prompt",
        "repository",
        "status",
        "stop_reason",
        "target",
        "tool",
        "tool_version",
        "workspace",
    ]
)
_OURS = "holdfast."  # sources whose records are about the journal; they are small and stay


@dataclass(frozen=True, slots=True)
class Candidate:
    """One sealed segment: its sizes in bytes, and why it may not be retired (None: it may)."""

    segment: int
    size: int
    stored_size: int
    kept_because: str | None


class Retirement:
    """Retires segments of one journal. The caller holds the writer's lock.

    Args:
        journal, blob_directory: where the records and large bodies are.
        translators: one for each source.
        head_chars: how much of a tool's output is kept: what answers show.
        text_chars: how much of any other text is kept: what can be searched, too.
        paths: source file id → its path, as the store has them.
    """

    def __init__(
        self,
        journal: Path,
        blob_directory: Path,
        translators: Mapping[str, Translator],
        head_chars: int,
        text_chars: int,
        paths: Mapping[str, str | None],
    ) -> None:
        self._journal = journal
        self._blobs = blob_directory
        self._translators = translators
        self._head, self._text = head_chars, text_chars
        self._paths = paths

    def look(self, number: int, before_us: int, active: frozenset[str]) -> Candidate:
        """Whether a sealed segment may be retired.

        Args:
            number: the segment.
            before_us: everything in it must have been received earlier.
            active: keys of the sessions that were active since.

        Raises:
            OSError: it cannot be read.
        """
        path = segments.sealed_path(self._journal, number)
        with sealed.opened(path) as segment:
            size, stored_size, was = segment.size, segment.file_size, segment.seal and segment.seal.was
        why = "it is retired already" if any(one.why == WHY for one in was or ()) else None
        return Candidate(number, size, stored_size, why or self._obstacle(number, before_us, active))

    def _obstacle(self, number: int, before_us: int, active: frozenset[str]) -> str | None:
        """The first thing in a segment that keeps it from being retired."""
        for item in reader.read_segment(self._journal, number):
            if isinstance(item, reader.Damage):
                return f"bytes {item.start} to {item.end} are damaged: {item.why}"
            if item.record.t >= before_us:
                return "it holds records that are not old enough"
            try:
                still = self._sessions(item) & active
            except BlobDamaged as exc:
                return str(exc)
            if still:
                return f"session {min(still).partition(':')[2]} was active since"
        return None

    def _sessions(self, item: reader.Found) -> set[str]:
        body = bodies.read(item.record, self._blobs, self._text)
        return {event.session for event in self._understand(item, body).events}

    def lines(self, number: int) -> Iterator[bytes]:
        """The plain bytes of a segment without its bodies.

        Raises:
            BlobDamaged: a large body cannot be read.
        """
        for item in reader.read_segment(self._journal, number):
            assert isinstance(item, reader.Found), "a damaged segment is not retired"
            yield b"\n" + self._without_body(item) + b"\n"

    def _without_body(self, item: reader.Found) -> bytes:
        record = item.record
        if record.s.startswith(_OURS) or record.z is not None:
            return item.line
        body = bodies.read(record, self._blobs, self._text)
        found = self._understand(item, body)
        removed = fmt.Removed(
            sha256=_sha256_of(record),
            size=body.size_bytes,
            crc=body.line_crc(record.e),
            why=WHY,
            kept=tuple(found.kept),
            problems=tuple(found.problems),
            events=tuple(msgspec.Raw(self._headed(event)) for event in found.events),
        )
        return fmt.encode_again(item.line, record, fmt.removed_member(removed))

    def _understand(self, item: reader.Found, body: Body) -> Translation:
        record = item.record
        translator = self._translators.get(record.s)
        if translator is None or record.z is not None:
            return Translation()
        path = self._paths.get(record.p.file if record.p else "")
        return translated(translator, record, body, path, start_of(record, item.segment, item.start))

    def _headed(self, event: Event) -> bytes:
        """An event in JSON, its texts no longer than answers show them."""
        wire = msgspec.json.decode(codec.encode(event))
        wire["data"] = self._cut_all(wire["data"])
        return msgspec.json.encode(wire)

    def _cut(self, key: str, value: Any) -> Any:  # noqa: ANN401 - JSON
        if key in _WHOLE:
            return value
        return (
            enough(value, self._head) if key == "output" and isinstance(value, str) else self._cut_all(value)
        )

    def _cut_all(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, str):
            return enough(value, self._text)
        if isinstance(value, dict):
            return {key: self._cut(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._cut_all(item) for item in value]
        return value


def enough(text: str, head_chars: int) -> str:
    """The shortest part of a text that gives the same head, also after its white space was collapsed as in titles."""
    end = head_chars + 1
    while end < len(text) and len(" ".join(text[:end].split())) <= head_chars:
        end *= 2
    return text[:end]


def _sha256_of(record: fmt.Record) -> str:
    return record.f.sha256 if record.f else hashlib.sha256(record.body_bytes() or b"").hexdigest()
