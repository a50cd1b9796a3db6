"""Adapters with a mistake that the soak must notice.

    python -m tests.monitor.broken inode|apart DIR STATE [--after SEQ]

inode: knows files by number and size alone. apart: prints what it has read, and keeps its position afterwards.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import apsw

from holdfast.monitor import fingerprint, matching, tail
from holdfast.monitor.scope import Scope
from holdfast.testing import tail as adapter


def inode(arguments):
    def stands(read_at, known, limit=0):
        return not known.consumed or bool(read_at(1, known.consumed - 1))

    matching.stands = tail.stands = stands
    matching.birth_of = fingerprint.birth_of = lambda fd: None
    adapter.main(arguments)


def apart(arguments):
    place, state = arguments[:2]
    seq_file = Path(state + ".seq")
    db = apsw.Connection(state)
    tailer = tail.Tailer(Scope([place]), db, settle_us=0)
    seq = int(seq_file.read_text()) if seq_file.exists() else 0
    for poll, _ in enumerate(sys.stdin.buffer, 1):
        for batch in tailer.poll():
            for line in batch.lines:
                seq += 1
                print(json.dumps({"seq": seq, "line": line.text}))
            sys.stdout.flush()
            seq_file.write_text(str(seq))
            with db:
                tailer.keep(batch)
        print(json.dumps({"poll": poll}), flush=True)


if __name__ == "__main__":
    {"inode": inode, "apart": apart}[sys.argv[1]](sys.argv[2:])
