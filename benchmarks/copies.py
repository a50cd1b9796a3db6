"""Transcripts made from transcripts: the same lines under new ids, so that nothing looks like a fork of anything.

Deterministic: an id becomes a digest of (seed, copy, id).

python -m benchmarks.copies SOURCE INTO COPIES
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from functools import partial
from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "src" / "holdfast" / "samples" / "projects"
_SEED = "2026-11-21"
_IDS = re.compile(
    rb"(?P<uuid>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    rb"|(?P<prefix>(?:msg|toolu|req|srvtoolu)_)[0-9A-Za-z_]{4,}"
)
_NEWEST_S = 1_795_000_000  # modification times count back from here, a minute a file


def renamed(raw: bytes, copy: int | str) -> bytes:
    """`raw` with every id replaced by the one that this copy has for it."""
    known: dict[bytes, bytes] = {}
    return _IDS.sub(partial(_replace, known, f"{_SEED}/{copy}/".encode()), raw)


def _replace(known: dict[bytes, bytes], salt: bytes, found: re.Match[bytes]) -> bytes:
    old = found[0]
    if (new := known.get(old)) is None:
        h = hashlib.sha256(salt + old).hexdigest()
        if found["uuid"]:
            new = f"{h[:8]}-{h[8:12]}-4{h[12:15]}-a{h[15:18]}-{h[18:30]}".encode()
        else:
            new = found["prefix"] + h[:24].encode()
        known[old] = new
    return new


def write(source: Path, into: Path, copies: int, sessions: int | None = None) -> int:
    """Write `copies` of everything below `source`, or as many as it takes for `sessions`; returns bytes written."""
    files = sorted(
        path for path in source.rglob("*") if path.suffix in {".jsonl", ".json"} and path.is_file()
    )
    mains = [path for path in files if "subagents" not in path.parts]
    made, made_bytes = 0, 0
    for copy in range(copies):
        for main in mains:
            if sessions is not None and made >= sessions:
                return made_bytes
            for file in [main, *(path for path in files if main.with_suffix("") in path.parents)]:
                target = into / renamed(str(file.relative_to(source)).encode(), copy).decode()
                target.parent.mkdir(parents=True, exist_ok=True)
                made_bytes += target.write_bytes(renamed(file.read_bytes(), copy))
                os.utime(target, (_NEWEST_S - 60 * made, _NEWEST_S - 60 * made))
            made += 1
    return made_bytes


def endless(at_least_bytes: int) -> list[bytes]:
    """Lines of one ever longer session, each with its own ids."""
    whole = max(SAMPLES.rglob("*.jsonl"), key=lambda path: path.stat().st_size).read_bytes()
    session = re.search(rb'"sessionId": ?"([^"]+)"', whole)[1]
    lines: list[bytes] = []
    total = copy = 0
    while total < at_least_bytes:
        own = hashlib.sha256(b"").hexdigest()
        made = renamed(whole.replace(session, own.encode()), f"endless {copy}").replace(own.encode(), session)
        lines += made.splitlines(keepends=True)
        total, copy = total + len(made), copy + 1
    return lines


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
