"""`holdfast service install`: a file for systemd or launchd, and what may go wrong with it."""

from __future__ import annotations

import json
import os
import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest

from holdfast import units

NAME = "holdfast-*.service"


def unit_file() -> Path:
    [path] = Path(os.environ["HOME"], ".config", "systemd", "user").glob(NAME)
    return path


def install(run, *more: str) -> dict[str, object]:
    done = run("service", "install", "--system", "systemd", *more, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_is_written_once_and_removed(home, run):
    assert install(run, "--dry-run")["changed"] is False
    assert not Path(os.environ["HOME"], ".config").exists()
    assert [install(run)["changed"] for _ in range(2)] == [True, False]
    assert unit_file().read_text().startswith(f"# {units.MARK}")
    assert "holdfast service uninstall" in run("uninstall").stdout
    done = run("service", "uninstall", "--system", "systemd")
    assert done.stdout.startswith("removed: ")
    assert "disable --now" in done.stdout
    assert run("service", "uninstall", "--system", "systemd").stdout.startswith("not there: ")


def test_systemd_understands_it(home, run, monkeypatch, tmp_path):
    """Also with names of directories that hold what systemd would replace or take apart."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / 'a "b" %h $HOME \\n'))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    install(run)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(unit_file())], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_its_command_runs_with_the_settings_of_now(home, run, monkeypatch, tmp_path):
    """What the file says, run by hand, serves the home."""
    monkeypatch.setenv("HOLDFAST_STALE_AFTER_S", "77")
    content = str(install(run)["content"])
    assert f'Environment="HOLDFAST_HOME={home}"' in content
    assert 'Environment="HOLDFAST_STALE_AFTER_S=77' in content
    assert f'CLAUDE_CONFIG_DIR={os.environ["CLAUDE_CONFIG_DIR"]}"' in content
    [command] = [line.partition("=")[2] for line in content.splitlines() if line.startswith("ExecStart=")]
    argv = [word.strip('"') for word in command.split('" "')]
    with subprocess.Popen(
        argv, env={"HOLDFAST_HOME": str(home)}, stderr=subprocess.PIPE, text=True
    ) as service:
        assert service.stderr is not None
        assert any("caught up:" in line for line in service.stderr)
        assert run("down").returncode == 0


def test_another_program_s_file_stays(home, run):
    install(run)
    unit_file().write_text("[Service]\nExecStart=/bin/true\n")
    for command in ("install", "uninstall"):
        done = run("service", command, "--system", "systemd")
        assert done.returncode == 60
        assert "not written by Holdfast" in done.stderr
    assert "bin/true" in unit_file().read_text()


def test_the_doctor_knows_the_traps(home, run):
    install(run)
    assert run("doctor").returncode == 0
    unit_file().write_text(unit_file().read_text().replace("KillMode=process", "KillMode=control-group"))
    done = run("doctor")
    assert done.returncode == 40
    assert "end the agents" in done.stdout
    install(run)
    assert run("doctor").returncode == 0


@pytest.mark.parametrize(("made", "told"), [(None, None), ([], False), (["me"], True)])
def test_whether_a_user_lingers(tmp_path, made, told):
    directory = tmp_path / "linger"
    if made is not None:
        directory.mkdir()
        for name in made:
            (directory / name).touch()
    assert units.lingers("me", directory) is told


def test_launchd_gets_a_property_list(home, run):
    done = run("service", "install", "--system", "launchd", "--json")
    answer = json.loads(done.stdout)
    found = plistlib.loads(Path(answer["path"]).read_bytes())
    assert found["AbandonProcessGroup"] is True
    assert found["ProgramArguments"][-1] == "up"
    assert found["EnvironmentVariables"]["HOLDFAST_HOME"] == str(home)
    assert answer["path"].startswith(
        str(Path(os.environ["HOME"], "Library", "LaunchAgents", "dev.holdfast-"))
    )


@pytest.mark.parametrize("system", units.SYSTEMS)
@pytest.mark.parametrize("name", [b"ho\xff", b"ho\nExecStartPre=touch", b"ho\x01"])
def test_a_home_whose_name_cannot_stand_in_it_is_refused(home, run, monkeypatch, tmp_path, system, name):
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / os.fsdecode(name)))
    done = run("service", "install", "--system", system)
    assert done.returncode == 60, done.stderr
    assert "cannot all stand in a unit" in done.stderr
    assert not Path(os.environ["HOME"], ".config").exists()
    if b"\xff" not in name:  # SQLite opens no store of such a name
        assert run("doctor").returncode == 0


def test_a_moment_for_answers_is_not_kept(home, run, monkeypatch):
    monkeypatch.setenv("HOLDFAST_NOW", "2026-11-22T00:00:00Z")
    assert "HOLDFAST_NOW" not in str(install(run)["content"])


def test_the_doctor_tells_of_what_stands_in_its_place(home, run):
    path = Path(str(install(run)["path"]))
    path.unlink()
    path.mkdir()
    done = run("doctor")
    assert done.returncode == 40
    assert str(path) in done.stdout
