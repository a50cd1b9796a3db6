"""`python -m benchmarks [NAME [OPTION…]]`: one benchmark, or all of them with their defaults but for those that take minutes."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = {
    "append": "benchmarks.append",
    "import": "benchmarks.importing",
    "gigabyte": "benchmarks.gigabyte",
    "first_screen": "benchmarks.first_screen",
    "recover": "benchmarks.recovering",
    "run": "benchmarks.supervising",
    "checkpoint": "benchmarks.checkpoints",
    "definitions": "benchmarks.definitions",
    "revisions": "benchmarks.revisions",
    "search": "benchmarks.search",
    "start": "benchmarks.start",
    "sealed": "benchmarks.sealed",
    "scale": "benchmarks.scale",
    "redaction": "benchmarks.redaction",
    "follow": "benchmarks.following",
    "hook": "benchmarks.hook",
    "tail": "benchmarks.tailing",
}
LONG = {"scale"}  # minutes and gigabytes: only when named


def main() -> None:
    name, *options = sys.argv[1:] or [""]
    if name in {"-h", "--help"} or (name and name not in NAMES):
        sys.exit(
            f"usage: python -m benchmarks [{' | '.join(NAMES)}] [option…]; `NAME --help` lists its options"
        )
    for each in [name] if name else [known for known in NAMES if known not in LONG]:
        import_module(NAMES[each]).main(options)


main()
