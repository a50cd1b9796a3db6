"""Lines of many megabytes: recorded exactly, understood, and never held whole."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from holdfast.journal import blobs, reader

if TYPE_CHECKING:
    from pathlib import Path

SESSION = "11111111-2222-4333-8444-555555555555"
LIMIT_MB = 100
pytestmark = pytest.mark.slow


def line(number: int, content: object, **more: object) -> bytes:
    """What Claude Code writes about the result of tool call `number`."""
    record = {
        "type": "user",
        "sessionId": SESSION,
        "uuid": f"aaaaaaaa-0000-4000-8000-{number:012d}",
        "timestamp": f"2026-11-20T10:00:{number:02d}.000Z",
        "cwd": "/work",
        "version": "2.1.0",
        "message": {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": content}],
        },
    }
    return json.dumps(record | more).encode()


def call(number: int) -> bytes:
    record = {
        "type": "assistant",
        "sessionId": SESSION,
        "uuid": f"bbbbbbbb-0000-4000-8000-{number:012d}",
        "timestamp": f"2026-11-20T09:59:{number:02d}.000Z",
        "message": {
            "id": f"msg_{number}",
            "model": "claude-sonnet-4-5",
            "content": [
                {"type": "tool_use", "id": f"toolu_{number}", "name": "Bash", "input": {"command": "cat"}}
            ],
        },
    }
    return json.dumps(record).encode()


def text(size_bytes: int) -> str:
    return 'a line of "text"\n' * (size_bytes // 20)


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    made = tmp_path / "projects" / f"{SESSION}.jsonl"
    made.parent.mkdir()
    return made


# Linux counts the memory of whoever starts a process as its first peak, so a small process starts the command.
_PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_mb(*args: str | Path) -> float:
    """Run the command and give its peak memory, in MB."""
    argv = [sys.executable, "-c", _PEAK, sys.executable, "-m", "holdfast", *map(str, args)]
    code, peak_kib = subprocess.run(argv, capture_output=True, check=True).stdout.split()
    assert code == b"0"
    return int(peak_kib) * 1024 / 1e6


def recorded(home: Path) -> bytes:
    """The transcript, put together again from the journal."""
    out = b""
    for found in reader.read(home / "journal"):
        assert isinstance(found, reader.Found)
        record = found.record
        if record.s == "claude.transcript":
            body = record.body_bytes()
            out += (blobs.get(home / "blobs", record.f) if record.f else body) + record.e.encode()
    return out


def tools(run) -> dict[str, dict]:
    spans = json.loads(run("tree", SESSION, "--json").stdout)
    found, todo = {}, [spans]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            if value.get("kind") == "tool":
                found[value["id"]] = value
            todo += value.values()
        elif isinstance(value, list):
            todo += value
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted differently elsewhere")
def test_a_50_mb_line_is_imported_in_bounded_memory(home, transcript, run):
    small = [call(1), line(1, "fine"), call(2), call(3), call(4)]
    picture = [{"type": "image", "source": {"type": "base64", "data": "iVBOR" * 4_000_000}}]
    huge = [
        line(2, text(50_000_000)),
        line(3, picture),
        line(4, "short", toolUseResult={"stdout": text(8_000_000)}),
    ]
    transcript.write_bytes(b"\n".join([*small, huge[0], huge[1] + b"\r", huge[2], call(5), line(5, "after")]))
    assert peak_mb("import", transcript) < LIMIT_MB
    assert recorded(home) == transcript.read_bytes()
    assert peak_mb("doctor") < LIMIT_MB
    found = tools(run)
    assert {span["status"] for span in found.values()} == {"completed"}
    assert len(found) == 5


def test_a_long_last_line_is_held_back_until_it_is_whole(home, transcript, run):
    huge = line(2, text(3_000_000))
    transcript.write_bytes(b"\n".join([call(1), line(1, "fine"), huge[:-9]]))
    run("import", transcript)
    assert recorded(home) == b"\n".join([call(1), line(1, "fine"), b""])
    transcript.write_bytes(b"\n".join([call(1), line(1, "fine"), huge]))
    run("import", transcript)
    assert recorded(home) == transcript.read_bytes(), "a whole object needs no line end"
    with transcript.open("ab") as file:
        file.write(b"\n" + line(3, "and more") + b"\n")
    run("import", transcript)
    (_, *records) = [f.record for f in reader.read(home / "journal") if f.record.s == "claude.transcript"]
    assert all(before.p.end == after.p.start for before, after in pairwise(records))
    assert run("doctor").returncode == 0


@pytest.mark.parametrize("damage", [b"\xff", b"\\q", b"\x01"])
def test_a_damaged_long_line_is_kept_and_reported_and_hides_no_other(home, transcript, run, damage):
    huge = line(2, text(3_000_000))
    at = random.Random(7).randrange(200_000, 2_900_000)
    huge = huge[:at] + damage + huge[at:]
    transcript.write_bytes(b"\n".join([call(1), call(2), huge, line(1, "fine"), b""]))
    run("import", transcript)
    assert recorded(home) == transcript.read_bytes()
    found = tools(run)
    assert found["toolu_1"]["status"] == "completed"
    assert found["toolu_2"]["status"] != "completed"
    assert "is not what it should be" in run("doctor").stdout


def test_more_structure_than_can_be_read_is_kept_and_reported(home, transcript, run):
    blocks = [{"type": "text", "text": "abc"}] * 400_000
    transcript.write_bytes(b"\n".join([call(1), call(2), line(2, blocks), line(1, "fine"), b""]))
    assert run("import", transcript).returncode == 0
    assert recorded(home) == transcript.read_bytes()
    assert tools(run)["toolu_1"]["status"] == "completed"
    assert "too much to be read at once" in run("doctor").stdout


def test_a_flipped_bit_in_a_large_blob_is_found(home, transcript, run):
    transcript.write_bytes(line(1, text(3_000_000)) + b"\n")
    run("import", transcript)
    (blob,) = (home / "blobs").iterdir()
    content = bytearray(blob.read_bytes())
    content[-5] ^= 1
    blob.write_bytes(content)
    assert "does not have the SHA-256 of its name" in run("doctor").stdout
    run("rebuild")
    assert run("sessions").returncode == 0


def test_a_program_may_record_a_huge_event(home, run):
    event = {
        "kind": "tool.used",
        "session": "s",
        "fields": {"tool": "cat", "status": "completed", "output": text(20_000_000)},
    }
    ran = run("record", stdin=json.dumps(event) + "\n" + '{"kind": "note", "session": "s"}\n')
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.split()) == 2
    (large,) = [f.record for f in reader.read(home / "journal") if f.record.f]
    assert json.loads(blobs.get(home / "blobs", large.f))["fields"] == event["fields"]
    run("sessions")
    assert run("doctor").returncode == 0
