"""`search`: the newest 50 hits, in process and with their context, on a store of many passages made from generated transcripts.

Words are drawn with the frequencies of natural text (Zipf), plus three planted ones: `needle` in 20 passages, `often` in one of 300,
`common` in one of three. Sessions overlap in time and are imported newest first, so that the order of arrival is not that of time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import (
    Budget,
    budgets,
    environment,
    holdfast,
    median,
    percentile,
    remember,
    run,
    table,
)

_SEED = 20261121
_SESSION_PASSAGES = 2_000
_HITS = 50
_NEWEST_S = 1_795_000_000
_TOOLS = ("Bash",) * 6 + ("Read",) * 3 + ("WebFetch",)

QUESTIONS = {
    "a rare word": {"text": "needle"},
    "a word in 1 of 300": {"text": "often"},
    "a common word": {"text": "common"},
    "two common words": {"text": "common w1"},
    "common and rare": {"text": "common needle"},
    "a phrase": {"text": '"w1 w2"'},
    "a start": {"text": "w12*"},
    "nothing": {"text": "nowhere"},
    "common, one kind": {"text": "common", "kind": "prompt"},
    "common, one tool": {"text": "common", "tool": "WebFetch"},
    "common, main agent": {"text": "common", "agent": "main"},
    "common, until a third": {"text": "common", "until_us": (_NEWEST_S - 40 * 86_400) * 1_000_000},
    "common, one session": {"text": "common", "session_id": 17},
    "common, ranked": {"text": "common", "ranked": True},
    "rare, ranked": {"text": "needle", "ranked": True},
}

# These visit every match: ranking weighs each, and the index gathers all words that begin so before it gives the first.
_WITHOUT_BUDGET = {"a start", "common, ranked"}


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks search", description=__doc__)
    parser.add_argument("--passages", type=int, default=300_000, help="(default %(default)s)")
    parser.add_argument("--runs", type=int, default=9, help="(default %(default)s)")
    parser.add_argument("--home", type=Path, help="use and keep this home; it is made when it is not there")
    given = parser.parse_args(options)
    with tempfile.TemporaryDirectory(prefix="bench-search-") as directory:
        home = given.home or Path(directory, "h")
        imported_s = None if home.exists() else _import(home, Path(directory, "projects"), given.passages)
        figures, found = _ask(home, given.runs)
    figures["import_cpu_s"] = imported_s
    budgets(found)
    remember("search", figures, found)


def _import(home: Path, projects: Path, passages: int) -> float:
    size_bytes = write(projects, passages)
    done = run(holdfast("import", projects), environment(HOME=home.parent, HOLDFAST_HOME=home))
    shutil.rmtree(projects)
    print(f"\nsearch: {size_bytes / 1e6:.0f} MB of transcripts imported in {done.cpu_s:.0f} s of CPU")
    return done.cpu_s


def write(into: Path, passages: int) -> int:
    """Write generated transcripts with about this many passages; returns their size in bytes."""
    chance = random.Random(_SEED)
    vocabulary = [f"w{n}" for n in range(20_000)]
    weights = list(itertools.accumulate(1 / (n + 10) for n in range(20_000)))
    written = 0
    directory = into / "-home-dev-demo"
    directory.mkdir(parents=True)
    needles = {chance.randrange(passages) for _ in range(20)}
    for number in range(max(1, passages // _SESSION_PASSAGES)):
        at_s = _NEWEST_S - number * 3_600 - chance.randrange(7_200)
        words = _texts(chance, vocabulary, weights, needles, number * _SESSION_PASSAGES)
        path = directory / f"{number:08x}-0000-4000-8000-{number:012x}.jsonl"
        with path.open("w") as file:
            for line in itertools.islice(_lines(chance, number, at_s, words), _SESSION_PASSAGES):
                written += file.write(json.dumps(line, separators=(",", ":")) + "\n")
        os.utime(path, (at_s, at_s))
    return written


def _texts(chance, vocabulary, weights, needles, first):
    for n in itertools.count(first):
        words = chance.choices(vocabulary, cum_weights=weights, k=chance.randint(10, 90))
        planted = [
            *(["common"] if chance.random() < 1 / 3 else []),
            *(["often"] if chance.random() < 1 / 300 else []),
        ]
        yield " ".join([*words, *planted, *(["needle"] if n in needles else [])])


def _lines(chance, session, at_s, texts):
    """A prompt, then answers and tool calls in turn, for ever."""
    for n in itertools.count():
        at_s += chance.random() * 6
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s)) + f".{int(at_s * 1000) % 1000:03d}Z"
        line = {
            "sessionId": f"{session:08x}-0000-4000-8000-{session:012x}",
            "timestamp": moment,
            "cwd": "/home/dev/demo",
        }
        line |= {"uuid": f"{session:08x}-{n % 65536:04x}-4000-9000-{n:012x}", "version": "2.1.330"}
        tool = f"toolu_{session:08x}{n - n % 2:08x}"
        if n % 100 == 0:
            yield line | {"type": "user", "message": {"role": "user", "content": next(texts)}}
        elif n % 4 == 1:
            yield line | _assistant(session, n, {"type": "text", "text": next(texts)})
        elif n % 2 == 0:
            call = {
                "type": "tool_use",
                "id": tool,
                "name": chance.choice(_TOOLS),
                "input": {"command": next(texts)},
            }
            yield line | _assistant(session, n, call)
        else:
            result = {"type": "tool_result", "tool_use_id": tool, "content": next(texts)}
            yield line | {"type": "user", "message": {"role": "user", "content": [result]}}


def _assistant(session, n, block):
    usage = {"input_tokens": 10, "output_tokens": 20}
    message = {
        "id": f"msg_{session:08x}{n:08x}",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "usage": usage,
    }
    return {"type": "assistant", "message": message | {"content": [block], "stop_reason": "tool_use"}}


def _ask(home, runs):
    from holdfast.home import Home
    from holdfast.settings import load
    from holdfast.store import search

    opened = Home(load(None, environment(HOLDFAST_HOME=home), {}))
    db, recall = opened.reader(), opened.recall()
    walls, cpus, hits = {name: [] for name in QUESTIONS}, {name: [] for name in QUESTIONS}, {}
    for _ in range(runs + 1):  # the first one warms the caches
        for name, question in QUESTIONS.items():
            began, used = time.perf_counter(), time.thread_time()
            answer = search.search(db, recall, search.Question(limit=_HITS, **question), 240)
            walls[name].append((time.perf_counter() - began) * 1e3)
            cpus[name].append((time.thread_time() - used) * 1e3)
            hits[name] = len(answer["hits"])
    figures, rows = {"passages": answer["passages"]}, []
    for name, took in walls.items():
        figures[name] = {
            "p50_ms": median(took[1:]),
            "cpu_ms": median(cpus[name][1:]),
            "worst_ms": percentile(took[1:], 1.0),
            "cold_ms": took[0],
            "hits": hits[name],
        }
        rows.append([name, *figures[name].values()])
    title = f"search: newest {_HITS} of {answer['passages']:,} passages, context included, {runs} runs"
    table(title, ["", "p50 ms", "CPU ms", "worst ms", "first ms", "hits"], rows)
    newest = max(figures[name]["cpu_ms"] for name, q in QUESTIONS.items() if name not in _WITHOUT_BUDGET)
    return figures, [Budget("newest 50, slowest question, CPU ms", newest, 50)]
