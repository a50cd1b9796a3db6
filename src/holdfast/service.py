"""The service: keeps a home caught up, as its only writer, until it is told to stop.

It holds the writer's lock, and store, journal and redaction open. What changed is hinted at by the system (`monitor/notice.py`);
every few seconds it looks at everything, which is the truth. Others ask it through a socket (`store/asking.py`): to look
now, or to let go of the lock for work of theirs. It also watches the agents that were started here, tells how they end, and starts them
again where that was asked for (`supervising.py`), and answers requests for agents (`deploying.py`). A thread beside it looks at definitions
(`definition_watch.py`). When it dies, however it dies, the lock is free, and every command
catches up by itself again.

`run/service.lock` is held by the one service of a home, also while it yields; `run/service.log` holds what one says that nobody watches.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from holdfast import background, checkpointing, clock, deploying, processes
from holdfast.catch_up import ImportReport
from holdfast.definition_watch import Watch
from holdfast.errors import (
    HoldfastError,
    HomeError,
    ServiceError,
    ServiceRuns,
    StoreError,
    StoreFromFuture,
)
from holdfast.keeper import Ended, Keeper, place
from holdfast.monitor.notice import Notices
from holdfast.release import __version__
from holdfast.store import asking, database, lock
from holdfast.supervise.mailbox import Mailbox
from holdfast.supervising import Supervisor
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.home import Home
    from holdfast.settings import Settings
    from holdfast.store.asking import Asker
    from holdfast.supervise.requests import Answer

LOCK = "service.lock"
LOG = "service.log"
LOOK_EVERY_S = 10.0  # at everything, where the system tells of changes
LOOK_EVERY_BLIND_S = 1.0  # … where it does not, or not of all
_SHARE, _BLIND_SHARE = 0.005, 0.05  # … but no more often than this part of a core allows
GAP_S = 0.05  # between two looks, so that a busy writer costs no more than twenty a second
_AGAIN_AFTER_S = 5.0  # after something was refused, a full disk for example
_AGENTS_GAP_S = 0.05  # between two looks at agents that are due
_TORN_AGAIN_S = 1.0  # while a request is not whole
_LOCK_AGAIN_S = 0.2  # while somebody works who did not ask for the lock
_WHILE_YIELDED_S = 5.0  # who asked for it is heard leaving
_MISSING_AGAIN_S = 1.0  # a directory of which the system cannot tell that it comes is looked for so often


class Service:
    """One service of a home.

    Args:
        home: the home.
        say: told in words what happens: beginning, trouble and its end.
        news: what there is to be said once everything is recorded for the first time.
    """

    def __init__(self, home: Home, say: Callable[[str], None], news: Callable[[], list[str]] = list) -> None:
        self._home = home
        self._news = news
        self._tell = say
        self._place = place(home.path)
        self._inside = [
            os.path.realpath(path)
            for path in (home.inbox, home.journal, home.registry_directory, Mailbox(home.path).requests)
        ]
        self._keeper: Keeper | None = None
        self._stopping: str | None = None
        self._yielded: list[Asker] = []
        self._problem: str | None = None
        self._checkpoints = checkpointing.Timer(home, self._say)
        self._changed: set[str] = set()
        self._whole_look_due_s = 0.0  # on the clock of `time.monotonic`
        self._whole_look_takes_s = 0.0  # where nothing is new
        self._look_after_s = 0.0
        self._supervisor = Supervisor(home)
        self._agents_due_s = 0.0
        self._agents_trouble: dict[str, str] = {}
        self._requests = os.path.realpath(Mailbox(home.path).requests)
        self._requests_due_s = 0.0
        self._requests_trouble: dict[str, str] = {}
        self._began_us = clock.now_us()
        self._is_open = False  # it had the home once, or somebody else had
        self._looks = 0
        self._records = 0
        self._whole = ImportReport(done=False)  # of the last look at everything

    def run(self) -> None:
        """Serve until a signal or a question ends it.

        Raises:
            ServiceRuns: another service of this home does.
            StoreFromFuture: a newer Holdfast made the store.
            HomeError: the home is gone, or not to be used.
            ServiceError: no socket can be made, or somebody took the lock's file away.
        """
        home = self._home
        with contextlib.ExitStack() as stack:
            stack.enter_context(alone(home.path))
            self._lock = place(_lock_path(home.path))
            self._listener = listener = _listener(home.path)
            stack.callback(listener.close)
            stack.callback(self._let_go)
            stack.callback(self._supervisor.close)
            with contextlib.suppress(HomeError):  # told when requests are looked at
                Mailbox(home.path).open()
            self._roots = self._watched()
            self._notices = notices = stack.enter_context(Notices(self._roots))
            stack.enter_context(self._signals(notices))
            self._definitions = Watch(home.settings, self._say, notices.wake)
            stack.callback(self._definitions.close)
            self._say(f"{_BEGINS}{home.path} caught up; process {os.getpid()}")
            while self._stopping is None:
                self._round()
        self._say(f"ended: {self._stopping}")

    def _watched(self) -> list[Path]:
        home = self._home
        return [*map(Path.resolve, home.looked_for()), *map(Path, self._inside)]

    def _say(self, words: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # a full disk, or nobody listens any more
            self._tell(words)

    # ── one round ──

    def _round(self) -> None:
        heard = (self._listener.fileno(), *self._supervisor.descriptors())
        changed = self._notices.wait(self._wait_s(), *heard)
        self._check_place()
        self._definitions.see_to()
        if changed is None or self._requests in changed or time.monotonic() >= self._requests_due_s:
            self._answer_requests()
        self._attend()
        if changed is not None:
            self._changed |= changed
        elif self._notices.is_complete:
            self._whole_look_due_s = 0.0
        else:  # not told of everything, as usual: time says when to look
            due_s = time.monotonic() + self._look_every_s()
            self._whole_look_due_s = min(self._whole_look_due_s, due_s)
        self._answer_all(self._listener.hear())
        self._yielded = [asker for asker in self._yielded if self._listener.is_there(asker)]
        if self._stopping is None and self._keeper is None and not self._yielded:
            self._take_lock()
        if self._keeper is not None and self._is_due():
            self._look(None if time.monotonic() >= self._whole_look_due_s else self._changed_paths())
        if self._whole.done and self._stopping is None:
            self._checkpoints.tick()

    def _answer_requests(self) -> None:
        """Start what was asked for by files; what goes wrong is told once, and tried again."""
        trouble: dict[str, str] = {}
        wait_s = LOOK_EVERY_S if self._notices.is_complete else LOOK_EVERY_BLIND_S
        try:
            out = deploying.process(self._home, stop=self._is_asked_to_let_go)
        except Exception as exc:  # noqa: BLE001 - the rim, as `_told`
            trouble[self._requests] = _words(exc)
        else:
            for answer in out.answers:
                self._say(f"request {printable_path(answer.request_id or '(no id)')}: {_said(answer)}")
            trouble = dict(out.troubles)
            if out.stopped:
                wait_s = 0.0
            elif out.waiting or out.busy:
                wait_s = _TORN_AGAIN_S
        for file, why in trouble.items():
            if self._requests_trouble.get(file) != why:
                self._say(f"request {file}, tried again every {_AGAIN_AFTER_S:.0f} s: {printable_path(why)}")
        self._requests_trouble = trouble
        self._requests_due_s = time.monotonic() + (min(wait_s, _AGAIN_AFTER_S) if trouble else wait_s)

    def _attend(self) -> None:
        """See to the agents that were started here."""
        ticked = self._supervisor.tick()
        for agent, attempt in ticked.started:
            self._say(f"agent {agent}: attempt {attempt} is started")
        trouble = dict(ticked.trouble)
        for agent, why in trouble.items():
            if self._agents_trouble.get(agent) != why:
                self._say(f"agent {agent}: {printable_path(why)}")
        self._agents_trouble = trouble
        wait_s = LOOK_EVERY_S if self._supervisor.is_told else LOOK_EVERY_BLIND_S
        if ticked.due_us is not None:
            wait_s = min(wait_s, max(_AGENTS_GAP_S, (ticked.due_us - clock.now_us()) / 1e6))
        self._agents_due_s = time.monotonic() + wait_s

    def _check_place(self) -> None:
        """End when others would not find this service, or another could begin beside it.

        Raises:
            HomeError: the home is not where it was.
            ServiceError: the lock's file is not.
        """
        if place(self._home.path) != self._place:
            raise HomeError(f"{self._home.path}: {_ANOTHER}", hint="start the service again where it is now")
        if place(_lock_path(self._home.path)) != self._lock:
            raise ServiceError(
                f"{_lock_path(self._home.path)}: somebody took it away", hint="start the service again"
            )

    def _wait_s(self) -> float:
        """How long nothing has to be done."""
        due_s = min(self._agents_due_s, self._requests_due_s)
        ours_s = min(max(0.0, due_s - time.monotonic()), self._checkpoints.wait_s())
        wait_s = min(self._until_due_s(), self._listener.wait_s, ours_s)
        return min(wait_s, _MISSING_AGAIN_S) if self._is_root_missing() else wait_s

    def _until_due_s(self) -> float:
        if self._yielded:
            return _WHILE_YIELDED_S
        due_s = self._look_after_s
        if self._keeper is not None and not self._changed:
            due_s = max(due_s, self._whole_look_due_s)
        return max(0.0, due_s - time.monotonic())

    def _is_root_missing(self) -> bool:
        """Whether a directory that is to be watched does not exist: the system tells of none that comes."""
        return not all(map(os.path.isdir, self._roots))

    def _is_due(self) -> bool:
        now_s = time.monotonic()
        return now_s >= self._look_after_s and (bool(self._changed) or now_s >= self._whole_look_due_s)

    def _changed_paths(self) -> list[Path]:
        """The directories to look into: at what changed in the others, every look looks."""
        own = (
            *self._inside,
            *(path for path in self._changed if path.startswith(f"{self._requests}{os.sep}")),
        )
        return [Path(path) for path in sorted(self._changed.difference(own))]

    def _take_lock(self) -> None:
        if time.monotonic() < self._look_after_s:
            return
        with self._told():
            self._keeper = Keeper.open(self._home, self._is_ending)
            if self._keeper is None:
                self._look_after_s = time.monotonic() + _LOCK_AGAIN_S
        if not self._is_open and not self._is_ending():
            self._is_open = True
            database.tell(self._home.path / asking.RUN, lock.SERVING, name=LOCK)

    def _look(self, paths: list[Path] | None) -> ImportReport | None:
        """Look, and remember what came of it; None: it could not."""
        if self._keeper is None:
            return None
        self._changed.clear()
        began_s = time.monotonic()
        out = None
        with self._told():
            self._check_place()
            out = self._keeper.look(paths, self._is_asked_to_let_go)
            self._well()
        now_s = time.monotonic()
        if out is not None:
            if out.done and paths is None and not self._whole.done:
                self._say(f"caught up: {out.files_done} files")
                for words in self._news():
                    self._say(words)
            self._looks += 1
            self._records += out.records
            self._look_after_s = now_s + GAP_S
            if paths is None:
                self._whole = out
                if not out.records:
                    self._whole_look_takes_s = now_s - began_s
                self._whole_look_due_s = now_s + self._look_every_s() if out.done else 0.0
            elif not out.done:
                self._whole_look_due_s = 0.0
        return out

    def _look_every_s(self) -> float:
        if self._notices.is_complete:
            return max(LOOK_EVERY_S, self._whole_look_takes_s / _SHARE)
        return max(LOOK_EVERY_BLIND_S, self._whole_look_takes_s / _BLIND_SHARE)

    def _is_asked_to_let_go(self) -> bool:
        return self._stopping is not None or any(
            asker.word in {"yield", "stop"} for asker in self._listener.hear()
        )

    def _is_ending(self) -> bool:
        return self._stopping is not None or any(asker.word == "stop" for asker in self._listener.hear())

    # ── trouble ──

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong is told, and tried again later; what will not get better ends the service."""
        try:
            yield
        except (StoreFromFuture, HomeError, ServiceError):
            raise
        except Ended:
            self._let_go()
        except Exception as exc:  # noqa: BLE001 - the rim: one look that fails must not end all that come
            self._check_place()
            self._let_go()
            problem = printable_path(_words(exc))
            if problem != self._problem:
                self._say(f"trouble, tried again every {_AGAIN_AFTER_S:.0f} s: {problem}")
            self._problem = problem
            self._look_after_s = time.monotonic() + _AGAIN_AFTER_S
            self._whole_look_due_s = 0.0

    def _well(self) -> None:
        if self._problem is not None:
            self._say("the trouble is over")
            self._problem = None

    def _let_go(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()

    # ── questions ──

    def _answer_all(self, asked: list[Asker]) -> None:
        """Who wants it caught up first: one look, which began after all of them asked, serves all."""
        waiting = [asker for asker in asked if asker.word == "catch_up"]
        own = self._home.names_of_roots() if waiting else []
        for asker in list(waiting):
            if asker.question.get("roots", own) != own:
                waiting.remove(asker)
                asked.remove(asker)
                self._listener.answer(asker, {"other_roots": True})
        if waiting:
            out = self._look(None)
            for asker in waiting:
                self._listener.answer(asker, {"busy": True} if out is None else out.answer())
        for asker in asked:
            if asker not in waiting:
                self._answer(asker)

    def _answer(self, asker: Asker) -> None:
        match asker.word:
            case "yield":
                self._let_go()
                asker.stays = True
                self._yielded.append(asker)
                self._listener.answer(asker, {"yielded": True})
            case "stop":
                self._listener.answer(asker, self._status())
                self._stopping = "it was told to"
            case _:
                self._listener.answer(asker, self._status())

    def _status(self) -> dict[str, Any]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "pid": os.getpid(),
            "version": __version__,
            "started_at": clock.iso(self._began_us),
            "looks": self._looks,
            "records": self._records,
            "files": self._whole.files_total,
            "files_done": self._whole.files_done,
            "unreadable": len(self._whole.unreadable),
            "directories_watched": self._notices.watch_count,
            "told_of_changes": self._notices.is_complete,
            "looks_at_all_every_s": round(self._look_every_s(), 3),
            "yielded": bool(self._yielded),
            "problem": self._problem,
            "definitions": self._definitions.told(),
            "cpu_s": round(used.ru_utime + used.ru_stime, 3),
        }

    # ── signals ──

    @contextlib.contextmanager
    def _signals(self, notices: Notices) -> Iterator[None]:
        def stop(number: int, _frame: object) -> None:
            self._stopping = signal.Signals(number).name
            notices.wake()

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _said(answer: Answer) -> str:
    return f"refused: {answer.error}" if answer.agent is None else f"agent {answer.agent} is {answer.status}"


def _words(exc: Exception) -> str:
    """What went wrong; of what nobody foresaw, its type too."""
    if isinstance(exc, HoldfastError | OSError | apsw.Error):
        return str(exc) or type(exc).__name__
    return f"{type(exc).__name__}: {exc}"


def _listener(home: Path) -> asking.Listener:
    try:
        return asking.Listener(home)
    except OSError as exc:
        path = home / asking.RUN / asking.NAME
        raise ServiceError(
            f"{path}: {exc.strerror or exc}", hint="remove what stands there, or repair access"
        ) from exc


def _lock_path(home: Path) -> Path:
    return home / asking.RUN / LOCK


_BEGINS = "keeping "
_STARTING = "start"  # what the service's own lock says until the home was opened once
_ANOTHER = "it is not the directory any more that it was when the service began"


@contextlib.contextmanager
def alone(home: Path) -> Iterator[None]:
    """Be the one service of the home for the block.

    Raises:
        ServiceRuns: another one runs.
        StoreError: the system does not let us ask.
    """
    run = home / asking.RUN
    try:
        run.mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise StoreError(f"{run}: {exc.strerror}", hint="make room or repair access") from exc
    with lock.held(run, 0, name=LOCK) as mine:
        if not mine:
            raise ServiceRuns(running(home))
        if (who := lock.holder(home)) is not None and who.serves:
            raise ServiceRuns(who)  # its own lock was removed beneath it
        database.tell(run, _STARTING, name=LOCK)
        yield


def running(home: Path) -> lock.Holder | None:
    """The service of a home that runs; None: none does."""
    return lock.holder(home / asking.RUN, name=LOCK)


# ── from outside ──

_START_LIMIT_S = 20.0
_END_LIMIT_S = 15.0
_ANSWER_WAIT_S = 2.0
_LOOK_AGAIN_S = 0.02


def log_path(home: Path) -> Path:
    """What a service says that runs in the background."""
    return home / asking.RUN / LOG


def last_words(home: Path) -> str | None:
    """The error that the last of them ended with, else the last line; None: nothing was said."""
    try:
        lines = log_path(home).read_text("utf-8", "replace").split("\n")
    except OSError:
        return None
    said = [line for line in lines if line.strip() and not line.startswith("process ")]
    for line in reversed(said):
        if line.startswith("error: "):
            return line
        if _BEGINS in line:
            break
    return said[-1] if said else None


def ask(home: Path, word: str) -> dict[str, Any] | None:
    """What the service answers; None: nothing in time."""
    return asking.ask(home, word, _ANSWER_WAIT_S)


def detach(home: Path, settings: Settings) -> int:
    """Start a service in the background, in a session of its own; its process number, once it has opened the home.

    Raises:
        ServiceRuns: one runs.
        ServiceError: it ended at once; its exit code and its last words are told.
    """
    with _starting(home) as is_mine:
        if not is_mine or running(home) is not None:
            raise ServiceRuns(running(home))
        try:
            child = background.spawn(home, settings, ["up"], log_path(home))
        except OSError as exc:
            raise ServiceError(
                f"{log_path(home)}: {exc.strerror}", hint="make room or repair access"
            ) from exc
        deadline_s = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < deadline_s and child.poll() is None:
            if _is_started(home, child.pid):
                return child.pid
            time.sleep(_LOOK_AGAIN_S)
        if child.poll() is None:
            if (who := lock.holder(home)) is not None and who.pid == child.pid:
                return child.pid  # it brings the store up to date
            child.kill()  # it holds nothing
            raise ServiceError(f"it did not start within {_START_LIMIT_S:.0f} s", hint=_see(home))
    if child.returncode == ServiceRuns.exit_code:
        raise ServiceRuns(running(home))
    said = last_words(home) or "it said nothing"
    raise ServiceError(f"it did not start: exit code {child.returncode}, {said}", hint=_see(home))


def _see(home: Path) -> str:
    return f"see {log_path(home)}"


@contextlib.contextmanager
def _starting(home: Path) -> Iterator[bool]:
    """Be the only one who starts a service and waits for it; yields whether nobody else does after a while."""
    run = home / asking.RUN
    try:
        run.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise ServiceError(f"{run}: {exc.strerror}", hint="make room or repair access") from exc
    try:
        yield lock.lock_within(fd, int(_START_LIMIT_S * 1_000))
    finally:
        os.close(fd)


def _is_started(home: Path, pid: int) -> bool:
    """Whether a service has opened its home, or folds its journal anew to do so."""
    if (who := running(home)) is not None and who.pid == pid and who.serves:
        return True
    return (who := lock.holder(home)) is not None and who.pid == pid and who.doing == "fold"


def end(home: Path, who: lock.Holder) -> bool:
    """Tell a service to end, and wait until it has; whether it has."""
    if ask(home, "stop") is None and running(home) == who:
        with contextlib.suppress(ProcessLookupError):
            os.kill(who.pid, signal.SIGTERM)
    deadline_s = time.monotonic() + _END_LIMIT_S
    process = processes.Identity(who.pid, who.started_ticks, who.boot)
    while time.monotonic() < deadline_s:
        if not processes.is_alive(process):
            return True
        time.sleep(_LOOK_AGAIN_S)
    return False
