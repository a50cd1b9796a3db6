"""Everything a packet is made of: one session's work, as whoever carries on needs it. How it is put together: `assembly`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from holdfast.recover.decisions import Decision, Question
    from holdfast.recover.files import FileWork
    from holdfast.recover.tasks import Task
    from holdfast.recover.texts import Text

Json = dict[str, Any]


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked for, in its turn (counted from 1; None: the source tells of no turns)."""

    turn: int | None
    at: str | None
    text: Text


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of the main agent: how it ended as far as a record says, what was said last in it, and its calls.

    `notice` is what began it where no person did.
    """

    turn: int
    at: str | None
    status: str | None
    said: Text | None
    calls: int
    failed: int
    notice: Text | None


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """A call without a known outcome. `earlier`: its agent went on after it. `agents`: which subagents it asked for."""

    id: str
    agent: str
    tool: str
    given: Text
    path: str | None
    status: str
    grade: str
    why: str
    at: str | None
    earlier: bool
    agents: list[str]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One of the last calls that came back. `output` is the end of what it gave, of subagents only: their parent has none of it."""

    agent: str
    tool: str
    status: str | None
    at: str | None
    about: Text
    output: Text | None


class Subagent(msgspec.Struct, frozen=True, kw_only=True):
    """One subagent. `parent` is "" for the main agent, None where it is unknown; `reported` whether that has its result."""

    id: str
    type: str | None
    name: str | None
    task: Text | None
    status: str
    outcome: str | None
    grade: str
    why: str
    parent: str | None
    background: bool | None
    reported: bool | None
    calls: int
    said: Text | None
    at: str | None
    last_at: str | None


class Background(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was sent to the background. `id` is the tool's own, `status`, `outcome` and `why` are triage's."""

    id: str | None
    call: str
    agent: str
    at: str | None
    status: str
    outcome: str | None
    why: str
    about: Text


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The last run of a check. `outcome` is completed, failed or unknown; `output` the end of what it said, unless it passed."""

    kind: str
    name: str
    at: str | None
    agent: str
    outcome: str
    grade: str
    why: str
    output: Text | None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A call that failed, or an error that was raised."""

    at: str | None
    agent: str
    kind: str
    about: Text | None
    message: Text


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a call did, or may have done. `kind` is one of `deeds.KINDS`, `certainty` done or possibly."""

    kind: str
    what: str
    call: str
    agent: str
    certainty: str
    why: str


class Dossier(msgspec.Struct, frozen=True, kw_only=True):
    """A session as whoever carries on needs it.

    Attributes:
        session: as triage gives it (docs/reference/json.md), with `status`, `outcome`, `grade`, `why`, `cause` and `alive`.
        answered: the main agent said anything in its last turn.
        prompts: what the person asked for, in order.
        summary: what the tool wrote when it last summarised the context to make room.
        last_words, last_thoughts: of the main agent; thoughts only where they came after all words.
        words_are_last: nothing was asked or called after the last words.
        effects: what calls did to the world beside editing files, `certainty` done or possibly.
        worktree, resume: as handed in; None: not looked at, not known.
        findings: where sources contradict each other.
        missing: why some texts are not whole.
    """

    session: Json
    answered: bool
    prompts: list[Prompt]
    summary: Text | None
    done: list[Done]
    cut: list[Cut]
    steps: list[Step]
    subagents: list[Subagent]
    tasks: list[Task]
    last_words: Text | None
    last_thoughts: Text | None
    words_are_last: bool
    files: list[FileWork]
    decisions: list[Decision]
    questions: list[Question]
    checks: list[Run]
    background: list[Background]
    errors: list[Failure]
    effects: list[Effect]
    worktree: Json | None
    resume: Json | None
    findings: list[Json]
    missing: list[str]
