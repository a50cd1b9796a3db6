"""`holdfast up` with something in its way, or telling what it does: `python -m tests.e2e.hindered MODE…`.

seldom     it looks at everything only when it must, and tries again soon after trouble
looks      tells at what it looks
waits      tells how long it waits in each round
breaks     a file named `break.jsonl` makes each look fail in a way nobody foresaw
vanishes   every directory is gone when it is looked into after a hint
anew       waits for a signal when it begins to fold the journal anew
folds      folds one record at a time, and waits for a signal after the second
deaf       the system tells of nothing
often      definitions are scanned ten times a second
scanless   definitions are scanned only when the system tells of something, once a directory of them is there
hasty      definitions are taken as they lie, however shortly
dies       what watches definitions ends when it finds a file named `end.md`
fails      it fails in a way nobody foresaw when it finds a file named `fail.md`
keeps      each of its looks fails so, until there is no file named `keep.md` any more
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from holdfast import definition_watch, service
from holdfast.cli import main
from holdfast.definitions import looking, scanning
from holdfast.errors import NotFound
from holdfast.home import Home
from holdfast.monitor.inotify import Inotify
from holdfast.monitor.notice import Notices
from holdfast.store import project, upkeep


def say(words: str) -> None:
    os.write(2, f"{words}\n".encode())


def wait_for_signal(words: str) -> None:
    """Say the words, and go on when SIGTERM has come since, and was handled."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    say(words)
    signal.sigwait({signal.SIGTERM})
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def seldom() -> None:
    service.LOOK_EVERY_S = service.LOOK_EVERY_BLIND_S = 10_000.0
    service._AGAIN_AFTER_S = 0.05


def looks() -> None:
    found = Home.found

    def told(home: Home, paths: list[Path]):
        names = [path.name for path in paths]
        say(f"looks at {'everything' if 'projects' in names else names}")
        return found(home, paths)

    Home.found = told  # type: ignore[method-assign]


def waits() -> None:
    wait = Notices.wait

    def told(notices: Notices, timeout_s: float | None, *also: int):
        say(f"waits {timeout_s}")
        return wait(notices, timeout_s, *also)

    Notices.wait = told  # type: ignore[method-assign]


def breaks() -> None:
    found = Home.found

    def broken(home: Home, paths: list[Path]):
        if any(Path(os.environ["CLAUDE_CONFIG_DIR"]).rglob("break.jsonl")):
            raise KeyError("nobody foresaw it")
        return found(home, paths)

    Home.found = broken  # type: ignore[method-assign]


def vanishes() -> None:
    found = Home.found

    def gone(home: Home, paths: list[Path]):
        if paths and "projects" not in [path.name for path in paths]:
            raise NotFound(f"{paths[0]}: no such file or directory")
        return found(home, paths)

    Home.found = gone  # type: ignore[method-assign]


def anew() -> None:
    catch_up = upkeep.Upkeep._fold

    def held(one: upkeep.Upkeep, current, told):
        wait_for_signal("folds anew")
        return catch_up(one, current, told)

    upkeep.Upkeep._fold = held  # type: ignore[method-assign]


def folds() -> None:
    project._BATCH_RECORDS = 1  # type: ignore[assignment]
    tell = project.Projector._tell
    batches = []

    def told(projector: project.Projector, *given):
        batches.append(1)
        if len(batches) == 2:
            wait_for_signal("folds")
        return tell(projector, *given)

    project.Projector._tell = told  # type: ignore[method-assign]


def deaf() -> None:
    def refused(_: Inotify) -> None:
        raise OSError("no more queues are allowed")

    Inotify.__init__ = refused  # type: ignore[method-assign]


def often() -> None:
    definition_watch.SCAN_EVERY_S = 0.1
    definition_watch._SHARE = definition_watch._BLIND_SHARE = 1.0


def scanless() -> None:
    def every_s(work: definition_watch._Round) -> float:
        return 10_000.0 if any(work._places.values()) else 0.1

    definition_watch._Round._every_s = every_s  # type: ignore[method-assign]


def hasty() -> None:
    definition_watch.SETTLE_S = 0.0  # type: ignore[misc]


def dies() -> None:
    _when_found("end.md", SystemExit)


def fails() -> None:
    _when_found("fail.md", MemoryError)


def keeps() -> None:
    look = looking.look

    def found(held, roots, *more):
        roots = list(roots)
        if any(path.endswith("/keep.md") for path in scanning.scan(roots).files):
            say("looks in vain")
            raise MemoryError
        return look(held, roots, *more)

    looking.look = found


def _when_found(name: str, kind: type[BaseException]) -> None:
    scan = scanning.scan
    raised = []

    def found(roots):
        out = scan(roots)
        if not raised and any(path.endswith(f"/{name}") for path in out.files):
            raised.append(kind)
            raise kind
        return out

    scanning.scan = found


if __name__ == "__main__":
    modes, sys.argv[1:] = sys.argv[1:], ["up"]
    for mode in modes:
        globals()[mode]()
    main()
