"""Crash everywhere on paper: states that a crash and a loss of power may leave, each looked at by the real code.

    python -m tests.crash.simfs [--only PROTOCOL] [--states N] [--seed S] [--workload W]

Each protocol is run as often as it takes, each time with other sizes, orders and errors (a workload); at each moment of
each run, states are drawn from what the disk may hold then. A state that was looked at before is not counted again.
Exit code 1 when anything promised is lost, anything is invented, or the next process cannot go on.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.crash.simfs import explore
from tests.crash.simfs.explore import MISTAKES, PROTOCOLS

STATES = 100_000
_SHOWN = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.simfs", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PROTOCOLS, help="this protocol alone, and no negative control")
    parser.add_argument(
        "--states", type=int, default=STATES, help="at least this many of each protocol (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=None, help="repeat an earlier run")
    parser.add_argument("--workload", type=int, default=None, help="one workload of that run alone")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    print(f"seed {seed} (repeat with --seed {seed})", flush=True)
    bad = 0
    for name in [asked.only] if asked.only else PROTOCOLS:
        began_s = time.monotonic()
        found = explore.explore(name, seed, asked.states, only=asked.workload)
        bad += found.violations
        print(f"{name:56} {found}; {time.monotonic() - began_s:.0f} s", flush=True)
        print(*found.examples[:_SHOWN], sep="\n", end="\n" if found.examples else "")
    if not asked.only:
        for mistake in MISTAKES:
            found = explore.explore_mistake(mistake, seed)
            bad += not found.violations
            verdict = "noticed" if found.violations else "NOT NOTICED"
            print(f"{mistake:56} {verdict}: {found}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
