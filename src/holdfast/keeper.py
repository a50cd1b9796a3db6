"""What the service holds while it works: a home under the writer's lock, with all that catching up needs open."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import apsw

from holdfast import premises
from holdfast.catch_up import Capture, ImportReport
from holdfast.errors import HoldfastError, NotFound
from holdfast.journal.sealing import Beside
from holdfast.store import database, lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.capture.claude_files import SourceFile
    from holdfast.catch_up import Means
    from holdfast.home import Home
    from holdfast.store.upkeep import Folding


class Ended(Exception):
    """The service is to end; what was being folded anew is begun again by whoever comes next."""


class Keeper:
    """A home under the writer's lock, with all that catching up needs open."""

    def __init__(self, home: Home, held: contextlib.ExitStack, is_ending: Callable[[], bool]) -> None:
        self._home = home
        self._held = held
        self._is_ending = is_ending
        self._means: Means | None = None
        self._rules: object = None
        self._store: object = None

    @classmethod
    def open(cls, home: Home, is_ending: Callable[[], bool]) -> Keeper | None:
        """Take the lock and open everything; None when another process holds the lock.

        Args:
            home: the home.
            is_ending: asked now and then, while the journal is folded anew, whether to leave that.

        Raises:
            Ended: it was asked to.
            StoreFromFuture: a newer Holdfast made the store.
            HoldfastError, OSError, apsw.Error: the system refuses something.
        """
        with contextlib.ExitStack() as held:
            if not held.enter_context(database.writer_lock(home.path, doing=lock.SERVING, ask=False)):
                return None
            premises.drop_temporaries(home.path)
            keeper = cls(home, held.pop_all(), is_ending)
        try:
            keeper._open()
        except BaseException:
            keeper.close()
            raise
        return keeper

    def _open(self) -> None:
        home = self._home
        db = home.upkeep().open(self._folding)
        assert db is not None, "nothing was to be left to another process"
        database.tell(home.path, lock.SERVING)
        home.read_rules_again()
        self._rules = _mark(home.rules_path)
        _ = home.redactor  # rules that cannot be used are told of now, not when something comes
        self._means = home.means(db)
        self._means.runs = lambda _: None  # the service watches agents itself
        self._store = _store(home)

    def _folding(self, _: Folding) -> None:
        if self._is_ending():
            raise Ended

    def look(self, paths: list[Path] | None, stop: Callable[[], bool]) -> ImportReport:
        """Record what is new below the paths and in the inbox, and fold the journal; None: below all roots.

        Raises:
            Ended: it was asked to.
            HoldfastError, OSError, apsw.Error: the system refuses something; what was recorded stays so.
        """
        home = self._home
        if paths is None and _store(home) != self._store:
            with contextlib.suppress(HoldfastError, OSError, apsw.Error):  # nobody reads that one any more
                self._close_means()
            self._open()
        if _mark(home.rules_path) != self._rules:
            self._reopen()
        assert self._means is not None
        if self._means.sealing.failed is not None:
            self._means.sealing = Beside(home.journal, lambda: home.host_id)
        out, files = self._found(paths)
        Capture(self._means, out, stop=stop).run(files)
        out.unsealed = str(self._means.sealing.failed) if self._means.sealing.failed else None
        if database.must_fold_again(self._means.db):
            self._reopen()
        return out

    def _found(self, paths: list[Path] | None) -> tuple[ImportReport, list[SourceFile]]:
        """Files below the paths if all of them are known by these names; else below all roots, where links may give them others."""
        home = self._home
        gone = (NotFound, FileNotFoundError, NotADirectoryError)  # while it was looked at
        if paths is not None:
            with contextlib.suppress(*gone):
                out, files = home.found([path for path in paths if path.is_dir()])
                if self._means is not None and all(map(self._means.knows, files)):
                    return out, files
        with contextlib.suppress(*gone):
            return home.found(home.default_roots())
        return home.found(home.default_roots())

    def _reopen(self) -> None:
        self._close_means()
        self._open()

    def _close_means(self) -> None:
        means, self._means = self._means, None
        if means is not None:
            means.close()

    def close(self) -> None:
        """Let go of everything; what cannot be closed in order is safe as after any crash."""
        try:
            with contextlib.suppress(HoldfastError, OSError, apsw.Error):
                self._close_means()
        finally:
            self._held.close()


def _store(home: Home) -> object:
    """Which file the home's store is; None: there is none."""
    number = database.current(home.path)
    return None if number is None else place(database.generation_path(home.path, number))


def _mark(path: Path) -> object:
    """What changes when a file does."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def place(path: Path) -> tuple[int, int] | None:
    """Which file or directory stands there: device and inode; None: none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
