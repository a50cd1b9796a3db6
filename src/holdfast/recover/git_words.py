"""What `git` is told to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.recover.deeds import Deed, head, option, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_GLOBAL: Final = {"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path", "--config-env"}
_MERGING: Final = {"merge", "cherry-pick", "revert", "am", "pull"}


def git(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    """Every change of a repository that is worth telling; what only reads, and the index, is not."""
    rest = words[1:]
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in _GLOBAL else rest[1:]
    if not rest:
        return
    verb, given = rest[0], rest[1:]
    rule = _RULES.get(verb)
    if rule is not None:
        yield from rule(verb, given)


def _commit(_verb: str, given: list[str]) -> Iterator[Deed]:
    if "--dry-run" in given:
        return
    said = _message(given)
    amended = " (amended)" if "--amend" in given else ""
    yield Deed("commit", head(f"{said or 'commit'}{amended}"), whole=True)


def _message(given: list[str]) -> str | None:
    for at, word in enumerate(given):
        if word.startswith("--message="):
            return _first_line(word.partition("=")[2])
        if word == "--message" or re.match(r"-[a-zA-Z]*m\Z", word):
            return _first_line(given[at + 1]) if at + 1 < len(given) else None
        if re.match(r"-[aesvnq]*m.", word):
            return _first_line(word.partition("m")[2])
    return None


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _push(_verb: str, given: list[str]) -> Iterator[Deed]:
    if {"-n", "--dry-run"}.intersection(given):
        return
    named = plain(given, frozenset({"-o", "--push-option", "--repo", "--receive-pack", "--exec"}))
    how = " ".join(
        word for word in given if re.match(r"--(?:force\S*|delete|tags|all|mirror|prune)\Z|-[fd]\Z", word)
    )
    many = len(named) > 2 or bool(re.search(r"--(?:tags|all|mirror|prune|follow-tags)", " ".join(given)))
    yield Deed("push", head(" ".join(["push", *named, how]).strip()), whole=not many)


def _tag(_verb: str, given: list[str]) -> Iterator[Deed]:
    asks = {"-l", "--list", "-v", "--verify", "--contains", "--no-contains", "--points-at", "--merged"}
    named = plain(given, frozenset({"-m", "--message", "-F", "--file", "-u", "--local-user"}))
    reads = any(word in asks or re.match(r"-n\d*\Z|--(?:sort|format|column)", word) for word in given)
    if named and not reads:
        removed = {"-d", "--delete"}.intersection(given)
        yield Deed("tag", head(f"{'removed ' if removed else ''}{' '.join(named)}"), whole=True)


def _merge(verb: str, given: list[str]) -> Iterator[Deed]:
    """A merge that meets conflicts fails, and leaves the files changed."""
    if "--quit" not in given and "--show-current-patch" not in given:
        yield Deed("merge", head(" ".join([verb, *given])), whole=False)


def _rebase(verb: str, given: list[str]) -> Iterator[Deed]:
    if "--show-current-patch" not in given:
        yield Deed("rebase", head(" ".join([verb, *given])), whole=False)


def _reset(verb: str, given: list[str]) -> Iterator[Deed]:
    if {"--hard", "--soft", "--merge", "--keep"}.intersection(given):
        yield Deed("reset", head(" ".join([verb, *given])), whole=True)


def _stash(verb: str, given: list[str]) -> Iterator[Deed]:
    named = plain(given)
    if not named or named[0] not in {"list", "show", "create"}:
        yield Deed(
            "stash", head(" ".join([verb, *given])), whole=not named or named[0] not in {"pop", "apply"}
        )


def _checkout(verb: str, given: list[str]) -> Iterator[Deed]:
    """Another branch loses nothing; paths, or force, throw away what is not committed."""
    if {"-b", "-B", "--orphan"}.intersection(given):
        yield Deed("branch", head(" ".join([verb, *given])), whole=True)
    elif (
        "." in given
        or ("--" in given and given[-1] != "--")
        or {"-f", "--force", "--ours", "--theirs"}.intersection(given)
    ):
        yield Deed("discard", head(" ".join([verb, *given])), whole=False)


def _switch(verb: str, given: list[str]) -> Iterator[Deed]:
    if {"-c", "-C", "--create", "--force-create", "--orphan"}.intersection(given):
        yield Deed("branch", head(" ".join([verb, *given])), whole=True)
    elif {"-f", "--force", "--discard-changes"}.intersection(given):
        yield Deed("discard", head(" ".join([verb, *given])), whole=False)


def _restore(verb: str, given: list[str]) -> Iterator[Deed]:
    worktree = {"-W", "--worktree"}.intersection(given)
    if plain(given, frozenset({"-s", "--source"})) and (
        worktree or not {"-S", "--staged"}.intersection(given)
    ):
        yield Deed("discard", head(" ".join([verb, *given])), whole=False)


def _clean(verb: str, given: list[str]) -> Iterator[Deed]:
    short = "".join(word[1:] for word in given if re.match(r"-[a-zA-Z]+\Z", word))
    if "n" not in short and "--dry-run" not in given and ("f" in short or "--force" in given):
        yield Deed("discard", head(" ".join([verb, *given])), whole=False)


def _branch(verb: str, given: list[str]) -> Iterator[Deed]:
    named = plain(given, frozenset({"-u", "--set-upstream-to", "--sort", "--format"}))
    asks = {
        "--list",
        "-l",
        "-a",
        "-r",
        "-v",
        "-vv",
        "--contains",
        "--merged",
        "--no-merged",
        "--show-current",
    }
    if named and not asks.intersection(given) and not option(given, {"-u", "--set-upstream-to"}):
        yield Deed("branch", head(" ".join([verb, *given])), whole=True)


def _worktree(verb: str, given: list[str]) -> Iterator[Deed]:
    if given[:1] in (["add"], ["remove"], ["move"]):
        yield Deed("branch", head(" ".join([verb, *given])), whole=True)


def _files(verb: str, given: list[str]) -> Iterator[Deed]:
    if "--cached" not in given and not {"-n", "--dry-run"}.intersection(given):
        kind = {"rm": "delete", "mv": "move"}.get(verb, "write")
        asks = {"--check", "--stat", "--numstat", "--summary"}
        if plain(given) and not (verb == "apply" and asks.intersection(given)):
            yield Deed(kind, head(" ".join(plain(given))), whole=verb != "rm")


def _nested(verb: str, given: list[str]) -> Iterator[Deed]:
    """`git lfs push`, `git subtree push`."""
    if given[:1] == ["push"] and "--dry-run" not in given:
        yield Deed("push", head(" ".join([verb, *given])), whole=False)


def _mail(_verb: str, given: list[str]) -> Iterator[Deed]:
    if "--dry-run" not in given:
        yield Deed("mail", head(" ".join(["git send-email", *given])), whole=False)


def _clone(_verb: str, given: list[str]) -> Iterator[Deed]:
    named = plain(given, frozenset({"-b", "--branch", "--depth", "-o", "--origin", "-c", "--config"}))
    if named:
        yield Deed("write", head(named[1] if len(named) > 1 else f"clone of {named[0]}"), whole=True)


_RULES: Final[dict[str, Callable[[str, list[str]], Iterator[Deed]]]] = {
    "apply": _files,
    "branch": _branch,
    "checkout": _checkout,
    "clean": _clean,
    "clone": _clone,
    "commit": _commit,
    "lfs": _nested,
    "mv": _files,
    "push": _push,
    "rebase": _rebase,
    "reset": _reset,
    "restore": _restore,
    "rm": _files,
    "send-email": _mail,
    "stash": _stash,
    "subtree": _nested,
    "switch": _switch,
    "tag": _tag,
    "worktree": _worktree,
    **dict.fromkeys(_MERGING, _merge),
}
