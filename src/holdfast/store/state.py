"""What is inferred when an answer is read: never stored, so later evidence simply wins.

Each standing names its grade: `observed` (a record says so), `inferred` (a rule says so; `why` names it), `unknown`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from holdfast.store.activity import Signs, Vital, Wait, seen, waits

if TYPE_CHECKING:
    from holdfast.store.runs import Run

RUN = "run"  # the source of what Holdfast started itself, each run a session
TELLS_TURNS = frozenset(
    {"codex", RUN}
)  # sources that write where each turn, and each agent's run, begins and ends
STATES = ("working", "waiting", "idle", "interrupted", "failed", "ended", "empty")
_DONE_REASONS = frozenset(
    {"end_turn", "stop_sequence", "max_tokens", "refusal", "model_context_window_exceeded"}
)
_ASKING_REASONS = frozenset(
    {"tool_use", "pause_turn"}
)  # the message goes on: what it asks for is still to come


class Standing(NamedTuple):
    """A state, how sure it is, and why."""

    state: str
    grade: str
    why: str


class Activity(NamedTuple):
    """What a session is about right now.

    Attributes:
        state: busy, idle, waiting_for_input or waiting_for_approval; None: it is over, or nobody can tell.
        process: alive, dead or unknown.
        background: how many things its agents left running in the background; None: unknown.
        last_sign_us: when it was heard of last.
    """

    state: str | None
    process: str
    background: int | None
    last_sign_us: int | None


class _Turn(NamedTuple):
    status: str  # completed, interrupted, failed, open, none
    grade: str
    why: str


class _Tasks(NamedTuple):
    """What runs in the background: how many things (None: unknown), and how many agents among them."""

    all: int | None
    agents: int


_NO_TASKS = _Tasks(None, 0)


def of_session(row: dict[str, Any], now_us: int, stale_us: int) -> tuple[Standing, Activity]:
    """Where a session stands, and what it is about. `row` is one of `queries.session_rows`."""
    turn, vital = _last_turn(row), seen(row["vital"])
    if row["source"] == RUN and vital is not None and vital.run is not None:
        return _of_command(row, vital, vital.run)
    heard_us = row["signs"].last_us if row["last_us"] is None else row["last_us"]
    silent = heard_us is None or now_us - heard_us >= stale_us
    tasks = _left_running(row, turn) if vital is None and silent else _background(row)
    if vital is None:
        standing, wait = _unseen(row, turn, tasks, stale_us if silent else None)
    elif vital.process == "alive":
        standing, wait = _alive(row, turn, tasks, vital)
    else:
        standing, wait = _over(row, turn, tasks, vital)
    process = "unknown" if vital is None else vital.process
    about = _about(standing, wait, process)
    background = None if about is None else tasks.all
    return standing, Activity(about, process, background, _last_sign_us(row))


def last_turn_is_over(row: dict[str, Any]) -> bool:
    """Whether the last turn ended well, whatever goes on in the background or was cut there."""
    return _last_turn(row).status == "completed"


def exited(row: dict[str, Any]) -> bool:
    """Whether the tool said that it exited, after all else it said."""
    told = row["exit_at"] is not None and row["exit_at"] > max(_at(row, "turn_at"), _at(row, "llm_to"))
    return told or row["signs"].left() is not None


def decided_at(row: dict[str, Any]) -> int | None:
    """Where in the main agent's stream stands what the state of its last turn was read from; None: in no transcript."""
    turn_at, tool_at, mark_at = _at(row, "turn_at"), _at(row, "tool_at"), _at(row, "mark_at")
    llm_from, llm_to = _at(row, "llm_from"), _at(row, "llm_to")
    if row["source"] in TELLS_TURNS:
        open_call = row["tool_end_at"] is None and tool_at > turn_at
        found = mark_at if mark_at > turn_at else tool_at if open_call else turn_at
    elif mark_at > max(turn_at, llm_to, tool_at):
        found = mark_at
    elif turn_at > max(llm_to, tool_at):
        found = turn_at
    elif tool_at >= llm_from:
        found = tool_at if row["tool_end_at"] is None else int(row["tool_end_at"])
    else:
        found = llm_to
    return None if found < 0 else found


def _about(standing: Standing, wait: Wait | None, process: str) -> str | None:
    if standing.state == "waiting":
        return "waiting_for_approval" if wait is not None and wait.approval else "waiting_for_input"
    if standing.state == "working":
        return "busy"
    return "idle" if standing.state == "idle" or process == "alive" else None


def _alive(row: dict[str, Any], turn: _Turn, tasks: _Tasks, vital: Vital) -> tuple[Standing, Wait | None]:
    """A process of it runs. What it says of itself counts unless something was written since."""
    if vital.run is not None and vital.run.is_paused:
        return Standing("waiting", vital.run.grade, vital.run.words), Wait(False, vital.run.words)  # noqa: FBT003 - no approval
    fresh = vital.since_us is not None and vital.since_us >= _at(row, "main_last_us")
    if fresh and vital.status == "waiting":
        told = waits(vital)
        return Standing("waiting", "observed", told.why), told
    if fresh and vital.status == "busy":
        return Standing("working", "observed", "its process says that it is busy"), None
    told_idle = fresh and vital.status == "idle"
    if turn.status in {"interrupted", "failed"}:
        return Standing(turn.status, turn.grade, turn.why), None
    # It would have noted that it waits, and noted nothing since it was busy.
    wait: Wait | None = None if told_idle or vital.status == "busy" else row["signs"].wait()
    if wait is not None:
        return Standing("waiting", "inferred", f"{wait.why}; {vital.why}"), wait
    if turn.status == "open" and not told_idle:
        return Standing("working", "inferred", f"{turn.why}, and {vital.why}"), None
    if tasks.agents:
        return Standing("working", "inferred", f"{_run(tasks)} in the background, and {vital.why}"), None
    if told_idle:
        return Standing("idle", "observed", "its process says that it is idle"), None
    if turn.status == "none":
        return Standing("empty", turn.grade, turn.why), None
    return Standing("idle", "inferred", f"{turn.why}, and {vital.why}"), None


def _over(row: dict[str, Any], turn: _Turn, tasks: _Tasks, vital: Vital) -> tuple[Standing, Wait | None]:
    """No process of it runs any more."""
    if vital.run is not None:
        return _ended(row, turn, tasks, vital.run), None
    if turn.status == "open":
        return Standing("interrupted", "inferred", f"{vital.why} while {turn.why}"), None
    if turn.status in {"interrupted", "failed"}:
        return Standing(turn.status, turn.grade, turn.why), None
    if turn.status == "none":
        return Standing("empty", turn.grade, turn.why), None
    left = exited(row)
    if tasks.agents and not left:
        return Standing("interrupted", "inferred", f"{vital.why} while {_run(tasks)} in the background"), None
    if left:
        return Standing("ended", "observed", f"{turn.why}, and the tool exited"), None
    return Standing("ended", "inferred", f"{turn.why}, and {vital.why}"), None


def _ended(row: dict[str, Any], turn: _Turn, tasks: _Tasks, run: Run) -> Standing:
    """A process that was started here is over. What it left undone counts before what it returned; how it went, before words of it."""
    grade = run.grade
    if turn.status == "open":
        return Standing("interrupted", grade, f"{run.words} while {turn.why}")
    if turn.status in {"interrupted", "failed"}:
        return Standing(turn.status, turn.grade, f"{turn.why}; {run.words}")
    if turn.status == "none":
        return Standing(_OF_COMMAND[run.status], grade, f"{run.words}, and nothing of it is recorded")
    if tasks.agents and not exited(row):
        return Standing("interrupted", grade, f"{run.words} while {_run(tasks)} in the background")
    if run.status == "failed" and not run.was_stopped:
        return Standing("failed", "observed", f"{run.words}, and {turn.why}")
    return Standing("ended", grade, f"{turn.why}, and {run.words}")


def _of_command(row: dict[str, Any], vital: Vital, run: Run) -> tuple[Standing, Activity]:
    """Where a plain command stands that was started here: as its process, which is all there is of it."""
    standing = Standing(_OF_COMMAND[run.status], run.grade, run.words)
    about = _about(standing, None, vital.process) if run.is_alive else None
    return standing, Activity(about, vital.process, None, _last_sign_us(row))


_OF_COMMAND = {
    "running": "working",
    "paused": "waiting",
    "completed": "ended",
    "cancelled": "ended",
    "failed": "failed",
    "interrupted": "interrupted",
}


def contradictions(row: dict[str, Any]) -> list[str]:
    """What a process that was started here, and the records of its session, say against each other, in words."""
    vital = row["vital"]
    run = None if vital is None else vital.run
    if run is None or row["source"] == RUN:
        return []
    turn = _last_turn(row)
    if run.is_alive:
        return [f"its tool said that it exited, and {run.words}"] if exited(row) else []
    if turn.status == "open" and run.exit_code == 0:
        return [f"{turn.why}, and {run.words}"]
    if turn.status == "completed" and run.status == "failed" and not run.was_stopped:
        return [f"{turn.why}, and {run.words}"]
    return []


def _unseen(
    row: dict[str, Any], turn: _Turn, tasks: _Tasks, silent_us: int | None
) -> tuple[Standing, Wait | None]:
    """Nothing tells of its process: what was written last must do, and that it is silent for `silent_us`, if it is."""
    if turn.status == "none":
        return Standing("empty", turn.grade, turn.why), None
    silence = "" if silent_us is None else f"silent for {silent_us // 60_000_000} min"
    left = exited(row)
    wait = row["signs"].wait()
    if turn.status == "open":
        why = turn.why if wait is None else wait.why
        if left:
            return Standing("interrupted", "inferred", f"the tool exited while {why}"), None
        if silence:
            return Standing("interrupted", "inferred", f"{silence} while {why}"), None
        return Standing("working" if wait is None else "waiting", "inferred", why), wait
    if turn.status in {"interrupted", "failed"}:
        return Standing(turn.status, turn.grade, turn.why), None
    if left:
        return Standing("ended", "observed", f"{turn.why}, and the tool exited"), None
    if silence:
        return _silent(turn, tasks, silence), None
    if wait is not None:
        return Standing("waiting", "inferred", wait.why), wait
    if tasks.agents:
        return Standing("working", "inferred", f"{_run(tasks)} in the background"), None
    return Standing("idle", "inferred", turn.why), None


def _silent(turn: _Turn, tasks: _Tasks, silence: str) -> Standing:
    """Its last turn is over, and long ago; agents that it left at work have not told of an end."""
    if tasks.agents:
        return Standing("interrupted", "inferred", f"{silence} while {_run(tasks)} in the background")
    return Standing("ended", "inferred", f"{turn.why}, and it is {silence}")


def _run(tasks: _Tasks) -> str:
    return "an agent runs" if tasks.agents == 1 else f"{tasks.agents} agents run"


def _background(row: dict[str, Any]) -> _Tasks:
    """What runs in the background: as the last stop told, if nothing came after it, else the agents without an end."""
    stop = row["signs"].stop()
    if stop is not None and stop.tasks is not None and stop.at_us >= _at(row, "main_last_us"):
        return _Tasks(stop.tasks, stop.agents or 0)
    running = row["running_agents"]()
    return _Tasks(running or None, running)


def _left_running(row: dict[str, Any], turn: _Turn) -> _Tasks:
    """The agents without an end of a session that is silent; how many things there are besides is not known any more."""
    return _Tasks(None, row["running_agents"]()) if turn.status == "completed" else _NO_TASKS


def _last_sign_us(row: dict[str, Any]) -> int | None:
    said = [row["last_us"], row["vital"].since_us if row["vital"] is not None else None]
    known = [int(at) for at in said if at is not None]
    signs: Signs = row["signs"]
    return max(known) if known else signs.last_us


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
        return _untold_turn(row)
    if mark_at > max(turn_at, llm_to, tool_at):
        mark = msgspec.json.decode(row["mark"])
        return _Turn(mark.get("status", "completed"), "observed", mark.get("reason") or "its last turn ended")
    if turn_at > max(llm_to, tool_at):
        return _Turn("open", "inferred", "a prompt waits for an answer")
    if tool_at >= llm_from:
        if row["tool_end_at"] is None:
            return _Turn("open", "inferred", "a tool call has no result")
        return _Turn("open", "inferred", "a tool result waits for the model")
    return _answered_turn(row["stop_reason"])


def _answered_turn(stop_reason: str | None) -> _Turn:
    """What came last is a message of the model."""
    if stop_reason in _ASKING_REASONS:
        return _Turn("open", "inferred", f"the last message ended with {stop_reason}, and no call follows")
    if stop_reason in _DONE_REASONS:
        return _Turn("completed", "observed", f"the last message ended with {stop_reason}")
    return _Turn("completed", "inferred", "the last message asks for nothing")


def _untold_turn(row: dict[str, Any]) -> _Turn:
    """Nothing is transcribed: hooks may have told of a turn, or the process that it was at work."""
    signs, vital = row["signs"], row["vital"]
    begun, ended, failed = signs.at("prompted", "worked", "answered"), signs.at("stopped"), signs.at("failed")
    if max(begun, ended, failed) >= 0:
        if begun > max(ended, failed):
            return _Turn("open", "inferred", "it was prompted, and did not tell that it stopped")
        if failed > ended:
            why = signs.of[""]["failed"].text
            return _Turn("failed", "observed", f"it told that its turn failed{f': {why}' if why else ''}")
        return _Turn("completed", "observed", "it told that its turn ended")
    if vital is not None and vital.status in {"busy", "waiting"}:
        return _Turn("open", "inferred", f"its process said that it was {vital.status}")
    return _Turn("none", "observed", "it holds no message")


def _told_turn(row: dict[str, Any], turn_at: int, mark_at: int) -> _Turn:
    """Where the source writes the beginning and the end of turns, nothing else ends one."""
    if max(turn_at, mark_at) < 0 and max(_at(row, "llm_to"), _at(row, "tool_at")) >= 0:
        return _Turn("completed", "inferred", "it tells of no turn")
    if max(turn_at, mark_at) < 0:
        return _untold_turn(row)
    if mark_at > turn_at:
        mark = msgspec.json.decode(row["mark"])
        return _Turn(mark.get("status", "completed"), "observed", mark.get("reason") or "its last turn ended")
    if row["tool_end_at"] is None and _at(row, "tool_at") > turn_at:
        return _Turn("open", "inferred", "a tool call has no result")
    return _Turn("open", "inferred", "its last turn has no end")


def of_agent(row: dict[str, Any], session_state: str) -> Standing:
    """Where an agent's run stands. `row` is one of the query `agents`."""
    if not row["agent"]:
        run: Run | None = row["run"]
        if run is not None and run.is_over and session_state in _OVER:
            return Standing(run.status, run.grade, run.words)
        return Standing(
            MAIN_STATUS.get(session_state, "running"), "inferred", f"its session is {session_state}"
        )
    if row["status"] is not None:
        return Standing(row["status"], "observed", row["reason"] or "a record says so")
    answered = row["llm_from"] is not None and _at(row, "tool_at") < row["llm_from"]
    answered = answered and row["stop_reason"] not in _ASKING_REASONS
    if answered and row["source"] not in TELLS_TURNS:
        return Standing("completed", "inferred", "its last message asks for nothing")
    if not row["background"] and row["tool_status"] is not None:
        return Standing(row["tool_status"], "inferred", "the call that started it ended so")
    if row["life_us"] is not None and row["last_us"] is not None and row["last_us"] < row["life_us"]:
        return Standing("interrupted", "inferred", "it never finished, and its session's process began later")
    if session_state in {"working", "waiting"} or (session_state == "idle" and row["background"]):
        return Standing("running", "inferred", f"its session is {session_state}")
    if session_state == "idle":
        return Standing("unknown", "unknown", "no record says how it ended")
    return Standing("interrupted", "inferred", f"it never finished, and its session is {session_state}")


_OVER = frozenset({"interrupted", "failed", "ended"})
MAIN_STATUS = {
    "working": "running",
    "waiting": "waiting",
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
    if mark is None and session is not None and session["source"] == RUN and _is_lost(session["run"]):
        return Standing(session["run"]["status"], session["state_grade"], session["state_why"])
    if session is not None and session["state"] in {"interrupted", "failed", "working", "waiting"}:
        word = "running" if session["state"] == "working" else session["state"]
        return Standing(word, session["state_grade"], session["state_why"])
    if mark is not None:
        return Standing(mark.get("status", "completed"), "observed", mark.get("reason") or "a record says so")
    if session is None and ends_told:
        return Standing("interrupted", "inferred", "another turn followed, and it has no end")
    if session is None:
        return Standing("completed", "inferred", "another turn followed")
    return Standing("completed", session["state_grade"], session["state_why"])


def _is_lost(run: dict[str, Any] | None) -> bool:
    """Whether nobody saw the end of a life, which then left no record of one."""
    return run is not None and run["state"] == "lost"


def of_span(row: dict[str, Any], session_state: str, turn: Standing | None = None) -> Standing:
    """Where a span stands. `row` is one of the query `spans`, `turn` the turn it is in where the source records its end."""
    if row["status"] is not None:
        return Standing(row["status"], "observed", "a record says so")
    if row["kind"] == "turn":
        return Standing("unknown", "unknown", "")
    if turn is not None and turn.state != "running":
        return Standing("interrupted", "inferred", "it has no end, and its turn is over")
    if session_state in {"working", "waiting", "idle"}:
        return Standing("running", "inferred", f"its session is {session_state}")
    return Standing("interrupted", "inferred", "it has no end, and its session is over")
