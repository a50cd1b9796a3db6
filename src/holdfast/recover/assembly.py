"""Puts a dossier together: from the store, and from the journal where rows hold only heads.

Nothing is judged here but what rules can tell, and each rule says what it goes by. Where each agent and call stands is triage's
to say; what the worktree looks like and how to resume are handed in.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from holdfast import clock
from holdfast.recover import checks, decisions, effects, files, tasks
from holdfast.recover.dossier import (
    Background,
    Cut,
    Done,
    Dossier,
    Effect,
    Failure,
    Prompt,
    Run,
    Step,
    Subagent,
)
from holdfast.recover.texts import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.recover.reading import Call, Reading, Told, Turn, Word

Json = dict[str, Any]
_P = TypeVar("_P", "Call", "Told", "Word")
NOTIFIED = "task_notification"  # origin of a turn that nobody asked for: something in the background was done
OVER = "finished"
_NOT_OVER = frozenset({"interrupted", "lost", "unknown", "in_flight", "waiting", "never_started"})
_MAY_HAVE_RUN = frozenset({"interrupted", "lost", "unknown", "in_flight"})
_WRITE, _DONE = "write", "done"
_LAST_STEPS = 5
_ERRORS = 20
_NEVER = 2**63  # a position behind all others
_SIGNALLED = frozenset({129, 130, 137, 143})  # 128 + SIGHUP, SIGINT, SIGKILL, SIGTERM


def assemble(
    reading: Reading,
    standing: Json,
    *,
    worktree: Json | None = None,
    resume: Json | None = None,
) -> Dossier:
    """The dossier of one session.

    Args:
        reading: its rows and records.
        standing: where it, its agents and its calls stand, as `triage.session` says.
        worktree: the state of its directory now.
        resume: {"argv", "cwd"} of the command that carries it on.
    """
    return _Assembly(reading, standing).dossier(worktree, resume)


class _Assembly:
    def __init__(self, reading: Reading, standing: Json) -> None:
        self._reading, self._standing = reading, standing
        self._calls = {call.id: call for call in reading.calls}
        self._number_of_calls = Counter(call.agent for call in reading.calls)
        self._words: dict[str, list[Word]] = defaultdict(list)
        for word in reading.words:
            self._words[word.agent].append(word)
        self._cut = self._cut_calls()

    def dossier(self, worktree: Json | None, resume: Json | None) -> Dossier:
        reading, cut_ids = self._reading, {cut.id for cut in self._cut}
        cut_calls = [call for call in reading.calls if call.id in cut_ids]
        done, last = self._done(), self._last(thinking=False)
        words = None if last is None else reading.said(last)
        over = self._standing["status"] == OVER
        found = checks.last_runs(reading.calls, self._script, lambda call: reading.output(call).text)
        return Dossier(
            session={**self._standing["session"], **{name: self._standing.get(name) for name in _STANDING}},
            answered=not done or done[-1].said is not None,
            prompts=self._prompts(),
            summary=self._summary(),
            done=done,
            cut=self._cut,
            steps=self._steps(cut_ids),
            subagents=self._subagents(),
            tasks=tasks.newest(reading.calls, reading.given, reading.told),
            last_words=words,
            last_thoughts=self._thoughts(last),
            words_are_last=last is not None and last.position >= self._latest_position(),
            files=files.changed(reading.calls, reading.given, reading.told, cut_ids),
            decisions=decisions.made(reading.calls, reading.given, reading.output, reading.told),
            questions=decisions.open_questions(
                cut_calls, self._waiting(), reading.given, reading.told, words, turn_is_over=over
            ),
            checks=[self._run(check) for check in found],
            background=self._background(),
            errors=self._errors({check.call.id for check in found}),
            effects=self._effects(),
            worktree=worktree,
            resume=resume,
            findings=self._standing.get("findings", []),
            missing=sorted(reading.missing),
        )

    # ── what was asked, and done ──

    def _prompts(self) -> list[Prompt]:
        reading = self._reading
        numbered = [(number, turn) for number, turn in enumerate(reading.turns, 1) if not _is_notice(turn)]
        found = [
            Prompt(turn=number, at=clock.iso(turn.start_us), text=reading.prompt(turn))
            for number, turn in numbered
        ]
        if found:
            return found
        said = [word for word in self._words[""] if word.role == "user"]
        return [Prompt(turn=None, at=clock.iso(word.time_us), text=reading.said(word)) for word in said]

    def _summary(self) -> Text | None:
        found = [word for word in self._words[""] if word.role == "summary"]
        return self._reading.said(found[-1]) if found else None

    def _done(self) -> list[Done]:
        turns, reading = self._reading.turns, self._reading
        ends = [*(turn.position for turn in turns[1:]), _NEVER]
        said = [word for word in self._words[""] if _is_answer(word)]
        calls = sorted((call for call in reading.calls if not call.agent), key=_position)
        marks = [event for event in reading.told if event.kind == "turn.ended" and not event.agent]
        return [
            self._turn(
                number,
                turn,
                _within(said, turn, end),
                _within(calls, turn, end),
                _within(marks, turn, end),
            )
            for number, (turn, end) in enumerate(zip(turns, ends, strict=False), 1)  # no turns, and one end
        ]

    def _turn(
        self, number: int, turn: Turn, said: Sequence[Word], calls: Sequence[Call], marks: Sequence[Told]
    ) -> Done:
        return Done(
            turn=number,
            at=clock.iso(turn.start_us),
            status=marks[-1].data.get("status") if marks else None,
            said=self._reading.said(said[-1]) if said else None,
            calls=len(calls),
            failed=sum(call.status == "failed" for call in calls),
            notice=self._reading.prompt(turn) if _is_notice(turn) else None,
        )

    # ── what was cut ──

    def _cut_calls(self) -> list[Cut]:
        """Calls that triage says are not over, and those that came back without saying what they did."""
        out = [self._open(told, self._calls.get(told["id"])) for told in self._standing["calls"]]
        have = {cut.id for cut in out}
        ended = [
            (call, why) for call in self._reading.calls if call.id not in have and (why := _cut_short(call))
        ]
        return [self._came_back(call, why) for call, why in ended] + out

    def _open(self, told: Json, call: Call | None) -> Cut:
        return Cut(
            id=told["id"],
            agent=told["agent"],
            tool=told["tool"] or "(unnamed)",
            given=_given_text(self._reading.given(call) if call else told.get("input"), told["tool"]),
            path=told.get("path"),
            status=told["status"],
            grade=told["grade"],
            why=told["why"],
            at=told.get("started_at"),
            earlier=call is not None and self._went_on(call),
            agents=self._asked_for(told["id"]),
        )

    def _came_back(self, call: Call, why: str) -> Cut:
        return Cut(
            id=call.id,
            agent=call.agent,
            tool=call.tool,
            given=_given_text(self._reading.given(call), call.tool),
            path=call.path,
            status="interrupted",
            grade="observed",
            why=why,
            at=clock.iso(call.start_us),
            earlier=self._went_on(call),
            agents=self._asked_for(call.id),
        )

    def _went_on(self, call: Call) -> bool:
        """Whether its agent said anything after it."""
        return any(_is_answer(word) and word.position > call.position for word in self._words[call.agent])

    def _asked_for(self, call: str) -> list[str]:
        return [agent["id"] for agent in self._standing["agents"] if agent["parent_tool_call"] == call]

    def _steps(self, cut: set[str]) -> list[Step]:
        """The last calls that came back, of the main agent and of each that is not over."""
        agents = [""] + [
            agent["id"] for agent in self._standing["agents"] if agent["id"] and agent["status"] in _NOT_OVER
        ]
        if self._standing["status"] == OVER:
            agents.remove("")
        out = []
        for agent in agents:
            ended = [
                call
                for call in self._reading.calls
                if call.agent == agent and call.id not in cut and call.status
            ]
            out += [
                Step(
                    agent=agent,
                    tool=call.tool,
                    status=call.status,
                    at=clock.iso(call.start_us),
                    about=Text.of(call.input or "", f"input of {call.tool}"),
                    output=self._reading.output(call) if agent else None,
                )
                for call in ended[-_LAST_STEPS:]
            ]
        return out

    def _waiting(self) -> set[str]:
        """Ids of the calls that wait for leave, or did when they were cut."""
        return {
            call["id"] for call in self._standing["calls"] if call["status"] in {"waiting", "never_started"}
        }

    # ── agents ──

    def _subagents(self) -> list[Subagent]:
        return [self._subagent(agent) for agent in self._standing["agents"] if agent["id"]]

    def _subagent(self, agent: Json) -> Subagent:
        own = self._words[agent["id"]]
        return Subagent(
            id=agent["id"],
            type=agent["type"],
            name=agent["name"],
            task=self._task(agent, own),
            status=agent["status"],
            outcome=agent["outcome"],
            grade=agent["grade"],
            why=agent["why"],
            parent=agent["parent_agent"],
            background=agent["background"],
            reported=agent["reported"],
            calls=self._number_of_calls[agent["id"]],
            said=self._report(agent, own),
            at=agent["started_at"],
            last_at=agent["last_activity_at"],
        )

    def _report(self, agent: Json, own: list[Word]) -> Text | None:
        """What it said last, or else what its call gave to the agent above it."""
        said = [word for word in own if _is_answer(word)]
        if said:
            return self._reading.said(said[-1])
        call = self._call_of(agent)
        if call is None or call.status != "completed" or agent["background"]:
            return None
        found = self._reading.output(call)
        return Text.of(found.text, "result of its call") if found.text else None

    def _call_of(self, agent: Json) -> Call | None:
        return self._calls.get(agent["parent_tool_call"])

    def _task(self, agent: Json, own: list[Word]) -> Text | None:
        """What it was told to do: in the call that started it, else what it was told first."""
        call = self._call_of(agent)
        given = self._reading.given(call) if call is not None else None
        if isinstance(given, dict):
            for name in ("prompt", "message"):
                if isinstance(given.get(name), str) and given[name]:
                    return Text.of(given[name], "task given by the agent above it")
        told = next((word for word in own if word.role == "user" or word.sender is not None), None)
        if told is not None:
            return self._reading.said(told)
        return Text.of(agent["description"], "title of its task") if agent["description"] else None

    def _background(self) -> list[Background]:
        return [self._sent(told, self._calls.get(told["call"])) for told in self._standing["background"]]

    def _sent(self, told: Json, call: Call | None) -> Background:
        script = told["input"] if call is None else self._script(call)
        return Background(
            id=told["id"],
            call=told["call"],
            agent=told["agent"],
            at=None if call is None else clock.iso(call.start_us),
            status=told["status"],
            outcome=told["outcome"],
            why=told["why"],
            about=Text.of(script or "", "command"),
        )

    # ── what was done to the world ──

    def _effects(self) -> list[Effect]:
        """Side effects. Of what the files' own list tells only what is not sure is kept."""
        cut = {one.id: None if one.status in _MAY_HAVE_RUN else one.status for one in self._cut}
        calls = [
            effects.Call(
                id=call.id,
                tool=call.tool,
                agent=call.agent,
                input=self._script(call),
                path=call.path,
                status=cut.get(call.id, call.status),
                exit_code=None if call.id in cut else call.exit_code,
                output=call.output,
                time_us=call.start_us,
            )
            for call in self._reading.calls
        ]
        return [
            Effect(
                kind=one.kind,
                what=one.what,
                call=one.call,
                agent=one.agent,
                certainty=one.certainty,
                why=one.why,
            )
            for one in effects.effects(calls)
            if one.kind != _WRITE or one.certainty != _DONE
        ]

    # ── words ──

    def _last(self, *, thinking: bool) -> Word | None:
        found = [word for word in self._words[""] if word.role == "assistant" and word.thinking is thinking]
        return found[-1] if found else None

    def _thoughts(self, last: Word | None) -> Text | None:
        found = self._last(thinking=True)
        if found is None or (last is not None and last.position > found.position):
            return None
        return self._reading.said(found)

    def _latest_position(self) -> int:
        """Where the main agent's stream was last gone on with."""
        calls = [call.position for call in self._reading.calls if not call.agent]
        return max([*calls, *(turn.position for turn in self._reading.turns)], default=-1)

    # ── how it went ──

    def _script(self, call: Call) -> str:
        """The whole text of a call whose input is one: a script, a patch."""
        if call.input is None or not call.input.endswith("…"):
            return call.input or ""
        given = self._reading.given(call)
        found = given.get("command", given.get("cmd")) if isinstance(given, dict) else given
        return found if isinstance(found, str) else call.input

    def _run(self, check: checks.Check) -> Run:
        return Run(
            kind=check.kind,
            name=check.name,
            at=clock.iso(check.call.start_us),
            agent=check.call.agent,
            outcome=check.outcome,
            grade=check.grade,
            why=check.why,
            output=None if check.outcome == "completed" else self._reading.output(check.call),
        )

    def _errors(self, told: set[str]) -> list[Failure]:
        """What failed last, but for checks, which are told by themselves."""
        failed = [call for call in self._reading.calls if call.status == "failed" and call.id not in told]
        raised = [event for event in self._reading.told if event.kind == "error.raised"]
        out = [(call.end_us or call.start_us or 0, self._failed(call)) for call in failed[-_ERRORS:]]
        for event in raised[-_ERRORS:]:
            kind = str(event.data.get("error_type") or "error")
            message = Text.of(str(event.data.get("message") or ""), "error")
            raised_at = clock.iso(event.time_us)
            failure = Failure(at=raised_at, agent=event.agent, kind=kind, about=None, message=message)
            out.append((event.time_us or 0, failure))
        return [failure for _, failure in sorted(out, key=lambda item: item[0])][-_ERRORS:]

    def _failed(self, call: Call) -> Failure:
        return Failure(
            at=clock.iso(call.start_us),
            agent=call.agent,
            kind=call.error_type or "failed",
            about=Text.of(f"{call.tool}: {call.input or ''}".rstrip(": "), f"call of {call.tool}"),
            message=self._reading.output(call),
        )


_STANDING = ("status", "outcome", "grade", "why", "cause", "alive", "continued_by")


def _cut_short(call: Call) -> str | None:
    """Why what a call that came back did is not known; None: it is."""
    if call.status == "interrupted":
        return "its result says that it was interrupted"
    if call.status == "failed" and call.exit_code in _SIGNALLED:
        return f"it was ended by a signal, exit code {call.exit_code}"
    if (
        call.status == "cancelled"
        and decisions.by_person(call)
        and decisions.words_of_person(call.output or "") is None
    ):
        return (
            "a person rejected it before it began or stopped it while it ran; the record does not tell which"
        )
    return None


def _position(placed: Call | Told | Word) -> int:
    return placed.position


def _within(placed: list[_P], turn: Turn, end: int) -> list[_P]:
    """What stands between a turn's beginning and the next one's; `placed` is in order."""
    return placed[bisect_left(placed, turn.position, key=_position) : bisect_left(placed, end, key=_position)]


def _is_notice(turn: Turn) -> bool:
    return turn.origin == NOTIFIED


def _is_answer(word: Word) -> bool:
    return word.role == "assistant" and not word.thinking


def _given_text(given: object, tool: str | None) -> Text:
    """What a call was given as a person reads it: its one text by itself, an object as JSON."""
    source = f"input of {tool or 'the call'}"
    if isinstance(given, dict):
        texts = [
            value for name, value in given.items() if name in {"command", "cmd"} and isinstance(value, str)
        ]
        if texts and set(given) <= {
            "command",
            "cmd",
            "description",
            "timeout",
            "run_in_background",
            "workdir",
        }:
            return Text.of(texts[0], source)
        return Text.of("\n".join(_field(name, value) for name, value in given.items()), source)
    if isinstance(given, list):
        return Text.of(msgspec.json.encode(given).decode(), source)
    return Text.of(given if isinstance(given, str) else "", source)


def _field(name: str, value: object) -> str:
    """One member of an input, a text of several lines below its name."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"{name}:\n{text}" if "\n" in text else f"{name}: {text}"
