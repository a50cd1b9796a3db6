"""The registry: every kind of event, its payload, and the other spellings it answers to."""

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from holdfast.events import run, work
from holdfast.events.base import Data, Invalid

Phase = Literal["start", "end", "point"]


class Kind(NamedTuple):
    """One kind of event.

    `span_kind` is the kind of span that the event is about, None if it is about no span, or says itself which
    kind. `phase` tells whether it starts or ends that span; a "point" is the whole span in one event, or a
    fact about it.
    """

    name: str
    payload: type[Data]
    version: int
    sentence: str
    aliases: tuple[str, ...] = ()
    span_kind: str | None = None
    phase: Phase = "point"


_TABLE = (
    # ── what ran ──
    Kind(
        "session.noted",
        run.SessionNoted,
        1,
        "Facts about a session became known: title, directory, versions.",
    ),
    Kind("session.started", run.SessionStarted, 1, "A session began or was resumed.", ("session.start",)),
    Kind("session.ended", run.SessionEnded, 1, "A session was left.", ("session.end",)),
    Kind("session.resuming", run.SessionResuming, 1, "A session is about to be resumed."),
    Kind("session.resumed", run.SessionResumed, 1, "A session that was resumed shows work."),
    Kind("session.resume_failed", run.SessionResumeFailed, 1, "A session that was resumed shows no work."),
    Kind("session.summarised", run.SessionSummarised, 1, "A session was summed up.", ("session.summary",)),
    Kind("session.cost_reported", run.CostReported, 1, "A tool stated the cost of a session so far."),
    Kind("turn.started", run.TurnStarted, 1, "Someone gave an agent something to do.", (), "turn", "start"),
    Kind("turn.noted", run.TurnNoted, 1, "Facts about a turn became known: the model that answers in it."),
    Kind("turn.ended", run.TurnEnded, 1, "The agent finished with it.", (), "turn", "end"),
    Kind(
        "message.sent",
        run.MessageSent,
        1,
        "Someone said something.",
        ("message", "agent_message", "message_exchange", "agent_response"),
    ),
    Kind("line.linked", run.LineLinked, 1, "A line of a transcript follows another one."),
    Kind("llm.called", run.LlmCalled, 1, "A model answered.", ("llm.call",), "llm"),
    Kind("tool.started", run.ToolStarted, 1, "An agent called a tool.", (), "tool", "start"),
    Kind(
        "tool.ended",
        run.ToolEnded,
        1,
        "A tool call came back.",
        ("tool.completed", "tool.failed", "tool.error"),
        "tool",
        "end",
    ),
    Kind(
        "tool.used",
        run.ToolUsed,
        1,
        "A tool was called and came back.",
        ("tool_usage", "tool_call", "tool.executed"),
        "tool",
    ),
    Kind("code.executed", run.CodeExecuted, 1, "Code was run.", ("code_exec", "code_execution"), "code"),
    Kind(
        "agent.started",
        run.AgentStarted,
        1,
        "An agent began to run. A classic invocation whose status is an outcome becomes agent.ended.",
        ("agent_invocation", "agent.invoked", "agent_call", "agent.spawned", "instance_spawn"),
        "agent",
        "start",
    ),
    Kind(
        "agent.ended",
        run.AgentEnded,
        1,
        "An agent stopped running.",
        ("agent.completed", "agent.failed", "agent.timeout", "agent.terminated", "instance_terminate"),
        "agent",
        "end",
    ),
    Kind(
        "span.started",
        run.SpanStarted,
        1,
        "A phase, step or other span began.",
        ("phase.started", "phase.start", "step.started", "step.start", "workflow.started", "branch.started"),
        None,
        "start",
    ),
    Kind(
        "span.ended",
        run.SpanEnded,
        1,
        "A phase, step or other span ended.",
        (
            "phase.ended",
            "phase.completed",
            "phase.complete",
            "phase.failed",
            "step.ended",
            "step.completed",
            "step.complete",
            "step.failed",
            "workflow.completed",
            "branch.ended",
        ),
        None,
        "end",
    ),
    Kind("span.linked", run.SpanLinked, 1, "One span relates to another in a way the tree cannot show."),
    Kind("process.started", run.ProcessStarted, 1, "An operating-system process began."),
    Kind("process.ended", run.ProcessEnded, 1, "An operating-system process ended."),
    Kind("process.sighted", run.ProcessSighted, 1, "A tool listed a process as one of its sessions at work."),
    Kind("activity.noted", run.ActivityNoted, 1, "A tool told what one of its agents was about."),
    Kind("work.told", run.WorkTold, 1, "A tool told that a turn or a tool call began, ended, or was shown."),
    # ── agents that Holdfast started ──
    Kind("run.requested", run.RunRequested, 1, "Somebody wants an agent to be started."),
    Kind("run.starting", run.RunStarting, 1, "An attempt to run an agent is about to be started."),
    Kind("run.started", run.RunStarted, 1, "An attempt to run an agent began."),
    Kind("run.ended", run.RunEnded, 1, "An attempt to run an agent is over."),
    Kind("run.linked", run.RunLinked, 1, "It became known in which session of its tool an agent works."),
    Kind("run.stopping", run.RunStopping, 1, "Somebody is about to stop, kill, pause or unpause an agent."),
    Kind("run.progress", run.RunProgress, 1, "An agent said how far it is."),
    Kind("run.removed", run.RunRemoved, 1, "What an agent left in the home was removed."),
    # ── what the work was ──
    Kind(
        "file.changed",
        work.FileChanged,
        1,
        "A file was touched.",
        ("file_operation", "file_gen", "file.created"),
    ),
    Kind("decision.made", work.DecisionMade, 1, "An agent chose among options.", ("decision",)),
    Kind("error.raised", work.ErrorRaised, 1, "Something went wrong.", ("error",)),
    Kind("context.compacted", work.ContextCompacted, 1, "An agent's context was summarised to make room."),
    Kind(
        "context.snapshot",
        work.ContextSnapshot,
        1,
        "What an agent's context held.",
        ("session.token_warning",),
    ),
    Kind("validation.completed", work.ValidationCompleted, 1, "Something was checked.", ("validation",)),
    Kind("test.started", work.SuiteStarted, 1, "A test run began.", ("test.run_started",)),
    Kind("test.completed", work.SuiteCompleted, 1, "A test run ended.", ("test.run_completed",)),
    Kind("task.started", work.TaskStarted, 1, "Work on a task began.", ("task.created",), "task", "start"),
    Kind(
        "task.progressed",
        work.TaskProgressed,
        1,
        "A task moved on.",
        ("task.stage_changed", "task.updated"),
        "task",
    ),
    Kind(
        "task.completed",
        work.TaskCompleted,
        1,
        "A task is over.",
        ("task.failed", "task.ended"),
        "task",
        "end",
    ),
    Kind(
        "handoff.made",
        work.HandoffMade,
        1,
        "Work passed from one agent to another.",
        ("handoff", "agent.handoff"),
    ),
    Kind(
        "case.opened",
        work.CaseOpened,
        1,
        "Something waits for a decision.",
        ("approval.required", "approval.requested"),
        "approval",
        "start",
    ),
    Kind(
        "case.decided",
        work.CaseDecided,
        1,
        "A case was decided.",
        ("approval.granted", "approval.denied"),
        "approval",
        "end",
    ),
    Kind("case.closed", work.CaseClosed, 1, "A case needs nothing more.", (), "approval"),
    Kind("definition.revised", work.DefinitionRevised, 1, "An agent's definition changed."),
    Kind(
        "definition.unwatched",
        work.DefinitionUnwatched,
        1,
        "Changes of definitions were not seen at once, or are again.",
    ),
    Kind("definition.snapshot", work.DefinitionSnapshot, 1, "All definitions got one id as they lay."),
    Kind("definition.purged", work.DefinitionsPurged, 1, "Old contents of definitions were removed."),
    Kind(
        "definition.looked",
        work.DefinitionsLooked,
        1,
        "Definitions were looked at, and nothing else lay there.",
    ),
    Kind(
        "definition.conflict",
        work.DefinitionConflicted,
        1,
        "A definition was not written: somebody else had.",
    ),
    Kind("definition.resolved", work.DefinitionResolved, 1, "Such a conflict was decided."),
    Kind("assessment.made", work.AssessmentMade, 1, "An agent's course was judged."),
    Kind(
        "checkpoint.created", work.CheckpointNoted, 1, "A point to return to was kept.", ("snapshot.created",)
    ),
    Kind(
        "checkpoint.restored",
        work.CheckpointNoted,
        1,
        "A checkpoint was returned to.",
        ("snapshot.restored",),
    ),
    Kind(
        "checkpoint.failed", work.CheckpointNoted, 1, "A checkpoint could not be made.", ("snapshot.failed",)
    ),
    Kind("checkpoint.removed", work.CheckpointNoted, 1, "Checkpoints were removed.", ("snapshot.cleanup",)),
    Kind(
        "checkpoint.taking", work.CheckpointTaking, 1, "A checkpoint of a workspace is about to be written."
    ),
    Kind("checkpoint.taken", work.CheckpointTaken, 1, "A checkpoint of a workspace was written."),
    Kind("checkpoint.not_taken", work.CheckpointNotTaken, 1, "A checkpoint of a workspace was not written."),
    Kind("cost.tracked", work.CostTracked, 1, "A program stated a cost.", ("cost_update",)),
    Kind(
        "state.changed", work.StateChanged, 1, "A program's own object changed state.", ("state_transition",)
    ),
    Kind("workspace.moved", work.WorkspaceMoved, 1, "A project was moved to another directory."),
    Kind("recovery.judged", work.RecoveryJudged, 1, "A person said what became of work that was cut."),
    Kind(
        "notice.raised",
        work.NoticeRaised,
        1,
        "Anything else worth a line.",
        (
            "info",
            "milestone.reached",
            "blocker.detected",
            "analysis.completed",
            "session.handoff_required",
            "cost.budget_warning",
            "cost.optimization_opportunity",
            "tool.performance",
            "tool.quota_exceeded",
            "reference_check.triggered",
            "reference_check.completed",
        ),
    ),
    Kind("invalid", Invalid, 1, "An event that does not fit its kind, kept with the reason."),
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _TABLE}


def _spellings() -> Iterator[tuple[str, str]]:
    """Yield (spelling, canonical kind); each dotted spelling also has its snake_case twin."""
    for kind in _TABLE:
        for name in (kind.name, *kind.aliases):
            yield name, kind.name
            yield name.replace(".", "_"), kind.name


_CANONICAL = dict(_spellings())


def canonical(kind: str) -> str:
    """The dotted kind for any known spelling; an unknown kind stays as it is."""
    return _CANONICAL.get(kind, kind)


def reference() -> list[dict[str, Any]]:
    """One row per kind for the reference page: kind, version, sentence, notes, fields, aliases, span kind,
    phase.
    """
    return [
        {
            "kind": kind.name,
            "version": kind.version,
            "sentence": kind.sentence,
            "notes": " ".join((kind.payload.__doc__ or "").split()),
            "fields": fields_of(kind.payload),
            "aliases": list(kind.aliases),
            "span_kind": kind.span_kind,
            "phase": kind.phase,
        }
        for kind in _TABLE
    ]


def fields_of(payload: type[Data]) -> list[dict[str, Any]]:
    """Name, type and whether it must be given, for each field of a payload but `extra`, in the order
    written.
    """
    rows = [
        {"name": field.name, "type": type_name(field.type), "required": field.required}
        for field in msgspec.structs.fields(payload)
        if field.name != "extra"
    ]
    order = list(typing.get_type_hints(payload))
    return sorted(rows, key=lambda row: order.index(str(row["name"])))


def type_name(annotation: Any) -> str:  # noqa: ANN401 - annotations have no common type
    """How a person writes a type: "int or null", "list of text"."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_name(args[0])
    if origin in (types.UnionType, typing.Union):
        return " or ".join(type_name(arg) for arg in args)
    if origin is list:
        item = type_name(args[0])
        return "list" if item == "any" else f"list of {item}"
    if origin is dict:
        return "object"
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        inner = ", ".join(field.name for field in msgspec.structs.fields(annotation))
        return f"object ({inner})"
    return _TYPE_NAMES.get(annotation, str(annotation))


_TYPE_NAMES = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true/false",
    type(None): "null",
    Any: "any",
}
