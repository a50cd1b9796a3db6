"""One thing that a program does to files or to another machine, and how its arguments are read."""

from __future__ import annotations

from typing import Final, NamedTuple

_HEAD_CHARS: Final = 200
KINDS: Final = {
    "branch": "a git branch or worktree was made, moved or removed",
    "code": "code given on a command line, which names something that writes",
    "commit": "a git commit",
    "database": "a write to a database",
    "delete": "files, or what a container holds, were removed",
    "deploy": "a change of what runs elsewhere",
    "discard": "uncommitted work was thrown away",
    "forge": "another change on a platform that keeps repositories: a merge, a comment, a secret",
    "http": "a writing request",
    "install": "packages were installed or removed",
    "issue": "an issue was opened",
    "kill": "a process was sent a signal",
    "mail": "a message was sent",
    "mcp": "a call of a tool whose name says that it writes",
    "merge": "branches were merged, or commits taken over",
    "move": "files were moved",
    "publish": "a package or image was published",
    "pull_request": "a pull request was opened",
    "push": "commits, tags or branches were pushed",
    "rebase": "commits were written anew",
    "release": "a release was made",
    "remote": "another machine was told to do something, or given files",
    "reset": "a branch was moved to another commit",
    "service": "a service or schedule of this machine was changed",
    "stash": "uncommitted work was put aside, or taken back",
    "tag": "a git tag was made or removed",
    "write": "files were written",
}
LEAVES: Final = frozenset(
    {
        "database",
        "deploy",
        "forge",
        "http",
        "issue",
        "mail",
        "mcp",
        "publish",
        "pull_request",
        "push",
        "release",
        "remote",
    }
)  # kinds that others may have seen: they cannot be taken back here


class Deed(NamedTuple):
    """What a command does.

    `whole`: if it fails, nothing was done. `sure`: if it succeeds, this was done; else its arguments do not say so for certain.
    """

    kind: str
    what: str
    whole: bool
    sure: bool = True


def head(text: str) -> str:
    """One line of a text, short enough for a list."""
    line = " ".join(text.split())
    return line if len(line) <= _HEAD_CHARS else line[: _HEAD_CHARS - 1] + "…"


def named(words: list[str]) -> str:
    """A command as a person reads it."""
    return head(" ".join(words))


def plain(words: list[str], valued: frozenset[str] = frozenset()) -> list[str]:
    """The words that are no options; `valued` are options that take the next word."""
    out, rest = [], iter(words)
    for word in rest:
        if word == "--":
            out += list(rest)
        elif word.startswith("-") and len(word) > 1:
            if word in valued:
                next(rest, None)
        else:
            out.append(word)
    return out


def option(words: list[str], names: set[str]) -> str | None:
    """The value that the last of these options is given, as the next word, behind `=`, or joined to a short one."""
    found = None
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if word in names:
            found = words[at + 1] if at + 1 < len(words) else None
        elif equals and name in names:
            found = value
        elif len(word) > 2 and word[:2] in names and word[1] != "-":
            found = word[2:]
    return found


def word_set(text: str) -> frozenset[str]:
    """The words of a text, which is how a long list of them reads best."""
    return frozenset(text.split())
