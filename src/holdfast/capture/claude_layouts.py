"""Layouts of Claude Code transcripts that later versions gave up, and what each of them says.

What occurs where, as seen in recordings of the versions named (docs/explanation/layouts.md has it for users):

- **Subagents inline** (1.0.35 to 1.0.108). A subagent's lines stand in the session's own file, `isSidechain` true and without
  an agent id. Each follows the line its `parentUuid` names; the first follows none, and its text is the `prompt` of the
  `Task` call that started it, to the letter (12 of 12 in recordings of 1.0.35, 1.0.57, 1.0.98 and 1.0.108). Several that run at
  once are interleaved. Lines of the main conversation and of a subagent never follow each other.
- **Subagents beside the session** (2.0.28 to 2.0.55): `agent-<id>.jsonl`, each line with `agentId`. Below the session since 2.1.
- **Subagents in `progress` records** (2.1.12 to 2.1.38), beside the files of their own.
- **`summary` records** (files of 1.0.51 to 2.1.12): {"type", "summary", "leafUuid"}, with no session and no time. They title the
  session that holds the line `leafUuid`. Most stand at the head of some other session's file, and name a line that is gone.
- **`costUSD`, `durationMs` on assistant lines** (1.0.3, gone in 1.0.9), which have a `stop_reason`.
- **Usage** lacks `cache_creation`, the split by lifetime, up to 1.0.57; it is there from 1.0.98 on.
- **`stop_reason`** is null on all lines of most messages from 1.0.24 to 2.1.42; 2.0.37 to 2.0.44 and later versions have it.
- **`toolUseResult`** is a plain text where the call failed, in every version; that of a `Task` has totals, but names the agent
  that ran only from 2.0.37 on.
- **`--resume`** before about 2.0.30 begins a new file under a new session id with copies of the old lines (issue reports on 1.0.65
  and 2.0.31; not in recordings).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from holdfast import events as ev
from holdfast.capture.claude_json import id_in, object_in, text_in, text_of

SUMMARY_RANK: Final = 2  # above the first prompt, below what a person or the tool named a session
_LAST_SUMMED_UP = (2, 1, 50)  # no summary was seen of or in a version above 2.1.12; the rest is margin
_NUMBERS = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})")
_MOST_USD = 1e6  # for one call
_OF_THE_LINE = ("sessionId", "cwd", "gitBranch", "version", "entrypoint")
_OF_THE_MESSAGE = ("type", "uuid", "message", "toolUseResult", "isApiErrorMessage")


def agent_of(record: dict[str, Any], line: str) -> str:
    """The agent whose line this is: its id, "" for the main one, a name made of the line's own id for an inline one."""
    if agent := id_in(record.get("agentId")):
        return agent
    return ev.INLINE_AGENT + line if record.get("isSidechain") is True else ""


def link(record: dict[str, Any], line: str) -> ev.LineLinked:
    """Which line an inline subagent's line follows; for its first one, what it was told."""
    parent = id_in(record.get("parentUuid"))
    told = parent is None and record.get("type") == "user"
    text = text_of(object_in(record.get("message")).get("content")) if told else ""
    return ev.LineLinked(line=line, parent=parent, prompt=text or None)


def summary(record: dict[str, Any]) -> ev.SessionNoted | None:
    """What a `summary` record says; None where it says nothing."""
    title, about = text_in(record.get("summary")), id_in(record.get("leafUuid"))
    if title is None or about is None:
        return None
    return ev.SessionNoted(title=title, title_rank=SUMMARY_RANK, about=about)


@lru_cache(maxsize=256)
def may_be_summed_up(version: str | None) -> bool:
    """Whether a `summary` record may name a line of that version."""
    found = _NUMBERS.match(version or "")
    return found is None or tuple(map(int, found.groups())) < _LAST_SUMMED_UP


def reported_usd(record: dict[str, Any]) -> float | None:
    """What the tool says that the call behind an assistant line cost."""
    cost: Any = record.get("costUSD")
    known = isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost <= _MOST_USD
    return float(cost) if known else None


def unwrapped(record: dict[str, Any]) -> dict[str, Any] | None:
    """The line inside a `progress` record that wraps a subagent's message, as its own file has it; None: it wraps none."""
    data = object_in(record.get("data"))
    message, agent = data.get("message"), id_in(data.get("agentId"))
    if data.get("type") != "agent_progress" or agent is None or not isinstance(message, dict):
        return None
    line = {key: record.get(key) for key in _OF_THE_LINE} | {key: message.get(key) for key in _OF_THE_MESSAGE}
    return line | {"timestamp": message.get("timestamp") or record.get("timestamp"), "agentId": agent}
