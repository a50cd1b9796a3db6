"""A supervisor of the drill, in a process of its own that can be killed.

    python -m tests.e2e.supervise_drill.supervisor launch|tick|once MISTAKE BOOT LATER_S

`launch` starts what stands on standard input (a list of wishes as JSON), says each id, and then goes on as `tick`: looks at agents until it
is killed. `once` looks until nothing is to be done at this moment, and says what is true of each agent. With a MISTAKE it does what others
do; BOOT is the boot that it believes to be in, LATER_S how far its clock is ahead.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import msgspec

from holdfast import clock, processes, settings, supervising
from holdfast.home import Home
from holdfast.supervise import look, plan, shim, start
from holdfast.supervise.spec import Wish


def make(mistake: str) -> None:
    """Make a mistake that supervisors make."""
    if mistake == "numbers":  # a number is a process

        def is_alive(who):
            try:
                os.kill(who.pid, 0)
            except ProcessLookupError:
                return False
            return True

        processes.is_alive = is_alive
    if mistake == "restart":  # what has lost its shim is dead

        def next_action(agent, now_us, of=plan.next_action):
            last = agent.last
            if last is not None and last.state == "unshimmed":
                return plan.Start(last.attempt + 1, "it lost its shim")
            return of(agent, now_us)

        plan.next_action = next_action
    if mistake == "lock":  # who starts an agent does not look whether another one does
        text = Path(shim.__file__).read_text()
        bad = text.replace("fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass")
        bad = bad.replace('_exists(room, "child.json") or _exists(room, "exit.json")', "False")
        assert bad.count("pass\n") > text.count("pass\n")
        path = f"{os.environ['HOLDFAST_HOME']}-shim.py"
        Path(path).write_text(bad)
        start._interpreter = lambda: [sys.executable, "-I", "-S", path]
    if mistake == "exit":  # what no supervisor waited for ended well

        def life(directory, attempt, of=look.life):
            found = of(directory, attempt)
            return (
                msgspec.structs.replace(found, exit_code=0, signal=None) if found.state == "exited" else found
            )

        look.life = life


def main() -> None:
    mode, mistake, boot, later_s = sys.argv[1:5]
    make(mistake)
    if boot:
        processes.boot_id = lambda: boot
    later_us = int(float(later_s) * 1e6)
    home = Home(settings.load(None, os.environ, {}))
    if mode == "launch":
        for said in json.load(sys.stdin):
            launched = supervising.launch(home, Wish(**said | {"argv": tuple(said["argv"])}))
            os.write(1, f"{launched.id}\n".encode())
    supervisor = supervising.Supervisor(home, whole_us=0)
    began_s = time.monotonic()
    while True:
        ticked = supervisor.tick(clock.now_us() + later_us)
        for agent, why in ticked.trouble:
            print(f"{agent}: {why}", file=sys.stderr)
        if mode == "once" and not ticked.started:
            break
        time.sleep(0 if mode == "once" else 0.005)
    took_s = time.monotonic() - began_s
    said = {view.id: supervising.attempts_answer(view) for view in supervising.agents(home, ended=True)}
    print(json.dumps({"took_s": took_s, "agents": said}))


if __name__ == "__main__":
    main()
