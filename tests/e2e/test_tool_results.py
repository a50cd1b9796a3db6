"""Long outputs, which Claude Code keeps in files beside a transcript: recorded, given back, exported and forgotten with their session."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

SESSION = "5b1f0000-0000-4000-8000-000000000001"
LONG = "".join(f"{number} ä\n" for number in range(20_000))


@pytest.fixture
def result(home) -> Path:
    """A session with a long output."""
    project = Path(os.environ["CLAUDE_CONFIG_DIR"], "projects", "-home-dev-demo")
    path = project / SESSION / "tool-results" / "b1x2c3.txt"
    path.parent.mkdir(parents=True)
    path.write_text(LONG)
    entry = {
        "type": "user",
        "uuid": "00000000-0000-4000-8000-000000000001",
        "sessionId": SESSION,
        "timestamp": "2026-11-22T03:00:00.000Z",
        "message": {"role": "user", "content": "count"},
    }
    (project / f"{SESSION}.jsonl").write_text(json.dumps(entry) + "\n")
    return path


def held(home: Path) -> bool:
    """Whether the output stands anywhere below the home."""
    files = [path for path in home.rglob("*") if path.is_file()]
    return any(b"19998" in path.read_bytes() for path in files)


def test_it_comes_back_with_its_session(result, run, home):
    assert run("import").returncode == 0
    shutil.rmtree(result.parent.parent.parent)
    done = run("restore", "session", SESSION)
    assert done.returncode == 0, done.stderr
    assert result.read_text() == LONG
    assert run("doctor").returncode == 0


def test_what_was_written_last_counts(result, run, home):
    assert run("import").returncode == 0
    result.write_text(LONG + "more")
    assert run("import").returncode == 0
    result.unlink()
    assert run("restore", "session", SESSION).returncode == 0
    assert result.read_text() == LONG + "more"


def test_it_is_forgotten_with_its_session_and_does_not_come_back(result, run, home):
    run("import")
    assert held(home)
    assert run("forget", SESSION, "--yes").returncode == 0
    assert not held(home)
    run("import")
    assert not held(home)


def test_it_travels_with_an_export(result, run, home, tmp_path, monkeypatch):
    run("import")
    assert run("export", str(tmp_path / "out.jsonl")).returncode == 0
    shutil.rmtree(result.parent.parent.parent)
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "other"))
    assert run("import", str(tmp_path / "out.jsonl")).returncode == 0
    assert run("restore", "session", SESSION).returncode == 0
    assert result.read_text() == LONG
    assert run("forget", SESSION, "--yes").returncode == 0
    assert run("import", str(tmp_path / "out.jsonl")).returncode == 0
    assert not held(tmp_path / "other")


def test_secrets_in_it_are_taken_out(result, run, home):
    result.write_text(LONG + "token: ghp_" + "a1B2" * 9 + "\n")
    run("import")
    assert not any(b"a1B2a1B2" in path.read_bytes() for path in home.rglob("*") if path.is_file())
    result.unlink()
    done = run("restore", "session", SESSION)
    assert "github-token" in done.stdout
    assert result.read_text().startswith(LONG)


def test_one_that_is_too_long_is_told(result, run, home):
    with result.open("a") as file:
        file.write("x" * (8 << 20))
    done = run("import")
    assert "is not recorded" in done.stdout + done.stderr
    assert json.loads(run("sessions", "--json").stdout)["sessions"][0]["id"] == SESSION


def test_a_directory_of_that_name_elsewhere_is_no_source(home, run, tmp_path):
    other = tmp_path / "somewhere" / "tool-results"
    other.mkdir(parents=True)
    (other / "mine.txt").write_text("mine 19998")
    run("import", str(tmp_path / "somewhere"))
    assert not held(home)
