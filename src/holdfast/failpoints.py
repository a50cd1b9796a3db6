"""Named places at which a developer can make Holdfast fail. A tool for tests, not a setting.

The environment variable HOLDFAST_FAILPOINTS is read when the process starts. Unset, a failpoint does nothing. Set, it
is a list separated by commas:

    journal.created=kill            SIGKILL at each passage, so at the first
    journal.created=kill@3          at the third passage alone
    journal.syncing=error:EIO@2+    at the second passage and every later one, raise OSError with this errno
    store.folded=memory             raise MemoryError
    blob.written=stop               SIGSTOP: the process stands still there until it gets SIGCONT
    journal.*=tell                  say on standard error that a failpoint was passed; `journal.*` is every name that
                                    begins so, `*` every name

`error` makes sense where the call that stands there could fail in the same way: directly before it. A name is added
by calling `failpoint` with a literal and listing it in NAMES; tests/test_failpoints.py compares the two, and
tests/crash/test_failpoints.py wants each one killed at and recovered from.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import signal
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "HOLDFAST_FAILPOINTS"
# What has just happened, or is about to happen, when a name is passed.
NAMES = {
    "home.made": "the home's directory is there, its mark is not",
    "home.naming": "a small file is whole under a temporary name",
    "home.named": "it has its name, and its temporary one too",
    "home.raising": "a mark with a higher redaction level is whole under a temporary name",
    "journal.unlocked": "a segment was created; nobody holds it",
    "journal.created": "a segment was created; it is empty",
    "journal.appending": "a record is about to be written",
    "journal.left": "a full segment was left",
    "journal.syncing": "a segment is about to be synced",
    "journal.naming": "a segment is synced, its name is not",
    "journal.stranded": "an fsync failed and the segment was given up",
    "journal.rescued": "what was appended since the last good sync stands in a new segment, not synced",
    "blob.created": "a blob's temporary file was created",
    "blob.written": "it is written and not synced",
    "blob.synced": "it is synced and not renamed",
    "blob.renamed": "it has its name, which is not synced",
    "seal.written": "a sealed segment is written under a temporary name and synced, not read back",
    "seal.renamed": "it has its name; the plain segment lies beside it, the chain does not name it",
    "seal.chained": "the chain names it; the plain segment lies beside it",
    "seal.done": "the plain segment is removed",
    "seal.rewritten": "a sealed segment has new content, the chain names the old one",
    "rewrite.rewritten": "a segment is rewritten, others are not, the store is not folded again",
    "rewrite.removing": "segments are rewritten; blobs that nothing names lie there",
    "rewrite.copies": "the store is folded again; copies of older ones lie there",
    "forget.listed": "the list names what is to be forgotten, nothing is rewritten",
    "forget.naming": "a new list is whole under a temporary name",
    "forget.ending": "all is forgotten, the list says that it is not done",
    "redact.cleaned": "every record is clean, the home's mark says what stood at the door before",
    "import.taken": "a batch of an export is appended, not synced, not folded",
    "export.written": "an export is whole and synced under a temporary name",
    "restore.written": "a restored file is whole and synced under a temporary name",
    "restore.linked": "it has its name, and its temporary one too",
    "migrate.copied": "the store is copied, its tables are as they were",
    "migrate.stepped": "its tables are today's, not committed",
    "inbox.taken": "a spool of hooks has a name of its own, nothing of it is recorded",
    "inbox.appended": "a batch of what hooks left is recorded",
    "inbox.recorded": "all of a spool is recorded and synced; it still lies there",
    "import.recorded": "source files are recorded and folded, the hints about them are not",
    "tail.read": "a share of a log was read, nothing of it is kept",
    "tail.keeping": "its positions are written, not committed",
    "tail.kept": "lines and positions are committed, nothing of them is printed",
    "tail.printed": "lines are printed, that they are is not committed",
    "store.created": "an empty store was created",
    "store.meeting": "a session is about to get its row",
    "store.folded": "a batch and its cursor are written, not committed",
    "store.committed": "they are committed",
    "store.rebuilt": "a new store is folded; the link names the old one",
    "store.linked": "the new link is made under a temporary name",
    "store.published": "the new store is the current one, the old one lies beside it",
    "definition.pending": "changes of definitions are written down; none is recorded",
    "definition.intended": "what is about to be done to definitions is written down",
    "definition.written": "new contents of definitions lie beside their files, none is in its place",
    "definition.replaced": "a definition has its new content, which is not recorded",
    "definition.purging": "that old contents of definitions go is recorded, all of them are there",
    "definition.applied": "what was to be done to definitions is done; it is not recorded",
    "definition.recorded": "changes are recorded; the index does not say so",
    "definition.indexed": "the index says so; they are still written down as pending",
    "checkpoint.intended": "that a checkpoint is taken is recorded; git has nothing of it",
    "checkpoint.sent": "git has its objects; nothing names them",
    "checkpoint.named": "its reference names it; that it is taken is not recorded",
    "checkpoint.written": "a checkpoint is given back whole beside the directory, which is not there",
    "checkpoint.led": "git knows it by the place of the directory, which is not there",
    "resume.looked": "a session may be resumed; it is not claimed",
    "resume.claimed": "a session is claimed for being resumed; that it will be is not recorded",
    "resume.intended": "it is recorded; nothing is started",
    "resume.started": "its tool is started; whether it works is not known",
    "resume.working": "it works, or it does not; that is not recorded",
    "resume.told": "that is recorded; who resumes it waits for its tool's end",
    "request.claimed": "a request to deploy an agent is claimed; nothing is started",
    "request.launched": "its agent is started; what the request is answered is not written down",
    "request.kept": "that is written down; the answer is not given",
    "request.answered": "it is given; the request lies where it lay",
    "request.refused": "why a request is refused is written down; it lies where it lay",
    "cleanup.archived": "an agent that ended is archived, where that was asked for; nothing of it is removed",
    "cleanup.removed": "its directory is removed; what is kept of its request is not",
    "run.requested": "that an agent is wanted is recorded; nothing of it is there",
    "run.making": "its directory is whole under a temporary name",
    "run.made": "its directory is there; nothing is started",
    "run.again": "the directory of another attempt is there; nothing is started",
    "run.starting": "that an attempt is about to be started is recorded; it is not started",
    "run.started": "its shim is started; whether it runs is not known",
    "run.stopping": "what is asked of an agent is recorded; it does not know",
    "run.removing": "that an agent's directory is removed is recorded; it is there",
    "run.told": "what became of an attempt is recorded; that it is, is not remembered",
}
_ACTION = re.compile(r"(kill|stop|memory|tell|error:(E[A-Z0-9]+))(?:@([1-9]\d*)(\+?))?\Z")


class _Action(NamedTuple):
    what: str
    errno: int
    first: int  # passage
    last: int | None  # None: no end
    passages: Iterator[int]


_asked = os.environ.get(VARIABLE, "")
_planned: dict[str, _Action] = {}


def failpoint(name: str) -> None:
    """Pass a named place; nothing happens unless HOLDFAST_FAILPOINTS asks for it.

    Raises:
        OSError, MemoryError: as asked.
        UsageError: the variable cannot be read.
    """
    if _asked:
        _pass(name)


def _pass(name: str) -> None:
    if not _planned:
        _planned.update(plan(_asked))
    action = _planned.get(name)
    if action is None:
        return
    passage = next(action.passages)
    if passage >= action.first and (action.last is None or passage <= action.last):
        _act(action, name, passage)


def _act(action: _Action, name: str, passage: int) -> None:
    if action.what == "tell":
        os.write(2, f"failpoint {name} {passage}\n".encode())
    elif action.what == "memory":
        raise MemoryError(f"failpoint {name}")
    elif action.what in ("kill", "stop"):
        os.kill(os.getpid(), signal.SIGKILL if action.what == "kill" else signal.SIGSTOP)
    else:
        raise OSError(action.errno, os.strerror(action.errno))


def plan(asked: str) -> dict[str, _Action]:
    """Read the variable: what to do at each name. Raises UsageError."""
    out: dict[str, _Action] = {}
    for part in filter(None, asked.split(",")):
        name, _, text = part.partition("=")
        found = _ACTION.match(text)
        code = getattr(errno, found[2], None) if found and found[2] else 0
        if found is None or code is None:
            raise _unreadable(part, "kill, stop, memory, tell or error:ERRNO, with @N or @N+ behind it")
        names = [each for each in NAMES if each == name or (name[-1:] == "*" and each.startswith(name[:-1]))]
        if not names:
            raise _unreadable(part, f"a name: {', '.join(NAMES)}")
        first = int(found[3] or 1)
        last = first if found[3] and not found[4] else None
        for each in names:
            out[each] = _Action(found[1].partition(":")[0], code, first, last, itertools.count(1))
    return out


def _unreadable(part: str, accepted: str) -> UsageError:
    return UsageError(f"{VARIABLE}: {part!r}: expected {accepted}", hint=f"unset {VARIABLE}, or mend it")
