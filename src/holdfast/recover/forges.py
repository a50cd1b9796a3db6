"""What the command-line clients of GitHub and GitLab are told to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.recover.deeds import Deed, head, option, plain, word_set

if TYPE_CHECKING:
    from collections.abc import Iterator

_CREATED: Final = {"pr": "pull_request", "mr": "pull_request", "issue": "issue", "release": "release"}
_CHANGING: Final = {
    "cache": "delete",
    "deploy-key": "add delete",
    "gist": "create delete edit",
    "issue": "create new close reopen comment note edit update delete lock unlock transfer pin unpin develop",
    "label": "create delete edit clone",
    "mr": "create new close reopen note update merge approve revoke rebase delete",
    "pr": "create new close reopen comment edit merge ready review lock unlock update-branch",
    "project": "create delete edit close copy item-add item-edit item-delete item-create",
    "release": "create new delete delete-asset edit upload",
    "repo": "create delete edit fork rename archive unarchive sync",
    "run": "cancel rerun delete",
    "secret": "set delete",
    "variable": "set delete update create",
    "workflow": "run disable enable",
}
_VALUED: Final = word_set(
    "-R --repo -t --title -b --body -F --body-file -B --base -H --head -l --label -a --assignee -m --milestone -r --reviewer -n --notes"
    " --notes-file --target --description --source-branch --target-branch"
)
_FIELDS: Final = {"-f", "-F", "--field", "--raw-field", "--input"}


def gh(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    """GitHub's client."""
    yield from _told("gh", words[1:])


def glab(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    """GitLab's client."""
    yield from _told("glab", words[1:])


def hub(words: list[str], stdin: str | None) -> Iterator[Deed]:
    """GitHub's older client, which also is git."""
    if words[1:2] == ["pull-request"]:
        yield Deed("pull_request", head(" ".join(words)), whole=True)
    elif words[1:2] in (["release"], ["issue"]):
        yield from _told("hub", words[1:])
    else:
        from holdfast.recover.git_words import git  # noqa: PLC0415

        yield from git(["git", *words[1:]], stdin)


def _told(client: str, words: list[str]) -> Iterator[Deed]:
    given = plain(words, _VALUED)
    if given[:1] == ["api"]:
        yield from _api(client, words)
        return
    noun, verb = (*given, "", "")[:2]
    if verb not in _CHANGING.get(noun, "").split() or {"--web", "-w"}.intersection(words):
        return
    made = verb in {"create", "new"} and noun in _CREATED
    title = option(words, {"-t", "--title"})
    what = " ".join([noun, verb, *given[2:]]) + (f": {title}" if title else "")
    yield Deed(_CREATED[noun] if made else "forge", head(f"{client} {what}"), whole=noun != "release")


def _api(client: str, words: list[str]) -> Iterator[Deed]:
    """A request by hand. With fields it writes, unless a method says otherwise, or the query asks only."""
    method = (option(words, {"-X", "--method"}) or "").upper()
    fields = any(word in _FIELDS or re.match(r"-[fF].|--(?:raw-)?field=", word) for word in words)
    place = plain(words, frozenset({*_FIELDS, "-X", "--method", "-H", "--header", "-q", "--jq", "-t"}))[1:2]
    if not method and fields:
        asks = place == ["graphql"] and not re.search(r"\bmutation\b", " ".join(words))
        method = "GET" if asks else "POST"
    if method in {"POST", "PUT", "PATCH", "DELETE"}:
        yield Deed("forge", head(f"{client} api {method} {' '.join(place)}"), whole=False)
