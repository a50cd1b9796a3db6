"""Drive the tailer from any language: `python -m holdfast.testing.tail DIR STATE`.

DIR     what to follow: a directory (every regular file in it and below it), a pattern in quotes, or one file; it need not exist yet.
STATE   where positions are kept: a file, or a directory. Missing directories are made. It may lie in DIR; it is not followed.

Each line on standard input asks for one poll. `ack N` (or the number alone) also says that the consumer has everything up to
sequence number N; any other text is a poll and nothing else. The end of standard input ends the program in order.

Each poll prints JSON objects, one a line, and ends with a marker. Nothing is printed in between.

    {"seq": 7, "log": "app.log", "line": "text", "generation": 1, "offset": 120, "end": 125}
    {"seq": 8, "event": "rotated", "log": "app.log", "generation": 1, "to": "app.log.1"}
    {"poll": 1, "lines": 1, "events": 1, "seq": 8, "behind": false}

A line may also have: `bytes` (base64 of the line, when it is not UTF-8 and `line` shows U+FFFD), `cut_bytes`, `nul_bytes`,
`ended` (false: rotated away without a line end), `continues` (true). docs/reference/tailing.md lists the members and events.

Exactly once. Lines get their numbers and are kept, with the positions behind them, in one transaction, before any is printed. That
they were printed is committed after each write of at most 4096 bytes, which a pipe takes whole or not at all. So after `kill -9`:

- a consumer that remembers the last `seq` it has seen and passes over what is not higher, or starts with `--after SEQ`, gets each
  line once, in order, whenever the kill came;
- one that does neither gets none twice and misses none, unless the kill came in the microseconds between such a write and its
  commit: then the lines of that write come again, with the same `seq`.

`--after SEQ` gives again what is still kept: everything that was not acknowledged, once a consumer has acknowledged anything;
otherwise at least the last 16 MiB. If a number is asked for that is not kept any more, the event `gone` says so. Numbers belong to
the `state` that the event `started` names; when a damaged state was set aside they begin again at 1.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import glob
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import apsw
import msgspec

from holdfast.errors import TailFailed, TailTaken
from holdfast.failpoints import failpoint
from holdfast.monitor.generation import TailEvent
from holdfast.monitor.lines import MAX_LINE_BYTES, Line
from holdfast.monitor.scope import Scope
from holdfast.monitor.tail import Tailer
from holdfast.testing import outbox
from holdfast.testing.outbox import CORRUPT, DAMAGED, Outbox
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WRITE_BYTES = 4_096  # PIPE_BUF: so much a pipe takes whole
_ACKNOWLEDGED = re.compile(rb"\s*(?:ack\s+)?(\d{1,18})\s*\Z")
_encode = msgspec.json.Encoder().encode


class Adapter:
    """One run of the program, without its arguments and its exit code.

    Raises:
        TailFailed: the state cannot be used.
    """

    def __init__(self, place: str, state: str, *, after: int | None, max_line_bytes: int) -> None:
        self._top = _top_of(os.path.abspath(place))  # noqa: PTH100
        self._path = outbox.place(state)
        self._max_line_bytes = max_line_bytes
        self._lock = outbox.Lock(self._path)
        self._scope = Scope([place], leave_out=outbox.belonging(self._path))
        self._notes: list[TailEvent] = []
        self._polls = self._lines = self._events = 0
        self._open()
        started = TailEvent("started", None, None, {"state": self._outbox.id, "last": self._outbox.last})
        self._notes.insert(0, started)
        if after is not None:
            self._go_back_to(after)

    def _open(self) -> None:
        try:
            self._outbox = Outbox(self._path)
            self._tailer = self._new_tailer()
        except DAMAGED:
            self._start_again()

    def _new_tailer(self) -> Tailer:
        return Tailer(self._scope, self._outbox.db, max_line_bytes=self._max_line_bytes, settle_us=0)

    def _start_again(self) -> None:
        """Set a damaged state aside and begin with an empty one."""
        aside = outbox.set_aside(self._path)
        self._outbox = Outbox(self._path)
        self._tailer = self._new_tailer()
        self._notes.append(TailEvent("state_lost", None, None, {"set_aside": aside}))

    def _go_back_to(self, after: int) -> None:
        oldest = self._outbox.go_back_to(after)
        if after < oldest:
            self._notes.append(TailEvent("gone", None, None, {"asked_after": after, "kept_after": oldest}))
        elif after <= self._outbox.last:
            self._outbox.acknowledge(after)

    def poll(self, request: bytes = b"") -> None:
        """Answer one line of input."""
        self._polls += 1
        self._lines = self._events = 0
        failed = None
        try:
            self._answer(request)
        except CORRUPT:
            self._outbox.db.close()
            self._start_again()
        except (apsw.Error, TailFailed) as exc:  # the disk is full, or the like: the next poll tries again
            failed = str(exc)
        marker: dict[str, Any] = {"poll": self._polls, "lines": self._lines, "events": self._events}
        marker |= {"seq": self._outbox.printed, "behind": self._tailer.is_behind or self._outbox.is_full()}
        if failed is not None:
            _write(_encode({"event": "state_failed", "why": failed}) + b"\n")
            marker["failed"] = failed
        _write(_encode(marker) + b"\n")

    def _answer(self, request: bytes) -> None:
        if found := _ACKNOWLEDGED.match(request):
            self._outbox.acknowledge(int(found[1]))
        if self._notes:
            self._keep([self._event(note) for note in self._notes])
            self._notes = []
        self._print()
        while not self._outbox.is_full():
            for batch in self._tailer.poll():
                items = [self._line(line) for line in batch.lines]
                items += [self._event(event) for event in batch.events]
                with self._taking_in(items) as encoded:
                    self._tailer.keep(batch)
                self._print(encoded)
                if self._outbox.is_full():
                    break
            if not self._tailer.is_behind:
                break
        self._outbox.tidy()

    def _keep(self, items: list[dict[str, Any]]) -> None:
        with self._taking_in(items):
            pass

    @contextlib.contextmanager
    def _taking_in(self, items: list[dict[str, Any]]) -> Iterator[list[tuple[int, bytes]]]:
        """Put items into the outbox with what the block writes, or neither."""
        first = self._outbox.last + 1
        encoded = [_encode({"seq": seq} | item) + b"\n" for seq, item in enumerate(items, first)]
        with self._outbox.db:
            self._outbox.add(encoded, last=self._outbox.last + len(encoded))
            yield list(enumerate(encoded, first))
        self._outbox.took_in([len(item) for item in encoded])
        failpoint("tail.kept")

    def _print(self, items: Iterable[tuple[int, bytes]] | None = None) -> None:
        """Print items, or all that was not printed, noting after each write that it was."""
        waiting, last = b"", self._outbox.printed
        for seq, item in self._outbox.unprinted() if items is None else items:
            if waiting and len(waiting) + len(item) > _WRITE_BYTES:
                self._print_one(waiting, last)
                waiting = b""
            waiting, last = waiting + item, seq
            if b'"event"' in item[:64]:
                self._events += 1
            else:
                self._lines += 1
        if waiting:
            self._print_one(waiting, last)

    def _print_one(self, raw: bytes, last: int) -> None:
        with self._outbox.printing(last):
            _write(raw)
            failpoint("tail.printed")

    def _line(self, line: Line) -> dict[str, Any]:
        out: dict[str, Any] = {"log": self._shown(line.log), "line": line.text}
        out |= {"generation": line.generation, "offset": line.start, "end": line.end}
        if not line.is_utf8:
            out["bytes"] = base64.b64encode(line.body).decode()
        if line.cut_bytes:
            out["cut_bytes"] = line.cut_bytes
        if line.nul_bytes:
            out["nul_bytes"] = line.nul_bytes
        if not line.is_ended:
            out["ended"] = False
        if line.continues:
            out["continues"] = True
        return out

    def _event(self, event: TailEvent) -> dict[str, Any]:
        out: dict[str, Any] = {"event": event.kind}
        if event.log is not None:
            out["log"] = self._shown(event.log)
        if event.generation is not None:
            out["generation"] = event.generation
        for name, value in event.figures.items():
            out[name] = (
                self._shown(value) if name in ("to", "set_aside") and isinstance(value, str) else value
            )
        return out

    def _shown(self, path: str) -> str:
        """A path below DIR without it; bytes that are no UTF-8 as escapes."""
        return printable_path(path.removeprefix(self._top))

    def close(self) -> None:
        """End in order; nothing has to be done for it."""
        self._tailer.close()
        self._outbox.close()
        self._lock.release()


def _top_of(place: str) -> str:
    """What is left out of the paths that are shown: of a pattern the directory before it, of a file the one that holds it."""
    while glob.has_magic(place) and not os.path.lexists(place):
        place = os.path.dirname(place)  # noqa: PTH120
    if os.path.isfile(place):  # noqa: PTH113
        place = os.path.dirname(place)  # noqa: PTH120
    return place.rstrip(os.sep) + os.sep


def _write(raw: bytes) -> None:
    while raw:
        raw = raw[os.write(1, raw) :]


def main(arguments: list[str] | None = None) -> int:
    """Run until standard input ends; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m holdfast.testing.tail",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("place", metavar="DIR")
    parser.add_argument("state", metavar="STATE")
    parser.add_argument(
        "--after", type=int, metavar="SEQ", help="the last sequence number that the consumer has"
    )
    parser.add_argument("--max-line-bytes", type=int, default=MAX_LINE_BYTES, metavar="N")
    given = parser.parse_args(arguments)
    try:
        adapter = Adapter(given.place, given.state, after=given.after, max_line_bytes=given.max_line_bytes)
    except (TailFailed, TailTaken) as exc:
        sys.stderr.write(f"error: {exc}\n  {exc.hint}\n")
        return exc.exit_code
    try:
        for request in iter(sys.stdin.buffer.readline, b""):
            adapter.poll(request)
    except BrokenPipeError:  # nobody reads any more; what was not printed comes the next time
        pass
    finally:
        adapter.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
