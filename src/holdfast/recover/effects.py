"""Which tool calls left the machine or changed files: done for certain, or possibly done.

A call that completed tells of its last command; of those before it the operators between them do (`shell`), else the output, where a
program says there what it did. A call that was cut may have done any of it. What was certainly not done is left out. Only what is
written in the call counts: what a script or a hook of a repository does besides is not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.recover import programs
from holdfast.recover.deeds import LEAVES, Deed, head, word_set
from holdfast.recover.shell import Command, commands

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHELL_TOOLS: Final = frozenset(
    {
        "Bash",
        "bash",
        "container.exec",
        "exec_command",
        "local_shell",
        "run_shell_command",
        "shell",
        "shell_command",
    }
)
FILE_TOOLS: Final = {"Edit": "edited", "MultiEdit": "edited", "NotebookEdit": "edited", "Write": "written"}
_CUT_MARK: Final = "…"  # at the end of a text of which only the head is kept
_NOT_RUN: Final = {"cancelled", "denied", "never_started", "waiting"}
_SIGNALLED: Final = {124, 129, 130, 137, 143}  # ended by `timeout` or by a signal
_GOES_ON = re.compile(
    r"\A(?:Command running in background with ID|(?:[^\n]*\n){0,5}Process running with session ID)"
)
_BACKGROUNDED = re.compile(r"running in background with ID: \S+")
_SHOWN: Final = {  # what programs print of what they did
    "commit": re.compile(r"^\[[^\]\n]{1,200} [0-9a-f]{7,40}\] ", re.MULTILINE),
    "issue": re.compile(r"^https://\S{1,200}/issues/\d+\s*$", re.MULTILINE),
    "pull_request": re.compile(r"^https://\S{1,200}/(?:pull|merge_requests)/\d+\s*$", re.MULTILINE),
    "push": re.compile(
        r"^ [ +*-] ?\s?(?:[0-9a-f]{7,40}\.{2,3}[0-9a-f]{7,40}|\[(?:new branch|new tag|deleted)\])\s",
        re.MULTILINE,
    ),
}
_NOTHING: Final = {
    "commit": re.compile(
        r"^(?:nothing to commit|nothing added to commit|no changes added to commit)", re.MULTILINE
    ),
    "push": re.compile(r"^Everything up-to-date\s*$", re.MULTILINE),
}
_MCP_VERBS: Final = word_set(
    "add append apply approve archive assign cancel close comment commit copy create delete deploy disable drop edit enable execute"
    " fork import insert invite invoke label merge modify move patch post publish push put react remove rename reopen reply replace"
    " restart run save schedule send set share start stop submit sync trigger unassign update upload upsert write"
)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as it was recorded.

    `input` is the command of a shell call, the text of a patch, or the head of the arguments; where its end was cut it ends with
    "…". `status` is an execution status, or None; `output` the head of the result; `time_us` when it began.
    """

    id: str
    tool: str
    agent: str = ""
    input: str | None = None
    path: str | None = None
    status: str | None = None
    exit_code: int | None = None
    output: str | None = None
    time_us: int | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """What a call did or may have done: `kind` is one of `deeds.KINDS`, `certainty` "done" or "possibly", `why` says how that is known."""

    kind: str
    what: str
    call: str
    agent: str
    certainty: str
    why: str
    time_us: int | None = None

    @property
    def leaves(self) -> bool:
        """Whether others may have seen it, so that it cannot be taken back here."""
        return self.kind in LEAVES


def effects(calls: Iterable[Call]) -> list[Effect]:
    """The effects of calls, in the order of the calls and of what stands in them; each is told once a call."""
    return [effect for call in calls for effect in dict.fromkeys(of_call(call))]


def of_call(call: Call) -> Iterator[Effect]:
    """What one call did or may have done."""
    if call.status in _NOT_RUN:
        return
    tool = call.tool.rpartition(".")[2] if call.tool.startswith("functions.") else call.tool
    if tool in SHELL_TOOLS:
        yield from _of_shell(call)
    elif tool in FILE_TOOLS and call.path:
        yield from _of_tool(call, [Deed("write", f"{FILE_TOOLS[tool]}: {call.path}", whole=True)])
    elif tool == "apply_patch":
        yield from _of_tool(call, programs.patched(call.input or ""))
    elif tool.startswith("mcp__") and _writes(tool):
        yield from _of_tool(call, [Deed("mcp", head(tool), whole=False, sure=False)])


def _of_tool(call: Call, found: Iterable[Deed]) -> Iterator[Effect]:
    for deed in found:
        certainty, why = _judged(call, deed, None, alone=False)
        if certainty:
            yield Effect(deed.kind, deed.what, call.id, call.agent, certainty, why, call.time_us)


def _of_shell(call: Call) -> Iterator[Effect]:
    script = call.input or ""
    whole = not script.endswith(_CUT_MARK)
    found = [(deed, command) for command in commands(script, whole=whole) for deed in programs.deeds(command)]
    kinds = [deed.kind for deed, _ in found]
    for deed, command in found:
        certainty, why = _judged(call, deed, command, alone=kinds.count(deed.kind) == 1)
        if certainty:
            yield Effect(deed.kind, deed.what, call.id, call.agent, certainty, why, call.time_us)


def _judged(call: Call, deed: Deed, command: Command | None, *, alone: bool) -> tuple[str, str]:
    """(certainty, why) of one deed; the certainty is empty if it was not done.

    Args:
        call: the call.
        deed: what its command does.
        command: the command, with what the exit code says of it; None: the call is nothing but the deed.
        alone: nothing else in the call does the like, so that what the output says is about this.
    """
    output = call.output or ""
    if alone and deed.kind in _SHOWN:
        if _SHOWN[deed.kind].search(output):
            return "done", "its output says so"
        if _NOTHING.get(deed.kind, _NEVER).search(output):
            return "", "its output says that there was nothing to do"
    if _was_cut(call):
        return "possibly", "the call was cut: its outcome is unknown"
    if call.status == "completed" and not call.exit_code:
        if _GOES_ON.match(output) or _BACKGROUNDED.search(output[:200]):
            return "possibly", "it went on in the background: its outcome is not known"
        if not deed.sure:
            return "possibly", "the call completed, but what it did is not known for certain"
        if command is None or command.shown_by_success:
            return "done", "the call completed"
        return "possibly", "the call completed, which does not say how this part of it went"
    if deed.whole and (command is None or command.shown_by_failure):
        return "", "it failed"
    return "possibly", "the call failed; this part of it may have run"


_NEVER = re.compile(r"(?!)")


def _was_cut(call: Call) -> bool:
    return call.status not in {"completed", "failed"} or call.exit_code in _SIGNALLED


def _writes(tool: str) -> bool:
    """Whether the name of a tool of an MCP server says that it writes."""
    name = re.split(r"__|\.", tool)[-1]
    return any(word.lower() in _MCP_VERBS for word in _WORDS.findall(name))
