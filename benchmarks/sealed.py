"""Sealed history: how small it is, how fast it is sealed, proved, and read back record by record.

python -m benchmarks sealed [PATH]
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from benchmarks import copies, measuring

_CORPUS = measuring.ROOT.parent / "shared" / "data" / "public-transcripts" / "claude-projects"
_REPEATS = 3
_READ = """
import json, random, sys, time
from pathlib import Path
from holdfast.journal import format as fmt, reader, segments
journal = Path(sys.argv[1])
places = [(i.segment, i.start) for n in segments.sealed_numbers(journal)
          for i in reader.read_segment(journal, n) if isinstance(i, reader.Found)]
chosen = random.Random(20261121).sample(places, min(500, len(places)))
taken = []
for segment, start in chosen:
    began = time.perf_counter()
    reader.record_at(journal, segment, start)
    taken.append(time.perf_counter() - began)
print(json.dumps(sorted(taken)[len(taken) // 2] * 1e3))
"""


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks sealed", description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", type=Path, default=_CORPUS)
    source = parser.parse_args(options).source
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name:
        place = Path(name)
        if not source.is_dir():
            print(f"{source} is not there: the bundled samples are sealed instead, 200 times over")
            source = place / "copies"
            copies.write(copies.SAMPLES, source, 200)
        _measure(place, source)


def _measure(place: Path, source: Path) -> None:
    template = place / "template"
    measuring.run(measuring.holdfast("import", source), _environment(place, template))
    rows = []
    for number in range(_REPEATS):
        home = place / f"home-{number}"
        shutil.copytree(template, home, symlinks=True)
        env = _environment(place, home)
        seal = measuring.run(measuring.holdfast("journal", "seal", "--all", "--json"), env)
        verify = measuring.run(measuring.holdfast("journal", "verify", "--json"), env)
        read_ms = float(
            measuring.run([*measuring.python("x")[:1], "-c", _READ, str(home / "journal")], env).out
        )
        found = json.loads(verify.out)
        assert found["findings"] == []
        rows.append((found, seal, verify, read_ms))
        shutil.rmtree(home)
    found = rows[0][0]
    plain_mb = found["plain_bytes"] / 1e6
    seal_s = measuring.median([seal.wall_s for _, seal, _, _ in rows])
    verify_s = measuring.median([verify.wall_s for _, _, verify, _ in rows])
    read_ms = measuring.median([row[3] for row in rows])
    figures = {
        "source_mb": sum(p.stat().st_size for p in source.rglob("*") if p.is_file()) / 1e6,
        "plain_mb": plain_mb,
        "sealed_mb": found["stored_bytes"] / 1e6,
        "ratio": found["plain_bytes"] / found["stored_bytes"],
        "seal_mb_s": plain_mb / seal_s,
        "verify_mb_s": plain_mb / verify_s,
        "verify_cpu_s": measuring.median([verify.cpu_s for _, _, verify, _ in rows]),
        "verify_peak_mb": max(verify.peak_bytes for _, _, verify, _ in rows) / 1e6,
        "record_read_ms": read_ms,
    }
    measuring.table(
        "Sealed history (whole commands, start included)",
        ["", "measured"],
        [[k, v] for k, v in figures.items()],
    )
    budgets = [
        measuring.Budget("verify, MB of plain history a second", figures["verify_mb_s"], 100, at_most=False)
    ]
    measuring.budgets(budgets)
    measuring.remember("sealed", figures, budgets)


def _environment(place: Path, home: Path) -> dict[str, str]:
    return measuring.environment(HOME=place / "user", HOLDFAST_HOME=home, CLAUDE_CONFIG_DIR=place / "none")
