"""Payloads that say what ran: sessions, turns, messages, model calls, tools, agents, processes, spans.

Times are UTC microseconds (`_us`), durations milliseconds (`_ms`), tokens counts. None is always "unknown",
never 0.
"""

from typing import Any

import msgspec

from holdfast.events.base import Amount, Count, Data, Percent, Whole


class SessionNoted(Data, kw_only=True, omit_defaults=True):
    """Facts about a session, in any number of pieces.

    Of several titles the highest `title_rank` wins (a person's over a generated one). `own` marks a
    record of a type that is never copied into a fork: it shows when the session's own life began. `line` is
    the id of the transcript line that says so, given where other records may name it; `about` is such an id:
    the facts are then about every session that holds that line, whichever session the event names.
    """

    title: str | None = None
    title_rank: Whole = 0
    cwd: str | None = None
    git_branch: str | None = None
    tool_version: str | None = None
    entrypoint: str | None = None
    own: bool = False
    line: str | None = None
    about: str | None = None


class SessionStarted(Data, kw_only=True, omit_defaults=True):
    """`reason` is why it began: startup, resume, clear, fork. `goal` is what the user wants of it. `forked_from` is
    the native id of the session that it goes on from. `agent_type` is the name under which its main agent was started.
    """

    title: str | None = None
    goal: str | None = None
    cwd: str | None = None
    reason: str | None = None
    forked_from: str | None = None
    agent_type: str | None = None


class SessionEnded(Data, kw_only=True, omit_defaults=True):
    """`reason` is the source's own word: logout, token_limit, clear."""

    reason: str | None = None


class SessionResuming(Data, kw_only=True, omit_defaults=True):
    """Holdfast is about to start a session's tool again. It belongs to the session that `about` names ("<source>:<native id>"); its
    own id is that of the attempt. `fork`: as a session of its own, with the native id `new_session` where that is known
    beforehand. `command` is what is started in `directory`, without what the session is told. `pid`, `boot_id` and `start_ticks`
    are the process that does it.
    """

    about: str
    fork: bool = False
    new_session: str | None = None
    directory: str | None = None
    command: list[str] = msgspec.field(default_factory=list)
    limit_s: Amount | None = None
    pid: Count | None = None
    boot_id: str | None = None
    start_ticks: Count | None = None


class SessionResumed(Data, kw_only=True, omit_defaults=True):
    """The session that `about` names goes on. `attempt` is the id of the event that announced it. `new_session` is the native id
    of what goes on: the same, or a fork's. `sign` is the id of the event that showed it, `why` that in words. `pid` is the tool's
    process. `turn` is the new life's first turn, which goes on from `from_turn`.
    """

    about: str
    attempt: str
    new_session: str | None = None
    pid: Count | None = None
    sign: str | None = None
    why: str | None = None
    turn: str | None = None
    from_turn: str | None = None


class SessionResumeFailed(Data, kw_only=True, omit_defaults=True):
    """The session that `about` names did not go on. `attempt` is the id of the event that announced it. `reason` is not_started,
    exited, elsewhere or silent, `why` that in words. `pid` is the tool's process, `exit_code` how it ended, negative for a signal,
    null while it runs.
    """

    about: str
    attempt: str
    reason: str
    why: str | None = None
    pid: Count | None = None
    exit_code: Whole | None = None


class SessionSummarised(Data, kw_only=True, omit_defaults=True):
    """`phase` is start or end: which end of the session the summary was written at."""

    text: str | None = None
    phase: str | None = None
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class CostReported(Data, kw_only=True, omit_defaults=True):
    """The tool's own account of a session so far. `models` is its breakdown by model, as it came."""

    cost_usd: Amount | None = None
    models: dict[str, Any] = msgspec.field(default_factory=dict)
    duration_ms: Count | None = None


class TurnStarted(Data, kw_only=True, omit_defaults=True):
    """`text` is the prompt. `origin` is who gave it: human, agent, hook, schedule."""

    text: str | None = None
    origin: str | None = None


class TurnNoted(Data, kw_only=True, omit_defaults=True):
    """Facts about a turn: `model` answers in it, where the answers themselves do not say which one did."""

    model: str | None = None


class TurnEnded(Data, kw_only=True, omit_defaults=True):
    """`status` is an execution status."""

    status: str
    reason: str | None = None


class MessageSent(Data, kw_only=True, omit_defaults=True):
    """`role` is user, assistant, system or agent; `reply_to` the id of the message answered."""

    role: str = "agent"
    text: str
    sender: str | None = None
    recipient: str | None = None
    reply_to: str | None = None
    thinking: bool = False


class LlmCalled(Data, kw_only=True, omit_defaults=True):
    """One answer of a model; the last report for a `message_id` wins. An id that begins with that of a turn and a
    slash takes the turn's model where it names none.

    `input_tokens` counts uncached input only. Cache writes are split by the lifetime bought, 5 minutes or 1
    hour. `final` is False while the answer is still streaming, when its counts may still grow.
    `reported_usd` is what the tool says the call cost.
    """

    message_id: str | None = None
    model: str | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_5m_tokens: Count | None = None
    cache_write_1h_tokens: Count | None = None
    stop_reason: str | None = None
    final: bool = True
    speed: str | None = None
    service_tier: str | None = None
    web_searches: Count = 0
    reported_usd: Amount | None = None


class LineLinked(Data, kw_only=True, omit_defaults=True):
    """`line` is the id of a transcript line, `parent` that of the line it follows, None if it follows none.

    `prompt` is its text where it begins a conversation. Lines that follow each other are one agent's, which
    events of such a line name as `inline-` and the line's id.
    """

    line: str
    parent: str | None = None
    prompt: str | None = None


class ToolStarted(Data, kw_only=True, omit_defaults=True):
    """`input` is the head of the arguments as text; `path` the file the call is about. `prompt` is what a
    call that starts an agent tells it, whole.
    """

    tool: str
    input: str | None = None
    path: str | None = None
    operation: str | None = None
    description: str | None = None
    prompt: str | None = None


class ToolEnded(Data, kw_only=True, omit_defaults=True):
    """`status` is an execution status; `output` the head of the result as text; `child_agent` the native id
    of the agent that the call started. `as_shown` says that all this was read from what the model was shown of
    the result: the tool's own report counts before it.
    """

    status: str
    tool: str | None = None
    output: str | None = None
    error_type: str | None = None
    exit_code: Whole | None = None
    duration_ms: Count | None = None
    child_agent: str | None = None
    lines_added: Count | None = None
    lines_removed: Count | None = None
    operation: str | None = None
    as_shown: bool = False


class ToolUsed(Data, kw_only=True, omit_defaults=True):
    """Start and end of a tool call in one event.

    `status` is an execution status, None when the source does not say how it went. `input` is the arguments
    as text, `output` the result or its summary. `started_at` and `ended_at` are ISO 8601 as the source wrote
    them.
    """

    tool: str
    status: str | None = None
    operation: str | None = None
    input: str | None = None
    path: str | None = None
    description: str | None = None
    agent_type: str | None = None
    output: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    exit_code: Whole | None = None
    duration_ms: Count | None = None
    started_at: str | None = None
    ended_at: str | None = None
    tokens_consumed: Count | None = None
    files_accessed: list[str] = msgspec.field(default_factory=list)


class CodeExecuted(Data, kw_only=True, omit_defaults=True):
    """Code that an agent ran, start and end in one event; `status` is an execution status, None when
    unknown.
    """

    language: str | None = None
    code: str | None = None
    status: str | None = None
    exit_code: Whole | None = None
    output: str | None = None
    error_type: str | None = None
    duration_ms: Count | None = None


class AgentStarted(Data, kw_only=True, omit_defaults=True):
    """`agent_type` names the definition, `built_in` says whether its tool brings it along, `definition` is the SHA-256 of the
    text that it was given, where whoever started it says so, `parent_tool` the span of the tool call that started it,
    `parent_agent` the native id of the agent that did, `depth` how many agents stand above it. `reason` is
    why it was called, `prompt` what it was told. `context` is what it knew: token counts and file names,
    as they came.
    """

    agent_type: str | None = None
    name: str | None = None
    description: str | None = None
    parent_tool: str | None = None
    parent_agent: str | None = None
    depth: Count | None = None
    model: str | None = None
    background: bool | None = None
    built_in: bool | None = None
    definition: str | None = None
    reason: str | None = None
    prompt: str | None = None
    user_request: str | None = None
    expected_outcome: str | None = None
    tokens_consumed: Count | None = None
    context: dict[str, Any] = msgspec.field(default_factory=dict)


class AgentEnded(Data, kw_only=True, omit_defaults=True):
    """`status` is an execution status, `reason` why it ended so, `result` what it answered. `told_by` is the native id of the agent whose
    transcript says so, "" the main one; None where no transcript does.
    """

    status: str
    reason: str | None = None
    told_by: str | None = None
    result: str | None = None
    name: str | None = None
    parent_agent: str | None = None
    duration_ms: Count | None = None
    tokens_consumed: Count | None = None
    context: dict[str, Any] = msgspec.field(default_factory=dict)


class SpanStarted(Data, kw_only=True, omit_defaults=True):
    """Any span that has no kind of event of its own, such as a phase or a step; `span_kind` says which
    it is.
    """

    span_kind: str
    name: str | None = None
    description: str | None = None


class SpanEnded(Data, kw_only=True, omit_defaults=True):
    """`status` is an execution status."""

    status: str
    span_kind: str | None = None
    reason: str | None = None
    duration_ms: Count | None = None


class SpanLinked(Data, kw_only=True, omit_defaults=True):
    """An edge from the event's span to `target`, another span; `link_kind` is one of the link kinds."""

    link_kind: str
    target: str
    condition: str | None = None


class ProcessStarted(Data, kw_only=True, omit_defaults=True):
    """`start_ticks` is the kernel's start time in clock ticks since boot; with `boot_id` and `pid` it is an
    identity.
    """

    process_id: str | None = None
    pid: Count | None = None
    host: str | None = None
    boot_id: str | None = None
    start_ticks: Count | None = None
    argv: list[str] = msgspec.field(default_factory=list)
    cwd: str | None = None


class ProcessEnded(Data, kw_only=True, omit_defaults=True):
    """`signal` is the number of the signal that ended it, None if none did."""

    process_id: str | None = None
    pid: Count | None = None
    exit_code: Whole | None = None
    signal: Count | None = None
    reason: str | None = None


class ProcessSighted(Data, kw_only=True, omit_defaults=True):
    """A process that a tool lists as one of its sessions at work. `host`, `boot_id`, `pid` and `start_ticks` are an
    identity; a pid counts within `namespace` only. `status` is the tool's own word for what it does, `waiting_for` what it
    waits for, `since_us` when that began. `began_us` is when the process began, as the tool says.
    """

    pid: Count
    host: str | None = None
    boot_id: str | None = None
    namespace: str | None = None
    start_ticks: Count | None = None
    began_us: Whole | None = None
    status: str | None = None
    waiting_for: str | None = None
    since_us: Whole | None = None


class ActivityNoted(Data, kw_only=True, omit_defaults=True):
    """What an agent was about when its tool told of it, which may be before or after what its transcript says.

    `sign` is began, left, prompted, worked, asked (for leave), needed (words of a person), answered, stopped or failed; `text`
    says what for. `tasks` is how many things still run in the background, `agents` how many of them are agents.
    """

    sign: str
    text: str | None = None
    tasks: Count | None = None
    agents: Count | None = None


class WorkTold(Data, kw_only=True, omit_defaults=True):
    """A turn or a tool call as a hook told of it; it counts where no transcript says the same.

    `span_kind` is turn or tool. `phase` is start, end, or shown: what the model was given of it, without saying how it went.
    """

    span_kind: str
    phase: str
    name: str | None = None
    input: str | None = None
    path: str | None = None
    operation: str | None = None
    status: str | None = None
    output: str | None = None
    error_type: str | None = None
    exit_code: Whole | None = None
    duration_ms: Count | None = None
    lines_added: Count | None = None
    lines_removed: Count | None = None


# ── agents that Holdfast started ──


class RunRequested(Data, kw_only=True, omit_defaults=True):
    """Somebody wants an agent to be started; written before anything of it is there. `run` is the agent's id, and `about` the session
    that it is ("<source>:<native id>"), to which all events of the run belong. `environment` names the variables that are added, without their
    values. `restart` is never, on-failure or ask.
    """

    run: str
    about: str
    argv: list[str] = msgspec.field(default_factory=list)
    cwd: str | None = None
    name: str | None = None
    parent: str | None = None
    task: str | None = None
    model: str | None = None
    agent_type: str | None = None
    external_id: str | None = None
    tool: str | None = None
    restart: str | None = None
    stop_grace_s: Amount | None = None
    environment: list[str] = msgspec.field(default_factory=list)
    requested_by: str | None = None
    request: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class RunStarting(Data, kw_only=True, omit_defaults=True):
    """An attempt is about to be started. Attempts of a run count from 1."""

    run: str
    about: str
    attempt: Count


class RunStarted(Data, kw_only=True, omit_defaults=True):
    """An attempt runs. `pid`, `start_ticks`, `boot_id` and `host` are its process; `shim_pid` stays beside it. `text` is what it is to do: its
    task, or its command. `tool` is the agent tool that it is, which tells itself what it does; null: a plain command.
    """

    run: str
    about: str
    attempt: Count
    pid: Count | None = None
    start_ticks: Count | None = None
    boot_id: str | None = None
    host: str | None = None
    shim_pid: Count | None = None
    text: str | None = None
    tool: str | None = None


class RunEnded(Data, kw_only=True, omit_defaults=True):
    """What became of an attempt. `outcome` is exited, or lost: it is gone, and nobody saw how. `status` is the execution status that this
    amounts to. `signal` is the number of the one that ended it. `asked` is what it was asked for before: stop or kill. `left` are
    processes of it that run on. `seen_us` is when its shim was alive last. `tool` is as when it started.
    """

    run: str
    about: str
    attempt: Count
    outcome: str
    status: str
    exit_code: Whole | None = None
    signal: Count | None = None
    reason: str | None = None
    asked: str | None = None
    user_us: Count | None = None
    system_us: Count | None = None
    max_rss_bytes: Count | None = None
    left: list[Count] = msgspec.field(default_factory=list)
    seen_us: Whole | None = None
    tool: str | None = None


class RunLinked(Data, kw_only=True, omit_defaults=True):
    """It became known that an attempt works in the session that `about` names, which its tool chose itself."""

    run: str
    about: str
    attempt: Count


class RunStopping(Data, kw_only=True, omit_defaults=True):
    """Somebody is about to stop, kill, pause or unpause an attempt; `how` says which, `by` who, `why` for what reason."""

    run: str
    about: str
    attempt: Count
    how: str
    by: str | None = None
    why: str | None = None


class RunProgress(Data, kw_only=True, omit_defaults=True):
    """How far an agent is, as it says itself: `percent` runs from 0 to 100, `current_task` is what it works on. Less than before counts
    only with `reset`, which begins anew; where `percent` is not said, `tasks_completed` of `tasks_total` counts. `attempt` is said by whoever
    starts that attempt: what was said before is of earlier ones.
    """

    run: str
    about: str
    percent: Percent | None = None
    message: str | None = None
    current_task: str | None = None
    tasks_completed: Count | None = None
    tasks_total: Count | None = None
    reset: bool = False
    attempt: Count | None = None


class RunRemoved(Data, kw_only=True, omit_defaults=True):
    """A run's directory, with its output, was removed. What was told of it stays."""

    run: str
    about: str
    by: str | None = None
