"""Many writers at once, one of them killed, one frozen while the others go on to further segments."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.journal import segments
from tests.crash import flood, volume

if TYPE_CHECKING:
    import subprocess

WRITERS, RECORDS = 8, 10_000
_LIMIT_S = 300


@dataclass
class _Writer:
    process: subprocess.Popen[bytes]
    output: bytearray = field(default_factory=bytearray)

    @property
    def acknowledged(self) -> int:
        return self.output.count(b"\n")


def _state(pid: int) -> str:
    """The kernel's letter for what a process does: T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def run(
    directory: Path, seed: int, writers: int, records: int, segment_size_bytes: int
) -> tuple[list[str], str]:
    """Let a crowd record; kill the first and freeze the second of them on the way. Returns violations and a summary."""
    home = directory / "crowd"
    volume.one_record(home, "first")  # so that all of them begin at once
    began_s = time.monotonic()
    crowd = [
        _Writer(
            volume.start(
                home,
                f"{seed}",
                f"w{n}",
                str(records),
                "small",
                HOLDFAST_SEGMENT_SIZE_BYTES=str(segment_size_bytes),
            )
        )
        for n in range(writers)
    ]
    killed, frozen = crowd[0], crowd[1]
    violations: list[str] = []
    rotated = 0

    with selectors.DefaultSelector() as waiting:
        for writer in crowd:
            assert writer.process.stdout is not None
            waiting.register(writer.process.stdout, selectors.EVENT_READ, writer)
        is_killed = is_frozen = False
        while waiting.get_map() and time.monotonic() < began_s + _LIMIT_S:
            for key, _ in waiting.select(1):
                chunk = os.read(key.fd, 1 << 16)
                key.data.output += chunk
                if not chunk:
                    waiting.unregister(key.fileobj)
            if not is_killed and killed.acknowledged > records // 3:
                killed.process.kill()
                is_killed = True
            if not is_frozen and frozen.acknowledged > records // 4:
                frozen.process.send_signal(signal.SIGSTOP)
                is_frozen = True
                rotated = len(segments.numbers(home / "journal"))
            others = [w for w in crowd if w is not frozen]
            if is_frozen and all(w.process.poll() is not None for w in others):
                if _state(frozen.process.pid) != "T":
                    violations.append("the frozen writer was not frozen while the others worked")
                rotated = len(segments.numbers(home / "journal")) - rotated
                if rotated < 1:
                    violations.append("nobody went on to a further segment while one was frozen")
                frozen.process.send_signal(signal.SIGCONT)
                break
        rest, _ = frozen.process.communicate(timeout=_LIMIT_S)
        frozen.output += rest
    took_s = time.monotonic() - began_s
    return _look(
        home, crowd, violations, records, f"{rotated} segments begun while one was frozen, {took_s:.1f} s"
    )


def _look(
    home: Path, crowd: list[_Writer], violations: list[str], records: int, how: str
) -> tuple[list[str], str]:
    for number, writer in enumerate(crowd):
        wanted = -signal.SIGKILL if number == 0 else 0
        if writer.process.wait(_LIMIT_S) != wanted:
            violations.append(f"writer {number} ended with {writer.process.returncode}")
        if number and writer.acknowledged != records:
            violations.append(f"writer {number} acknowledged {writer.acknowledged} of {records}")
        for pipe in (writer.process.stdout, writer.process.stderr):
            if pipe is not None and not pipe.closed:
                pipe.close()
    audit = flood.Audit(home / "journal", home / "blobs")
    audit.go_on()
    acknowledged = [record_id for writer in crowd for record_id in flood.ids_of(bytes(writer.output))]
    violations += audit.missing(acknowledged) + audit.broken
    violations += [f"acknowledged twice: {i}" for i, n in Counter(acknowledged).items() if n > 1]
    violations += [
        f"record {i} stands {audit.times[i]} times in the journal"
        for i in acknowledged
        if audit.times.get(i, 0) > 1
    ]
    violations += volume._store_misses(home, acknowledged)
    numbers = len(segments.numbers(home / "journal"))
    return (
        violations,
        f"{len(acknowledged)} records acknowledged by {len(crowd)} writers in {numbers} segments, {how}",
    )


def full(directory: Path, seed: int) -> tuple[list[str], str]:
    """The crowd of a release."""
    return run(directory, seed, WRITERS, RECORDS, 1 << 20)
