"""Codex's history: found by itself, and counted as an independent reading of the rollouts counts it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import zstandard

from holdfast.journal import reader
from tests.e2e.conftest import ask
from tests.e2e.test_forget import holds

RECORDED = Path(__file__).resolve().parent.parent / "data" / "codex"
SCENARIOS = sorted(path.name for path in RECORDED.iterdir())
STATES = {
    "api-error": "failed",
    "kill9-then-resume": "ended",
    "multi-agent-v2": "ended",
    "sigint": "interrupted",
    "tools-and-patch": "ended",
}


class Raw:
    """One scenario's rollouts, read without any of our code."""

    def __init__(self, scenario: str) -> None:
        self.threads: dict[str, list[dict]] = {}
        for path in sorted((RECORDED / scenario).rglob("rollout-*.jsonl")):
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            self.threads[lines[0]["payload"]["id"]] = lines
        (self.root,) = {lines[0]["payload"]["session_id"] for lines in self.threads.values()}

    def payloads(self, kind: str, part: str | None = None, thread: str | None = None) -> list[dict]:
        return [
            line["payload"]
            for name, lines in self.threads.items()
            if thread is None or name == thread
            for line in lines
            if line["type"] == kind and (part is None or line["payload"].get("type") == part)
        ]

    def items(self, kind: str) -> list[dict]:
        found = self.payloads("event_msg", "item_completed")
        return [payload["item"] for payload in found if payload["item"]["type"] == kind]

    def calls(self) -> dict[str, str]:
        """Name of each tool call by its id."""
        kinds = ("function_call", "custom_tool_call")
        return {
            call["call_id"]: call["name"] for kind in kinds for call in self.payloads("response_item", kind)
        }

    def used(self, thread: str | None = None) -> dict[str, int]:
        """Tokens of all answers of a model, in Codex's words."""
        records = [record["usage"] for record in self.payloads("token_usage_record", thread=thread)]
        names = ("input_tokens", "cached_input_tokens", "output_tokens")
        return {name: sum(usage[name] for usage in records) for name in names}

    def own_totals(self) -> dict[str, int]:
        """The last total that the tool keeps beside its answers, of every thread."""
        total = {"input_tokens": 0, "cached_input_tokens": 0, "output_tokens": 0}
        for thread in self.threads:
            for record in self.payloads("token_usage_record", thread=thread)[-1:]:
                for name in total:
                    total[name] += record["thread_token_usage"][name]
        return total


def _tokens(told: dict) -> dict[str, int]:
    """Our figures in Codex's words, where input contains what was read from the cache."""
    return {
        "input_tokens": told["input"] + told["cache_read"] + told["cache_write_5m"] + told["cache_write_1h"],
        "cached_input_tokens": told["cache_read"],
        "output_tokens": told["output"],
    }


def _shown(home: Path, session: str) -> dict:
    (text,) = ask(home, ["show", session, "--json"])
    return json.loads(text)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_is_one_session_counted_as_its_rollouts_say(scenario, imported):
    home, raw = imported(RECORDED / scenario), Raw(scenario)
    (session,) = json.loads(ask(home, ["sessions", "--json"])[0])["sessions"]
    failed = [item for item in raw.items("CommandExecution") if item["status"] == "failed"]
    unsupported = [
        out
        for out in raw.payloads("response_item", "function_call_output")
        if out["output"].startswith("unsupp")
    ]
    broken = [payload for payload in raw.payloads("event_msg", "task_complete") if payload.get("error")]
    assert (session["id"], session["source"]) == (raw.root, "codex")
    assert session["state"] == STATES[scenario]
    assert session["workspace"] == "/home/dev/demo"
    assert session["tool_version"] == "0.169.0"
    assert session["turns"] == len(raw.payloads("event_msg", "task_started", raw.root))
    assert session["agents"] == len(raw.threads)
    assert session["tool_calls"] == len(raw.calls())
    assert session["llm_calls"] == len(raw.payloads("token_usage_record"))
    assert session["errors"] == len(failed) + len(unsupported) + len(broken)
    assert session["title"] == raw.items("UserMessage")[0]["content"][0]["text"]


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "api-error"])
def test_tokens_equal_the_tools_own_totals(scenario, imported):
    home, raw = imported(RECORDED / scenario), Raw(scenario)
    shown = _shown(home, raw.root)
    assert _tokens(shown["session"]["tokens"]) == raw.used() == raw.own_totals()
    for agent in shown["agents"]:
        assert _tokens(agent["tokens"]) == raw.used(agent["id"] or raw.root)
    counted = [
        count["info"]["total_token_usage"] for count in raw.payloads("event_msg", "token_count", raw.root)
    ]
    missed = (
        1100 if scenario == "kill9-then-resume" else 0
    )  # the answer before the kill is in no `token_count`
    assert counted[-1]["input_tokens"] + missed == raw.used(raw.root)["input_tokens"]


def test_no_model_call_leaves_the_tokens_unknown(imported):
    home = imported(RECORDED / "api-error")
    (session,) = json.loads(ask(home, ["sessions", "--json"])[0])["sessions"]
    assert session["tokens"]["input"] is None
    assert session["cost_usd"] is None
    assert session["state_grade"] == "observed"
    assert session["state_why"] == "mock error"


def test_each_call_has_its_exit_code_and_a_duration(imported):
    home, raw = imported(RECORDED / "tools-and-patch"), Raw("tools-and-patch")
    (tree,) = ask(home, ["tree", raw.root, "--json"])
    (timeline,) = ask(home, ["timeline", raw.root, "--json"])
    found = _below(json.loads(tree)["roots"], "tool")
    commands = {item["id"]: item for item in raw.items("CommandExecution")}
    for name, item in commands.items():
        assert found[name]["status"] == item["status"]
        assert found[name]["duration_ms"] == item["duration"]["nanos"] // 1_000_000
    codes = [
        error["exit_code"] for error in _shown(home, raw.root)["errors"] if error["exit_code"] is not None
    ]
    assert codes == [item["exit_code"] for item in commands.values() if item["exit_code"]]
    assert "Plan the work." in timeline


def _below(nodes: list[dict], kind: str) -> dict[str, dict]:
    found = {node["id"]: node for node in nodes if node["kind"] == kind}
    for node in nodes:
        found |= _below(node["children"], kind)
    return found


def test_a_patch_tells_which_files_changed_and_by_how_much(imported):
    home, raw = imported(RECORDED / "tools-and-patch"), Raw("tools-and-patch")
    (change,) = raw.items("FileChange")
    ((path, told),) = change["changes"].items()
    (file,) = _shown(home, raw.root)["files"]
    assert (file["path"], file["operation"]) == (path, "create")
    assert (file["lines_added"], file["lines_removed"]) == (told["content"].count("\n"), 0)


def test_the_first_run_finds_codex_without_being_told(run, home, tmp_path, monkeypatch):
    config = tmp_path / "codex"
    shutil.copytree(RECORDED / "sigint", config)
    monkeypatch.setenv("CODEX_HOME", str(config))
    screen = json.loads(run("--json").stdout)
    assert not screen["sample"]
    assert [session["source"] for session in screen["sessions"]] == ["codex"]


def test_archived_rollouts_fold_to_the_same_session(imported, tmp_path):
    home = imported(RECORDED / "tools-and-patch")
    (before,) = ask(home, ["sessions", "--json"])
    archived = tmp_path / "archived_sessions"
    archived.mkdir()
    for path in (RECORDED / "tools-and-patch").rglob("*.jsonl"):
        shutil.copy(path, archived)
    ask(home, ["import", str(archived)])
    assert ask(home, ["sessions", "--json"]) == [before]


def test_a_kill_cuts_its_turn_and_its_call_and_a_resume_goes_on(imported):
    home, raw = imported(RECORDED / "kill9-then-resume"), Raw("kill9-then-resume")
    (tree,) = ask(home, ["tree", raw.root, "--json"])
    roots = json.loads(tree)["roots"]
    turns = sorted(_below(roots, "turn").values(), key=lambda turn: turn["started_at"])
    assert [(turn["status"], turn["grade"]) for turn in turns] == [
        ("interrupted", "inferred"),
        ("completed", "observed"),
        ("completed", "observed"),
    ]
    answered = {out["call_id"] for out in raw.payloads("response_item", "function_call_output")}
    calls = _below(roots, "tool")
    assert {name: calls[name]["status"] for name in raw.calls()} == {
        name: "completed" if name in answered else "interrupted" for name in raw.calls()
    }


def _cut_before_the_resume(tmp_path: Path) -> Path:
    """The rollout as the kill left it."""
    (whole,) = (RECORDED / "kill9-then-resume").rglob("*.jsonl")
    lines = whole.read_text().splitlines(keepends=True)
    resumed = [n for n, line in enumerate(lines) if '"task_started"' in line][1] - 1
    cut = tmp_path / whole.name
    cut.write_text("".join(lines[:resumed]))
    return cut


def test_a_killed_session_is_working_until_it_is_silent_for_long(run, home, tmp_path):
    cut = _cut_before_the_resume(tmp_path)
    assert run("import", cut).returncode == 0
    states = {}
    for now in ("2026-11-21T11:30:00Z", "2026-11-21T11:50:00Z"):
        (session,) = json.loads(run("sessions", "--json", env={"HOLDFAST_NOW": now}).stdout)["sessions"]
        states[now] = session["state"], session["state_why"]
    assert list(states.values()) == [
        ("working", "a tool call has no result"),
        ("interrupted", "silent for 10 min while a tool call has no result"),
    ]


def test_a_resumed_rollout_read_in_two_pieces_gives_the_same_answers(imported, tmp_path):
    (whole,) = (RECORDED / "kill9-then-resume").rglob("*.jsonl")
    growing = _cut_before_the_resume(tmp_path)
    home = imported(growing)
    growing.write_bytes(whole.read_bytes())
    ask(home, ["import", str(growing)])
    assert ask(home, ["sessions", "--json"], ["stats", "--json"]) == ask(
        imported(whole), ["sessions", "--json"], ["stats", "--json"]
    )


def test_threads_of_subagents_are_agents_under_the_calls_that_started_them(imported):
    home, raw = imported(RECORDED / "multi-agent-v2"), Raw("multi-agent-v2")
    shown = {agent["id"]: agent for agent in _shown(home, raw.root)["agents"] if agent["id"]}
    metas = {name: lines[0]["payload"] for name, lines in raw.threads.items() if name != raw.root}
    calls = {
        item["agent_thread_id"]: item["id"]
        for item in raw.items("SubAgentActivity")
        if item["kind"] == "started"
    }
    assert {name: agent["parent_tool_call"] for name, agent in shown.items()} == calls
    assert {agent["parent_agent"] for agent in shown.values()} == {""}
    assert {name: agent["name"] for name, agent in shown.items()} == {
        name: meta["agent_nickname"] for name, meta in metas.items()
    }
    assert {f"/main/{agent['description']}" for agent in shown.values()} == {
        meta["agent_path"] for meta in metas.values()
    }
    assert {(agent["status"], agent["status_grade"]) for agent in shown.values()} == {
        ("completed", "observed")
    }
    assert {(agent["depth"], agent["model"]) for agent in shown.values()} == {(1, "gpt-6.1-sol")}
    (tree,) = ask(home, ["tree", raw.root, "--json"])
    for name, call in calls.items():
        (child,) = [
            n for n in _below(json.loads(tree)["roots"], "tool")[call]["children"] if n["kind"] == "agent"
        ]
        assert child["id"] == name


def test_rollouts_may_come_in_any_order(imported):
    paths = sorted((RECORDED / "multi-agent-v2").rglob("*.jsonl"))
    root = Raw("multi-agent-v2").root
    asked = [["sessions", "--json"], ["stats", "--json"], ["show", root, "--json"], ["tree", root, "--json"]]
    answers = ask(imported(*paths), *asked)
    assert answers == ask(imported(*reversed(paths)), *asked)
    home = imported(RECORDED)
    ask(home, ["rebuild"])
    assert ask(home, *asked[2:]) == answers[2:]


def _lines(scenario: str) -> list[dict]:
    (lines,) = Raw(scenario).threads.values()
    return lines


def _write(directory: Path, thread: str, lines: list[dict]) -> Path:
    path = directory / f"rollout-2026-11-21T12-00-00-{thread}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


FORK = "01a1fe00-0000-7000-8000-000000000001"


def _fork(lines: list[dict], **more: object) -> dict:
    meta = json.loads(json.dumps(lines[0]))
    meta["timestamp"] = "2026-11-21T12:00:00.000Z"
    meta["payload"] |= {"id": FORK, "session_id": FORK, **more}
    return meta


def test_a_fork_names_its_origin_and_counts_only_what_is_its_own(imported, tmp_path):
    lines = _lines("tools-and-patch")
    origin = lines[0]["payload"]["id"]
    base = {"thread_id": origin, "end_ordinal_exclusive": len(lines)}
    own = json.loads(json.dumps(lines).replace("0255-7410", "0256-7410").replace("call_main1", "call_fork1"))
    for line in own:
        line["timestamp"] = line["timestamp"].replace("T11:", "T12:")
    home = imported(
        RECORDED / "tools-and-patch", _write(tmp_path, FORK, [_fork(lines, history_base=base), *own[1:]])
    )
    found = {s["id"]: s for s in json.loads(ask(home, ["sessions", "--json"])[0])["sessions"]}
    assert (found[FORK]["forked_from"], found[FORK]["forked_from_grade"]) == (origin, "observed")
    assert found[origin]["forked_from"] is None
    assert [found[name]["llm_calls"] for name in (origin, FORK)] == [5, 5]


def test_lines_that_a_fork_copied_count_once(imported, tmp_path):
    lines = _lines("tools-and-patch")
    origin = lines[0]["payload"]["id"]
    fork = _write(tmp_path, FORK, [_fork(lines, forked_from_id=origin), *lines])
    for paths in ((RECORDED / "tools-and-patch", fork), (fork, RECORDED / "tools-and-patch")):
        home = imported(*paths)
        found = {s["id"]: s for s in json.loads(ask(home, ["sessions", "--json"])[0])["sessions"]}
        counted = [
            [found[name][key] for key in ("llm_calls", "tool_calls", "turns")] for name in (origin, FORK)
        ]
        assert counted == [[5, 4, 1], [0, 0, 0]]
        assert found[FORK]["forked_from"] == origin


def test_what_is_not_known_is_kept_and_counted(run, home, tmp_path):
    lines = _lines("sigint")
    thread = lines[0]["payload"]["id"]
    more = [
        {"timestamp": "2026-11-21T12:00:00Z", "type": "novelty", "payload": {"x": 1}},
        {"timestamp": "2026-11-21T12:00:00Z", "type": "event_msg", "payload": {"type": "surprise"}},
        {"timestamp": None, "type": "event_msg", "payload": {"type": "item_completed", "item": {"type": 7}}},
        {"type": "response_item", "payload": [1]},
    ]
    path = _write(tmp_path, thread, [*lines, *more])
    with path.open("a") as file:
        file.write('{"timestamp": "2026-11-21T12:00:00Z", "type": "event_m\n17\n')
    assert run("import", path).returncode == 0
    kept = run("doctor").stdout
    for kind in ("1 novelty", "1 event_msg surprise", "1 item (no type)", "1 response_item (no type)"):
        assert kind in kept
    (session,) = json.loads(run("sessions", "--json").stdout)["sessions"]
    assert session["state"] == "interrupted"


def test_a_rollout_whose_first_line_is_not_written_yet_is_read_when_it_is(run, home, tmp_path):
    (whole,) = (RECORDED / "sigint").rglob("*.jsonl")
    text = whole.read_text()
    growing = tmp_path / whole.name
    growing.write_text(text[:100])
    assert run("import", growing).returncode == 0
    assert json.loads(run("sessions", "--json").stdout)["sessions"] == []
    growing.write_text(text)
    assert run("import", growing).returncode == 0
    (session,) = json.loads(run("sessions", "--json").stdout)["sessions"]
    assert session["id"] in whole.name


def test_a_forgotten_session_goes_with_its_agents_and_stays_away(run, home, tmp_path, monkeypatch):
    config = tmp_path / "codex"
    for scenario in ("multi-agent-v2", "tools-and-patch"):
        shutil.copytree(RECORDED / scenario, config, dirs_exist_ok=True)
    monkeypatch.setenv("CODEX_HOME", str(config))
    raw, other = Raw("multi-agent-v2"), Raw("tools-and-patch")
    assert run("import").returncode == 0
    done = run("forget", raw.root, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    archived = config / "archived_sessions"
    archived.mkdir()
    for path in sorted((RECORDED / "multi-agent-v2").rglob("*.jsonl")):
        shutil.copy(path, archived)
    assert run("import").returncode == 0
    assert [s["id"] for s in json.loads(run("sessions", "--json").stdout)["sessions"]] == [other.root]
    assert run("journal", "verify").returncode == 0
    assert not holds(home, *raw.threads)
    assert run("search", "Review: LGTM", "--json").stdout.count("LGTM") <= 1  # the question itself
    again = run("forget", raw.root, "--yes")
    assert again.returncode == 0, again.stderr
    (rollout,) = [path for path in archived.iterdir() if raw.root in path.name]
    assert run("import", "--forgotten", rollout).returncode == 0
    assert raw.root in run("sessions", "--json").stdout


def test_an_exported_session_taken_in_gives_the_same_answers(run, home, tmp_path, imported):
    source, root = imported(RECORDED), Raw("multi-agent-v2").root
    out = tmp_path / "export.jsonl"
    assert run("--home", source, "export", "--session", root, out).returncode == 0
    assert run("import", out).returncode == 0
    (session,) = json.loads(ask(home, ["sessions", "--json"])[0])["sessions"]
    assert session["id"] == root
    asked = [["show", root, "--json"], ["tree", root, "--json"]]
    assert ask(home, *asked) == ask(source, *asked)


def test_a_rollout_without_turns_is_read_as_far_as_it_goes(imported, tmp_path):
    """The layout of 2025: no ordinals, no items, no usage records."""

    def line(kind: str, **payload: object) -> dict:
        return {"timestamp": "2025-09-01T10:00:00.000Z", "type": kind, "payload": payload}

    lines = [
        line("session_meta", id=FORK, cwd="/srv/old", cli_version="0.30.0", originator="codex_cli_rs"),
        line("event_msg", type="user_message", message="Say something old"),
        line(
            "response_item",
            type="message",
            role="assistant",
            content=[{"type": "output_text", "text": "Old."}],
        ),
        line(
            "response_item",
            type="function_call",
            name="shell",
            call_id="call_old",
            arguments='{"command":["bash","-lc","false"]}',
        ),
        line(
            "response_item",
            type="function_call_output",
            call_id="call_old",
            output='{"output":"no","metadata":{"exit_code":1,"duration_seconds":0.1}}',
        ),
    ]
    home = imported(_write(tmp_path, FORK, lines))
    shown = _shown(home, FORK)
    assert (shown["session"]["state"], shown["session"]["state_grade"]) == ("ended", "inferred")
    assert shown["session"]["tokens"]["input"] is None
    assert shown["events"] == {"message.sent": 2}
    (error,) = shown["errors"]
    assert (error["exit_code"], error["status"]) == (1, "failed")


def _old(
    thread: str, *figures: tuple[tuple[int, int, int], tuple[int, int, int]], **meta: object
) -> list[dict]:
    """A rollout of 2025 with what `token_count` told: (input, cached, output) so far, and of the last answer."""

    def told(input_tokens: int, cached: int, output: int) -> dict:
        whole = input_tokens + output
        names = (
            "input_tokens",
            "cached_input_tokens",
            "output_tokens",
            "reasoning_output_tokens",
            "total_tokens",
        )
        return dict(zip(names, (input_tokens, cached, output, 0, whole), strict=True))

    def line(kind: str, **payload: object) -> dict:
        return {"timestamp": "2025-10-01T10:00:00.000Z", "type": kind, "payload": payload}

    counts = [
        line(
            "event_msg",
            type="token_count",
            info={
                "total_token_usage": told(*total),
                "last_token_usage": told(*last),
                "model_context_window": 1,
            },
            rate_limits={"primary": {"used_percent": number}},
        )
        for number, (total, last) in enumerate(figures)
    ]
    return [
        line("session_meta", id=thread, cwd="/srv/old", cli_version="0.46.0", **meta),
        line("event_msg", type="token_count", info=None, rate_limits={}),
        *counts,
        line("event_msg", type="token_count", info={"total_token_usage": told(9, 9, 9)}),
    ]


FIRST = ((1000, 0, 50), (1000, 0, 50))
SECOND = ((2200, 1000, 80), (1200, 1000, 30))
THIRD = ((3500, 2200, 90), (1300, 1200, 10))


def _told(home: Path) -> dict[str, tuple]:
    (answer,) = ask(home, ["sessions", "--json"])
    return {
        one["id"]: (
            one["llm_calls"],
            *(one["tokens"][name] for name in ("input", "cache_read", "output", "output_unreliable_calls")),
        )
        for one in json.loads(answer)["sessions"]
    }


def test_tokens_of_2025_are_those_of_each_answer_and_unsure(imported, tmp_path):
    """Told again they count once; what was cached is part of the input; nothing is made of sums alone."""
    lines = _old(FORK, FIRST, FIRST, SECOND, SECOND, THIRD)
    assert _told(imported(_write(tmp_path, FORK, lines))) == {FORK: (3, 1300, 2200, 90, 3)}


def test_tokens_that_a_fork_copied_from_2025_count_once(imported, tmp_path):
    """But for its first answer, which may be another thread's as well. Copies have other times."""
    origin = "01a1fe00-0000-7000-8000-000000000000"
    former = _write(tmp_path, origin, _old(origin, FIRST, SECOND))
    own = _old(FORK, FIRST, SECOND, THIRD, forked_from_id=origin)
    for line in own:
        line["timestamp"] = "2025-10-01T12:00:00.000Z"
    fork = _write(tmp_path, FORK, own)
    for paths in ((former, fork), (fork, former)):
        assert _told(imported(*paths)) == {
            origin: (2, 1200, 1000, 80, 2),
            FORK: (2, 1100, 1200, 60, 2),
        }


def test_equal_first_answers_of_two_threads_of_2025_are_two(imported, tmp_path):
    other = "01a1fe00-0000-7000-8000-000000000002"
    paths = [_write(tmp_path, name, _old(name, FIRST)) for name in (FORK, other)]
    assert {tokens[0] for tokens in _told(imported(*paths)).values()} == {1}


def _compressed(path: Path) -> Path:
    """As Codex does it: the compressed one takes the place of the plain one, and its time."""
    times = path.stat()
    packed = path.with_name(f"{path.name}.zst")
    packed.write_bytes(zstandard.ZstdCompressor().compress(path.read_bytes()))
    os.utime(packed, ns=(times.st_atime_ns, times.st_mtime_ns))
    path.unlink()
    return packed


def test_compressed_rollouts_give_the_same_answers(imported, tmp_path):
    root = Raw("multi-agent-v2").root
    asked = [["sessions", "--json"], ["stats", "--json"], ["show", root, "--json"], ["tree", root, "--json"]]
    shutil.copytree(RECORDED / "multi-agent-v2" / "sessions", tmp_path / "packed")
    for path in (tmp_path / "packed").rglob("*.jsonl"):
        _compressed(path)
    assert ask(imported(tmp_path / "packed"), *asked) == ask(imported(RECORDED / "multi-agent-v2"), *asked)


def test_a_rollout_that_is_compressed_and_goes_on_is_recorded_once(run, home, tmp_path):
    """Compressed, beside the plain one, plain again and longer: one file to the journal."""
    (whole,) = (RECORDED / "kill9-then-resume").rglob("*.jsonl")
    lines = whole.read_bytes().splitlines(keepends=True)
    path = tmp_path / "sessions" / whole.name
    path.parent.mkdir()

    def records() -> int:
        assert run("import", path.parent).returncode == 0
        found = [item.record for item in reader.read(home / "journal")]
        return sum(record.s == "codex.rollout" for record in found)

    path.write_bytes(b"".join(lines[:20]))
    assert records() == 20
    packed = _compressed(path)
    assert records() == 20
    assert records() == 20
    path.write_bytes(b"".join(lines[:30]))
    assert records() == 30
    packed.unlink()
    path.write_bytes(b"".join(lines))
    assert records() == len(lines)
    _compressed(path)
    assert records() == len(lines)
    (session,) = json.loads(run("sessions", "--json").stdout)["sessions"]
    assert (session["state"], session["turns"]) == ("ended", 3)
    assert list(home.glob("journal/*.tmp*")) == []


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_compressed_rollout_that_is_damaged_is_named_and_holds_up_no_other(damage, run, home, tmp_path):
    for scenario in ("sigint", "api-error"):
        shutil.copytree(RECORDED / scenario / "sessions", tmp_path / "all", dirs_exist_ok=True)
    (path,) = [path for path in (tmp_path / "all").rglob("*.jsonl") if Raw("sigint").root in path.name]
    packed = _compressed(path)
    packed.write_bytes(packed.read_bytes()[:-10] if damage == "cut" else b"{}")
    done = run("import", tmp_path / "all")
    assert f"{packed}: it cannot be decompressed" in done.stderr
    (session,) = json.loads(run("sessions", "--json").stdout)["sessions"]
    assert session["id"] == Raw("api-error").root


def test_a_forgotten_session_stays_away_when_it_is_compressed(run, home, tmp_path):
    sessions = tmp_path / "sessions"
    shutil.copytree(RECORDED / "multi-agent-v2" / "sessions", sessions)
    assert run("import", sessions).returncode == 0
    assert run("forget", Raw("multi-agent-v2").root, "--yes").returncode == 0
    for path in sessions.rglob("*.jsonl"):
        moved = tmp_path / path.name
        path.rename(moved)
        _compressed(moved).rename(sessions / f"{path.name}.zst")
    assert run("import", sessions).returncode == 0
    assert json.loads(run("sessions", "--json").stdout)["sessions"] == []
    assert not holds(home, Raw("multi-agent-v2").root)


# ── giving back ──


@pytest.fixture
def kept(tmp_path, monkeypatch) -> Path:
    """Codex's directory, with every scenario, as it lays them out."""
    path = tmp_path / "codex"
    for scenario in SCENARIOS:
        shutil.copytree(RECORDED / scenario / "sessions", path / "sessions", dirs_exist_ok=True)
    monkeypatch.setenv("CODEX_HOME", str(path))
    return path


def _tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.jsonl")}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_rollouts_come_back_byte_for_byte(scenario, run, kept, tmp_path):
    """Those of the thread and of its agents, where they lay or elsewhere; recorded they are nothing new."""
    raw = Raw(scenario)
    before = {
        name: content for name, content in _tree(kept).items() if any(one in name for one in raw.threads)
    }
    assert run("import").returncode == 0
    shutil.rmtree(kept)
    done = run("restore", "session", raw.root)
    assert done.returncode == 0, done.stderr
    assert f"to go on in the directory it ran in: codex resume {raw.root}" in done.stdout
    assert _tree(kept) == before
    assert run("restore", "session", raw.root, "--to", tmp_path / "other").returncode == 0
    assert _tree(tmp_path / "other") == before
    assert json.loads(run("import", "--json").stdout)["records"] == 0
    again = json.loads(run("restore", "session", raw.root, "--dry-run", "--json").stdout)
    assert ({file["state"] for file in again["files"]}, again["tool"]) == ({"there"}, "codex")


def test_a_rollout_that_was_moved_comes_back_where_it_lay_last(run, kept):
    root = Raw("sigint").root
    assert run("import").returncode == 0
    (path,) = [path for path in kept.rglob("*.jsonl") if root in path.name]
    archived = kept / "archived_sessions"
    archived.mkdir()
    content = path.read_bytes()
    path.rename(archived / path.name)
    assert run("import").returncode == 0
    (archived / path.name).unlink()
    assert run("restore", "session", root).returncode == 0
    assert not path.exists()
    assert (archived / path.name).read_bytes() == content


def test_what_stands_in_the_way_of_a_rollout_stays(run, kept):
    """Another content, or a compressed one."""
    root = Raw("sigint").root
    assert run("import").returncode == 0
    (path,) = [path for path in kept.rglob("*.jsonl") if root in path.name]
    packed = _compressed(path)
    done = run("restore", "session", root)
    assert done.returncode == 26
    assert f"Codex keeps a compressed one beside it: {packed}" in done.stdout
    assert not path.exists()
    packed.unlink()
    path.write_text("mine\n")
    assert run("restore", "session", root).returncode == 26
    assert path.read_text() == "mine\n"


def test_a_rollout_that_was_compressed_comes_back_plain(run, kept):
    root = Raw("sigint").root
    (path,) = [path for path in kept.rglob("*.jsonl") if root in path.name]
    content = path.read_bytes()
    packed = _compressed(path)
    assert run("import").returncode == 0
    packed.unlink()
    assert run("restore", "session", root).returncode == 0
    assert path.read_bytes() == content


def test_damage_is_blamed_on_its_rollout(run, home, kept):
    """A damaged line of the journal that says whose it was holds up nobody else."""
    assert run("import").returncode == 0
    (segment,) = (home / "journal").glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    thread = Raw("sigint").root.encode()
    number = [n for n, line in enumerate(lines) if b'"s":"codex.rollout"' in line and thread in line[:200]][3]
    lines[number] = lines[number].replace(b"}", b"]", 1)
    segment.write_bytes(b"".join(lines))
    shutil.rmtree(kept)
    done = run("restore", "session", Raw("sigint").root)
    assert done.returncode == 26
    assert "its record is damaged" in done.stdout
    assert run("restore", "session", Raw("api-error").root).returncode == 0


def _cut_runs(tmp_path: Path, *cut: str) -> Path:
    """The rollouts of a session with subagents, of which some end before the ends of their runs, as a kill leaves them."""
    raw = Raw("multi-agent-v2")
    names = {name: lines[0]["payload"].get("agent_path", "/main") for name, lines in raw.threads.items()}
    directory = tmp_path / "-".join(path.rpartition("/")[2] for path in cut)
    directory.mkdir()
    for name, lines in raw.threads.items():
        whole = [line for line in lines if line["payload"].get("item", {}).get("kind") != "completed"]
        ended = [n for n, line in enumerate(whole) if line["payload"].get("type") == "task_complete"]
        _write(directory, name, whole[: ended[0]] if names[name] in cut else whole)
    return directory


def test_a_subagent_without_an_end_was_cut_with_its_session(run, home, tmp_path):
    root, soon = Raw("multi-agent-v2").root, {"HOLDFAST_NOW": "2026-11-21T11:30:00Z"}
    late = {"HOLDFAST_NOW": "2026-11-21T12:30:00Z"}
    expected = {
        ("/main", "/main/reviewer"): [
            ("working", "running", "completed"),
            ("interrupted", "interrupted", "completed"),
        ],
        ("/main/reviewer",): [("idle", "running", "completed"), ("ended", "interrupted", "completed")],
    }
    for number, (cut, states) in enumerate(expected.items()):
        own = ("--home", home.with_name(f"cut-{number}"))
        assert run(*own, "import", _cut_runs(tmp_path, *cut)).returncode == 0
        for now, wanted in zip((soon, late), states, strict=True):
            shown = json.loads(run(*own, "show", root, "--json", env=now).stdout)
            agents = {agent["description"]: agent["status"] for agent in shown["agents"]}
            assert (shown["session"]["state"], agents["reviewer"], agents["lister"]) == wanted
