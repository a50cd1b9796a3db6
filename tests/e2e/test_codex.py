"""Codex's history: found by itself, and counted as an independent reading of the rollouts counts it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import ask

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
