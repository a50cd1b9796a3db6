"""Kill agents and the service that watches them at random moments, and see whether `holdfast recover` tells the truth.

    python -m tests.e2e.drill [--trials 200] [--seed N] [--believe transcripts|numbers]

In each trial several agents with subagents live what was recorded, side by side: some are killed, in some trials all of them and a
`holdfast up` too, in some the machine starts again; some live on. Numbers of dead processes are given out again. Then the
command is asked, and each session, agent and open call must stand where it does. What stands where is known, because each act was.

With `--believe` the command is made to make a mistake that others make: it looks at transcripts only, or at numbers of
processes without their start. The drill must find that out.

Where the system allows it, all of this happens in a namespace of its own, in which a number can be forced on a process; elsewhere
an entry of another start stands for that.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.e2e.drill import script
from tests.e2e.drill.truth import Truth

Json = dict[str, Any]
LIMIT_S = 120  # for what takes a second
AGENT = Path(__file__).with_name("agent.py")
_NAMESPACE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]
_LAST_PID = Path("/proc/sys/kernel/ns_last_pid")

# The command, in a boot of its own, and maybe with a mistake.
_ASK = """
import contextlib, io, os, sys
from holdfast import processes
from holdfast.recover import survey
boot, mistake = sys.argv[1:3]
survey.slept_us = lambda: 0  # this machine may have slept, the one of the drill did not
if boot:
    processes.boot_id = lambda: boot
if mistake == "transcripts":
    from holdfast.capture.liveness import Liveness
    Liveness.__call__ = lambda self, *known: None
if mistake == "numbers":
    processes.started_ticks = lambda pid, of=processes.started_ticks: None if of(pid) is None else -1
    processes.is_alive = lambda who, of=processes.started_ticks: of(who.pid) is not None
from holdfast.cli.app import cli
cli.main(args=sys.argv[3:], prog_name="holdfast", standalone_mode=True)
"""


@dataclass
class Player:
    """One stand-in, what it is to do, and what is true of it."""

    life: script.Life
    truth: Truth
    process: subprocess.Popen[bytes]
    done: int = 0
    maybe: bool = False  # it was killed in the middle of an act
    alive: bool = True
    looked_at: bool = False  # while it ran, and its tool listed it

    def play(self, steps: int) -> None:
        """Do the next acts."""
        for step in self.life.steps[self.done : self.done + steps]:
            self._order(step.act)
            assert self.process.stdout is not None
            assert self.process.stdout.read(1) == b"."
            self.truth.apply(step)
            self.done += 1

    def _order(self, act: list[Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(act).encode() + b"\n")
        self.process.stdin.flush()

    def kill(self, chance: random.Random) -> None:
        """Between two acts, in the middle of a line, or at any moment of the next act."""
        left = self.life.steps[self.done :]
        if left and chance.random() < 0.2 and left[0].act[0] == "append":
            self._order(["tear", *left[0].act[1:]])
            assert self.process.stdout is not None
            assert self.process.stdout.read(1) == b"."
        elif left and chance.random() < 0.3:
            self._order(left[0].act)
            self.maybe = True
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.alive = False

    def end(self) -> None:
        """At the end of its life it goes away."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.alive = False

    def possible(self) -> list[Truth]:
        """Every truth that this may be: two, where the act in which it was killed was done or was not."""
        if not self.maybe:
            return [self.truth]
        other = Truth(self.life.tool)
        for step in self.life.steps[: self.done + 1]:
            other.apply(step)
        return [self.truth, other]


class Drill:
    """A user with a home and tools, made anew for each trial."""

    def __init__(self, top: Path, seed: int, mistake: str = "") -> None:
        self.seed, self.mistake = seed, mistake
        self.home, self.claude, self.codex = top / "home", top / "claude", top / "codex"
        self._kept = top / "kept"
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HOLDFAST_", "CLAUDE", "CODEX_"))
        } | {
            "HOME": str(top / "user"),
            "HOLDFAST_HOME": str(self.home),
            "CLAUDE_CONFIG_DIR": str(self.claude),
            "CODEX_HOME": str(self.codex),
            "NO_COLOR": "1",
        }
        (top / "user").mkdir()
        self.claude.mkdir()
        done = self._command("hooks", "install")
        assert done.returncode == 0, done.stderr
        settings = json.loads((self.claude / "settings.json").read_text())
        self._hook = settings["hooks"]["SessionStart"][-1]["hooks"][0]["command"]
        self.home.rename(self._kept)
        self.seen: Counter[str] = Counter()
        self._reused: list[subprocess.Popen[bytes]] = []
        self._forces = _can_force()

    def _command(self, *arguments: str, boot: str = "", now: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", _ASK, boot, self.mistake, *arguments],
            capture_output=True,
            text=True,
            env=self.environment | ({"HOLDFAST_NOW": now} if now else {}),
            timeout=LIMIT_S,
            check=False,
        )

    def trial(self, number: int) -> list[str]:
        """What was told wrong, in words."""
        chance = random.Random(f"{self.seed}/{number}")
        for path in (self.home, self.claude / "projects", self.claude / "sessions", self.codex):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self._kept, self.home)
        (self.claude / "sessions").mkdir()
        service = self._service() if chance.random() < 0.3 else None
        players: list[Player] = []
        try:
            players = [self._player(chance) for _ in range(chance.randint(4, 6))]
            self._play(players, chance)
            boot = f"boot-{number}" if chance.random() < 0.15 else ""
            if boot and chance.random() < 0.7:
                self._look(players)
            self._end(players, service, chance, all_=bool(boot) or chance.random() < 0.4)
            if not boot:
                self._use_again(players, chance)
            later = not any(one.alive for one in players) and chance.random() < 0.5
            return self._wrong(players, boot, later=later)
        finally:
            self._clear(players, service)

    def _look(self, players: list[Player]) -> None:
        """Somebody asks while all goes well: which boot each process is of is known from then on."""
        self._command("recover", "check")
        for one in players:
            one.looked_at = one.truth.listed and one.life.tool == "claude"

    def _service(self) -> subprocess.Popen[bytes]:
        service = subprocess.Popen(
            [sys.executable, "-m", "holdfast", "up"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=self.environment,
            start_new_session=True,
        )
        assert service.stderr is not None
        assert service.stderr.readline(), "the service did not start"
        self.seen["services killed"] += 1
        return service

    def _player(self, chance: random.Random) -> Player:
        life = script.life(chance, script.Places(self.claude, self.codex, self._hook))
        process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-s", AGENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=self.environment,
        )
        return Player(life, Truth(life.tool), process)

    def _play(self, players: list[Player], chance: random.Random) -> None:
        """Side by side, each up to a moment of its own, which may be its end."""
        ends = [
            chance.choice([chance.randint(0, len(one.life.steps)), len(one.life.steps)]) for one in players
        ]
        ends[0] = chance.randint(1, len(players[0].life.steps))
        while any(one.done < end for one, end in zip(players, ends, strict=True)):
            one, end = chance.choice(
                [pair for pair in zip(players, ends, strict=True) if pair[0].done < pair[1]]
            )
            one.play(min(chance.randint(1, 12), end - one.done))

    def _end(
        self,
        players: list[Player],
        service: subprocess.Popen[bytes] | None,
        chance: random.Random,
        *,
        all_: bool,
    ) -> None:
        order: list[Any] = [*players, *([service] if service else [])]
        chance.shuffle(order)
        for one in order:
            if not isinstance(one, Player):
                one.kill()
                one.wait()
            elif one.done == len(one.life.steps) and one.truth.exited and one.life.tool == "claude":
                one.end()
                self.seen["ended well"] += 1
            elif all_ or chance.random() < 0.6:
                one.kill(chance)
                self.seen["killed"] += 1
            else:
                self.seen["left alive"] += 1

    def _use_again(self, players: list[Player], chance: random.Random) -> None:
        """Give the numbers of dead processes to others."""
        for one in players:
            if one.alive or one.life.tool != "claude" or chance.random() < 0.5:
                continue
            if self._forces:
                _LAST_PID.write_text(str(one.process.pid - 1))
                other = subprocess.Popen(["sleep", "1000"], start_new_session=True)
                self._reused.append(other)
                self.seen["numbers used again"] += other.pid == one.process.pid
            elif (entry := self.claude / "sessions" / f"{one.process.pid}.json").exists():
                said = json.loads(entry.read_text())
                mine = os.getpid()
                entry.write_text(json.dumps(said | {"pid": mine}))
                self.seen["numbers used again"] += 1

    def _clear(self, players: list[Player], service: subprocess.Popen[bytes] | None) -> None:
        for process in [one.process for one in players] + self._reused + ([service] if service else []):
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        self._reused = []

    # ── what was told ──

    def _wrong(self, players: list[Player], boot: str, *, later: bool) -> list[str]:
        """With `later` the command is asked after an hour, when silence tells what nothing else does."""
        now = (datetime.now(UTC) + timedelta(hours=1)).isoformat() if later else ""
        done = self._command("recover", "list", "--all", "--json", boot=boot, now=now)
        if done.returncode:
            return [f"the command failed: {done.stderr[-2000:]}"]
        told = {one["session"]["id"]: one for one in json.loads(done.stdout)["sessions"]}
        out = []
        for one in players:
            said = told.pop(one.life.session, None)
            answers = [self._compare(truth, said, alive=one.alive, later=later) for truth in one.possible()]
            best = min(answers, key=len)
            if said is not None and said["status"] == "interrupted":
                best += self._cause(one, said["cause"], boot)
            where = f"{one.life.tool} {one.life.session} after {one.done} of {len(one.life.steps)} steps"
            out += [f"{where}, {'alive' if one.alive else 'dead'}: {words}" for words in best]
        return out + [f"a session that nobody began: {name}" for name in told]

    def _compare(self, truth: Truth, said: Json | None, *, alive: bool, later: bool) -> list[str]:
        if said is None:
            return ["it is not listed"] if truth.exists else []
        may = frozenset({alive} if truth.listed or later else {True, False})  # nothing tells of its process
        out = []
        expected = truth.sessions(may)
        if said["status"] not in expected:
            out.append(f"the session is {said['status']} ({said['why']}), not {sorted(expected)}")
        if truth.listed and said["alive"] is not alive:
            out.append(f"alive is {said['alive']}")
        if alive and truth.listed and said["needs_attention"]:
            out.append("it is alive and offered for resume")
        self.seen[f"sessions {said['status']}"] += 1
        return out + self._agents(truth, said, may) + self._calls(truth, said, may)

    def _cause(self, one: Player, told: str | None, boot: str) -> list[str]:
        """Why it was cut: its process died, alone or with the machine, as far as that can be known."""
        self.seen[f"causes {told}"] += 1
        if one.truth.exited:
            return []
        expected = (
            {"rebooted"}
            if boot and one.looked_at
            else {"died"}
            if one.truth.listed and not boot
            else {None, "died", "rebooted"}
        )
        return [] if told in expected else [f"the cause is {told}, not {sorted(map(str, expected))}"]

    def _agents(self, truth: Truth, said: Json, may: frozenset[bool]) -> list[str]:
        out = []
        told = {agent["id"]: agent for agent in said["agents"] if agent["id"]}
        for name, one in truth.agents.items():
            agent, expected = told.pop(name, None), truth.of_agent(name, may)
            if name and agent is None and one.seen:
                out.append(f"agent {name} is not told of, not {sorted(expected)}")
            if agent is None:
                continue
            self.seen[f"agents {agent['status']}"] += 1
            if agent["status"] not in expected:
                out.append(f"agent {name} is {agent['status']} ({agent['why']}), not {sorted(expected)}")
            if agent["reported"] and not (one.reported or one.half_reported):
                out.append(f"agent {name} is told as reported")
            if agent["status"] == "finished" and one.reported and agent["reported"] is False:
                out.append(f"agent {name} is told as not reported")
        return out + [f"an agent that nobody began: {name}" for name in told]

    def _calls(self, truth: Truth, said: Json, may: frozenset[bool]) -> list[str]:
        out = []
        told = {call["id"]: call for call in said["calls"]}
        for name, agent in truth.agents.items():
            for call in agent.open:
                found, expected = told.pop(call, None), truth.of_call(name, call, may)
                if found is None and call not in agent.half_open:
                    out.append(f"call {call} of {name or 'main'} is not told of, not {sorted(expected)}")
                if found is None:
                    continue
                self.seen[f"calls {found['status']}"] += 1
                if call not in agent.half_open and found["status"] not in expected:
                    out.append(f"call {call} is {found['status']} ({found['why']}), not {sorted(expected)}")
                out += _unproved(found)
        return out + [f"a call that is not open: {call}" for call in told]


def _unproved(call: Json) -> list[str]:
    """What is wrong with the lines that are to prove that a call is open."""
    out = []
    for one in call["evidence"]:
        if one["offset_bytes"] is None:
            continue
        raw, at = Path(one["file"]).read_bytes(), one["offset_bytes"]
        line = raw[at:].partition(b"\n")[0]
        if (at and raw[at - 1 : at] != b"\n") or call["id"].encode() not in line:
            out.append(f"the evidence of call {call['id']} is another line")
    return out


# ── a namespace of its own ──


def _can_force() -> bool:
    """Whether the next process can be given a number: only where nobody else is disturbed."""
    return os.environ.get("DRILL_APART") == "1" and os.access(_LAST_PID, os.W_OK)


def _apart() -> list[str] | None:
    """How a process is started in a namespace of its own; None: it is not allowed here."""
    if shutil.which("unshare") is None:
        return None
    for words in (_NAMESPACE, [word for word in _NAMESPACE if "user" not in word and "root" not in word]):
        probe = [*words, "sh", "-c", f"echo 100 > {_LAST_PID}"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return words
    return None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.drill", description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the number of the first trial")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--believe", choices=["transcripts", "numbers"], default="")
    given = parser.parse_args()
    if "DRILL_APART" not in os.environ:
        words = _apart()
        arguments = ["--trials", str(given.trials), "--first", str(given.first), "--seed", str(given.seed)]
        arguments += ["--believe", given.believe] if given.believe else []
        again = [sys.executable, "-m", "tests.e2e.drill", *arguments]
        os.environ["DRILL_APART"] = "0" if words is None else "1"
        os.execvp((words or again)[0], [*(words or []), *again])
    print(
        f"seed {given.seed}, {given.trials} trials, {'in a namespace of their own' if _can_force() else 'no namespace'}"
    )
    with tempfile.TemporaryDirectory() as top:
        drill, wrong = Drill(Path(top), given.seed, given.believe), 0
        for number in range(given.first, given.first + given.trials):
            said = drill.trial(number)
            wrong += bool(said)
            for words in said[:8]:
                print(f"trial {number}: {words}", flush=True)
    print(", ".join(f"{name} {count}" for name, count in sorted(drill.seen.items())))
    print(f"{given.trials - wrong} of {given.trials} trials told the truth")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
