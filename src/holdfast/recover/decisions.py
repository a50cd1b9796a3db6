"""What was decided, and what waits for a decision: answers, plans, refusals, cases. Everything here is pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast.recover.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.recover.reading import Call, Told

ASKING: Final = frozenset({"AskUserQuestion", "request_user_input"})
PLANNING: Final = frozenset({"ExitPlanMode", "exit_plan_mode"})
_REJECTED: Final = (
    "The user doesn't want to ",
    "User rejected tool use",
)  # Claude Code, when a person said no
_SAID = re.compile(r"the user said:\s*(.+)", re.DOTALL)


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was settled.

    Attributes:
        kind: answered, plan_accepted, plan_rejected, rejected (by a person, with words), forbidden (by a rule), decided, or a case's decision.
        about: what it was about: a question, a plan, a call.
        answer: what was said to it; None: nothing.
        agent: whose work it was about.
    """

    kind: str
    about: Text
    answer: Text | None
    agent: str
    at_us: int | None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Something that waits for an answer. `kind` is question, plan, permission, case or last_words."""

    kind: str
    text: Text
    agent: str
    at_us: int | None


def made(
    calls: list[Call], given: Callable[[Call], Any], output: Callable[[Call], Text], told: list[Told]
) -> list[Decision]:
    """What was decided, in the order in which it was."""
    out = [found for call in calls if (found := _of_call(call, given, output)) is not None]
    out += [found for event in told if (found := _of_event(event)) is not None]
    return sorted(out, key=lambda decision: decision.at_us or 0)


def _of_call(call: Call, given: Callable[[Call], Any], output: Callable[[Call], Text]) -> Decision | None:
    at_us = call.end_us or call.start_us
    if call.tool in ASKING and call.status == "completed":
        return Decision(
            kind="answered", about=asked(given(call)), answer=output(call), agent=call.agent, at_us=at_us
        )
    if call.tool in PLANNING and call.status in {"completed", "cancelled"}:
        kind = "plan_accepted" if call.status == "completed" else "plan_rejected"
        return Decision(
            kind=kind,
            about=plan(given(call)),
            answer=None if kind == "plan_accepted" else output(call),
            agent=call.agent,
            at_us=at_us,
        )
    if call.status != "cancelled":
        return None
    about = Text.of(f"{call.tool}: {call.input or ''}".rstrip(": "), f"call of {call.tool}")
    if not by_person(call):
        return Decision(kind="forbidden", about=about, answer=output(call), agent=call.agent, at_us=at_us)
    words = words_of_person(output(call).text)
    if words is None:  # rejected, or stopped while it ran: that is no decision about it
        return None
    answer = Text.of(words, "words of the person")
    return Decision(kind="rejected", about=about, answer=answer, agent=call.agent, at_us=at_us)


def by_person(call: Call) -> bool:
    """Whether a call that was denied was so by a person, and not by a rule."""
    return (call.output or "").startswith(_REJECTED)


def words_of_person(output: str) -> str | None:
    """What a person said who rejected a call; None: nothing."""
    found = _SAID.search(output)
    return found[1].strip() if found else None


def _of_event(event: Told) -> Decision | None:
    data = event.data
    if event.kind == "decision.made":
        chosen = ": ".join(str(data[name]) for name in ("selected", "rationale") if data.get(name))
        about = Text.of(str(data.get("question") or ""), "decision of an agent")
        return Decision(
            kind="decided",
            about=about,
            answer=Text.of(chosen, "decision of an agent") if chosen else None,
            agent=event.agent,
            at_us=event.time_us,
        )
    if event.kind == "case.decided":
        about = Text.of(str(data.get("case_id") or ""), "case")
        reason = data.get("reason")
        answer = Text.of(str(reason), f"words of {data.get('actor') or 'who decided'}") if reason else None
        return Decision(
            kind=str(data.get("decision") or "decided"),
            about=about,
            answer=answer,
            agent=event.agent,
            at_us=event.time_us,
        )
    return None


def asked(given: object) -> Text:
    """The questions of a call that asks a person."""
    lines = []
    questions = given.get("questions") if isinstance(given, dict) else None
    for question in questions if isinstance(questions, list) else []:
        if isinstance(question, dict):
            options = [
                str(option.get("label"))
                for option in question.get("options") or []
                if isinstance(option, dict)
            ]
            lines.append(f"{question.get('question')}" + (f" [{' | '.join(options)}]" if options else ""))
    return Text.of("\n".join(lines) or _plain(given), "question of an agent")


def plan(given: object) -> Text:
    """The plan that a call asks a person to accept."""
    text = given.get("plan") if isinstance(given, dict) else None
    return Text.of(text if isinstance(text, str) else _plain(given), "plan of an agent")


def _plain(given: object) -> str:
    return (
        given if isinstance(given, str) else msgspec.json.encode(given).decode() if given is not None else ""
    )


def open_questions(
    cut: list[Call],
    waiting: set[str],
    given: Callable[[Call], Any],
    told: list[Told],
    last_words: Text | None,
    *,
    turn_is_over: bool,
) -> list[Question]:
    """What waits for an answer.

    Args:
        cut: the calls without an end.
        waiting: ids of those that wait for leave.
        given: what a call was given, whole.
        told: events, of which those about cases count.
        last_words: the last words of the main agent.
        turn_is_over: it said them at the end of its turn.
    """
    out = []
    for call in cut:
        if call.tool in ASKING:
            out.append(
                Question(kind="question", text=asked(given(call)), agent=call.agent, at_us=call.start_us)
            )
        elif call.tool in PLANNING:
            out.append(Question(kind="plan", text=plan(given(call)), agent=call.agent, at_us=call.start_us))
        elif call.id in waiting:
            about = Text.of(f"{call.tool}: {call.input or ''}".rstrip(": "), f"call of {call.tool}")
            out.append(Question(kind="permission", text=about, agent=call.agent, at_us=call.start_us))
    out += _open_cases(told)
    if turn_is_over and last_words is not None and (asks := _questions_in(last_words)) is not None:
        out.append(Question(kind="last_words", text=asks, agent="", at_us=None))
    return out


def _open_cases(told: list[Told]) -> list[Question]:
    opened: dict[str, Question] = {}
    for event in told:
        case = str(event.data.get("case_id") or "")
        if event.kind == "case.opened":
            text = Text.of(str(event.data.get("summary") or event.data.get("operation") or case), "case")
            opened[case] = Question(kind="case", text=text, agent=event.agent, at_us=event.time_us)
        elif event.kind in {"case.decided", "case.closed"}:
            opened.pop(case, None)
    return list(opened.values())


def _questions_in(words: Text) -> Text | None:
    """The last paragraph, if it asks something."""
    last = words.text.rstrip().rpartition("\n\n")[2]
    return (
        Text.of(last, words.source) if last.rstrip("*_` \n").endswith("?") and words.part == "whole" else None
    )
