"""Run the console blocks of a page as a reader would, in order, in one shell with a fresh user.

A line that begins with `$ ` is a command, with `> ` its continuation; what follows up to the next command is its output.
A line with only `…` in an output stands for any lines. Times, days, random ids and byte
counts and the digits of placeholders may differ.

    python -m tests.docs.console PAGE...            print each page's commands with what they really answer
    python -m tests.docs.console --write PAGE...    put that into the pages, except where `…` leaves something out
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

NOW = "2026-11-21T12:30:00Z"
_MARK = "@@@ command "
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_VARIES = (
    (re.compile(r"01[0-9a-f]{6}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), "<random id>"),
    (re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{3})?Z)?"), "<day>"),
    (re.compile(r"\d\d:\d\d:\d\d(\.\d{3})?"), "<time>"),
    (re.compile(r"\[REDACTED:([a-z0-9-]+):[0-9a-f]{4}\]"), r"<\1>"),
    (re.compile(r"\b\d{3} rules\b"), "<rules>"),
    # Paths of this run stand in the journal.
    (re.compile(r"bytes \d+ to \d+|\d+\.\d [kM]B|\b\d+:\d{3,}\b"), "<bytes>"),
)


@dataclass
class Command:
    """One command of a page, and the output lines shown for it."""

    text: str
    shown: list[str] = field(default_factory=list)


def commands(page):
    """Every command of the page's console blocks, in order."""
    found = []
    for block in _BLOCK.findall(page):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Command(line[2:]))
            elif line.startswith("> ") or line == ">":
                found[-1].text += "\n" + line[2:]
            else:
                found[-1].shown.append(line)
    return found


def answers(found, place):
    """What each command really answers, standard error included, and how each exited."""
    user = prepare(place)
    script = "".join(f"printf '\\n{_MARK}%d\\n' $?\n{command.text}\n" for command in found)
    done = subprocess.run(
        ["bash"],
        input=script + f"printf '\\n{_MARK}%d\\n' $?\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=120,
        cwd=user,
        env=environment(place, user),
        check=False,
    )
    pieces = done.stdout.replace(str(user), "/home/you").split(f"\n{_MARK}")[1:]
    codes = [int(piece.partition("\n")[0]) for piece in pieces]
    outputs = [piece.partition("\n")[2].splitlines() for piece in pieces[:-1]]
    assert len(outputs) == len(found), done.stdout
    return list(zip(outputs, codes[1:], strict=True))


def prepare(place):
    """A user without history, with a backup of some Claude Code history, and `holdfast` on the path."""
    user = place / "you"
    user.mkdir()
    shutil.copytree(str(resources.files("holdfast") / "samples" / "projects"), user / "backup" / "projects")
    tools = place / "bin"
    tools.mkdir()
    for name, call in (("holdfast", "-m holdfast"), ("python3", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {call} "$@"\n')
        (tools / name).chmod(0o755)
    return user


def environment(place, user):
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HOLDFAST_", "CLAUDE", "XDG_", "FORCE_COLOR", "CLICOLOR"))
        or name == "XDG_CACHE_HOME"  # compiled gates: a busy machine would tell of the seconds that they take
    }
    return kept | {
        "HOME": str(user),
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "HOLDFAST_NOW": NOW,
        "COLUMNS": "104",
        "LC_ALL": "C.UTF-8",
    }


def same(shown, real):
    """Whether an output is what is shown, but for what varies and what `…` leaves out."""
    wanted = [plain(line) for line in shown if line.strip()]
    found = [plain(line) for line in real if line.strip()]
    pattern = "".join("(?:.*\n)*?" if line == "…" else re.escape(line + "\n") for line in wanted)
    return re.fullmatch(pattern, "".join(line + "\n" for line in found)) is not None


def plain(line):
    for varies, name in _VARIES:
        line = varies.sub(name, line)
    return line.rstrip()


def with_answers(page, found, real):
    """The page with outputs that differ replaced by what is real."""
    blocks = iter(zip(found, real, strict=True))

    def block(match):
        out = []
        for line in match[1].splitlines():
            if line.startswith("$ "):
                command, (lines, _) = next(blocks)
                keep = same(command.shown, lines) or "…" in command.shown
                shown = (
                    command.shown
                    if keep
                    else [line.rstrip() for line in "\n".join(lines).strip("\n").splitlines()]
                )
                out += ["$ " + command.text.replace("\n", "\n> "), *shown]
        return "```console\n" + "\n".join(out) + "\n```"

    return _BLOCK.sub(block, page)


def main():
    write = "--write" in sys.argv
    for path in (Path(name) for name in sys.argv[1:] if name != "--write"):
        page = path.read_text("utf-8")
        found = commands(page)
        with tempfile.TemporaryDirectory() as place:
            real = answers(found, Path(place))
        for command, (lines, code) in zip(found, real, strict=True):
            differs = "" if same(command.shown, lines) else "   <<< differs from the page"
            if not write or (differs and "…" in command.shown):
                print(f"{path}: $ {command.text}\n" + "\n".join(lines) + f"\n[exit {code}]{differs}\n")
        if write:
            path.write_text(with_answers(page, found, real), "utf-8")


if __name__ == "__main__":
    main()
