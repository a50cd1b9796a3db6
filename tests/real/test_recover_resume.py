"""The real clients, killed at work, are gone on with by `holdfast recover resume`: the same session, and its history sent to the model."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.real import scenes
from tests.real.codex_client import BINARY as CODEX
from tests.real.codex_client import Codex, is_shut_in
from tests.real.codex_endpoint import SCRIPTS, Endpoint, say
from tests.user import own_variables
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow
LIMIT_S = 60


def begin(environment: dict[str, str], *args: str) -> subprocess.Popen[str]:
    """`holdfast recover resume`, begun as a user of that client would."""
    return subprocess.Popen(
        [sys.executable, "-m", "holdfast", "recover", "resume", *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def resume(environment: dict[str, str], *args: str) -> dict[str, Any]:
    """The same to its end, which must be a good one; what it answers."""
    process = begin(environment, *args[:1], "--json", *args[1:])
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, err
    return json.loads(out)


# ── Claude Code ──


@pytest.fixture
def claude(played) -> dict[str, str]:
    """What `holdfast` is started with so that it starts that client."""
    client = played.stage.claude
    return client.environment | own_variables() | {"HOLDFAST_CLAUDE_PROGRAM": str(client.binary)}


def asked(endpoint, before: int) -> list[dict[str, Any]]:
    """What the model was sent since, without titles and summaries."""
    return [one for one in endpoint.requests[before:] if one.get("tools")]


@pytest.mark.parametrize(
    "scene", [scenes.sigkill, scenes.killed_with_subagent], ids=lambda scene: scene.__name__
)
def test_claude_goes_on_with_what_was_killed(scene, played, claude):
    """Killed during a call of its own, and of a subagent's: the same session, its history, and what was cut."""
    client, endpoint = played.stage.claude, played.stage.endpoint
    assert scene(played.stage).code == -signal.SIGKILL
    [session] = client.sessions()
    before = client.transcripts()
    [agent] = [agent["id"] for agent in played.ask("show", session)["agents"] if agent["id"]] or [None]
    sent = len(endpoint.requests)
    answer = resume(claude, session[:13])
    assert (answer["outcome"], answer["new_session"], answer["exit_code"]) == ("resumed", session, 0)
    [request, *_] = asked(endpoint, sent)
    said = json.dumps(request["messages"])
    assert "[script main] go" in said
    assert "was interrupted" in said
    if agent is not None:
        assert agent in said
        assert "Subagents that did not finish" in said
    after = client.transcripts()
    assert all(after[path].startswith(content) for path, content in before.items() if path.endswith(".jsonl"))
    assert client.sessions() == [session]
    [known] = played.ask("sessions")["sessions"]
    assert (known["id"], known["turns"], known["state"]) == (session, 2, "ended")
    shown = played.ask("tree", session)
    turns = [node["id"] for node in shown["roots"][0]["children"] if node["kind"] == "turn"]
    assert shown["links"] == [{"from": turns[1], "to": turns[0], "kind": "resumes"}]


def test_claude_goes_on_as_a_fork(played, claude):
    client, endpoint = played.stage.claude, played.stage.endpoint
    scenes.sigkill(played.stage)
    [session] = client.sessions()
    [before] = client.transcripts().values()
    sent = len(endpoint.requests)
    answer = resume(claude, session, "--fork")
    new = answer["new_session"]
    assert sorted(client.sessions()) == sorted([session, new])
    assert before in client.transcripts().values()
    assert "[script main] go" in json.dumps(asked(endpoint, sent)[0]["messages"])
    found = {one["id"]: one for one in played.ask("sessions")["sessions"]}
    assert found[new]["forked_from"] == session
    assert [link["kind"] for link in played.ask("tree", new)["links"]] == ["resumes"]


def test_claude_resumed_twice_has_one_new_life(played, claude):
    """Two at once, each with the real client: one works, the other is refused with the reason; then it is alive."""
    client, endpoint = played.stage.claude, played.stage.endpoint
    scenes.sigkill(played.stage)
    [session] = client.sessions()
    sent = len(endpoint.requests)
    both = [begin(claude, session) for _ in range(2)]
    done = [(process.communicate(timeout=LIMIT_S), process.returncode) for process in both]
    codes = sorted(code for _, code in done)
    assert codes[0] == 0, done
    assert codes[1] in (4, 66), done
    [refused] = [err for (_, err), code in done if code]
    assert "resum" in refused or "alive" in refused
    assert asked(endpoint, sent)  # as often as the words of the packet make it ask
    [known] = played.ask("sessions")["sessions"]
    assert known["turns"] == 2


def test_claude_goes_on_at_a_terminal(played, claude):
    """Interactive, with what was cut as its first prompt; ended as a person's closing of it does."""
    client, endpoint = played.stage.claude, played.stage.endpoint
    scenes.sigkill(played.stage)
    [session] = client.sessions()
    sent = len(endpoint.requests)
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, "-m", "holdfast", "recover", "resume", session], claude)
    shown = threading.Thread(target=drained, args=(terminal,), daemon=True)
    shown.start()
    until(lambda: "resumed" in outcomes(played, session), "work")
    [request, *_] = asked(endpoint, sent)
    assert "was interrupted" in json.dumps(request["messages"])
    [tool] = [int(pid) for pid in Path(f"/proc/{child}/task/{child}/children").read_text().split()]
    os.kill(tool, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    os.close(terminal)
    [known] = played.ask("sessions")["sessions"]
    assert (known["id"], known["turns"]) == (session, 2)


def drained(terminal: int) -> None:
    """Read what is shown, so that nobody waits for a place to show it."""
    with contextlib.suppress(OSError):
        while os.read(terminal, 1 << 16):
            pass


def outcomes(played, session: str) -> list[str]:
    return [one["outcome"] for one in played.ask("recover", "show", session)["resumes"]]


# ── Codex ──


@pytest.fixture
def codex(home: Path, tmp_path: Path, monkeypatch) -> Iterator[Codex]:
    if CODEX is None:
        pytest.skip("there is no real Codex here: HOLDFAST_TEST_CODEX names one")
    if not is_shut_in():
        pytest.skip("a real client runs only where it reaches nothing: `unshare -n`, with the loopback up")
    endpoint = Endpoint()
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    monkeypatch.setitem(SCRIPTS, "slow", [*SCRIPTS["slow"][:2], say("I go on.")])
    made = Codex(tmp_path / "codex", tmp_path / "work", endpoint)
    (made.home / "config.toml").write_text(
        f"""model_provider = "scripted"
model = "gpt-6.1-sol"
[model_providers.scripted]
name = "scripted"
base_url = "{endpoint.url}"
wire_api = "responses"
supports_websockets = false
stream_max_retries = 0
request_max_retries = 0
"""
    )
    yield made
    endpoint.shutdown()
    endpoint.server_close()


@pytest.fixture
def ask(run) -> Callable[..., Any]:
    def asked(*args: str) -> Any:
        done = run(*args, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return asked


def environment(codex: Codex) -> dict[str, str]:
    return codex.environment | own_variables() | {"HOLDFAST_CODEX_PROGRAM": str(CODEX)}


def conversation(codex: Codex, before: int) -> str:
    """What the model was sent since."""
    return json.dumps([one["input"] for one in codex.endpoint.asked[before:]])


def test_codex_goes_on_with_what_was_killed(codex, ask):
    cut = codex.cut("SCRIPT:slow go", signal.SIGKILL)
    [rollout] = codex.rollouts
    before, sent = rollout.read_bytes(), len(codex.endpoint.asked)
    answer = resume(environment(codex), cut.thread, "--", "--skip-git-repo-check")
    assert (answer["outcome"], answer["new_session"], answer["exit_code"]) == ("resumed", cut.thread, 0)
    assert codex.rollouts == [rollout]
    assert rollout.read_bytes().startswith(before)
    said = conversation(codex, sent)
    assert "SCRIPT:slow go" in said
    assert "was interrupted" in said
    assert "sleep 30; echo late" in said
    [known] = ask("sessions")["sessions"]
    assert (known["id"], known["turns"]) == (cut.thread, 2)
    [link] = ask("tree", cut.thread)["links"]
    assert link["kind"] == "resumes"


def test_codex_goes_on_as_a_fork(codex, ask):
    cut = codex.cut("SCRIPT:slow go", signal.SIGKILL)
    [rollout] = codex.rollouts
    before, sent = rollout.read_bytes(), len(codex.endpoint.asked)
    answer = resume(environment(codex), cut.thread, "--fork", "--", "--skip-git-repo-check")
    new = answer["new_session"]
    assert rollout.read_bytes() == before
    assert "SCRIPT:slow go" in conversation(codex, sent)
    found = {one["id"]: one["forked_from"] for one in ask("sessions")["sessions"]}
    assert found == {cut.thread: None, new: cut.thread}
    assert [link["kind"] for link in ask("tree", new)["links"]] == ["resumes"]


def test_codex_resumed_twice_has_one_new_life(codex, ask):
    cut = codex.cut("SCRIPT:slow go", signal.SIGKILL)
    both = [begin(environment(codex), cut.thread, "--", "--skip-git-repo-check") for _ in range(2)]
    done = [(process.communicate(timeout=LIMIT_S), process.returncode) for process in both]
    assert min(code for _, code in done) == 0, done
    assert max(code for _, code in done) in (4, 66), done
    [known] = ask("sessions")["sessions"]
    assert known["turns"] == 2


def test_codex_that_may_not_start_there_is_told(codex):
    """Outside of a repository it ends at once, and says why."""
    cut = codex.cut("SCRIPT:slow go", signal.SIGKILL)
    process = begin(environment(codex), cut.thread)
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 67
    assert "--skip-git-repo-check" in err
    assert "ended (exit code 1)" in err
