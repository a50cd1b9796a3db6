"""Hear of changes of definitions: of what is recorded, whoever saw it, each once and in the order of the journal.

The journal is the one place to which everybody's changes go: what the service saw, what a command or another program saw, what Holdfast wrote itself. So
whoever listens reads the journal on, and looks at definitions itself only as often as nobody else does it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from holdfast import defining, forks
from holdfast.definitions import ledger, scanning
from holdfast.errors import DefinitionsBusy, HoldfastError
from holdfast.events import DefinitionRevised
from holdfast.home import translators
from holdfast.monitor.notice import Notices
from holdfast.news import Subscription
from holdfast.store import definitions, lock
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.definitions.ledger import Ledger
    from holdfast.definitions.scanning import Scan
    from holdfast.events import Event
    from holdfast.home import Home

Heard = tuple["Event", DefinitionRevised]

_SOURCES: Final = ("sdk",)  # through which changes are recorded
_MOST_HEARD: Final = (
    50_000  # changes of which a second record is known; one act that is cut is recorded again as a whole
)
_LOOK_EVERY_S: Final = 1.0
_LOOK_EVERY_SERVED_S: Final = 10.0  # while a service looks
_SETTLE_S: Final = 0.025  # what holds still so long is taken, as by the service
_MOST_SETTLE_S: Final = 1.0
_READ_EVERY_S: Final = 10.0  # also where the ledger did not change
_SHARE: Final = 0.05  # of a core, for looking
_log = logging.getLogger("holdfast.definitions")


class Cursor:
    """What is recorded of definitions that count in a directory, from now on.

    Args:
        home: whose journal it is.
        cwd: the directory.
    """

    def __init__(self, home: Home, cwd: str) -> None:
        self._home, self._cwd = home, cwd
        known = translators()
        own = {source: known[source] for source in _SOURCES}
        self._news = Subscription(home.journal, home.blobs, own, {}, home.settings.head_size_chars)
        self._news.from_now()
        self._heard: OrderedDict[str, None] = OrderedDict()
        self._found: list[Heard] = []  # and not given yet

    def new(self) -> list[Heard]:
        """What is new since the last time, in the order of the journal.

        Raises:
            SettingError: `definition_roots` names what it may not.
            OSError: the journal cannot be read; the next time gives what was read of it too.
        """
        for news in self._news.poll():
            event = news.event
            if (
                isinstance(event.data, DefinitionRevised)
                and event.id not in self._heard
                and definitions.other(event.data.host, self._home.host_id) is None
            ):
                self._heard[event.id] = None
                self._found.append((event, event.data))
        while len(self._heard) > _MOST_HEARD:
            self._heard.popitem(last=False)
        out = self._counting(self._found) if self._found else []
        self._found = []
        return out

    def _counting(self, found: list[Heard]) -> list[Heard]:
        """Those of files that lie, or lay, where definitions count. What does not say where it lies may."""
        every = defining.roots_around(self._home, [self._cwd]).found
        here = tuple(f"{printable_path(root.real).rstrip('/')}/" for root in every)
        return [
            (event, data)
            for event, data in found
            if data.path is None
            or any(f"{place or ''}/".startswith(here) for place in (data.path, data.root, data.path_before))
        ]


class Looker:
    """Looks at the definitions that count in a directory, and records what happened to them. Any thread may use it."""

    def __init__(self, home: Home, cwd: str) -> None:
        self._home, self._cwd = home, cwd
        self._kept: Ledger = defining.ledger_of(home)

    def keeps(self, sha256: str) -> bool:
        """Whether this content is kept."""
        return self._kept.texts.has(sha256)

    def text(self, sha256: str) -> bytes:
        """A content that is kept. Raises BlobDamaged: it is not, or not as it was."""
        return self._kept.texts.get(sha256)

    def scan(self) -> Scan:
        """What the system says of every file. Raises SettingError."""
        return scanning.scan(defining.roots_around(self._home, [self._cwd]).found)

    def look(self, wait_ms: int = ledger.WAIT_MS) -> bool:
        """Look; whether the system would tell of the next change of every file. Raises as `defining.look`."""
        began_s = time.monotonic()
        if not _lock.acquire(timeout=wait_ms / 1_000):
            raise DefinitionsBusy("another thread looks at definitions", hint="try again")
        try:
            left_ms = wait_ms - int(1_000 * (time.monotonic() - began_s))
            looked = defining.look(self._home, [self._cwd], kept=self._kept, wait_ms=max(left_ms, 0))
        finally:
            _lock.release()
        return not looked.is_unsettled


class Listener:
    """Tells what is new in a thread of its own, until it is stopped.

    Args:
        home, cwd: as for `Cursor`.
        looker: looks from time to time.
        tell: called with what is new, by one thread at a time.
    """

    def __init__(self, home: Home, cwd: str, looker: Looker, tell: Callable[[list[Heard]], None]) -> None:
        self._home, self._looker, self._tell = home, looker, tell
        self._cursor = Cursor(home, cwd)
        self._reading = threading.Lock()
        self._is_over = threading.Event()
        self._waking = threading.Lock()
        self._notices: Notices | None = None  # as long as they can be woken
        self._due_s = self._changing_s = self._read_s = 0.0
        self._taken: Scan | None = None
        self._before: Scan | None = None  # the last one, while something changes
        self._state: tuple[int, ...] = ()
        self._said: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="holdfast-definitions", daemon=True)

    def start(self) -> None:
        """Begin to look, and to tell what is new."""
        self._thread.start()

    def read_on(self) -> None:
        """Tell what is new now, unless this was stopped. Raises as `Cursor.new`."""
        with self._reading:
            if not self._is_over.is_set():
                self._tell_new()

    def _tell_new(self) -> None:
        if new := self._cursor.new():
            self._tell(new)

    def stop(self) -> None:
        """Tell no more, and begin to end: who subscribes from now on is told by another one."""
        with self._reading:
            self._is_over.set()
        with self._waking:
            if self._notices is not None:
                self._notices.wake()

    def finish(self, timeout_s: float) -> bool:
        """End, and tell what is new; whether that was done in this time (seconds)."""
        self.stop()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        with self._reading:
            self._try(self._tell_new)
        return True

    def _run(self) -> None:
        directory = self._home.path / ledger.DIRECTORY
        with Notices([directory]) as notices:
            with self._waking:
                self._notices = notices
            while not self._is_over.is_set():
                notices.wait(min(max(self._due_s - time.monotonic(), 0.0), _LOOK_EVERY_S))
                if time.monotonic() >= self._due_s:
                    self._watch()
                self._read(directory / ledger.INDEX)
            with self._waking:
                self._notices = None

    def _watch(self) -> None:
        """Look, where what the system says of the files changed and holds still."""
        began_s = time.monotonic()
        self._try(lambda: self._decide(self._looker.scan(), began_s))
        now_s = time.monotonic()
        self._due_s = now_s + (_SETTLE_S if self._before is not None else self._gap_s(now_s - began_s))

    def _decide(self, scan: Scan, now_s: float) -> None:
        before, self._before = self._before, None
        if scan == self._taken:
            return
        if before is None:
            self._changing_s = now_s
        if scan == before or now_s - self._changing_s >= _MOST_SETTLE_S:
            self._taken = scan if self._looker.look(wait_ms=0) else None
        else:
            self._before = scan

    def _gap_s(self, took_s: float) -> float:
        """How long to wait until the next scan, when one takes so long."""
        holder = lock.holder(self._home.path)
        served = holder is not None and holder.serves
        return max(_LOOK_EVERY_SERVED_S if served else _LOOK_EVERY_S, took_s / _SHARE)

    def _read(self, index: Path) -> None:
        """Read on, where the ledger says that something was recorded; its index is written after the records."""
        try:
            about = index.stat()
            state: tuple[int, ...] = (about.st_ino, about.st_size, about.st_mtime_ns)
        except OSError:
            state = ()
        if state != self._state or time.monotonic() - self._read_s >= _READ_EVERY_S:
            self._state, self._read_s = state, time.monotonic()
            self._try(self.read_on)

    def _try(self, act: Callable[[], object]) -> None:
        """Do something that is tried again later; what hinders it is said once."""
        try:
            act()
        except DefinitionsBusy:
            pass  # who is at it records the same
        except (HoldfastError, OSError) as exc:
            if str(exc) not in self._said:
                self._said.add(str(exc))
                _log.warning("definitions cannot be followed for now: %s", exc)


# A child that is forked in the middle of a look would hold the ledger's lock for as long as it lives.
_lock = threading.Lock()


def _begin_anew() -> None:
    global _lock  # noqa: PLW0603 - module state is the point
    _lock = threading.Lock()


forks.hold(lambda: (_lock,), _begin_anew)
