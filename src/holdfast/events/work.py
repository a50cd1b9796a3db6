"""Payloads that say what the work was: files, decisions, errors, checks, tasks, cases, checkpoints, costs.

Times are UTC microseconds (`_us`), durations milliseconds (`_ms`), money US dollars (`_usd`). None is always
"unknown", never 0.
"""

from typing import Any

import msgspec

from holdfast.events.base import Amount, Count, Data, Share


class FileChanged(Data, kw_only=True, omit_defaults=True):
    """`operation` is create, modify, delete, rename or read. Hashes are as the source gives them.

    `lines` is the length of the file afterwards, `lines_changed` how many of them differ. `rationale` is why.
    `lines_added` and `lines_removed` are those of a diff.
    """

    operation: str
    path: str
    old_path: str | None = None
    hash_before: str | None = None
    hash_after: str | None = None
    size_bytes: Count | None = None
    lines: Count | None = None
    lines_changed: Count | None = None
    lines_added: Count | None = None
    lines_removed: Count | None = None
    diff: str | None = None
    diff_summary: str | None = None
    language: str | None = None
    task: str | None = None
    rationale: str | None = None


class Option(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One of the choices of a decision; `confidence` from 0 to 1."""

    choice: str
    reasoning: str | None = None
    confidence: Share | None = None


class DecisionMade(Data, kw_only=True, omit_defaults=True):
    """`selected` is one of `options` where options are given. `confidence` runs from 0 to 1."""

    question: str
    options: list[Option] = msgspec.field(default_factory=list)
    selected: str | None = None
    rationale: str | None = None
    confidence: Share | None = None
    alternatives: list[str] = msgspec.field(default_factory=list)


class ErrorRaised(Data, kw_only=True, omit_defaults=True):
    """`severity` is debug, info, warning, error or critical. `attempted_fix` is what was tried, `fix_result`
    its outcome.
    """

    error_type: str | None = None
    message: str
    severity: str = "error"
    recoverable: bool | None = None
    stack_trace: str | None = None
    attempted_fix: str | None = None
    fix_successful: bool | None = None
    fix_result: dict[str, Any] = msgspec.field(default_factory=dict)
    recovery_time_ms: Count | None = None
    context: dict[str, Any] = msgspec.field(default_factory=dict)


class ContextCompacted(Data, kw_only=True, omit_defaults=True):
    """The context was summarised to make room. `trigger` is auto or manual."""

    trigger: str | None = None
    tokens_before: Count | None = None
    tokens_after: Count | None = None


class ContextSnapshot(Data, kw_only=True, omit_defaults=True):
    """What an agent's context held.

    `tokens_after` are in use now, `tokens_consumed` since `tokens_before`, `tokens_remaining` still free of
    `token_budget`. `agents_invoked`, `tasks_completed` and `files_modified` are either how many or which.
    """

    trigger: str | None = None
    tokens_before: Count | None = None
    tokens_after: Count | None = None
    tokens_consumed: Count | None = None
    tokens_remaining: Count | None = None
    token_budget: Count | None = None
    files_in_context: list[str] = msgspec.field(default_factory=list)
    files_in_context_count: Count | None = None
    memory_mb: Amount | None = None
    agents_invoked: Count | list[Any] | None = None
    tasks_completed: Count | list[Any] | None = None
    files_modified: Count | list[Any] | None = None
    current_phase: str | None = None
    current_task: str | None = None
    active_agents: list[str] = msgspec.field(default_factory=list)
    key_context: list[Any] = msgspec.field(default_factory=list)


class Check(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One check of a validation; `result` is pass, fail, warning or skipped."""

    name: str
    result: str
    actual: Any = None
    required: Any = None


class ValidationCompleted(Data, kw_only=True, omit_defaults=True):
    """`result` is pass, fail, warning or skipped. `target` is what was measured against what threshold."""

    validation_type: str | None = None
    result: str
    task: str | None = None
    target: dict[str, Any] = msgspec.field(default_factory=dict)
    checks: list[Check] = msgspec.field(default_factory=list)
    failures: list[Any] = msgspec.field(default_factory=list)
    warnings: list[Any] = msgspec.field(default_factory=list)
    metrics: dict[str, Any] = msgspec.field(default_factory=dict)
    action_required: bool | str | None = None


class SuiteStarted(Data, kw_only=True, omit_defaults=True):
    """A test run begins."""

    suite: str
    task_id: str | None = None


class SuiteCompleted(Data, kw_only=True, omit_defaults=True):
    """A test run is over; `result` is pass, fail, warning or skipped. The other counts are of tests."""

    suite: str
    result: str
    task_id: str | None = None
    passed: Count | None = None
    failed: Count | None = None
    skipped: Count | None = None
    duration_ms: Count | None = None


class TaskStarted(Data, kw_only=True, omit_defaults=True):
    """`eta_minutes` is the expected duration in minutes."""

    task_id: str
    name: str | None = None
    stage: str | None = None
    summary: str | None = None
    owner: str | None = None
    eta_minutes: Amount | None = None


class TaskProgressed(Data, kw_only=True, omit_defaults=True):
    """`progress_pct` runs from 0 to 100."""

    task_id: str
    stage: str | None = None
    previous_stage: str | None = None
    summary: str | None = None
    progress_pct: Amount | None = None


class TaskCompleted(Data, kw_only=True, omit_defaults=True):
    """`status` is an execution status: a task may also end failed or cancelled."""

    task_id: str
    status: str
    name: str | None = None
    summary: str | None = None
    duration_ms: Count | None = None


class HandoffMade(Data, kw_only=True, omit_defaults=True):
    """One agent passed the work to another; `text` is the packet that was handed over."""

    sender: str | None = None
    recipient: str | None = None
    reason: str | None = None
    text: str | None = None
    task: str | None = None


class CaseOpened(Data, kw_only=True, omit_defaults=True):
    """Something waits for a decision: `case_kind` is approval, alert, conflict, deployment or budget.

    `risk_score` runs from 0 to 1. `action` is required or blocked. `operation_hash` binds a decision to one
    exact operation. After `expires_us` (UTC microseconds) a decision no longer counts.
    """

    case_id: str
    case_kind: str = "approval"
    summary: str | None = None
    requester: str | None = None
    tool: str | None = None
    operation: str | None = None
    operation_hash: str | None = None
    path: str | None = None
    action: str | None = None
    profile: str | None = None
    risk_score: Share | None = None
    reasons: list[str] = msgspec.field(default_factory=list)
    requires_network: bool | None = None
    requires_bash: bool | None = None
    modifies_tests: bool | None = None
    expires_us: Count | None = None


class CaseDecided(Data, kw_only=True, omit_defaults=True):
    """`decision` is granted or denied; `decided_at` is ISO 8601 as the source wrote it."""

    case_id: str
    decision: str
    actor: str | None = None
    reason: str | None = None
    operation_hash: str | None = None
    decided_at: str | None = None


class CaseClosed(Data, kw_only=True, omit_defaults=True):
    """Nothing more is expected of the case: it was carried out, withdrawn, or it expired."""

    case_id: str
    reason: str | None = None


class DefinitionRevised(Data, kw_only=True, omit_defaults=True):
    """An agent's definition file changed. `operation` is create, modify, delete, rename, restore, unlink (it lies there still and
    is not reached any more) or link (it lay there and is reached now, or from another root). Hashes are SHA-256 of its bytes.

    `tool` is whose definition it is, `tier` which kind of root it lies in, `root` that directory. `path` is without links; where it is no
    UTF-8, `path_bytes` has it in hexadecimal. `previous` is the event of the change before of the same file, whose `hash_after` is this one's
    `hash_before`; `path_before` and `name_before` say what it was called before a rename. `changed_at` is the file's own time, `batch` is the
    same for changes that were seen at once, as of a checkout. `score` is at most 100. `own`: Holdfast wrote it. `author_grade` is observed or inferred.
    `host` is the home in which it was seen, as in every event about definitions: paths are of its machine. Not given: the home that has the record.
    """

    name: str
    operation: str
    path: str | None = None
    tier: str | None = None
    hash_before: str | None = None
    hash_after: str | None = None
    size_bytes: Count | None = None
    author: str | None = None
    reason: str | None = None
    tool: str | None = None
    root: str | None = None
    path_bytes: str | None = None
    previous: str | None = None
    path_before: str | None = None
    name_before: str | None = None
    changed_at: str | None = None
    validity: str | None = None
    score: Count | None = None
    batch: str | None = None
    own: bool = False
    author_grade: str | None = None
    host: str | None = None


class DefinitionUnwatched(Data, kw_only=True, omit_defaults=True):
    """The service could not see changes of definitions at once. `what` names it: watch (it failed as a whole), notes (the system does not tell of
    everything), overflow (it told of more than was kept). What is looked at each second finds the changes later. `is_over`: it is as it
    should be again.
    """

    what: str
    why: str | None = None
    is_over: bool = False
    host: str | None = None


class DefinitionSnapshot(Data, kw_only=True, omit_defaults=True):
    """All definitions as they lay in the directories that count for a working directory.

    `revisions` are the events that say what each file had; `unreadable` counts what could not be looked at.
    """

    cwd: str
    revisions: list[str]
    message: str | None = None
    size_bytes: Count | None = None
    unreadable: Count = 0
    author: str | None = None
    host: str | None = None


class DefinitionsPurged(Data, kw_only=True, omit_defaults=True):
    """Old contents of definitions were removed for good, by their SHA-256. `older_than_days`: since when at least they lay nowhere."""

    hashes: list[str]
    older_than_days: Count | None = None
    size_bytes: Count | None = None
    host: str | None = None


class RootReached(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A directory of definitions as a look reached it. `path` is without links; `counts` is false where its tool passes it over, null where
    that is not known; `seen` is false where it, or something in it, could not be looked at.
    """

    tool: str
    tier: str
    path: str
    counts: bool | None = True
    seen: bool = True


class DirectoryReached(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What counts in a working directory: `roots` are places in the list of the event, the strongest of a tool first. `since` is from when on
    somebody watched, without a gap until the event; null: it was looked at in that moment only.
    """

    cwd: str
    roots: list[Count]
    since: str | None = None


class DefinitionsLooked(Data, kw_only=True, omit_defaults=True):
    """Somebody looked at definitions, and what is recorded of them until then is all that lay there. `cwd` of a directory is empty for roots
    that were looked at from nowhere.
    """

    roots: list[RootReached] = msgspec.field(default_factory=list)
    directories: list[DirectoryReached] = msgspec.field(default_factory=list)
    host: str | None = None


class DefinitionConflicted(Data, kw_only=True, omit_defaults=True):
    """Somebody else changed a definition between when it was read and when it was to be written, so it was not. `operation` is what was to be
    done: create, modify, delete, rename or restore.

    `base` is the SHA-256 of what was read, `ours` of what was to be written, `theirs` of what lies there; where one is not given, there was no
    file, or was to be none. The contents of `ours` and `theirs` are kept. The other fields are those of definition.revised.
    """

    name: str
    operation: str
    tool: str
    path: str
    tier: str | None = None
    root: str | None = None
    path_bytes: str | None = None
    base: str | None = None
    ours: str | None = None
    theirs: str | None = None
    author: str | None = None
    author_grade: str | None = None
    reason: str | None = None
    host: str | None = None


class DefinitionResolved(Data, kw_only=True, omit_defaults=True):
    """Somebody decided a conflict. `conflict` is its event, `choice` is ours, theirs, merge or text (another one), `hash_after` the SHA-256 of what
    lies there since.
    """

    conflict: str
    choice: str
    hash_after: str | None = None
    author: str | None = None
    author_grade: str | None = None
    reason: str | None = None
    host: str | None = None


class AssessmentMade(Data, kw_only=True, omit_defaults=True):
    """A judgement on an agent over an input range.

    `alignment` is on_track, drifting, off_track, blocked or unknown; `confidence` runs from 0 to 1.
    `input_source` with `input_from` and `input_to` (byte offsets) is what was judged, `method` by which rule
    or model.
    """

    alignment: str
    confidence: Share | None = None
    method: str | None = None
    summary: str | None = None
    reasons: list[str] = msgspec.field(default_factory=list)
    evidence: list[Any] = msgspec.field(default_factory=list)
    input_source: str | None = None
    input_from: Count | None = None
    input_to: Count | None = None
    action: str | None = None


class CheckpointNoted(Data, kw_only=True, omit_defaults=True):
    """`scope` is what the checkpoint can restore: state, code or full. `trigger` is what caused it."""

    checkpoint_id: str
    trigger: str | None = None
    scope: str | None = None
    note: str | None = None
    reason: str | None = None
    size_bytes: Count | None = None
    duration_ms: Count | None = None


class CostTracked(Data, kw_only=True, omit_defaults=True):
    """What something cost, by a program's own account. `period` is hourly, daily, weekly, monthly or
    session.
    """

    cost_usd: Amount | None = None
    model: str | None = None
    provider: str | None = None
    operation: str | None = None
    period: str | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    total_tokens: Count | None = None


class StateChanged(Data, kw_only=True, omit_defaults=True):
    """A program's own object moved between states of its own; the words are the program's."""

    entity: str | None = None
    entity_id: str | None = None
    before: str | None = None
    after: str
    reason: str | None = None
    actor: str | None = None


class WorkspaceMoved(Data, kw_only=True, omit_defaults=True):
    """Belongs to no session. `old` and `new` are absolute paths; what lies below `old` moved along. Sessions that began
    before it are shown under `new`; later moves in the journal go on from there.
    """

    old: str
    new: str


class RecoveryJudged(Data, kw_only=True, omit_defaults=True):
    """What a person said of work that was cut: of a session, or of one of its agents where the event names one. It belongs to the
    session that `about` names ("<source>:<native id>"), whatever tool that is of. `verdict` is `completed`, `failed`, `cancelled`,
    or `cleared`: it needs no attention any more.
    """

    about: str
    verdict: str
    why: str | None = None


class CheckpointTaking(Data, kw_only=True, omit_defaults=True):
    """A checkpoint of a workspace is about to be written into its repository; what becomes of it names this event's id as `attempt`.

    `workspace` is the root of the worktree, `repository` git's directory that keeps the checkpoint, `ref` the reference that names it;
    `commit`, `tree` and `parent` (the checkpoint before) are git's names, `base` the commit that the worktree stood at. `trigger` is asked or
    timed. `about` is the session that it was asked for, if it was ("<source>:<native id>"); otherwise it belongs to no session.
    """

    workspace: str
    repository: str
    ref: str
    commit: str
    tree: str
    parent: str | None = None
    base: str | None = None
    trigger: str = "asked"
    about: str | None = None


class CheckpointTaken(Data, kw_only=True, omit_defaults=True):
    """A checkpoint of a workspace is in its repository: its files as they lay there. Members are those of checkpoint.taking, and what is in it.

    `note` is a person's word. `files` and `size_bytes` are of all that is in it. `left_out` says by reason how many files are not, and names the
    first (docs/reference/json.md); `unsteady` are files that changed while they were read. `ignored`: ignored files are in.
    """

    attempt: str
    workspace: str
    repository: str
    ref: str
    commit: str
    tree: str
    parent: str | None = None
    base: str | None = None
    branch: str | None = None
    operation: str = ""
    trigger: str = "asked"
    note: str | None = None
    files: Count = 0
    size_bytes: Count = 0
    left_out: list[Any] = msgspec.field(default_factory=list)
    unsteady: list[str] = msgspec.field(default_factory=list)
    ignored: bool = False
    duration_ms: Count | None = None
    about: str | None = None


class CheckpointNotTaken(Data, kw_only=True, omit_defaults=True):
    """A checkpoint of a workspace that was about to be written was not. What came before it is as it was."""

    attempt: str
    workspace: str
    repository: str
    why: str
    about: str | None = None


class NoticeRaised(Data, kw_only=True, omit_defaults=True):
    """Anything worth a line that is neither an error nor a case; `severity` as for errors, `topic` groups
    notices.
    """

    topic: str | None = None
    text: str | None = None
    severity: str = "info"
