"""What is inferred when an answer is read: never stored, so later evidence simply wins.

Each standing names its grade: `observed` (a record says so), `inferred` (a rule says so; `why` names it), `unknown`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

TELLS_TURNS = frozenset(
    {"codex"}
)  # sources that write where each turn, and each agent's run, begins and ends
STATES = ("working", "idle", "interrupted", "failed", "ended", "empty")
_DONE_REASONS = frozenset(
    {"end_turn", "stop_sequence", "max_tokens", "refusal", "model_context_window_exceeded"}
)


class Standing(NamedTuple):
    """A state, how sure it is, and why."""

    state: str
    grade: str
    why: str


class _Turn(NamedTuple):
    status: str  # completed, interrupted, failed, open, none
    grade: str
    why: str


def of_session(row: dict[str, Any], now_us: int, stale_us: int) -> Standing:
    """Where a session stands. `row` is one of the query `sessions`."""
    turn = _last_turn(row)
    if turn.status == "none":
        return Standing("empty", turn.grade, turn.why)
    silent = row["last_us"] is None or now_us - row["last_us"] >= stale_us
    exited = row["exit_at"] is not None and row["exit_at"] > max(_at(row, "turn_at"), _at(row, "llm_to"))
    if turn.status == "open":
        if exited:
            return Standing("interrupted", "inferred", f"the tool exited while {turn.why}")
        if silent:
            return Standing(
                "interrupted", "inferred", f"silent for {stale_us // 60_000_000} min while {turn.why}"
            )
        return Standing("working", "inferred", turn.why)
    if turn.status in {"interrupted", "failed"}:
        return Standing(turn.status, turn.grade, turn.why)
    if exited:
        return Standing("ended", "observed", f"{turn.why}, and the tool exited")
    if silent:
        return Standing("ended", "inferred", f"{turn.why}, and it is silent for {stale_us // 60_000_000} min")
    return Standing("idle", "inferred", turn.why)


def _at(row: dict[str, Any], name: str) -> int:
    value = row[name]
    return -1 if value is None else int(value)


def _last_turn(row: dict[str, Any]) -> _Turn:
    """How the last turn of the main agent stands, from what came last in its stream."""
    turn_at, llm_from, llm_to = _at(row, "turn_at"), _at(row, "llm_from"), _at(row, "llm_to")
    tool_at, mark_at = _at(row, "tool_at"), _at(row, "mark_at")
    if row["source"] in TELLS_TURNS:
        return _told_turn(row, turn_at, mark_at)
    if max(turn_at, llm_to, tool_at, mark_at) < 0:
        if row["first_us"] is not None and row["source"] != "claude":
            if row["open_spans"]:
                return _Turn("open", "inferred", f"{row['open_spans']} of its spans have no end")
            return _Turn("completed", "inferred", "nothing in it is open")
        return _Turn("none", "observed", "it holds no message")
    if mark_at > max(turn_at, llm_to, tool_at):
        mark = msgspec.json.decode(row["mark"])
        return _Turn(mark.get("status", "completed"), "observed", mark.get("reason") or "its last turn ended")
    if turn_at > max(llm_to, tool_at):
        return _Turn("open", "inferred", "a prompt waits for an answer")
    if tool_at >= llm_from:
        if row["tool_end_at"] is None:
            return _Turn("open", "inferred", "a tool call has no result")
        return _Turn("open", "inferred", "a tool result waits for the model")
    if row["stop_reason"] in _DONE_REASONS:
        return _Turn("completed", "observed", f"the last message ended with {row['stop_reason']}")
    return _Turn("completed", "inferred", "the last message asks for nothing")


def _told_turn(row: dict[str, Any], turn_at: int, mark_at: int) -> _Turn:
    """Where the source writes the beginning and the end of turns, nothing else ends one."""
    if max(turn_at, mark_at) < 0 and max(_at(row, "llm_to"), _at(row, "tool_at")) >= 0:
        return _Turn("completed", "inferred", "it tells of no turn")
    if max(turn_at, mark_at) < 0:
        return _Turn("none", "observed", "it holds no turn")
    if mark_at > turn_at:
        mark = msgspec.json.decode(row["mark"])
        return _Turn(mark.get("status", "completed"), "observed", mark.get("reason") or "its last turn ended")
    if row["tool_end_at"] is None and _at(row, "tool_at") > turn_at:
        return _Turn("open", "inferred", "a tool call has no result")
    return _Turn("open", "inferred", "its last turn has no end")


def of_agent(row: dict[str, Any], session_state: str) -> Standing:
    """Where an agent's run stands. `row` is one of the query `agents`."""
    if not row["agent"]:
        return Standing(
            _MAIN_STATUS.get(session_state, "running"), "inferred", f"its session is {session_state}"
        )
    if row["status"] is not None:
        return Standing(row["status"], "observed", row["reason"] or "a record says so")
    answered = row["llm_from"] is not None and _at(row, "tool_at") < row["llm_from"]
    if answered and row["source"] not in TELLS_TURNS:
        return Standing("completed", "inferred", "its last message asks for nothing")
    if not row["background"] and row["tool_status"] is not None:
        return Standing(row["tool_status"], "inferred", "the call that started it ended so")
    if session_state == "working" or (session_state == "idle" and row["background"]):
        return Standing("running", "inferred", f"its session is {session_state}")
    if session_state == "idle":
        return Standing("unknown", "unknown", "no record says how it ended")
    return Standing("interrupted", "inferred", f"it never finished, and its session is {session_state}")


_MAIN_STATUS = {
    "working": "running",
    "idle": "waiting",
    "interrupted": "interrupted",
    "failed": "failed",
    "ended": "completed",
    "empty": "pending",
}


def of_turn(
    mark: dict[str, Any] | None, session: dict[str, Any] | None, *, ends_told: bool = False
) -> Standing:
    """Where a turn stands: by the record of its end, else by what came after it.

    `session` is the session as it is shown when this is its last turn, else None. `ends_told` says that the source records
    the end of each turn that was not cut.
    """
    if session is not None and session["state"] in {"interrupted", "failed", "working"}:
        word = "running" if session["state"] == "working" else session["state"]
        return Standing(word, session["state_grade"], session["state_why"])
    if mark is not None:
        return Standing(mark.get("status", "completed"), "observed", mark.get("reason") or "a record says so")
    if session is None and ends_told:
        return Standing("interrupted", "inferred", "another turn followed, and it has no end")
    if session is None:
        return Standing("completed", "inferred", "another turn followed")
    return Standing("completed", session["state_grade"], session["state_why"])


def of_span(row: dict[str, Any], session_state: str, turn: Standing | None = None) -> Standing:
    """Where a span stands. `row` is one of the query `spans`, `turn` the turn it is in where the source records its end."""
    if row["status"] is not None:
        return Standing(row["status"], "observed", "a record says so")
    if row["kind"] == "turn":
        return Standing("unknown", "unknown", "")
    if turn is not None and turn.state != "running":
        return Standing("interrupted", "inferred", "it has no end, and its turn is over")
    if session_state in {"working", "idle"}:
        return Standing("running", "inferred", f"its session is {session_state}")
    return Standing("interrupted", "inferred", "it has no end, and its session is over")
