"""Claude Code's registry: `sessions/<pid>.json` in its directory, one file for each of its processes that is at work.

The tool documents none of this, so it is a hint: what is not understood tells nothing. Facts used here, each seen on version 2.1:

- The file names its session (`sessionId`, which changes in place), its process (`pid`; `procStart` is the kernel's start time in
  ticks, as text), and what that does: `status` busy, idle or waiting, `waitingFor`, and `statusUpdatedAt`, when that began. Only a
  change of these writes it again.
- `pidDomain` ends with the pid namespace in which the number counts.
- It is removed when the process ends, also by SIGTERM, SIGINT and SIGHUP. After SIGKILL it stays.
- A `.key` beside it is a secret, and never opened.

A record holds what stood in one of them, and which host and boot read it: `{"path": …, "host": …, "boot": …, "namespace": …,
"said": {…}}`. What stands there unchanged is recorded once.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from holdfast import events as ev
from holdfast.capture.claude_json import count_in, id_in, object_in, text_in
from holdfast.ids import derived, short
from holdfast.plain_files import content_of
from holdfast.store.project import Translation
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from holdfast.journal.writer import Writer
    from holdfast.store.project import Entry

SOURCE: Final = "claude.registry"
DIRECTORY: Final = "sessions"  # below Claude Code's
_NAME = re.compile(r"[1-9][0-9]{0,9}\.json\Z")
_LIMIT_BYTES = 64 << 10  # of one file; those seen have 700
_MOST_FILES = 10_000
_MOST_PID = 2**31 - 1  # what the system's calls take
_NAMESPACE = re.compile(r"pid:\[\d+\]\Z")
_encode = msgspec.json.Encoder(order="deterministic").encode


class Place(NamedTuple):
    """Who reads a registry: a host, its boot, and the pid namespace. None where the platform does not tell."""

    host: str
    boot: str | None
    namespace: str | None


class Listed(NamedTuple):
    """What a file of the registry says of one process."""

    session: str
    process: ev.ProcessSighted


def files(directory: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, what it says) of each file that can be read; one that is just being written is passed over."""
    try:
        names = sorted(filter(_NAME.match, os.listdir(directory)))  # noqa: PTH208 - names only
    except OSError:
        return
    for name in names[:_MOST_FILES]:
        path = os.fspath(directory / name)
        with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            said = msgspec.json.decode(content_of(path, _LIMIT_BYTES, follow=False))
            if isinstance(said, dict):
                yield path, said


def listed(said: dict[str, Any], place: Place) -> Listed | None:
    """What a file says, as `place` read it; None: it cannot be understood."""
    session, pid = id_in(said.get("sessionId")), count_in(said.get("pid"))
    if session is None or not pid or pid > _MOST_PID:
        return None
    start = text_in(said.get("procStart")) or ""
    domain = _NAMESPACE.search(text_in(said.get("pidDomain")) or "")
    since_ms = count_in(said.get("statusUpdatedAt")) or count_in(said.get("updatedAt"))
    began_ms = count_in(said.get("startedAt"))
    process = ev.ProcessSighted(
        pid=pid,
        host=place.host,
        boot_id=place.boot,
        namespace=domain[0] if domain else place.namespace,
        start_ticks=int(start) if start.isascii() and start.isdigit() and len(start) < 19 else None,
        began_us=None if began_ms is None else began_ms * 1000,
        status=text_in(said.get("status")),
        waiting_for=text_in(said.get("waitingFor")),
        since_us=None if since_ms is None else since_ms * 1000,
    )
    return Listed(f"claude:{session}", process)


def record(
    directory: Path,
    place: Place,
    writer: Writer,
    known: Callable[[str], str | None],
    holds: Callable[[str], bool],
) -> Iterator[tuple[str, str, int]]:
    """Record what changed; yields (path, digest, bytes appended).

    Args:
        directory: the registry.
        place: who reads it.
        writer: the journal.
        known: the digest that was given for a path the last time.
        holds: whether a session is not to be recorded.

    Raises:
        AppendFailed: the journal took nothing more.
    """
    for path, said in files(directory):
        found = listed(said, place)
        if found is not None and holds(found.session):
            continue
        shown = printable_path(path)
        body = {"path": shown, **place._asdict(), "said": said}
        raw = _encode(body)
        digest = derived(SOURCE, short(raw.hex(), 64))
        if digest != known(shown):
            line = writer.line(SOURCE, raw, digest)
            writer.append_lines([line])
            yield shown, digest, len(line)


def translate(entry: Entry) -> Translation:
    """Understand one record."""
    out = Translation()
    try:
        body = object_in(msgspec.json.decode(entry.body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        out.problems.append("what was recorded of a registry is no JSON")
        return out
    said = object_in(body.get("said"))
    place = Place(text_in(body.get("host")) or "", text_in(body.get("boot")), text_in(body.get("namespace")))
    found = listed(said, place)
    if found is None:
        out.kept.append("a process that is not understood")
        return out
    noted = ev.SessionNoted(cwd=text_in(said.get("cwd")), tool_version=text_in(said.get("version")))
    for kind, data in (("session.noted", noted), ("process.sighted", found.process)):
        one = ev.Event(
            id=f"{entry.record_id}/{kind}",
            kind=kind,
            session=found.session,
            time_us=None,
            data=data,
            order=entry.received_us,
        )
        out.events.append(one)
    return out
