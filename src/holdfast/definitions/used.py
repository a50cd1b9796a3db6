"""When agents last ran with definitions, as far as names and directories tell. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from holdfast.definitions import tools

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Run(NamedTuple):
    """Agents that ran under one name in one directory (None: unknown), and when one started last (None: unknown)."""

    tool: str
    name: str
    cwd: str | None
    last_us: int | None


class Lying(NamedTuple):
    """A file of a definition, and the directory of definitions in which it lies."""

    tool: str
    name: str
    tier: str | None
    root: str | None
    path: str


class Used:
    """Which runs were of which file.

    Args:
        runs: of any names.
        lying: every file that lies anywhere, as far as is recorded.
    """

    def __init__(self, runs: Iterable[Run], lying: Iterable[Lying]) -> None:
        self._runs: dict[tuple[str, str], list[Run]] = defaultdict(list)
        self._lying: dict[tuple[str, str], list[Lying]] = defaultdict(list)
        for run in runs:
            self._runs[run.tool, run.name].append(run)
        for one in lying:
            self._lying[one.tool, one.name].append(one)

    def of(self, one: Lying) -> list[Run]:
        """Runs that may have been of a file: not those of another project's, and by a plugin's plain name only where nothing else has it."""
        return [*self._by_name(one), *self._by_plain_name(one)]

    def _by_name(self, one: Lying) -> Iterator[Run]:
        others = [other for other in self._lying.get((one.tool, one.name), ()) if other.tier == tools.PROJECT]
        for run in self._runs.get((one.tool, one.name), ()):
            is_elsewhere = one.tier == tools.PROJECT and not _holds(one, run)
            if not (is_elsewhere and any(_holds(other, run) for other in others)):
                yield run

    def _by_plain_name(self, one: Lying) -> Iterator[Run]:
        plain = one.name.rpartition(":")[2]
        if one.tier != tools.PLUGIN or plain == one.name:
            return
        others = self._lying.get((one.tool, plain), ())
        for run in self._runs.get((one.tool, plain), ()):
            if not any(other.tier != tools.PROJECT or _holds(other, run) for other in others):
                yield run


def _holds(one: Lying, run: Run) -> bool:
    """Whether a run's directory lies in the project of a file."""
    if run.cwd is None or one.root is None:
        return False
    project = tools.TOOLS[one.tool].project_of(one.root)
    return run.cwd == project or run.cwd.startswith(f"{project.rstrip('/')}/")
