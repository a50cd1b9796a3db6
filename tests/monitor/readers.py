"""Readers that must be found out: with the usual rule for who is who, and with positions kept apart from lines."""

from __future__ import annotations

from holdfast.monitor import fingerprint, matching, tail
from tests.monitor.world import ApiReader


class Failed(Exception):
    """A reader could not go on."""


class InodeAndOffset(ApiReader):
    """Knows a file by its number and size alone, as many tools do."""

    def start(self):
        def stands(read_at, known, limit=0):
            return not known.consumed or bool(read_at(1, known.consumed - 1))

        self._real = matching.stands, tail.stands, matching.birth_of, fingerprint.birth_of
        matching.stands = tail.stands = stands
        matching.birth_of = fingerprint.birth_of = lambda fd: None
        super().start()

    def stop(self):
        matching.stands, tail.stands, matching.birth_of, fingerprint.birth_of = self._real
        super().stop()


class CommitApart(ApiReader):
    """Keeps lines in one transaction and positions in the next."""

    def _take(self, batch):
        if self.dies_at == "read":
            from tests.monitor.world import Crash

            raise Crash
        rows = [(line.body, None) for line in batch.lines] + [(None, each.kind) for each in batch.events]
        with self.db:
            self.db.executemany("INSERT INTO line (body, event) VALUES (?, ?)", rows)
        if self.dies_at == "written":
            from tests.monitor.world import Crash

            raise Crash
        with self.db:
            self.tailer.keep(batch)
