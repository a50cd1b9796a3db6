"""Who may have changed a definition, where nobody said so: inferred when it is asked, and never kept as a fact.

git      the content is that of the file in a commit; whoever made the commit is its author, and most likely the change's
an agent a call of a tool that writes this file was under way when the file was written last
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.git import Git, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.store.definitions import Writer

AGENT: Final = "agent"
COMMIT: Final = "commit"
HOLDFAST: Final = "holdfast"
SLACK_US: Final = 2_000_000  # between a file's time and that of the call that wrote it
_GIT_LIMIT_S: Final = 2.0
_MOST_COMMITS: Final = 1_000  # of a file
_MARK: Final = b"\x01"
_FIELDS: Final = 5


@dataclass(frozen=True, slots=True)
class Who:
    """Who may have made a change, and what says so.

    Attributes:
        by: COMMIT, AGENT or HOLDFAST.
        grade: observed or inferred.
        at_us: when the commit was made, or the call ended.
        commit, subject: of git.
        session, agent, agent_type, call, tool: of an agent; `agent` "" is the main one.
    """

    by: str
    name: str
    grade: str
    why: str
    at_us: int | None = None
    commit: str | None = None
    subject: str | None = None
    session: str | None = None
    agent: str | None = None
    agent_type: str | None = None
    call: str | None = None
    tool: str | None = None


# ── git ──


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that changed a file, and which blobs it made of which (None: no file)."""

    id: str
    author: str
    at_us: int
    subject: str
    before: str | None
    after: str | None


def commits(path: str, limit_s: float = _GIT_LIMIT_S) -> list[Commit]:
    """The commits of the repository around that changed a file, the newest first; none where there is no repository, or git takes too long."""
    directory, name = os.path.split(path)
    while directory and not os.path.isdir(directory):  # noqa: PTH112 - text, whatever bytes it has
        directory, above = os.path.split(directory)
        name = f"{above}/{name}"
    try:
        said = Git(directory, limit_s)(
            "log", "--branches", "--tags", "--remotes", "HEAD", "--raw", "--no-abbrev", "--no-renames", "--no-color",
            f"--max-count={_MOST_COMMITS}", "--format=%x01%H%x00%an%x00%ct%x00%s%x00", "--", f":(literal){name}",
        )  # fmt: skip
    except (NoAnswer, ValueError):
        return []
    return [found for part in said.split(_MARK)[1:] if (found := _commit(part)) is not None]


def _commit(part: bytes) -> Commit | None:
    head = part.split(b"\0")
    if len(head) != _FIELDS:
        return None
    said, author, at, subject = (one.decode("utf-8", "replace") for one in head[:4])
    for line in head[4].splitlines():
        words = line.split(None, 5)
        if line.startswith(b":") and len(words) > 4 and at.isdigit():
            before, after = (one.decode() if one.strip(b"0") else None for one in words[2:4])
            return Commit(said, author, int(at) * 1_000_000, subject, before, after)
    return None


def blob_ids(content: bytes) -> set[str]:
    """What git calls a content, in repositories of either sort."""
    whole = b"blob %d\0" % len(content) + content
    return {hashlib.sha1(whole, usedforsecurity=False).hexdigest(), hashlib.sha256(whole).hexdigest()}


def committed(found: list[Commit], after: bytes | None, before: bytes | None, seen_us: int) -> Who | None:
    """The commit that made a change: the last one before it was seen, else the first one after.

    Args:
        found: the commits that changed the file, the newest first.
        after: the content that it got; None: it was removed.
        before: the content that it had; None: there was none, or it is not known.
        seen_us: when the change was seen.
    """
    if after is not None:
        ids = blob_ids(after)
        fitting = [one for one in found if one.after in ids]
    else:
        ids = blob_ids(before) if before is not None else set()
        fitting = [one for one in found if one.after is None and one.before in ids]
    if not fitting:
        return None
    until = [one for one in fitting if one.at_us <= seen_us + SLACK_US]
    chosen = until[0] if until else fitting[-1]
    why = (
        "the commit has this content"
        if until and after is not None
        else "the commit removes it"
        if after is None
        else "it was committed afterwards"
    )
    return Who(COMMIT, chosen.author, "inferred", why, chosen.at_us, commit=chosen.id, subject=chosen.subject)


# ── agents ──


def writing(found: Iterable[Writer], real: str, changed_us: int) -> Who | None:
    """The call that wrote a file: one of that path under way at the file's own time, the one that ended next after it."""
    fitting = [
        one
        for one in found
        if _real(one) == real
        and one.start_us - SLACK_US <= changed_us
        and (one.end_us or one.start_us) + SLACK_US >= changed_us
    ]
    if not fitting:
        return None
    one = min(fitting, key=lambda each: (abs((each.end_us or each.start_us) - changed_us), each.call or ""))
    why = f"{one.tool or 'a call'} on this path was under way when the file was written"
    name = one.agent_type or ("an agent" if one.agent else "the main agent")
    return Who(
        AGENT, name, "inferred", why, one.end_us,
        session=f"{one.source}:{one.native}", agent=one.agent, agent_type=one.agent_type, call=one.call, tool=one.tool,
    )  # fmt: skip


def _real(one: Writer) -> str:
    path = os.path.join(one.cwd or "/", one.path)  # noqa: PTH118 - text, whatever bytes it has
    return os.path.realpath(path)
