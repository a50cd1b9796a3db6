"""A process that `scale` measures: questions asked of an open, warm store, in this process.

python -m benchmarks.asking HOME LARGE-SESSION
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from datetime import datetime
from pathlib import Path

from benchmarks.synthetic import END

REPEATS = 15
_STALE_US = 600_000_000
_ROWS = """
    SELECT session_id, sum(n) FROM (
        SELECT session_id, count(*) AS n FROM span GROUP BY 1 UNION ALL
        SELECT session_id, count(*) FROM llm GROUP BY 1 UNION ALL
        SELECT session_id, count(*) FROM event GROUP BY 1
    ) GROUP BY 1"""


def main():
    home, large = Path(sys.argv[1]), sys.argv[2]
    from holdfast.store import database, queries, timeline, tree

    now_us = int(datetime.fromisoformat(END).timestamp()) * 1_000_000
    db = database.open_reader(home)
    rows = dict(db.execute(_ROWS))
    usual = min(rows, key=lambda session: (abs(rows[session] - 650), session))
    large = queries.session_id(db, large)
    week = now_us // 86_400_000_000
    asked = {
        "stats": lambda: queries.stats(db),
        "stats, 7 days": lambda: queries.stats(db, week - 7, week),
        "sessions": lambda: queries.sessions(db, now_us, _STALE_US),
        "show": lambda: queries.show(db, usual, now_us, _STALE_US),
        "timeline": lambda: timeline.timeline(db, usual),
        "tree": lambda: tree.tree(db, usual, now_us, _STALE_US),
        "show, large": lambda: queries.show(db, large, now_us, _STALE_US),
        "timeline, large": lambda: timeline.timeline(db, large),
        "tree, large": lambda: tree.tree(db, large, now_us, _STALE_US),
    }
    figures = {name: _measured(ask) for name, ask in asked.items()}
    answer = {
        "rows": sum(rows.values()),
        "sessions": len(rows),
        "usual_rows": rows[usual],
        "large_rows": rows[large],
        "large_nodes": _nodes(tree.tree(db, large, now_us, _STALE_US)["roots"]),
        "store_mb": (home / "store.db").resolve().stat().st_size / 1e6,
        "asked": figures,
    }
    print(json.dumps(answer))


def _measured(ask):
    """Medians in ms, the first time left out."""
    ask()
    wall, cpu = [], []
    for _ in range(REPEATS):
        began, cpu_began = time.perf_counter(), time.process_time()
        answer = ask()  # held, so that throwing it away is not measured
        cpu.append((time.process_time() - cpu_began) * 1e3)
        wall.append((time.perf_counter() - began) * 1e3)
        del answer
    return {"wall_ms": statistics.median(wall), "cpu_ms": statistics.median(cpu), "least_ms": min(wall)}


def _nodes(roots):
    count, level = 0, roots
    while level:
        count += len(level)
        level = [child for node in level for child in node["children"]]
    return count


if __name__ == "__main__":
    main()
