"""`definitions`: how long it takes to say which of 500 definitions count: once more in one process, the first time in it, and by the command.

And what `holdfast.Definitions` costs a program: a question, a prompt, dropping what is kept, and hearing of a change.
"""

from __future__ import annotations

import argparse
import json
import queue
import tempfile
import time
from datetime import date
from pathlib import Path

from benchmarks.measuring import (
    Budget,
    budgets,
    environment,
    holdfast,
    median,
    percentile,
    python,
    remember,
    run,
    table,
)

_BODY = (
    "You read what was changed, say what is wrong with it, and name the line.\n" * 70
)  # about 5 kB, as agents have
_SHARES = {"user": 0.6, "project": 0.2, "nested": 0.1, "plugin": 0.1}


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks definitions", description=__doc__)
    parser.add_argument("--definitions", type=int, default=500, help="in all (default %(default)s)")
    parser.add_argument("--runs", type=int, default=50, help="of each (default %(default)s)")
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    parser.add_argument("--resolve", help=argparse.SUPPRESS)  # what the process that measures is started with
    given = parser.parse_args(options)
    if given.resolve:
        print(json.dumps(_resolve(Path(given.resolve), given.runs)))
        return
    if given.ask:
        print(json.dumps(_ask(Path(given.ask), given.runs)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-definitions-") as directory:
        place = Path(directory).resolve()
        written = _write(place, given.definitions)
        env = environment(HOME=place, HOLDFAST_HOME=place / "h")
        argv = python("benchmarks", "definitions", "--runs", given.runs, "--resolve", place)
        inside = json.loads(run(argv, env).out)
        argv = python("benchmarks", "definitions", "--runs", given.runs, "--ask", place)
        asked = json.loads(run(argv, env).out)
        command = holdfast("definitions", "--cwd", place / "p" / "sub", "--json")
        by_command = [run(command, env).wall_s * 1e3 for _ in range(max(5, given.runs // 10))]
        found = len(json.loads(run(command, env).out)["definitions"])
    warm = inside["warm_ms"]
    figures = {
        "files": written,
        "definitions": found,
        "warm_p50_ms": median(warm),
        "warm_p99_ms": percentile(warm, 0.99),
        "warm_cpu_p50_ms": median(inside["warm_cpu_ms"]),
        "first_ms": inside["first_ms"],
        "one_changed_ms": median(inside["changed_ms"]),
        "command_p50_ms": median(by_command),
        **{f"{name}_p50_ms": median(values) for name, values in asked.items()},
        "heard_p99_ms": percentile(asked["heard"], 0.99),
    }
    rows = [[name.replace("_", " "), value] for name, value in figures.items()]
    table(f"definitions: {written} files, {found} names, {len(warm)} runs", ["", "measured"], rows)
    promised = [
        Budget(f"resolve {written} definitions, warm, p50, ms", figures["warm_p50_ms"], 20),
        Budget(f"drop everything kept of {found} names, p50, ms", figures["invalidate_all_p50_ms"], 5),
        Budget("drop what is kept of one name, p50, ms", figures["invalidate_one_p50_ms"], 5),
    ]
    budgets(promised)
    remember("definitions", figures, promised)


def _write(place: Path, number: int) -> int:
    """Definitions as people have them: most with the user, some in the project and in one nested in it, some of a plugin."""
    roots = {
        "user": place / ".claude" / "agents",
        "project": place / "p" / ".claude" / "agents",
        "nested": place / "p" / "sub" / ".claude" / "agents",
        "plugin": place / "plugin" / "agents",
    }
    (place / "p" / ".git").mkdir(parents=True)
    plugins = place / ".claude" / "plugins"
    plugins.mkdir(parents=True)
    installed = {"plugins": {"kit@m": [{"scope": "user", "installPath": str(place / "plugin")}]}}
    (plugins / "installed_plugins.json").write_text(json.dumps(installed))
    (place / ".claude" / "settings.json").write_text('{"enabledPlugins": {"kit@m": true}}')
    written = 0
    for name, share in _SHARES.items():
        roots[name].mkdir(parents=True)
        for at in range(int(number * share)):
            head = f"---\nname: agent-{at}\ndescription: Reads what was changed in part {at}\ntools: Read, Grep, Bash\nmodel: sonnet\n---\n"
            (roots[name] / f"agent-{at}.md").write_text(f"{head}# Agent {at}\n\n{_BODY}")
            written += 1
    return written


def _resolve(place: Path, runs: int) -> dict[str, object]:
    """What it takes within one process: the first time, again, and again after one file changed."""
    from holdfast.definitions.registry import Registry
    from holdfast.settings import load

    registry = Registry(load(place / "h", {"HOME": str(place)}, {}), str(place))
    cwd, day = str(place / "p" / "sub"), date(2026, 11, 22)

    def timed(clock=time.perf_counter) -> float:
        began = clock()
        registry.look(cwd, day)
        return (clock() - began) * 1e3

    first = timed()
    warm = [timed() for _ in range(runs)]
    warm_cpu = [timed(time.process_time) for _ in range(runs)]
    changed = []
    for at in range(runs):
        (place / ".claude" / "agents" / "agent-0.md").write_text(
            f"---\nname: agent-0\ndescription: {at}\n---\nx\n"
        )
        changed.append(timed())
    return {"first_ms": first, "warm_ms": warm, "warm_cpu_ms": warm_cpu, "changed_ms": changed}


def _ask(place: Path, runs: int) -> dict[str, list[float]]:
    """What it takes a program to ask: milliseconds of each try."""
    import holdfast

    path = place / ".claude" / "agents" / "agent-299.md"  # hidden by nobody

    def write(text: object) -> None:
        path.write_text(f"---\nname: agent-299\ndescription: x\n---\n{text} on {{{{branch}}}}.\n")

    def prompt():
        return agents.prompt("agent-299", variables={"branch": "main"})

    out: dict[str, list[float]] = {}

    def timed(name: str, act) -> None:
        began = time.perf_counter()
        act()
        out.setdefault(name, []).append((time.perf_counter() - began) * 1e3)

    with holdfast.Definitions(place / "p" / "sub") as agents:
        write("first")
        timed("first_prompt", prompt)  # keeps every content
        time.sleep(0.1)  # what was written just before is not kept in memory
        agents.all()
        for at in range(runs):
            timed("get", lambda: agents.get("agent-299"))
            timed("prompt", prompt)
            write(at)
            timed("prompt_after_edit", prompt)
            timed("refresh", agents.refresh)
        time.sleep(0.1)
        for _ in range(max(3, runs // 10)):
            for one in agents.all():
                agents.prompt(one.name, tool=one.tool, variables=None)
            timed("invalidate_one", lambda: agents.invalidate("agent-298"))
            timed("invalidate_some", lambda: agents.invalidate("agent-1*"))
            timed("invalidate_all", agents.invalidate)
        heard: queue.SimpleQueue[object] = queue.SimpleQueue()
        agents.subscribe(heard.put)

        def change() -> None:
            agents.refresh()
            heard.get(timeout=60)

        for at in range(runs):
            write(f"heard {at}")
            timed("heard", change)
    return out
