"""A process that `import` measures: a transcript of a given size is imported, then grows and is caught up with.

python -m benchmarks.growing DIRECTORY SIZE_BYTES
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.copies import endless

STEPS, LINES = 100, 10


def main():
    directory, size_bytes = Path(sys.argv[1]), int(sys.argv[2])
    from holdfast.home import Home
    from holdfast.settings import load

    lines = endless(int(size_bytes * 1.1) + 4_000_000)
    total, first = 0, 0
    while total < size_bytes:
        total, first = total + len(lines[first]), first + 1
    projects = directory / "projects"
    projects.mkdir()
    file = projects / "11111111-2222-4333-8444-555555555555.jsonl"
    file.write_bytes(b"".join(lines[:first]))
    home = Home(load(None, {}, {"home": str(directory / "home")}))
    assert home.catch_up([projects]).done
    taken, appended, read_before = [], 0, _read_bytes()
    cpu_began = time.process_time()
    for step in range(STEPS):
        more = b"".join(lines[first + LINES * step : first + LINES * (step + 1)])
        with file.open("ab") as opened:
            opened.write(more)
        appended += len(more)
        began = time.perf_counter()
        report = home.catch_up([projects])
        taken.append(time.perf_counter() - began)
        assert report.records >= LINES
    count = STEPS * LINES
    read = _read_bytes()
    print(
        json.dumps(
            {
                "wall_us": sum(taken) / count * 1e6,
                "cpu_us": (time.process_time() - cpu_began) / count * 1e6,
                "step_p50_ms": sorted(taken)[STEPS // 2] * 1e3,
                "read_per_byte": None if read is None else (read - read_before) / appended,
            }
        )
    )


def _read_bytes():
    """What this process has read through system calls so far."""
    try:
        return int(Path("/proc/self/io").read_text().split("rchar: ")[1].split()[0])
    except (OSError, IndexError):
        return None


if __name__ == "__main__":
    main()
