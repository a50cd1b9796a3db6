"""Kill supervisors, shims and agents at random moments, and see whether each agent is told as it was, and was started once.

    python -m tests.e2e.supervise_drill [--agents 2000] [--seed N] [--believe numbers|restart|lock|exit]

Eight scenes take turns until so many agents were started: a supervisor is killed beside many agents, half of which end meanwhile; one is
killed while it starts them, and another one takes over at once; shims are killed; numbers of dead processes are given out again; the machine
starts again; an agent does not mind SIGTERM; one leaves a daemon; two supervisors do the same at once. What is true is known: each agent was
told how to end, and leaves a file for each time it began.

With `--believe` the supervisors make a mistake that others make, and the drill must find that out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.e2e.drill.__main__ import _LAST_PID, _apart, _can_force

Json = dict[str, Any]
LIMIT_S = 60.0  # for what takes a second
AGENT = Path(__file__).with_name("agent.py")
ROOT = AGENT.parents[3]
GRACE_S = 0.5


class Scene:
    """A home of its own, with agents whose ends are known."""

    def __init__(self, top: Path, chance: random.Random, mistake: str, seen: Counter[str]) -> None:
        self.chance, self.mistake, self.seen = chance, mistake, seen
        self.home, self.begun = top / "home", top / "begun"
        self.begun.mkdir(parents=True)
        (top / "user").mkdir()
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HOLDFAST_", "CLAUDE", "CODEX_"))
        }
        self.environment = own | {"HOME": str(top / "user"), "HOLDFAST_HOME": str(self.home), "NO_COLOR": "1"}
        self.top = top
        self.wanted: dict[str, Json] = {}  # id → {"lines", "end"}
        self.wrong: list[str] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self.may_lack = False  # an agent may never have been made, where who wanted it was killed before

    # ── agents ──

    def wish(
        self, *, end: str | None = None, lines: int | None = None, pace_s: float = 0.02, **more: Any
    ) -> Json:
        number = self.chance.randrange(16**12)
        agent = f"{number:012x}"
        if end is None:
            end = (
                f"signal:{self.chance.choice([1, 9, 15, 6])}"
                if self.chance.random() < 0.15
                else f"exit:{self.chance.choice([0, 0, 1, 2, 42, 255])}"
            )
        lines = self.chance.randint(0, 60) if lines is None else lines
        self.wanted[agent] = {"lines": lines, "end": end}
        argv = [sys.executable, "-I", "-S", str(AGENT), str(self.begun), str(lines), str(pace_s), end]
        return {"id": agent, "argv": argv, "cwd": str(self.top), "stop_grace_s": GRACE_S, **more}

    def supervisor(
        self, mode: str, *, wishes: list[Json] | None = None, boot: str = "", later_s: float = 0
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.e2e.supervise_drill.supervisor",
                mode,
                self.mistake,
                boot,
                str(later_s),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            cwd=ROOT,
        )
        assert process.stdin is not None
        if wishes is not None:
            process.stdin.write(json.dumps(wishes).encode())
        process.stdin.close()
        process.stdin = None
        self.processes.append(process)
        return process

    def launch(self, wishes: list[Json]) -> subprocess.Popen[bytes]:
        """A supervisor that has started all of these."""
        process = self.supervisor("launch", wishes=wishes)
        assert process.stdout is not None
        for _ in wishes:
            if not process.stdout.readline():
                raise AssertionError(f"the supervisor ended: {process.communicate()[1].decode()[-2000:]}")
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.communicate()
        self.seen["supervisors killed"] += 1

    def once(self, *, boot: str = "", later_s: float = 0) -> Json:
        """What a new supervisor finds."""
        process = self.supervisor("once", boot=boot, later_s=later_s)
        out, errors = process.communicate(timeout=LIMIT_S)
        if process.returncode:
            raise AssertionError(f"the supervisor failed: {errors.decode()[-2000:]}")
        self.expect(not errors, f"trouble: {errors.decode()[-500:]}")
        said = json.loads(out)
        self.seen["reconciles"] += 1
        self.seen["reconcile ms, together"] += int(said["took_s"] * 1_000)
        return said["agents"]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "holdfast", *arguments],
            capture_output=True, text=True, env=self.environment, cwd=ROOT, timeout=LIMIT_S, check=False,
        )  # fmt: skip

    def child(self, agent: str, attempt: int = 1) -> Json:
        return json.loads((self.room(agent, attempt) / "child.json").read_text())

    def room(self, agent: str, attempt: int = 1) -> Path:
        return self.home / "run" / agent / f"{attempt:04d}"

    def beginnings(self, agent: str) -> int:
        return sum(1 for _ in self.begun.glob(f"{agent}.*"))

    # ── what is so ──

    def until(self, what: Any, why: str) -> None:
        deadline_s = time.monotonic() + LIMIT_S
        while not what():
            if time.monotonic() > deadline_s:
                raise AssertionError(f"waited too long until {why}")
            time.sleep(0.005)

    def until_over(self, agents: list[str] | None = None) -> None:
        """Until each wrote its end down."""
        for agent in self.wanted if agents is None else agents:
            if (self.home / "run" / agent).exists():
                self.until((self.room(agent) / "exit.json").exists, f"agent {agent} ends")

    def check(self, told: Json, *, attempts: int = 1) -> None:
        """Each agent, as it was to end; each begun once, with all it wrote."""
        for agent, truth in self.wanted.items():
            if agent not in told and self.may_lack and not self.beginnings(agent):
                self.seen["never made"] += 1
                continue
            if agent not in told:
                self.wrong.append(f"{agent}: is not told of")
                continue
            self.check_end(agent, truth, told[agent]["attempts"], attempts)
            self.check_log(agent, truth, attempts)
        for agent in set(told) - set(self.wanted):
            self.wrong.append(f"{agent}: nobody wanted it")

    def check_end(self, agent: str, truth: Json, lives: list[Json], attempts: int) -> None:
        if len(lives) != attempts or self.beginnings(agent) != attempts:
            self.wrong.append(
                f"{agent}: {len(lives)} attempts, begun {self.beginnings(agent)} times, not {attempts}"
            )
        word, _, number = truth["end"].partition(":")
        expected = (int(number), None) if word == "exit" else (None, int(number))
        for life in lives:
            found = (life["exit_code"], life["signal"])
            if life["life"] != "exited" or found != expected:
                self.wrong.append(f"{agent}: {life['life']} {found}, not exited {expected}")
            self.seen["ends checked"] += 1

    def check_log(self, agent: str, truth: Json, attempts: int = 1) -> None:
        whole = b"".join(b"line %d of %d\n" % (number, truth["lines"]) for number in range(truth["lines"]))
        for attempt in range(1, attempts + 1):
            if (found := self.read(agent, attempt)) != whole:
                self.wrong.append(f"{agent}: {len(found)} bytes of its output, not {len(whole)}")
            self.seen["log lines checked"] += truth["lines"]

    def read(self, agent: str, attempt: int = 1) -> bytes:
        try:
            return (self.room(agent, attempt) / "out.log").read_bytes()
        except FileNotFoundError:
            return b""

    def expect(self, what: bool, words: str) -> None:
        if not what:
            self.wrong.append(words)

    def clear(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for directory in sorted((self.home / "run").glob("*/*/child.json")):
            room = directory.parent
            if (room / "exit.json").exists():
                continue
            said = json.loads(directory.read_text())
            for number in (said["shim_pid"], said["pid"]):
                if _runs_in(number, room, self.begun):
                    os.kill(number, signal.SIGKILL)


def _is_gone(pid: int) -> bool:
    """Whether its number is free. In a namespace of our own, orphans come to us."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return not Path(f"/proc/{pid}").exists()


def _runs_in(pid: int, *places: Path) -> bool:
    """Whether a process of this number is one of the drill's."""
    try:
        said = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return any(os.fsencode(place) in said for place in places)


# ── scenes ──


def abandoned(scene: Scene, count: int) -> None:
    """The supervisor is killed beside many agents; half end meanwhile, some by a signal."""
    wishes = [scene.wish(pace_s=scene.chance.choice([0.005, 0.02, 0.03])) for _ in range(count)]
    first = scene.launch(wishes)
    scene.kill(first)
    half = [wish["id"] for wish in wishes][: count // 2]
    scene.until_over(half)
    told = scene.once()
    scene.expect(set(told) == set(scene.wanted), "the second supervisor does not know all agents")
    second = scene.supervisor("tick")
    time.sleep(scene.chance.random() * 0.3)
    scene.kill(second)
    scene.until_over()
    scene.check(scene.once())


def spawning(scene: Scene, count: int) -> None:
    """The supervisor is killed at a random instant while it starts agents, and another one takes over at once."""
    wishes = [scene.wish(lines=scene.chance.randint(0, 10), pace_s=0.005) for _ in range(count)]
    scene.may_lack = True
    first = scene.supervisor("launch", wishes=wishes)
    assert first.stdout is not None
    first.stdout.readline()
    time.sleep(scene.chance.random() * 0.04 * count)
    scene.kill(first)
    told = scene.once(later_s=6)
    scene.until_over(list(told))
    scene.check(scene.once(later_s=6))


def unwatched(scene: Scene, count: int) -> None:
    """Shims are killed: their agents go on, are not started again, and nobody claims to know how they ended."""
    wishes = [
        scene.wish(lines=150, pace_s=0.03, restart=scene.chance.choice(["never", "on-failure"]))
        for _ in range(count)
    ]
    first = scene.launch(wishes)
    scene.kill(first)
    cut = {wish["id"] for wish in scene.chance.sample(wishes, count // 2)}
    living = set()
    for agent in cut:
        if not (scene.room(agent) / "exit.json").exists():
            os.kill(scene.child(agent)["shim_pid"], signal.SIGKILL)
            living.add(agent)
            scene.seen["shims killed"] += 1
    told = scene.once()
    for agent in living:
        life = told[agent]["attempts"][-1]
        ended = (scene.room(agent) / "exit.json").exists()
        scene.expect(
            life["life"] in ({"exited"} if ended else {"unshimmed", "lost"}),
            f"{agent}: {life['life']} without its shim",
        )
        scene.expect(ended or life["exit_code"] is None, f"{agent}: an exit code that nobody saw")
    for agent in living:
        scene.until(
            lambda one=agent: not _runs_in(scene.child(one)["pid"], scene.begun), f"agent {agent} ends"
        )
    scene.until_over([agent for agent in scene.wanted if agent not in living])
    told = scene.once()
    for agent in living:
        truth, lives = scene.wanted.pop(agent), told.pop(agent)["attempts"]
        told_end = lives[0]["life"]
        if told_end != "lost" and not (scene.room(agent) / "exit.json").exists():
            scene.wrong.append(f"{agent}: {told_end}, not lost")
        scene.expect(
            scene.beginnings(agent) == 1, f"{agent}: begun {scene.beginnings(agent)} times without its shim"
        )
        scene.check_log(agent, truth)
    never = {agent: one for agent, one in told.items() if len(one["attempts"]) == 1}
    scene.wanted = {agent: truth for agent, truth in scene.wanted.items() if agent in never}
    scene.check(never)


def reused(scene: Scene, count: int) -> None:
    """The numbers of an agent and of its shim are somebody else's by now: it is lost, and they are left alone."""
    wishes = [scene.wish(end="hang", lines=1, pace_s=0) for _ in range(count)]
    first = scene.launch(wishes)
    scene.kill(first)
    others = []
    for wish in wishes:
        said = scene.child(wish["id"])
        for number in (said["shim_pid"], said["pid"]):
            os.kill(number, signal.SIGKILL)
        for number in (said["shim_pid"], said["pid"]):
            scene.until(lambda one=number: _is_gone(one), f"process {number} is gone")
        for number in (said["shim_pid"], said["pid"]) if _can_force() else ():
            _LAST_PID.write_text(str(number - 1))
            other = subprocess.Popen(["sleep", "600"], start_new_session=True)
            others.append(other)
            scene.processes.append(other)
            scene.seen["numbers used again"] += other.pid == number
        if not _can_force():  # another start of the number stands for another process
            path = scene.room(wish["id"]) / "child.json"
            path.write_text(json.dumps(said | {"pid": os.getpid(), "start_ticks": 1}))
    told = scene.once()
    for wish in wishes:
        agent = wish["id"]
        life = told[agent]["attempts"][-1]
        scene.expect(life["life"] == "lost", f"{agent}: {life['life']}, and its number is another's")
        done = scene.command("kill", agent)
        scene.expect(done.returncode == 74, f"{agent}: kill ended with {done.returncode}: {done.stderr}")
    scene.expect(all(other.poll() is None for other in others), "a process that is nobody's agent was ended")


def rebooted(scene: Scene, count: int) -> None:
    """All ends with the machine: what was cut is lost, and is started again where that was asked for, at no cost."""
    wishes = [
        scene.wish(end="hang", lines=1, pace_s=0, restart=scene.chance.choice(["never", "on-failure", "ask"]))
        for _ in range(count)
    ]
    first = scene.launch(wishes)
    scene.kill(first)
    scene.until(lambda: all(scene.beginnings(agent) for agent in scene.wanted), "all began")
    spared = wishes[0]["id"]  # its number and start are there in the next boot too: a process like any other
    for wish in wishes:
        said = scene.child(wish["id"])
        os.kill(said["shim_pid"], signal.SIGKILL)
        if wish["id"] != spared:
            os.kill(said["pid"], signal.SIGKILL)
    told = scene.once(boot="another-boot")
    for wish in wishes:
        agent, lives = wish["id"], told[wish["id"]]["attempts"]
        scene.expect(
            lives[0]["life"] == "lost" and lives[0]["state"] == "interrupted",
            f"{agent}: {lives[0]['life']} after another boot",
        )
        attempts = 2 if wish["restart"] == "on-failure" else 1
        scene.expect(len(lives) == attempts, f"{agent}: {len(lives)} attempts, restart is {wish['restart']}")
        scene.until(lambda one=agent, many=attempts: scene.beginnings(one) == many, f"agent {agent} begins")
        for attempt in range(2, len(lives) + 1):
            os.kill(scene.child(agent, attempt)["shim_pid"], signal.SIGINT)
    scene.expect(
        _runs_in(scene.child(spared)["pid"], scene.begun), "a process of another boot's number was ended"
    )
    os.kill(scene.child(spared)["pid"], signal.SIGKILL)


def immune(scene: Scene, count: int) -> None:
    """An agent that does not mind SIGTERM is ended after its grace, whoever started it, with its shim or without."""
    wishes = [scene.wish(end="immune", lines=1, pace_s=0) for _ in range(count)]
    first = scene.launch(wishes)
    scene.kill(first)
    for number, wish in enumerate(wishes):
        agent = wish["id"]
        scene.until(lambda one=agent: scene.read(one), f"agent {agent} writes")
        said = scene.child(agent)
        if bare := number % 2 == 1:
            os.kill(said["shim_pid"], signal.SIGKILL)
            scene.until(lambda one=said["shim_pid"]: not _runs_in(one, scene.home), "the shim is gone")
        began_s = time.monotonic()
        done = scene.command("stop", agent, "--json")
        took_s = time.monotonic() - began_s
        scene.expect(done.returncode == 0, f"{agent}: stop ended with {done.returncode}: {done.stderr}")
        scene.expect(took_s >= GRACE_S, f"{agent}: it had no grace")
        life = scene.once()[agent]["attempts"][0]
        scene.expect(life["state"] == "cancelled", f"{agent}: {life['state']} after it was stopped")
        scene.expect(life["signal"] == (None if bare else 9), f"{agent}: ended by {life['signal']}")
        scene.expect(not _runs_in(said["pid"], scene.begun), f"{agent}: it runs on")


def daemons(scene: Scene, count: int) -> None:
    """What an agent leaves in a session of its own is told, and left alone."""
    wishes = [
        scene.wish(end=f"daemon:{scene.top}/daemon-{number}", lines=1, pace_s=0) for number in range(count)
    ]
    scene.kill(scene.launch(wishes))
    scene.until_over()
    told = scene.once()
    for number, wish in enumerate(wishes):
        pid = int((scene.top / f"daemon-{number}").read_text())
        left = [one["pid"] for one in told[wish["id"]]["attempts"][0]["left"]]
        scene.expect(left == [pid], f"{wish['id']}: left {left}, not {pid}")
        scene.expect(_runs_in(pid, scene.begun), f"{wish['id']}: its daemon was ended")
        if _runs_in(pid, scene.begun):
            os.kill(pid, signal.SIGKILL)
        scene.seen["daemons"] += 1


def racing(scene: Scene, count: int) -> None:
    """Two supervisors see the same agents fail, and each is started again once."""
    wishes = [scene.wish(end="exit:3", lines=2, pace_s=0, restart="on-failure") for _ in range(count)]
    scene.kill(scene.launch(wishes))
    scene.until_over()
    two = [scene.supervisor("tick", later_s=35) for _ in range(2)]
    for wish in wishes:
        scene.until((scene.room(wish["id"], 2) / "exit.json").exists, f"agent {wish['id']} is started again")
    for one in two:
        scene.kill(one)
    scene.check(scene.once(), attempts=2)


SCENES = {
    "abandoned": (abandoned, 100),
    "spawning": (spawning, 25),
    "unwatched": (unwatched, 40),
    "reused": (reused, 5),
    "rebooted": (rebooted, 9),
    "immune": (immune, 2),
    "daemons": (daemons, 4),
    "racing": (racing, 20),
}


def trial(name: str, count: int, seed: str, mistake: str, seen: Counter[str]) -> list[str]:
    with tempfile.TemporaryDirectory() as top:
        scene = Scene(Path(top), random.Random(seed), mistake, seen)
        try:
            SCENES[name][0](scene, count)
        except AssertionError as exc:
            scene.wrong.append(str(exc))
        finally:
            scene.clear()
    seen["agents"] += count
    return [f"{name}: {words}" for words in scene.wrong]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.supervise_drill", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--agents", type=int, default=2_000, help="start at least so many")
    parser.add_argument("--most", type=int, default=100, help="so many at once")
    parser.add_argument("--scene", choices=SCENES, action="append", help="only these")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--believe", choices=["numbers", "restart", "lock", "exit"], default="")
    given = parser.parse_args()
    if "DRILL_APART" not in os.environ:
        words = _apart()
        again = [sys.executable, "-m", "tests.e2e.supervise_drill", *sys.argv[1:]]
        again += [] if "--seed" in sys.argv else ["--seed", str(given.seed)]
        os.environ["DRILL_APART"] = "0" if words is None else "1"
        os.execvp((words or again)[0], [*(words or []), *again])
    print(
        f"seed {given.seed}, {'in a namespace of their own' if _can_force() else 'no namespace'}", flush=True
    )
    seen: Counter[str] = Counter()
    wrong = number = 0
    names = given.scene or list(SCENES)
    while seen["agents"] < given.agents or number < len(names):
        name = names[number % len(names)]
        said = trial(name, min(SCENES[name][1], given.most), f"{given.seed}/{number}", given.believe, seen)
        wrong += len(said)
        for words in said[:8]:
            print(f"trial {number}: {words}", flush=True)
        number += 1
        if number % len(SCENES) == 0:
            print(f"{number} trials, {seen['agents']} agents, {wrong} wrong", flush=True)
    print(", ".join(f"{name} {count}" for name, count in sorted(seen.items())))
    print(f"{wrong} wrong in {number} trials with {seen['agents']} agents")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
