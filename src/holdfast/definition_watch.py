"""The service looks at definitions: at once where the system tells of a change, each second in any case, and never behind an import.

    notes of the system ─┐
    each second ─────────┴→ scan (what the system says of every file) → is it as before? → does it hold still? → look, and record

A thread of its own does it (decision 0028). The scan is the truth, the notes only bring it forward. What changed is taken when two scans a moment apart
say the same of it: then an editor's save is one change, and nothing half written is kept. Where files change without a pause, those that hold still
are taken meanwhile, and after a second everything that does, file by file.

Trouble is said, recorded (`definition.unwatched`) and kept in `run/definitions.json` while it lasts, and the scan goes on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self

import apsw

from holdfast import clock, defining, door
from holdfast.definitions import ledger, looking, looks, scanning, tools, trouble
from holdfast.definitions.scanning import Scan
from holdfast.errors import DefinitionsBusy, HoldfastError, SettingError, StoreError
from holdfast.home import Home
from holdfast.monitor.expected import Expected
from holdfast.monitor.notice import Notices
from holdfast.store import asking, database, workspaces
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.definitions.looking import Looked
    from holdfast.definitions.roots import Root
    from holdfast.definitions.scanning import Still
    from holdfast.settings import Settings

SCAN_EVERY_S = 1.0
SETTLE_S: Final = 0.025  # what holds still so long is taken
_TAKE_SOME_AFTER_S: Final = 0.1  # of change without a pause
_TAKE_ALL_AFTER_S: Final = 1.0
_SHARE, _BLIND_SHARE = 0.005, 0.05  # of a core, that scans may take; as the service's looks
_FIND_EVERY_S: Final = 10.0  # which directories count: plugins, settings, worktrees
_SESSIONS_EVERY_S: Final = 2.0
_LATELY_US: Final = 7 * clock.DAY_US
_MOST_DIRECTORIES: Final = 100
_LOOKS_TO_SETTLE: Final = 3
_GAP_TO_SCAN: Final = 4  # times what a scan takes lies between two that notes bring forward
_NOTE_EVERY_S: Final = 60.0  # looks are recorded more seldom (`definitions/looks.py`)
_LOCK_WAIT_MS: Final = 100
_BUSY_AGAIN_S: Final = 0.05
_AGAIN_AFTER_S: Final = 1.0
_END_LIMIT_S: Final = 10.0
_ALARMS: Final = {"watch", "notes", "overflow"}  # recorded, too

Json = dict[str, Any]


class Watch:
    """Watches definitions until it is closed.

    Args:
        settings: of the service's home.
        say: told in words of trouble and its end; called from another thread.
        ended: called when the thread ends, whatever ended it; `see_to` then begins anew.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None], ended: Callable[[], None]) -> None:
        self._settings = settings
        self._say, self._ended = say, ended
        self._woken, self._waker = os.pipe()
        self._closed = False
        self._troubles: dict[str, str] = {}
        self._told: Json = {}
        self._thread = self._started()

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="definitions", daemon=True)
        try:
            thread.start()
        except RuntimeError as exc:  # the system has no more threads
            self._trouble("watch", f"what watches definitions cannot be started, tried again: {exc}")
        return thread

    def see_to(self) -> None:
        """Begin anew if it died."""
        if not self._thread.is_alive() and not self._closed:
            if "watch" not in self._troubles:
                self._trouble("watch", "what watches definitions ended; it is started again")
            self._thread = self._started()

    def told(self) -> Json:
        """What it says of itself, for `holdfast status`."""
        return self._told | {"problem": "; ".join(self._troubles.values()) or None}

    def close(self) -> None:
        """End it; a look that is under way is ended first."""
        self._closed = True
        os.write(self._waker, b"\0")
        self._thread.join(_END_LIMIT_S)
        if not self._thread.is_alive():
            for end in (self._woken, self._waker):
                os.close(end)
        with contextlib.suppress(OSError):
            trouble.keep(self._run_path, [])

    # ── the thread ──

    def _run(self) -> None:
        # A signal that this thread took would not wake the one that has to act on it.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._watch()
        finally:
            self._ended()

    def _watch(self) -> None:
        while not self._closed:
            try:
                with _Round(self._settings, self._woken, self._trouble, self._tell) as work:
                    while not self._closed:
                        work.go_on()
                        if work.has_looked:
                            self._trouble("watch", None)
            except Exception as exc:  # noqa: BLE001 - the rim: what nobody foresaw must not end the watch
                self._trouble("watch", f"watching failed, and is begun anew: {_words(exc)}")
                time.sleep(_AGAIN_AFTER_S)

    def _tell(self, told: Json) -> None:
        self._told = told

    # ── trouble ──

    @property
    def _run_path(self) -> Path:
        return self._settings.home / asking.RUN

    def _trouble(self, what: str, why: str | None) -> None:
        """Take down what is wrong, or (None) that it is not any more."""
        before = self._troubles.get(what)
        if why == before:
            return
        if why is None:
            self._troubles = {name: words for name, words in self._troubles.items() if name != what}
        else:
            self._troubles = self._troubles | {what: why}
        self._say(f"definitions: {printable_path(why) if why else f'over: {before}'}")
        if what in _ALARMS:
            with contextlib.suppress(HoldfastError, OSError):
                _record_alarm(Home(self._settings), what, why)
        with contextlib.suppress(OSError):
            trouble.keep(self._run_path, [f"definitions: {words}" for words in self._troubles.values()])


def _record_alarm(home: Home, what: str, why: str | None) -> None:
    fields = {"what": what, "is_over": True} if why is None else {"what": what, "why": why}
    defining.append(home, {"kind": "definition.unwatched", "fields": fields})


def _words(exc: Exception) -> str:
    if isinstance(exc, HoldfastError | OSError | apsw.Error):
        return str(exc) or type(exc).__name__
    return f"{type(exc).__name__}: {exc}"


# ── what the thread does ──


class _Round:
    """Scans, and looks when there is something to be seen. Everything in it belongs to one thread.

    Args:
        settings: of the home.
        woken: a descriptor that can be read when it is to end.
        told: what is wrong, or that it is over.
        tell: told what it is at.
    """

    def __init__(
        self,
        settings: Settings,
        woken: int,
        told: Callable[[str, str | None], None],
        tell: Callable[[Json], None],
    ) -> None:
        self._home = Home(settings)
        self._ledger = defining.ledger_of(self._home)
        self._woken = woken
        self._trouble, self._tell = told, tell
        self._notices = Notices(())
        self._expected = Expected()
        self._places: dict[str, tuple[int, int] | None] = {}  # which directories the notices are of
        self._directories: list[str] = []
        self._counting: list[Root] = []  # what counts there
        self._known: list[Root] = []  # where definitions were ever found
        self._roots: list[Root] = []
        self._seen_from: dict[str, list[Root]] = {}  # the same by directory
        self._reached: dict[str, looks.Reach] = {}  # the same as looks tell it
        self._reached_of: tuple[object, object] | None = None
        self._noted: dict[str, looks.Reach] = {}  # what a recorded look reached
        self._note_due_s = 0.0
        self._taken: Scan | None = None
        self._before: Scan | None = None  # the last one, while something changes
        self._changing_since_s = self._looked_s = 0.0
        self._batch: str | None = None  # of what changes without a pause
        self._due_s = self._find_due_s = self._sessions_due_s = 0.0
        self._scanned_s = self._scan_takes_s = 0.0
        self._to_settle = 0
        self._overflows = 0
        self._index: object = None
        self._store: object = None
        self._rules: object = None
        self._scans = self._looks = 0
        self._files = 0
        self._unreadable: list[tuple[str, str]] = []
        self._last: Json = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._notices.close()
        self._expected.close()

    # ── one step ──

    @property
    def has_looked(self) -> bool:
        """Whether it got through all of a look."""
        return self._looks > 0

    def go_on(self) -> None:
        """Wait, and do what is due."""
        if self._before is not None:
            self._pause(self._due_s)
        wait_s = max(0.0, self._due_s - time.monotonic())
        changed = self._notices.wait(wait_s, *self._expected.descriptors, self._woken)
        told = self._expected.came() or changed is None or bool(changed)
        if time.monotonic() < self._due_s:
            if not told:
                return
            self._pause(self._scanned_s + _GAP_TO_SCAN * self._scan_takes_s)
        now_s, now_us = time.monotonic(), self._home.now_us()
        self._see_to_roots(now_s)
        scan = self._scan()
        if scan.places != self._places:
            self._watch(scan)
        self._decide(scan, now_s)
        if self._taken == scan and self._before is None:
            self._note_looks(now_s, now_us)
        self._tell_of_notes()
        self._tell(self._view())

    def _pause(self, until_s: float) -> None:
        """Wait, whatever the system tells, unless it is to end."""
        ready = select.poll()
        ready.register(self._woken, select.POLLIN)
        ready.poll(max(0.0, until_s - time.monotonic()) * 1_000)

    def _decide(self, scan: Scan, now_s: float) -> None:
        """Look, if something changed and holds still."""
        is_same = self._taken is not None and scan.files == self._taken.files
        if self._taken == scan and not self._is_to_look():
            self._before = None
            self._due_s = time.monotonic() + self._every_s()
        elif self._before is None and not is_same:
            self._before, self._changing_since_s, self._batch = scan, now_s, None
            self._due_s = now_s + SETTLE_S
        else:
            self._take(scan, self._before or scan, now_s)

    def _take(self, scan: Scan, before: Scan, now_s: float) -> None:
        """Look at what holds still; while something does not, only now and then."""
        changing_s = now_s - self._changing_since_s
        still = scanning.still(before.files, scan.files, is_patient=changing_s < _TAKE_ALL_AFTER_S)
        self._before, self._due_s = scan, now_s + SETTLE_S
        if still.moving and min(changing_s, now_s - self._looked_s) < _TAKE_SOME_AFTER_S:
            return
        looked = self._look(still)
        self._looked_s = time.monotonic()
        if looked is None:
            self._due_s = self._looked_s + _BUSY_AGAIN_S
            return
        self._to_settle = (self._to_settle or _LOOKS_TO_SETTLE + 1) - 1 if looked.is_unsettled else 0
        if not looked.is_restless or not still.is_patient:
            self._taken, self._before = Scan(still.files, scan.places), None
            self._due_s = self._looked_s + (SETTLE_S if still.moving else self._every_s())

    def _is_to_look(self) -> bool:
        """Whether a look is due although nothing changed: somebody else looked, or changes lay too close together to be told apart."""
        return self._to_settle > 0 or _mark(self._index_path) != self._index

    def _every_s(self) -> float:
        share = _SHARE if self._notices.is_complete else _BLIND_SHARE
        return max(SCAN_EVERY_S, self._scan_takes_s / share)

    # ── looking ──

    def _scan(self) -> Scan:
        began_s = time.thread_time()
        out = scanning.scan(self._roots)
        self._scan_takes_s = time.thread_time() - began_s
        self._scanned_s = time.monotonic()
        self._scans += 1
        return out

    def _look(self, still: Still) -> Looked | None:
        """Look, and record; None: it could not be done now."""
        self._read_rules_again()
        try:
            with self._ledger.held(_LOCK_WAIT_MS) as held:
                roots = [_as_it_is(root) for root in self._roots]
                out = looking.look(held, roots, self._home.now_us(), still, self._batch)
                self._known = defining.known_roots(held.index)
                for step in held.ended:
                    self._changed(step.body["fields"]["operation"], step.body["fields"]["name"])
        except DefinitionsBusy:
            return None
        except (HoldfastError, OSError) as exc:
            self._trouble("look", f"what changed cannot be recorded, tried again: {_words(exc)}")
            self._pause(time.monotonic() + _AGAIN_AFTER_S)
            return None
        self._trouble("look", None)
        self._index = _mark(self._index_path)
        self._looks += 1
        self._files, self._batch = out.files, out.batch
        self._unreadable = out.unreadable
        if out.noted:
            last = out.noted[-1].change
            lying = last.after or last.before
            assert lying is not None
            self._changed(last.kind, lying.name)
        return out

    def _changed(self, operation: str, name: str) -> None:
        self._last = {"at": clock.iso(clock.now_us()), "operation": operation, "name": name}

    def _note_looks(self, now_s: float, now_us: int) -> None:
        """Record now and then, where agents are at work, that what is recorded was all that lay there at the last scan."""
        of = (self._seen_from, self._unreadable)
        if self._reached_of is None or any(a is not b for a, b in zip(self._reached_of, of, strict=True)):
            broken = [path for path, _ in self._unreadable]
            self._reached = {cwd: looks.reach(found, broken) for cwd, found in self._seen_from.items()}
            self._reached_of = of
        reached = self._reached
        looks.watch(self._ledger, reached, now_us)
        new = (
            set()
            if reached is self._noted
            else {cwd for cwd in reached if self._noted.get(cwd) != reached[cwd]}
        )
        if now_s < self._note_due_s and not new:
            return
        self._note_due_s = now_s + _NOTE_EVERY_S
        if lately := {_real(place) for place in self._active(now_us - 2 * looks.EVERY_US)} | new:
            try:
                with self._ledger.held(_LOCK_WAIT_MS):
                    looks.note(self._ledger, {cwd: reached[cwd] for cwd in lately & reached.keys()}, now_us)
            except DefinitionsBusy:
                return
            except (HoldfastError, OSError) as exc:
                self._trouble("look", f"that nothing changed cannot be recorded, tried again: {_words(exc)}")
                return
        self._noted = reached

    def _active(self, since_us: int) -> list[str]:
        """Where sessions did something since."""
        with (
            contextlib.suppress(StoreError, apsw.Error),
            contextlib.closing(database.open_reader(self._home.path)) as db,
        ):
            return workspaces.recent(db, since_us, _MOST_DIRECTORIES)
        return []

    def _read_rules_again(self) -> None:
        """What is recorded passes today's rules of redaction."""
        rules = _mark(self._home.rules_path)
        if self._rules != rules:
            if self._looks:
                door.close()
            self._rules = rules

    # ── where to look ──

    def _see_to_roots(self, now_s: float) -> None:
        if now_s >= self._sessions_due_s:
            self._sessions_due_s = now_s + _SESSIONS_EVERY_S
            found = self._recent_directories()
            if found is not None and found != self._directories:
                self._directories, self._find_due_s = found, 0.0
        if now_s >= self._find_due_s or not self.has_looked:
            self._find_due_s = now_s + _FIND_EVERY_S
            self._counting = self._found()
        every = defining.each_once([*self._counting, *self._known])
        if [(root.tool, root.path) for root in every] != [(root.tool, root.path) for root in self._roots]:
            self._roots = every

    def _recent_directories(self) -> list[str] | None:
        """Where sessions are at work, or were lately; None: as before."""
        number = database.current(self._home.path)
        if number is None:
            return None
        path = database.generation_path(self._home.path, number)
        mark = (number, _mark(path), _mark(path.with_name(f"{path.name}-wal")))
        if mark == self._store:
            return None
        since_us = self._home.now_us() - _LATELY_US
        try:
            with contextlib.closing(database.open_reader(self._home.path)) as db:
                found = workspaces.recent(db, since_us, _MOST_DIRECTORIES)
        except (StoreError, apsw.Error):  # it is just being made; others tell when it is damaged
            return None
        self._store = mark
        return sorted(place for place in found if place.startswith("/") and "\0" not in place)

    def _found(self) -> list[Root]:
        """Every directory that counts where sessions work, and those of the user, of plugins and of the machine."""
        directories = [place for place in self._directories if os.path.isdir(place)]  # noqa: PTH112
        try:
            out, self._seen_from = _around(self._home, directories)
            self._trouble("settings", None)
        except SettingError as exc:
            self._trouble("settings", f"definition_roots is passed over: {exc}")
            without = Home(dataclasses.replace(self._home.settings, definition_roots={}))
            out, self._seen_from = _around(without, directories)
        return out

    def _watch(self, scan: Scan) -> None:
        """Have the system tell of changes in the directories that are there, and of those that come."""
        self._places = scan.places
        there = [path for path, place in scan.places.items() if place is not None]
        self._notices.close()
        self._notices = Notices(there)
        if self._expected.expect(path for path, place in scan.places.items() if place is None):
            self._due_s = 0.0

    def _tell_of_notes(self) -> None:
        if os.uname().sysname != "Linux":  # elsewhere there are none, which is as it should be
            return
        is_told = self._notices.is_complete
        self._trouble("notes", None if is_told else _UNTOLD)
        if self._notices.overflows:
            self._overflows += self._notices.overflows
            self._notices.overflows = 0
            self._trouble("overflow", _OVERFLOW)
        elif self._before is None:
            self._trouble("overflow", None)

    # ── telling ──

    @property
    def _index_path(self) -> Path:
        return self._ledger.directory / ledger.INDEX

    def _view(self) -> Json:
        return {
            "definitions": self._files,
            "directories": sum(place is not None for place in self._places.values()),
            "directories_watched": self._notices.watch_count,
            "told_of_changes": self._notices.is_complete,
            "looks_every_s": round(self._every_s(), 3),
            "scans": self._scans,
            "looks": self._looks,
            "overflows": self._overflows,
            "unreadable": len(self._unreadable),
            "last_change": self._last or None,
        }


_UNTOLD = "the system does not tell of every change, so some are found only by looking each second"
_OVERFLOW = "the system told of more changes at once than it keeps; all files are looked at"


def _around(home: Home, directories: list[str]) -> tuple[list[Root], dict[str, list[Root]]]:
    """What counts everywhere and in some directories, and by directory."""
    everywhere = [root for root in defining.roots_around(home, ["/"]).found if root.tier != tools.PROJECT]
    there = {cwd: of.found for cwd, of in defining.roots_from(home, directories).items()}
    every = [*everywhere, *(root for found in there.values() for root in found)]
    return every, {_real(cwd): found for cwd, found in there.items()}


def _real(directory: str) -> str:
    """A directory as looks name it."""
    return printable_path(os.path.realpath(directory))


def _as_it_is(root: Root) -> Root:
    """A root as it lies now; it was found a while ago."""
    real, exists = os.path.realpath(root.path), os.path.isdir(root.path)  # noqa: PTH112 - any bytes
    return dataclasses.replace(root, real=real, exists=exists)


def _mark(path: Path) -> object:
    """What changes when a file does."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
