"""`holdfast handoff`, as a user runs it, on sessions whose transcripts are written here."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.e2e.conftest import CAPTURED, ask
from tests.recover.builders import CONTENT, Transcript, agent_call, rich
from tests.recover.test_worktree import git

CODEX = CAPTURED.parent / "codex"


def handed(home, place, transcript, *options):
    transcript.write(place)
    ask(home, ["import", str(place)])
    return json.loads(ask(home, ["handoff", transcript.session, "--json", *options])[0])


@pytest.fixture
def packet(home, tmp_path):
    """The packet of a session with something of every kind, with room for all of it."""
    transcript = rich()
    transcript.agent(tmp_path / "p", "a1", agent_call(transcript), "It has a flaw.", finished=True)
    return handed(home, tmp_path / "p", transcript, "--budget-tokens", "100000")


@pytest.mark.slow
def test_everything_in_it_is_told(packet):
    said = {name: found for name, found in packet.items() if isinstance(found, list)}
    assert [prompt["text"]["part"] for prompt in said["goal"]] == ["whole", "whole"]
    assert said["goal"][0]["text"]["text"].endswith("Mind the edge cases. ")
    assert [task["status"] for task in said["tasks"]] == ["completed", "in_progress", "pending"]
    assert packet["session"]["status"] == "interrupted"
    kinds = {item["kind"]: item for item in said["decisions"]}
    assert kinds["answered"]["about"]["text"] == "Which grammar? [LL | LR]"
    assert "LR" in kinds["answered"]["answer"]["text"]
    assert kinds["plan_accepted"]["about"]["text"] == "# Plan\n\n1. write\n2. test"
    assert kinds["rejected"]["answer"]["text"] == "not on main"
    files = {item["path"]: item for item in said["files"]}
    assert (files["parser.py"]["change"], files["parser.py"]["lines_added"]) == ("created", 2)
    assert (
        files["README.md"]["change"],
        files["README.md"]["lines_added"],
        files["README.md"]["lines_removed"],
    ) == ("modified", 2, 1)
    assert (files["long.txt"]["change"], files["long.txt"]["cut"]) == ("unknown", True)
    assert [(task["id"], task["status"]) for task in said["background"]] == [("bg1", "unknown")]
    assert [effect["kind"] for effect in said["effects"]] == ["commit"]


@pytest.mark.slow
def test_calls_that_were_cut_are_whole_and_their_outcome_unknown(packet):
    write = next(cut for cut in packet["in_flight"] if cut["tool"] == "Write")
    assert CONTENT in write["given"]["text"]
    assert {cut["status"] for cut in packet["in_flight"]} == {"interrupted"}
    asked = next(cut for cut in packet["in_flight"] if cut["tool"] == "Agent")
    assert asked["agents"] == ["a1"]
    possible = {effect["kind"] for effect in packet["possible_effects"]}
    assert {"push", "pull_request", "write"} <= possible


@pytest.mark.slow
def test_a_subagent_that_finished_unheard_is_told_with_its_report(packet):
    [agent] = packet["unheard_agents"]
    assert agent["said"]["text"] == "It has a flaw."
    assert agent["task"]["text"] == "review parser.py"
    assert (agent["status"], agent["outcome"], agent["reported"]) == ("finished", "completed", False)


@pytest.mark.slow
def test_a_check_counts_as_its_exit_code_says_if_it_speaks_of_it(packet):
    checks = {run["name"]: run for run in packet["failing_checks"] + packet["other_checks"]}
    outcome = {name: (run["outcome"], run["grade"]) for name, run in checks.items()}
    assert outcome == {
        "pytest -q": ("failed", "observed"),
        "ruff check .": ("completed", "observed"),
        "mypy": ("failed", "inferred"),
        "npm run build": ("unknown", "unknown"),
    }
    assert checks["pytest -q"]["output"]["text"].endswith("1 failed, 1 passed in 0.1s")


@pytest.mark.slow
def test_a_check_that_passed_later_fails_no_more(home, tmp_path):
    transcript = Transcript().prompt("go")
    transcript.calls("Bash", {"command": "pytest"}, "Exit code 1\n1 failed", failed=True)
    transcript.calls("Bash", {"command": "pytest"}, "2 passed").says("Done.")
    made = handed(home, tmp_path, transcript)
    assert made["failing_checks"] == []
    assert [run["name"] for run in made["other_checks"]] == ["pytest"]


@pytest.mark.slow
def test_a_check_that_could_not_be_started_did_not_fail(home, tmp_path):
    missing = "Exit code 127\nsh: ruff: command not found"
    transcript = Transcript().prompt("go").calls("Bash", {"command": "ruff check ."}, missing, failed=True)
    made = handed(home, tmp_path, transcript)
    assert made["failing_checks"] == []
    assert [(run["outcome"], run["grade"]) for run in made["other_checks"]] == [("unknown", "observed")]


@pytest.mark.slow
def test_a_question_that_waits_is_open(home, tmp_path):
    asks = {"questions": [{"question": "Delete it?", "options": [{"label": "yes"}]}]}
    made = handed(home, tmp_path, Transcript().prompt("go").calls("AskUserQuestion", asks))
    assert [(item["kind"], item["text"]["text"]) for item in made["questions"]] == [
        ("question", "Delete it? [yes]")
    ]


@pytest.mark.slow
def test_last_words_that_ask_are_an_open_question(home, tmp_path):
    made = handed(home, tmp_path, Transcript().prompt("go").says("All is done.\n\nShall I push it?"))
    assert [(item["kind"], item["text"]["text"]) for item in made["questions"]] == [
        ("last_words", "Shall I push it?")
    ]
    assert made["session"]["status"] == "finished"


@pytest.mark.slow
def test_tasks_made_one_at_a_time_are_put_together(home, tmp_path):
    transcript = Transcript().prompt("go")
    for number, subject in enumerate(("one", "two", "three"), 1):
        transcript.calls(
            "TaskCreate",
            {"subject": subject, "description": "…"},
            f"Task #{number} created successfully: {subject}",
        )
    transcript.calls("TaskUpdate", {"taskId": "1", "status": "completed"}, "Updated task #1 status")
    transcript.calls("TaskUpdate", {"taskId": "2", "status": "deleted"}, "Deleted")
    transcript.calls(
        "TaskUpdate", {"taskId": "3", "status": "in_progress", "subject": "the third"}, "Updated"
    )
    made = handed(home, tmp_path, transcript)
    assert [(task["id"], task["text"]["text"], task["status"]) for task in made["tasks"]] == [
        ("1", "one", "completed"),
        ("3", "the third", "in_progress"),
    ]


@pytest.mark.slow
def test_without_an_index_heads_stand_and_say_that_they_are_heads(home, tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_SEARCH_SIZE_CHARS", "0")
    made = handed(home, tmp_path, rich(), "--budget-tokens", "100000")
    assert made["goal"][0]["text"]["part"] == "beginning"
    assert made["goal"][0]["text"]["chars"] is None
    assert len(made["in_flight"]) == 3


@pytest.mark.slow
def test_it_is_written_where_only_the_user_reads_it(home, run, tmp_path):
    run("import", CAPTURED / "kill9-foreground-subagent")
    file = tmp_path / "packet.md"
    done = run("handoff", "33333333", "--out", file)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert file.read_text() == run("handoff", "33333333").stdout
    assert file.stat().st_mode & 0o777 == 0o600
    refused = run("handoff", "33333333", "--out", tmp_path / "absent" / "packet.md")
    assert refused.returncode == 2
    assert "No such file or directory" in refused.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_secrets_in_the_names_of_a_worktree_are_not_handed_over(home, tmp_path):
    """What git says is read when it is asked for, so it passes the door then."""
    work, password = tmp_path / "work", "hunter2x9Qz"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    git(work, "commit", "-q", "--allow-empty", "-m", f"set password={password}")
    (work / f"password={password}.txt").touch()
    (work / "plain.txt").touch()
    source = CAPTURED / "kill9-during-tool" / "transcript"
    for path in source.glob("*.jsonl"):
        (tmp_path / path.name).write_text(path.read_text().replace("/home/dev/demo", str(work)))
        ask(home, ["import", str(tmp_path / path.name)])
    [said] = ask(home, ["handoff", "11111111", "--json"])[:1]
    assert password not in said
    found = json.dumps(json.loads(said)["worktree"])
    assert "plain.txt" in found
    assert "password=[REDACTED:" in found


@pytest.mark.slow
def test_a_budget_that_cannot_be_kept_is_exceeded_and_said(home, run):
    run("import", CAPTURED / "kill9-foreground-subagent")
    done = run("handoff", "33333333", "--budget-tokens", "10")
    assert done.returncode == 0
    assert "over 10" in done.stderr
    for name in (
        "toolu_mock_kill3_0_1_963954",
        "toolu_mock_slowsub_1_0_97e76d",
        "a3cf8bd90eba60f18",
        "SCENARIO:kill3 go",
    ):
        assert name in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_a_budget_is_a_number(home, run, number):
    assert run("handoff", "33333333", "--budget-tokens", number).returncode == 2


@pytest.mark.slow
def test_an_unknown_session_is_not_found(home, run):
    assert run("handoff", "33333333").returncode == 3
