"""The real Codex with our hooks and `notify`, against a scripted model, where nothing else can be reached."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from holdfast import hooks
from holdfast.journal import reader
from tests.real.codex_client import BINARY, Codex, is_shut_in
from tests.real.codex_endpoint import Endpoint
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow]


@pytest.fixture
def codex(home: Path, tmp_path: Path, monkeypatch) -> Iterator[Codex]:
    if BINARY is None:
        pytest.skip("there is no real Codex here: HOLDFAST_TEST_CODEX names one")
    if not is_shut_in():
        pytest.skip("a real client runs only where it reaches nothing: `unshare -n`, with the loopback up")
    endpoint = Endpoint()
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    yield Codex(tmp_path / "codex", tmp_path / "work", endpoint)
    endpoint.shutdown()
    endpoint.server_close()


@pytest.fixture
def ask(run) -> Callable[..., Any]:
    def asked(*args: str, now: str = "") -> Any:
        done = run(*args, "--json", env={"HOLDFAST_NOW": now} if now else {})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return asked


def told(home: Path) -> list[dict[str, Any]]:
    """What hooks and `notify` left in the journal."""
    found = [item.record for item in reader.read(home / "journal")]
    return [json.loads(record.body_bytes()) for record in found if record.s == "codex.hook"]


def events(home: Path) -> list[str]:
    return [one.get("hook_event_name") or one["type"] for one in told(home)]


def arrived(home: Path, number: int) -> None:
    """Wait until so many payloads lie in the inbox: a `notify` may outlive who started it."""
    spool = home / "inbox" / "codex"
    until(lambda: spool.exists() and spool.read_bytes().count(b"\n") >= number, f"{number} payloads")


def user(ask) -> dict[str, Any]:
    return next(p for p in ask("hooks", "status")["places"] if (p["tool"], p["scope"]) == ("codex", "user"))


def test_notify_needs_no_trust_and_hooks_do(codex, run, ask, home):
    """As long as nobody approved them, only the turn's end arrives, once; the client behaves as without us."""
    bare = codex.exec("SCRIPT:tools go")
    assert run("hooks", "install").returncode == 0
    hooked = codex.exec("SCRIPT:tools go")
    assert (hooked.code, hooked.told) == (bare.code, bare.told)
    arrived(home, 1)
    (session,) = [one for one in ask("sessions")["sessions"] if one["id"] == hooked.thread]
    assert events(home) == ["agent-turn-complete"]
    assert (session["turns"], session["tool_calls"], session["llm_calls"]) == (1, 2, 3)
    assert (user(ask)["trust"], user(ask)["sessions_told"]) == ("untrusted", 0)


def test_trust_is_read_as_codex_reads_it(codex, run, ask):
    """Of each hook the same as Codex says: before it was approved, afterwards, and when it was changed."""
    assert run("hooks", "install").returncode == 0
    found = codex.hooks()
    assert found.pop("") == {"warnings": []}
    assert {hook["trustStatus"] for hook in found.values()} == {"untrusted"}
    assert len(found) == len(hooks.CODEX_EVENTS)
    codex.approve()
    assert {hook.get("trustStatus") for key, hook in codex.hooks().items() if key} == {"trusted"}
    assert user(ask)["trust"] == "trusted"
    path = codex.home / "hooks.json"
    path.write_text(path.read_text().replace('"timeout": 3', '"timeout": 2', 1))
    changed = [hook["trustStatus"] for key, hook in codex.hooks().items() if key]
    assert Counter(changed) == {"trusted": 11, "modified": 1}
    assert user(ask)["outdated"] == ["SessionStart"]
    assert run("hooks", "install").returncode == 0
    assert user(ask)["untrusted"] == []


@pytest.mark.parametrize("trusted", [True, False], ids=["approved", "by the flag"])
def test_trusted_hooks_arrive_once_each(trusted, codex, run, ask, home):
    """All of them, recorded once; the client ends as without them and prints the same, but for what it says of the flag."""
    bare = codex.exec("SCRIPT:tools go")
    assert run("hooks", "install").returncode == 0
    if trusted:
        codex.approve()
    flag = () if trusted else ("--dangerously-bypass-hook-trust",)
    hooked = codex.exec("SCRIPT:tools go", *flag)
    assert hooked.code == bare.code
    if trusted:
        assert hooked.told == bare.told
    arrived(home, 9)
    ask("sessions")
    assert Counter(events(home)) == Counter(
        ["SessionStart", "UserPromptSubmit", "Stop", "SessionEnd", "agent-turn-complete"]
        + ["PreToolUse", "PostToolUse"] * 2
    )
    assert {one.get("session_id", one.get("thread-id")) for one in told(home)} == {hooked.thread}
    (session,) = [one for one in ask("sessions")["sessions"] if one["id"] == hooked.thread]
    assert (session["state"], session["state_grade"], session["turns"]) == ("ended", "observed", 1)
    assert user(ask)["sessions_told"] == 1


@pytest.mark.parametrize(
    ("ending", "state", "hooks_told"),
    [
        (signal.SIGKILL, "interrupted", []),
        (signal.SIGTERM, "interrupted", []),
        (signal.SIGINT, "interrupted", ["Interrupt", "SessionEnd"]),
        ("error", "failed", ["SessionEnd"]),
    ],
    ids=["SIGKILL", "SIGTERM", "SIGINT", "error"],
)
def test_states_are_right_from_both_sources(ending, state, hooks_told, codex, run, ask, home):
    """However a session is cut, at once and later: who was killed left its lock behind."""
    assert run("hooks", "install").returncode == 0
    codex.approve()
    done = codex.exec("SCRIPT:error go") if ending == "error" else codex.cut("SCRIPT:slow go", ending)
    (session,) = ask("sessions")["sessions"]
    assert session["id"] == done.thread
    assert session["state"] == state
    (later,) = ask("sessions", now="2099-01-01T00:00:00Z")["sessions"]
    assert later["state"] == state
    ended = [name for name in events(home) if name in {"Stop", "Interrupt", "SessionEnd"}]
    assert ended == hooks_told


def test_a_killed_session_goes_on(codex, run, ask, home):
    """Resumed it is the same session; its first turn was cut, its second done."""
    assert run("hooks", "install").returncode == 0
    codex.approve()
    cut = codex.cut("SCRIPT:slow go", signal.SIGKILL)
    ask("sessions")
    resumed = codex.exec("SCRIPT:again go", resume=cut.thread)
    assert (resumed.code, resumed.thread) == (0, cut.thread)
    (session,) = ask("sessions")["sessions"]
    assert (session["state"], session["turns"]) == ("ended", 2)
    turns = [node for node in ask("tree", cut.thread)["roots"][0]["children"] if node["kind"] == "turn"]
    assert [turn["status"] for turn in turns] == ["interrupted", "completed"]


def test_a_fork_is_a_session_of_its_own(codex, run, ask):
    """It names the one that it goes on from; both count only what is their own, and both are over."""
    assert run("hooks", "install").returncode == 0
    codex.approve()
    first = codex.exec("SCRIPT:tools go")
    forked = codex.exec("SCRIPT:again go", fork=first.thread)
    assert (forked.code, forked.thread != first.thread) == (0, True)
    found = {one["id"]: one for one in ask("sessions")["sessions"]}
    assert {
        name: (one["state"], one["turns"], one["llm_calls"], one["forked_from"])
        for name, one in found.items()
    } == {
        first.thread: ("ended", 1, 3, None),
        forked.thread: ("ended", 1, 2, first.thread),
    }


def test_notify_says_which_client_a_person_uses(codex, run, ask, home):
    """So that what it is told is known to be of no subagent: of a run, and of an interface."""
    assert run("hooks", "install").returncode == 0
    done = codex.exec("SCRIPT:plain go")
    arrived(home, 1)
    with codex.server() as server:
        thread = server.ask("thread/start", cwd=str(codex.work))["thread"]["id"]
        server.ask("turn/start", threadId=thread, input=[{"type": "text", "text": "SCRIPT:plain go"}])
        server.until("turn/completed")
        arrived(home, 2)
    ask("sessions")
    assert {one["thread-id"]: bool(one.get("client")) for one in told(home)} == {
        done.thread: True,
        thread: True,
    }


def test_a_rollout_that_codex_compressed_is_known(codex, ask, home):
    """Nothing of it is recorded twice, also when its thread goes on and it is plain again."""
    first = codex.exec("SCRIPT:tools go")
    (plain,) = codex.rollouts
    ask("sessions")

    def recorded() -> int:
        ask("sessions")
        found = [item.record for item in reader.read(home / "journal")]
        return sum(record.s == "codex.rollout" and first.thread in record.p.file for record in found)

    known = recorded()
    os.utime(plain, (0, 0))
    with codex.started("SCRIPT:slow go", "-c", "features.local_thread_store_compression=true"):
        until(lambda: plain.with_name(f"{plain.name}.zst").exists() and not plain.exists(), "compression")
    assert recorded() == known
    resumed = codex.exec("SCRIPT:again go", resume=first.thread)
    assert resumed.thread == first.thread
    assert plain.exists()
    assert recorded() == len(plain.read_bytes().splitlines()) > known
    session = next(one for one in ask("sessions")["sessions"] if one["id"] == first.thread)
    assert (session["turns"], session["tool_calls"], session["llm_calls"]) == (2, 3, 5)


def test_a_session_that_was_given_back_goes_on(codex, run, ask):
    """After everything that Codex kept was deleted, it resumes what was written back, with the whole conversation."""
    first = codex.exec("SCRIPT:tools go")
    before = {path: path.read_bytes() for path in codex.rollouts}
    ask("sessions")
    shutil.rmtree(codex.home)
    done = run("restore", "session", first.thread)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in codex.rollouts} == before
    resumed = codex.exec("SCRIPT:again go", resume=first.thread)
    assert (resumed.code, resumed.thread) == (0, first.thread)
    outputs = [item for item in codex.endpoint.asked[-1]["input"] if item["type"] == "function_call_output"]
    assert len(outputs) == 3
    (session,) = ask("sessions")["sessions"]
    assert (session["turns"], session["state"]) == (2, "idle")


def test_who_is_asked_for_leave_is_told(codex, run, ask, home):
    """The hook of a permission request, as Codex's own interface asks for it."""
    assert run("hooks", "install").returncode == 0
    codex.approve()
    with codex.server() as server:
        started = server.ask(
            "thread/start", cwd=str(codex.work), approvalPolicy="untrusted", sandbox="read-only"
        )
        thread = started["thread"]["id"]
        server.ask("turn/start", threadId=thread, input=[{"type": "text", "text": "SCRIPT:leave go"}])
        asked = server.until("item/commandExecution/requestApproval")
        server.answer(asked["id"], {"decision": "decline"})
        server.until("turn/completed")
    entries = ask("timeline", thread)["entries"]
    assert "PermissionRequest" in events(home)
    (notice,) = [entry for entry in entries if entry["kind"] == "notice.raised"]
    assert notice["text"] == "Bash asks for leave"


def test_a_session_is_one_with_and_without_hooks(codex, run, ask, home, tmp_path):
    """What rollouts say, hooks do not change."""
    assert run("hooks", "install").returncode == 0
    codex.approve()
    done = codex.exec("SCRIPT:tools go")
    both = ask("show", done.thread)["session"]
    other = {"HOLDFAST_HOME": str(tmp_path / "other")}
    assert run("import", codex.home / "sessions", env=other).returncode == 0
    alone = json.loads(run("show", done.thread, "--json", env=other).stdout)["session"]
    for answer in (both, alone):
        for name in ("state", "state_grade", "state_why", "activity"):
            answer.pop(name)
    assert both == alone
    assert list((home / "inbox").iterdir()) == []
