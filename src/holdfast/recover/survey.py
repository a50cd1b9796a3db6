"""Read the evidence about sessions from the store and the kernel, and give what `triage` makes of it, with the lines that prove it."""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast import clock, processes
from holdfast.recover import triage
from holdfast.store import queries, state
from holdfast.store.activity import seen
from holdfast.store.database import rows
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    import apsw

    from holdfast.store.activity import Vitals
    from holdfast.store.runs import Run

Json = dict[str, Any]
_SQL = statements("queries")
_HEAD_CHARS = 200  # of a call's input
_TASK = re.compile(r"\ACommand running in background with ID: (\w+)")  # as Claude Code says it


class Now(NamedTuple):
    """The moment and the host that evidence is judged at: UTC microseconds, from when on silence counts, how long the machine slept
    since it was started, and its boot.
    """

    us: int
    stale_us: int
    slept_us: int = 0
    boot: str | None = None

    @classmethod
    def here(cls, us: int, stale_us: int) -> Now:
        """As it is on this host."""
        return cls(us, stale_us, slept_us(), processes.boot_id())


def slept_us() -> int:
    """How long this machine slept since it was started; 0 where the system does not tell."""
    with contextlib.suppress(AttributeError, OSError):
        awake_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        return max(0, time.clock_gettime_ns(time.CLOCK_BOOTTIME) - awake_ns) // 1000
    return 0


def sessions(db: apsw.Connection, now: Now, vitals: Vitals, *, finished: bool = False) -> list[Json]:
    """Every session that was cut and not cleared, or with `finished` every one, last activity first; each as `session` gives it."""
    judged = {row["session_id"]: row for row in rows(db, _SQL["judged_sessions"])}
    more = {row["session_id"] for row in rows(db, _SQL["sessions_with_more"])}
    out = []
    for row in queries.session_rows(db, vitals=vitals):
        said = _holding(judged.get(row["id"]), row["last_us"])
        cut = row["id"] in more or _of_session(row, now, said).status in triage.CUT
        if finished or (cut and said is None and not _alive(row)):
            out.append(_survey(db, row, now))
    return [one for one in out if finished or one["needs_attention"]]


def needing(db: apsw.Connection, answers: list[Json]) -> list[Json]:
    """Those of the sessions, as `queries.sessions` gives them, that are interrupted and that nobody judged or goes on with."""
    settled = {row["native"] for row in rows(db, _SQL["settled_sessions"])}
    return [one for one in answers if one["state"] == "interrupted" and one["id"] not in settled]


def session(db: apsw.Connection, session_id: int, now: Now, vitals: Vitals) -> Json:
    """One session: where it, its agents and its open calls stand, why, and from which lines that is known."""
    [row] = queries.session_rows(db, session_id, vitals=vitals)
    return _survey(db, row, now)


def _of_session(row: Json, now: Now, said: Json | None) -> triage.Verdict:
    standing, _ = state.of_session(row, now.us, now.stale_us)
    silence = None
    if seen(row["vital"]) is None and not state.exited(row):
        heard_us = row["signs"].last_us if row["last_us"] is None else row["last_us"]
        unseen = None if row["vital"] is None else row["vital"].why
        silence = triage.Silence(now.us - (heard_us or 0), now.slept_us, now.stale_us, unseen)
    plain = row["run"] if row["source"] == state.RUN else None
    verdict = triage.of_session(standing, silence, run=plain)
    return _judged(verdict, said)


def _holding(said: Json | None, last_us: int | None) -> Json | None:
    """What a person said, if nothing was recorded since of what it is about."""
    return said if said is not None and said["time_us"] >= (last_us or 0) else None


def _survey(db: apsw.Connection, row: Json, now: Now) -> Json:
    said = {one["agent"]: one for one in rows(db, _SQL["judgements"], session_id=row["id"])}
    judged = _holding(said.get(""), row["last_us"])
    verdict = _of_session(row, now, judged)
    files = _Files(db, row)
    agents, verdicts = _agents(db, row, now, verdict, said, files)
    calls = _calls(db, row, agents, verdicts, files)
    answer = queries.session_answer(row, now.us, now.stale_us)
    goes_on = next(iter(rows(db, _SQL["goes_on_in"], session_id=row["id"])), None)
    cut = [one for one in agents if one["id"] and one["status"] in triage.CUT]
    resumes = queries.resumes(db, row["id"])
    in_vain = bool(resumes) and resumes[-1]["outcome"] != "resumed"
    open_ = verdict.status in triage.CUT or bool(cut) or in_vain
    return {
        "session": answer,
        **verdict._asdict(),
        "evidence": _evidence_of_session(row, files),
        "cause": _cause(row, verdict, now, db),
        "alive": _alive(row),
        "needs_attention": open_ and not _alive(row) and judged is None and goes_on is None,
        "continued_by": None if goes_on is None else goes_on["native"],
        "judgement": _judgement(judged),
        "agents": agents,
        "calls": calls,
        "background": _background(db, row, files),
        "findings": triage.inconsistencies(verdict, agents, calls, state.contradictions(row)),
        "resumes": resumes,
        "cut_agents": len(cut),
        "cut_calls": sum(one["status"] in triage.CUT for one in calls),
    }


def _judged(verdict: triage.Verdict, said: Json | None) -> triage.Verdict:
    return verdict if said is None else triage.judged(verdict, said["verdict"], said["why"])


def _judgement(said: Json | None) -> Json | None:
    if said is None:
        return None
    return {"verdict": said["verdict"], "why": said["why"], "at": clock.iso(said["time_us"])}


def _process_says(row: Json) -> str | None:
    """What the process of a session said last that it does; None: unknown, also where it may have said more since that was recorded."""
    vital = row["vital"]
    return vital.status if vital is not None and vital.last_word else None


def _alive(row: Json) -> bool | None:
    vital = seen(row["vital"])
    return None if vital is None else vital.process == "alive"


def _cause(row: Json, verdict: triage.Verdict, now: Now, db: apsw.Connection) -> str | None:
    run = None if row["vital"] is None else row["vital"].run
    boots = (
        [one["boot"] for one in rows(db, _SQL["processes"], session_id=row["id"])]
        if run is None
        else [run.boot]
    )
    rebooted = bool(boots and boots[0] and now.boot and boots[0] != now.boot)
    marked = row["mark_at"] is not None and state.decided_at(row) == row["mark_at"]
    stopped = marked and not state.last_turn_is_over(row)
    exited = state.exited(row)
    return triage.cause_of(row["vital"], verdict, rebooted=rebooted, exited=exited, by_person=stopped)


# ── agents and calls ──


def _agents(
    db: apsw.Connection, row: Json, now: Now, of_session: triage.Verdict, said: dict[str, Json], files: _Files
) -> tuple[list[Json], dict[str, triage.Verdict]]:
    standing, _ = state.of_session(row, now.us, now.stale_us)
    places = {one["id"]: one for one in rows(db, _SQL["places_of_calls"], session_id=row["id"])}
    out, verdicts = [], {"": of_session}
    for agent in queries.agent_rows(db, row["id"]):
        own = agent["agent"]
        if own:
            began = any(agent[at] is not None for at in ("first_us", "llm_from", "tool_at"))
            stands = state.of_agent(agent, standing.state)
            wait = None if _process_says(row) == "busy" else row["signs"].wait_of(own)
            verdict = triage.of_agent(stands, of_session, began=began, wait=wait)
            verdicts[own] = _judged(verdict, _holding(said.get(own), agent["last_us"]))
        verdict = verdicts[own]
        out.append(
            {
                "id": own,
                "type": "main" if not own else agent["agent_type"] or agent["asked_type"],
                "name": agent["name"],
                "description": agent["description"],
                "parent_agent": queries.parent_agent(agent),
                "parent_tool_call": agent["parent_tool"],
                "depth": agent["depth"],
                "background": None if agent["background"] is None else bool(agent["background"]),
                "started_at": clock.iso(agent["first_us"]),
                "last_activity_at": clock.iso(agent["last_us"]),
                **verdict._asdict(),
                "reported": _reported(agent, verdict, of_session),
                "evidence": list(_evidence_of_agent(agent, row, files, places)),
            }
        )
    return out, verdicts


def _reported(agent: Json, verdict: triage.Verdict, session: triage.Verdict) -> bool | None:
    """Whether the one who asked for an agent has its result; None: nobody asked, or it is not over, or nothing tells."""
    if not agent["agent"] or verdict.status != "finished":
        return None
    if agent["heard"]:
        return True
    if agent["background"]:  # nobody was told, and nobody will be where the session is over
        return None if session.status in {"in_flight", "waiting"} else False
    return agent["tool_status"] is not None


def _calls(
    db: apsw.Connection, row: Json, agents: list[Json], verdicts: dict[str, triage.Verdict], files: _Files
) -> list[Json]:
    out = []
    found = rows(db, _SQL["open_calls"], session_id=row["id"])
    given = {one["parent_tool_call"] for one in agents if one["id"] and one["status"] != "never_started"}
    asking = _asking(row, [call for call in found if call["id"] not in given])
    current = {call["id"]: _is_current(call, row["source"]) for call in found}
    alike = Counter((call["agent"], call["name"]) for call in found if current[call["id"]])
    for call in found:
        agent = call["agent"]
        verdict = triage.of_call(
            call["name"],
            verdicts.get(agent, verdicts[""]),
            current=current[call["id"]],
            wait=None if call["id"] in given else row["signs"].wait_of(agent),
            likewise=alike[agent, call["name"]],
            others=bool(asking - {agent}),
            process=_process_says(row),
        )
        out.append(
            {
                "id": call["id"],
                "agent": agent,
                "tool": call["name"],
                "input": None if call["input"] is None else call["input"][:_HEAD_CHARS],
                "path": call["path"],
                "started_at": clock.iso(call["start_us"]),
                "status": verdict.status,
                "grade": verdict.grade,
                "why": verdict.why,
                "evidence": [files.line(agent, call["position"], "the call; no result follows")]
                if call["grade"] == "observed"
                else [files.of_hook("a hook told of the call, none of its end")],
            }
        )
    return out


def _asking(row: Json, calls: list[Json]) -> set[str]:
    """Agents that asked for leave for one of these calls, and got no answer as far as hooks tell."""
    waits = {agent: row["signs"].wait_of(agent) for agent in {call["agent"] for call in calls}}
    return {
        call["agent"]
        for call in calls
        if (wait := waits[call["agent"]]) is not None and triage.is_asked_for(wait, call["name"])
    }


def _is_current(call: Json, source: str) -> bool:
    """Whether a call is of the last thing that its agent said. A source that tells of turns writes what an answer took behind its
    calls, and asks for no other answer before they have results.
    """
    if call["turned"]:
        return False
    return source in state.TELLS_TURNS or call["said_at"] is None or call["position"] >= call["said_at"]


def _background(db: apsw.Connection, row: Json, files: _Files) -> list[Json]:
    """Commands that were sent to the background, and whether the tool told of their end."""
    out = []
    life_us = queries.life_began_us(db, row["id"])
    for call in rows(db, _SQL["background_commands"], session_id=row["id"]):
        named = _TASK.search(call["output"])
        told = None if named is None else _ended(db, row["id"], named[1])
        end = None if told is None else told["status"]
        earlier = life_us is not None and call["at_us"] is not None and call["at_us"] < life_us
        out.append(
            {
                "id": None if named is None else named[1],
                "call": call["id"],
                "agent": call["agent"],
                "input": None if call["input"] is None else call["input"][:_HEAD_CHARS],
                "status": "finished" if end else "in_flight" if _alive(row) and not earlier else "unknown",
                "outcome": end,
                "why": "the tool told of its end"
                if end
                else "nothing tells of its end; it may outlive its session",
                "evidence": [
                    files.line(call["agent"], call["end_position"], "what the call that began it returned"),
                    *_told(told, files),
                ],
            }
        )
    return out


def _ended(db: apsw.Connection, session: int, task: str) -> Json | None:
    """How a thing in the background ended, as its session was notified."""
    return next(iter(rows(db, _SQL["task_end"], session_id=session, task=task)), None)


def _told(ended: Json | None, files: _Files) -> Iterator[Json]:
    if ended is not None and ended["told_at"] is not None:
        yield files.line(ended["told_by"], ended["told_at"], "what told of its end")


# ── evidence ──


class _Files:
    """Which file each agent of a session writes."""

    def __init__(self, db: apsw.Connection, row: Json) -> None:
        self._source = row["source"]
        self._native = row["native"]
        self._paths: dict[str, str] = {}
        for one in rows(db, _SQL["files_of_session"], session_id=row["id"]):
            self._paths.setdefault(PurePosixPath(one["path"]).name, one["path"])

    def of(self, agent: str) -> str | None:
        """The file of an agent; agents that have none write the session's own."""
        for wanted in (agent, self._native):
            for name, path in self._paths.items():
                if wanted and wanted in name and not name.endswith(".meta.json"):
                    return path
        return None

    def line(self, agent: str, position: int, says: str) -> Json:
        """The line that stands at a position of an agent's file."""
        path = self.of(agent)
        source = f"{self._source}.transcript" if self._source == "claude" else self._source
        offset = None if path is None else position
        return {"source": source, "file": path, "offset_bytes": offset, "says": says}

    def meta(self, agent: str) -> Json:
        """What the tool noted about an agent beside its transcript."""
        path = self.of(agent)
        name = None if path is None else path.removesuffix(".jsonl") + ".meta.json"
        return {"source": "claude.meta", "file": name, "offset_bytes": None, "says": "finished: true"}

    def of_hook(self, says: str) -> Json:
        return {"source": f"{self._source}.hook", "file": None, "offset_bytes": None, "says": says}


def _evidence_of_session(row: Json, files: _Files) -> list[Json]:
    found = []
    at = state.decided_at(row)
    if at is not None and row["source"] != state.RUN:
        found.append(files.line("", at, "the last word of its main agent"))
    if row["vital"] is not None and row["vital"].run is not None:
        found += _evidence_of_run(row["vital"].run)
    elif row["vital"] is not None:
        source = "claude.registry" if row["source"] == "claude" else f"{row['source']}.lock"
        found.append({"source": source, "file": None, "offset_bytes": None, "says": row["vital"].why})
    if row["signs"].of.get(""):
        last = max(row["signs"].of[""].items(), key=lambda one: one[1].at_us)
        found.append(files.of_hook(f"{last[0]} at {clock.iso(last[1].at_us)}"))
    return found


def _evidence_of_run(run: Run) -> Iterator[Json]:
    """What says how a process stands that was started here: its shim's lock or last word, and where the journal tells its end. Paths are
    below the home.
    """
    if run.is_alive:
        yield {"source": "run.lock", "file": run.lock, "offset_bytes": None, "says": run.words}
        return
    if run.state == "exited":
        yield {"source": "run.exit", "file": run.file, "offset_bytes": None, "says": run.words}
    if run.place is not None:
        segment, offset_bytes = run.place
        says = f"run.ended: {run.words}"
        yield {
            "source": "run",
            "file": f"journal/{segment:08d}.jsonl",
            "offset_bytes": offset_bytes,
            "says": says,
        }


def _evidence_of_agent(agent: Json, row: Json, files: _Files, places: dict[str, Json]) -> Iterator[Json]:
    if not agent["agent"]:
        yield from _evidence_of_session(row, files)
        return
    last = max(-1 if agent[name] is None else agent[name] for name in ("llm_from", "tool_at"))
    if last >= 0:
        yield files.line(agent["agent"], last, "the last thing it said or did")
    if (agent["reason"] or "").startswith("its meta.json"):
        yield files.meta(agent["agent"])
    yield from _told(agent, files)
    if agent["parent_tool"] in places:
        call = places[agent["parent_tool"]]
        yield files.line(call["agent"], call["position"], "the call that asked for it")
        if call["end_position"] is not None:
            yield files.line(call["agent"], call["end_position"], "what that call returned")
