"""Which sessions have a process at work, as far as this host can tell at this moment.

Nothing here is recorded: what is true of a process now is asked of the kernel when somebody looks. Which process a session has, its
tool says (`claude_registry`, `codex_locks`), now or when it was last recorded; which of them Holdfast started, its run directory
(`runs.Looks`), which counts first.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from holdfast import processes
from holdfast.capture import claude_registry, codex_locks
from holdfast.store import runs
from holdfast.store.activity import Vital, supervised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.events import ProcessSighted
    from holdfast.store.runs import Looks, Run


def here(host_id: str) -> claude_registry.Place:
    """This host, its boot, and the pid namespace of this process."""
    try:
        namespace: str | None = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = None
    return claude_registry.Place(host_id, processes.boot_id(), namespace)


class Liveness:
    """Looks at the tools' registries once, and at each process when it is asked for.

    Args:
        registry: that of Claude Code.
        locks: the directory of Codex's locks.
        place: this host.
        looks: says how a life that Holdfast started stands now.
    """

    def __init__(
        self, registry: Path, locks: Path, place: claude_registry.Place, looks: Looks = runs.recorded_only
    ) -> None:
        self._registry = registry
        self._locks = locks
        self._place = place
        self._looks = looks

    def __call__(self, key: str, known: ProcessSighted | None, lives: Sequence[Run] = ()) -> Vital | None:
        """What is known of the process of the session with this key.

        None: nothing tells of a process.

        Args:
            key: "<source>:<native id>".
            known: the last one recorded.
            lives: of agents that were started here to work in it.
        """
        source, _, native = key.partition(":")
        listed = self._best(key, known)
        if source == "codex":
            found = self._of_codex(native)
        elif listed is not None:
            found = self._vital(_in_its_boot(listed, known), left_behind=True)
        else:
            found = None if known is None else self._vital(known, left_behind=False)
        run = runs.last(map(self._looks, lives)) if lives else None
        return found if run is None else self._of_run(key, run, found, listed or known)

    def _best(self, key: str, known: ProcessSighted | None) -> ProcessSighted | None:
        """The process that the tool lists for a session; None: none, or only one that was there before the last one recorded."""
        listed = self._listed.get(key)
        best = max(listed, key=self._rank) if listed else None
        if best is None or known is None or _began(best) >= _began(known) or self._is_alive(best) is True:
            return best
        return None

    def _of_run(
        self, key: str, run: Run, found: Vital | None, process: ProcessSighted | None
    ) -> Vital | None:
        """A process that was started here counts before what its tool says of it, but for one that came later, or lives."""
        told = supervised(run)
        if told is None:
            return found
        if not run.is_alive:
            until_us = run.seen_us if run.ended_us is None else run.ended_us
            later = until_us is not None and process is not None and _began(process) > until_us
            return found if found is not None and (found.process == "alive" or later) else told
        elsewhere = self._sessions.get(processes.Identity(run.pid or 0, run.start_ticks, run.boot), key)
        if elsewhere != key:
            return found or Vital("dead", f"{run.words}, and went on to another session")
        if found is None or found.process != "alive":
            return told
        return told._replace(status=found.status, waiting_for=found.waiting_for, since_us=found.since_us)

    @cached_property
    def _listed(self) -> dict[str, list[ProcessSighted]]:
        out: dict[str, list[ProcessSighted]] = {}
        for _, said in claude_registry.files(self._registry):
            found = claude_registry.listed(said, self._place)
            if found is not None:
                out.setdefault(found.session, []).append(found.process)
        return out

    @cached_property
    def _sessions(self) -> dict[processes.Identity, str]:
        """Which session each listed process is at now."""
        return {_identity(one): key for key, found in self._listed.items() for one in found}

    @cached_property
    def _held(self) -> dict[tuple[int, int, int], int] | None:
        return codex_locks.held()

    def _rank(self, process: ProcessSighted) -> tuple[bool, int]:
        return self._is_alive(process) is True, _began(process)

    def _of_codex(self, thread: str) -> Vital | None:
        holder = codex_locks.holder(self._locks, thread, self._held)
        if holder is None:
            return None
        if holder is False:
            return Vital("dead", "the process that wrote it left its lock behind")
        return Vital("alive", f"{'a process' if holder is True else f'process {holder}'} holds its lock")

    def _vital(self, process: ProcessSighted, *, left_behind: bool) -> Vital | None:
        alive = self._is_alive(process)
        number = f"process {process.pid}"
        if alive is None and left_behind and process.namespace != self._place.namespace:
            why = f"its {number} is one of another pid namespace, and cannot be looked at from here"
            return Vital("unseen", why, process.status, process.waiting_for, process.since_us)
        if alive is None:
            return None
        if not alive:
            how = "died and left its entry behind" if left_behind else "is gone"
            said = (process.status, process.waiting_for, process.since_us)
            return Vital("dead", f"its {number} {how}", *said, last_word=left_behind)
        if not left_behind and _identity(process) in self._sessions:
            return Vital("dead", f"its {number} went on to another session")
        if not left_behind:
            return Vital("alive", f"its {number} runs")  # what it does it does not say any more
        return Vital("alive", f"its {number} runs", process.status, process.waiting_for, process.since_us)

    def _is_alive(self, process: ProcessSighted) -> bool | None:
        """Whether it runs; None: it cannot be told from here."""
        if process.host != self._place.host:
            return None
        if process.boot_id != self._place.boot:
            return False if process.boot_id and self._place.boot else None
        if process.namespace != self._place.namespace:
            return None
        alive = processes.is_alive(_identity(process))
        if process.start_ticks is None and alive:
            return None  # its number may be somebody else's by now
        return alive


def _identity(process: ProcessSighted) -> processes.Identity:
    return processes.Identity(process.pid, process.start_ticks, process.boot_id)


def _in_its_boot(listed: ProcessSighted, known: ProcessSighted | None) -> ProcessSighted:
    """A process that is listed now, in the boot in which it was seen first: an entry may be left from an earlier one."""
    if known is None or _life(listed) != _life(known) or not known.boot_id:
        return listed
    return msgspec.structs.replace(listed, boot_id=known.boot_id)


def _life(process: ProcessSighted) -> tuple[object, ...]:
    return process.host, process.pid, process.start_ticks, process.began_us


def _began(process: ProcessSighted) -> int:
    return -1 if process.began_us is None else process.began_us
