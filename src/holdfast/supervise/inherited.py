"""What a process has from who starts it, and an agent is to have from who asked for it: its mask of file modes, its niceness, its limits.

Whoever starts an agent, or starts it again, gives it these as they were when it was asked for. Where nobody noted them (a request that was left as a
file), it gets all of them from who starts it, and no looser mask than is usual.
"""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.supervise import process

if TYPE_CHECKING:
    from collections.abc import Callable

USUAL_UMASK: Final = 0o022
Limit = tuple[int, int]  # soft and hard; UNLIMITED: none
UNLIMITED: Final = -1
_NUMBERS: Final = {
    name.removeprefix("RLIMIT_").lower(): getattr(resource, name)
    for name in dir(resource)
    if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"  # the BSDs' name of nofile
}


class Inherited(msgspec.Struct, frozen=True, kw_only=True):
    """What is handed down.

    Attributes:
        umask: the bits that new files are made without; None: those of who starts it, and USUAL_UMASK.
        nice: from -20, the first to run, to 19; None: as of who starts it.
        limits: by name, such as `nofile`, as in setrlimit(2); those that are missing: as of who starts it.
    """

    umask: int | None = None
    nice: int | None = None
    limits: dict[str, Limit] = {}


def mine() -> Inherited:
    """What this process has."""
    limits = {name: _written(resource.getrlimit(number)) for name, number in _NUMBERS.items()}
    return Inherited(umask=_umask(), nice=os.getpriority(os.PRIO_PROCESS, 0), limits=limits)


def umask_of(given: Inherited) -> int:
    """The mask that it has."""
    return _umask() | USUAL_UMASK if given.umask is None else given.umask


def _umask() -> int:
    """Where the system does not tell, no other thread may make files meanwhile: the mask can only be read by changing it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_bytes().splitlines():
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def giver(given: Inherited) -> Callable[[], None]:
    """What a process calls between fork and exec, where nothing may be loaded, to have this, as far as it may: more than who starts it
    has only a privileged one gets. It becomes a subreaper too.
    """
    process.prepare_subreaper()
    limits = [
        (_NUMBERS[name], (_known(limit), _allowed(limit, resource.getrlimit(_NUMBERS[name]))))
        for name, limit in given.limits.items()
        if name in _NUMBERS
    ]

    def give() -> None:
        process.become_subreaper()
        for number, best_first in limits:
            for limit in best_first:
                try:
                    resource.setrlimit(number, limit)
                    break
                except (OSError, ValueError):
                    pass
        if given.nice is not None:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, 0, given.nice)

    return give


def _written(limit: Limit) -> Limit:
    soft, hard = (UNLIMITED if one == resource.RLIM_INFINITY else one for one in limit)
    return soft, hard


def _known(limit: Limit) -> Limit:
    """As the system has it."""
    soft, hard = (resource.RLIM_INFINITY if one == UNLIMITED else one for one in limit)
    return soft, hard


def _allowed(wanted: Limit, has: Limit) -> Limit:
    """What comes next to it that a process may set which has another."""
    hard = _least(wanted[1], _written(has)[1])
    return _known((_least(wanted[0], hard), hard))


def _least(one: int, other: int) -> int:
    return max(one, other) if UNLIMITED in (one, other) else min(one, other)
