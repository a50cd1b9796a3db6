"""However records arrive, the answers are the same, byte for byte."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import old_layouts
from tests.amount import some
from tests.e2e.conftest import CAPTURED, NOW, ask, everything


@pytest.fixture(params=["captured", "old layouts"])
def source(request, tmp_path):
    """A directory of transcripts: recordings of the current layout, and a made-up history in those before."""
    return CAPTURED if request.param == "captured" else old_layouts.write(tmp_path / "old")


def files_below(source: Path) -> list[Path]:
    return sorted(path for path in source.rglob("*") if path.name.endswith((".jsonl", ".meta.json")))


def test_importing_twice_changes_nothing(source, imported):
    home = imported(source)
    before = everything(home)
    imported(source, into=home)
    assert everything(home) == before


def test_importing_a_copy_of_everything_changes_nothing(source, imported, tmp_path):
    home = imported(source)
    before = everything(home)
    shutil.copytree(source, tmp_path / "copy")
    imported(tmp_path / "copy", into=home)
    assert everything(home) == before


@pytest.mark.parametrize("seed", some([1, 2, 3], 1))
def test_files_may_come_in_any_order(seed, source, imported):
    expected = everything(imported(source))
    files = files_below(source)
    random.Random(seed).shuffle(files)
    assert everything(imported(*files)) == expected


def test_a_fork_may_come_before_or_after_its_original(imported):
    original, fork = CAPTURED / "kill9-foreground-subagent", CAPTURED / "fork-after-kill9"
    answers = everything(imported(original, fork))
    assert everything(imported(fork, original)) == answers
    assert '"forked_from": "33333333-3333-4333-8333-333333333333"' in answers["sessions"]


@pytest.mark.parametrize("seed", some([4, 5], 1))
def test_files_may_grow_between_imports_at_any_byte(seed, source, imported, tmp_path):
    expected = everything(imported(source))
    chance = random.Random(seed)
    growing = tmp_path / "growing"
    home = None
    left = {path: path.read_bytes() for path in files_below(source)}
    while left:
        for path in sorted(left):
            content = left[path]
            take = len(content) if path.name.endswith(".json") else chance.randint(0, len(content))
            take = len(content) if len(content) < 400 else take
            target = growing / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("ab") as file:
                file.write(content[:take])
            left[path] = content[take:]
        left = {path: rest for path, rest in left.items() if rest}
        home = imported(growing, into=home)
    assert home is not None
    assert everything(home) == expected


def test_a_rebuilt_store_answers_the_same(source, imported):
    home = imported(source)
    before = everything(home)
    ask(home, ["rebuild"])
    assert everything(home) == before


def test_a_deleted_store_is_folded_again(source, imported):
    home = imported(source)
    before = everything(home)
    for path in home.glob("store*"):
        path.unlink()
    assert everything(home) == before


def test_a_damaged_store_is_set_aside_and_folded_again(imported, run):
    home = imported(CAPTURED)
    before = everything(home)
    store = (home / "store.db").resolve()
    content = bytearray(store.read_bytes())
    content[:4096] = b"\x00" * 4096
    store.write_bytes(content)
    for extra in home.glob("store-*-wal"):
        extra.unlink()
    assert everything(home) == before
    doctor = run("doctor", env={"HOLDFAST_HOME": str(home)})
    assert "set aside" in doctor.stdout
    assert doctor.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", some(range(6), 2))
def test_a_killed_import_goes_on_where_it_stopped(seed, source, imported, tmp_path):
    expected = everything(imported(source))
    home = tmp_path / "killed"
    env = os.environ | {"HOLDFAST_HOME": str(home), "HOLDFAST_NOW": NOW}
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "holdfast", "import", str(source)],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(timeout=random.Random(seed).uniform(0.05, 0.3))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait()
        seed += 100
    imported(source, into=home)
    assert everything(home) == expected


def test_a_rewritten_file_is_read_from_its_start(imported, tmp_path):
    source = tmp_path / "11111111-1111-4111-8111-111111111111.jsonl"
    short = CAPTURED / "kill9-during-tool" / "transcript" / source.name
    long = CAPTURED / "resume-after-kill9-and-compact" / "transcript" / source.name
    shutil.copy(long, source)
    home = imported(source)
    expected = everything(home)
    text = source.read_bytes().replace(b"2026-11-21T11:15:0", b"2026-11-21T11:15:0")
    source.write_bytes(b'{"type":"mode","sessionId":"11111111-1111-4111-8111-111111111111"}\n' + text)
    imported(source, into=home)
    assert everything(home)["sessions"] == expected["sessions"]
    shutil.copy(short, source)
    imported(source, into=home)
    assert everything(home)["sessions"] == expected["sessions"]


def test_answers_name_no_place_of_the_recorder(imported, tmp_path):
    home = imported(CAPTURED)
    for answer in everything(home).values():
        assert str(tmp_path) not in answer
        assert str(Path(CAPTURED)) not in answer
