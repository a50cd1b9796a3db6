"""Sessions of the real client are given back after their directory was deleted, and the client goes on with them."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from typing import Any

import pytest

from tests.real import scenes
from tests.real.endpoint import Call, Say, agent, bash

pytestmark = pytest.mark.slow
SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"[:36]


def lose(played) -> dict[str, bytes]:
    """Record everything, and delete what the client keeps; what that was."""
    played.ask("sessions")
    before = played.stage.claude.transcripts()
    shutil.rmtree(played.stage.claude.config / "projects")
    return before


def digests(files: dict[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}


def said(request: dict[str, Any]) -> str:
    """Everything that stands in the messages of a request."""
    return json.dumps(request["messages"])


def sources(claude) -> list[str]:
    """How sessions were started, as hooks were told."""
    told = [json.loads(payload) for payload in claude.heard()]
    return sorted(one["source"] for one in told if one["hook_event_name"] == "SessionStart")


def test_a_restored_session_is_what_it_was_and_goes_on(played, run):
    claude, endpoint = played.stage.claude, played.stage.endpoint
    endpoint.script("helper", Call((bash("echo from the helper"),)), Say("helper is done"))
    steps = Call((bash("echo first"), agent("helper", background=False))), Say("That was the first part.")
    assert claude.run(endpoint.script("main", *steps)).code == 0
    [session] = claude.sessions()
    before = lose(played)
    assert len(before) == 3

    assert {file["state"] for file in played.ask("restore", "session", session)["files"]} == {"written"}
    assert digests(claude.transcripts()) == digests(before)

    asked_before = len(endpoint.requests)
    done = claude.run(endpoint.script("again", Say("I go on.")), "--resume", session)
    assert (done.code, [result[-1] for result in done.results]) == (0, ["I go on."])
    [request] = [one for one in endpoint.requests[asked_before:] if one.get("tools")]
    for word in ("[script main] go", "echo first", "helper is done", "That was the first part."):
        assert word in said(request)
    assert sources(claude) == ["resume", "startup"]

    [known] = played.ask("sessions")["sessions"]
    told = played.ask("show", session)
    assert known["id"] == told["session"]["id"] == session
    assert (told["session"]["turns"], told["session"]["tool_calls"], len(told["agents"])) == (2, 3, 2)
    assert told["session"]["cost_usd"] == pytest.approx(told["session"]["reported_cost_usd"])


def test_what_was_taken_out_stays_out_and_the_session_goes_on_without_it(played):
    """Only the lines that are named differ, and only in the secret."""
    claude, endpoint = played.stage.claude, played.stage.endpoint
    (claude.project / "key.txt").write_text(f"token = {SECRET}")
    reads = Call((("Read", {"file_path": str(claude.project / "key.txt")}), bash(f"echo {SECRET}")))
    assert claude.run(endpoint.script("main", reads, Say("I have read it."))).code == 0
    [session] = claude.sessions()
    before = lose(played)
    [file] = played.ask("restore", "session", session)["files"]
    assert file["state"] == "written"
    [(path, now)] = claude.transcripts().items()
    was = before[path]
    assert SECRET.encode() in was
    assert SECRET.encode() not in now
    pairs = list(zip(was.splitlines(), now.splitlines(), strict=True))
    assert [number for number, (old, new) in enumerate(pairs, 1) if old != new] == file["redacted"]["lines"]
    mark = re.search(r"\[REDACTED:github-[a-z-]+:[0-9a-f]+\]", now.decode())
    assert mark is not None
    assert now.decode().replace(mark[0], SECRET) == was.decode()

    done = claude.run(endpoint.script("again", Say("I go on.")), "--resume", session)
    assert (done.code, [result[-1] for result in done.results]) == (0, ["I go on."])
    assert mark[0] in said(endpoint.requests[-1])
    assert SECRET not in said(endpoint.requests[-1])
    assert sources(claude) == ["resume", "startup"]
    [known] = played.ask("sessions")["sessions"]
    assert (known["id"], known["turns"], known["tool_calls"]) == (session, 2, 2)


@pytest.mark.parametrize(
    "scene",
    [scenes.sigkill, scenes.killed_with_subagent, scenes.compacted],
    ids=lambda scene: scene.__name__,
)
def test_a_session_that_was_cut_or_compacted_comes_back_too(scene, played):
    claude, endpoint = played.stage.claude, played.stage.endpoint
    scene(played.stage)
    [session] = claude.sessions()
    before = lose(played)
    played.ask("restore", "session", session)
    assert digests(claude.transcripts()) == digests(before)
    done = claude.run(endpoint.script("again", Say("I go on.")), "--resume", session)
    assert (done.code, [result[-1] for result in done.results]) == (0, ["I go on."])
    [known] = played.ask("sessions")["sessions"]
    assert (known["id"], known["state"]) == (session, "ended")


def test_long_output_that_the_client_keeps_beside_the_transcript_comes_back(played):
    claude, endpoint = played.stage.claude, played.stage.endpoint
    steps = Call((bash("seq 1 100000"),)), Say("That was long.")
    assert claude.run(endpoint.script("main", *steps)).code == 0
    [session] = claude.sessions()
    [long] = claude.config.glob(f"projects/*/{session}/tool-results/*")
    held = long.read_bytes()
    before = lose(played)
    assert not long.exists()
    played.ask("restore", "session", session)
    assert digests(claude.transcripts()) == digests(before)
    assert long.read_bytes() == held
    done = claude.run(endpoint.script("again", Say("I go on.")), "--resume", session)
    assert (done.code, [result[-1] for result in done.results]) == (0, ["I go on."])
    assert r"1\n2\n3" in said(endpoint.requests[-1])
