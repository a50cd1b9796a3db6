"""The spellings of other systems, as tables by canonical kind: implied fields, sections, field names,
words.
"""

from collections.abc import Mapping
from typing import Any

from holdfast.spans import LINK_KINDS, SPAN_KINDS, STATUS_WORDS

# A spelling of a kind may say what other spellings say in a field.
_IMPLIED: dict[str, dict[str, Any]] = {
    "tool.completed": {"status": "completed"},
    "tool.failed": {"status": "failed"},
    "tool.error": {"status": "failed"},
    "agent.completed": {"status": "completed"},
    "agent.failed": {"status": "failed"},
    "agent.timeout": {"status": "failed", "reason": "timeout"},
    "agent.terminated": {"status": "cancelled"},
    "instance_terminate": {"status": "cancelled"},
    "phase.started": {"span_kind": "phase"},
    "phase.start": {"span_kind": "phase"},
    "phase.ended": {"span_kind": "phase"},
    "phase.completed": {"span_kind": "phase", "status": "completed"},
    "phase.complete": {"span_kind": "phase", "status": "completed"},
    "phase.failed": {"span_kind": "phase", "status": "failed"},
    "step.started": {"span_kind": "step"},
    "step.start": {"span_kind": "step"},
    "step.ended": {"span_kind": "step"},
    "step.completed": {"span_kind": "step", "status": "completed"},
    "step.complete": {"span_kind": "step", "status": "completed"},
    "step.failed": {"span_kind": "step", "status": "failed"},
    "workflow.started": {"span_kind": "phase"},
    "workflow.completed": {"span_kind": "phase", "status": "completed"},
    "branch.started": {"span_kind": "branch"},
    "branch.ended": {"span_kind": "branch"},
    "task.completed": {"status": "completed"},
    "task.failed": {"status": "failed"},
    "file_gen": {"operation": "create"},
    "file.created": {"operation": "create"},
    "session.token_warning": {"trigger": "token_warning"},
    "approval.granted": {"decision": "granted"},
    "approval.denied": {"decision": "denied"},
    "milestone.reached": {"topic": "milestone"},
    "blocker.detected": {"topic": "blocker", "severity": "warning"},
    "analysis.completed": {"topic": "analysis"},
    "session.handoff_required": {"topic": "handoff_required", "severity": "warning"},
    "cost.budget_warning": {"topic": "budget", "severity": "warning"},
    "cost.optimization_opportunity": {"topic": "cost"},
    "tool.performance": {"topic": "tool_performance"},
    "tool.quota_exceeded": {"topic": "tool_quota", "severity": "warning"},
    "reference_check.triggered": {"topic": "reference_check"},
    "reference_check.completed": {"topic": "reference_check"},
}
IMPLIED = _IMPLIED | {name.replace(".", "_"): fields for name, fields in _IMPLIED.items()}

# A classic invocation is written both when an agent starts and when it ends; its status says which.
INVOCATIONS = frozenset({"agent_invocation", "agent.invoked", "agent_invoked", "agent_call"})

_AGENT_SECTIONS = {
    "agent": {"name": "name", "invoked_by": "parent_agent", "reason": "reason"},
    "metadata": {"user_request": "user_request", "expected_outcome": "expected_outcome"},
}

# kind → section → key in the section → our field. A key that is not named here is kept as extra.
SECTIONS: dict[str, dict[str, dict[str, str]]] = {
    "agent.started": _AGENT_SECTIONS,
    "agent.ended": _AGENT_SECTIONS,
    "tool.used": {
        "tool": {
            "name": "tool",
            "subagent_type": "agent_type",
            "description": "description",
            "parameters": "parameters",
        },
        "execution": {
            "start_time": "started_at",
            "end_time": "ended_at",
            "duration_ms": "duration_ms",
            "success": "success",
            "error": "error_message",
        },
        "result": {
            "summary": "output",
            "tokens_consumed": "tokens_consumed",
            "files_accessed": "files_accessed",
        },
    },
    "file.changed": {
        "operation": {
            "type": "operation",
            "file_path": "path",
            "size_bytes": "size_bytes",
            "lines": "lines",
            "hash_before": "hash_before",
            "hash_after": "hash_after",
            "diff_summary": "diff_summary",
        },
        "context": {"task": "task", "rationale": "rationale"},
    },
    "decision.made": {
        "decision": {
            "question": "question",
            "options": "options",
            "selected": "selected",
            "rationale": "rationale",
            "confidence": "confidence",
        },
    },
    "error.raised": {
        "error": {
            "type": "error_type",
            "message": "message",
            "severity": "severity",
            "recoverable": "recoverable",
            "context": "context",
            "stack_trace": "stack_trace",
            "attempted_fix": "attempted_fix",
            "fix_successful": "fix_successful",
            "fix_result": "fix_result",
        },
    },
    "context.snapshot": {
        "snapshot": {
            "tokens_used": "tokens_after",
            "tokens_remaining": "tokens_remaining",
            "agents_invoked": "agents_invoked",
            "tasks_completed": "tasks_completed",
            "files_modified": "files_modified",
            "current_phase": "current_phase",
            "current_task": "current_task",
            "active_agents": "active_agents",
            "key_context": "key_context",
        },
    },
    "validation.completed": {
        "validation": {
            "type": "validation_type",
            "target": "target",
            "result": "result",
            "checks": "checks",
            "action_required": "action_required",
        },
    },
}

# kind → name that came → our field
RENAMES: dict[str, dict[str, str]] = {
    "agent.started": {"agent": "name", "agent_name": "name", "invoked_by": "parent_agent"},
    "agent.ended": {
        "agent": "name",
        "agent_name": "name",
        "invoked_by": "parent_agent",
        "error": "reason",
        "error_message": "reason",
    },
    "tool.started": {"tool_name": "tool", "parameters": "input", "file_path": "path"},
    "tool.ended": {"tool_name": "tool", "result": "output", "result_summary": "output"},
    "tool.used": {
        "tool_name": "tool",
        "parameters": "input",
        "file_path": "path",
        "result": "output",
        "result_summary": "output",
        "error": "error_message",
    },
    "code.executed": {"result": "output"},
    "message.sent": {"content": "text", "message": "text", "from": "sender", "to": "recipient"},
    "file.changed": {
        "file_path": "path",
        "git_hash_before": "hash_before",
        "git_hash_after": "hash_after",
        "file_size_bytes": "size_bytes",
    },
    "decision.made": {"alternative_considered": "alternatives", "alternatives_considered": "alternatives"},
    "error.raised": {"error_message": "message"},
    "context.snapshot": {"tokens_used": "tokens_after", "tokens_total_budget": "token_budget"},
    "test.started": {"test_suite": "suite"},
    "test.completed": {"test_suite": "suite", "status": "result"},
    "task.started": {"task_name": "name"},
    "task.completed": {"task_name": "name"},
    "handoff.made": {"from_agent": "sender", "to_agent": "recipient", "from": "sender", "to": "recipient"},
    "case.opened": {"approval_id": "case_id", "file_path": "path"},
    "case.decided": {"approval_id": "case_id"},
    "case.closed": {"approval_id": "case_id"},
    "checkpoint.created": {"snapshot_id": "checkpoint_id"},
    "checkpoint.restored": {"snapshot_id": "checkpoint_id", "restore_strategy": "scope"},
    "checkpoint.failed": {"snapshot_id": "checkpoint_id", "error": "reason", "error_message": "reason"},
    "checkpoint.removed": {"snapshot_id": "checkpoint_id"},
    "cost.tracked": {
        "prompt_tokens": "input_tokens",
        "completion_tokens": "output_tokens",
        "total_cost_usd": "cost_usd",
    },
    "state.changed": {
        "entity_type": "entity",
        "from_state": "before",
        "to_state": "after",
        "transitioned_by": "actor",
    },
    "notice.raised": {"message": "text", "summary": "text", "description": "text"},
}


def _words(*ours: str, **theirs: str) -> dict[str, str]:
    return {word: word for word in ours} | theirs


SEVERITY_WORDS = _words(
    *("debug", "info", "warning", "error", "critical"),
    low="info",
    medium="warning",
    high="error",
    warn="warning",
    fatal="critical",
)
RESULT_WORDS = _words(
    *("pass", "fail", "warning", "skipped"),
    passed="pass",
    success="pass",
    ok="pass",
    true="pass",
    failed="fail",
    failure="fail",
    error="fail",
    false="fail",
    warn="warning",
    skip="skipped",
)
_OPERATION_WORDS = _words(
    *("create", "modify", "delete", "rename", "read"),
    created="create",
    write="modify",
    edit="modify",
    update="modify",
    modified="modify",
    remove="delete",
    deleted="delete",
    move="rename",
    renamed="rename",
)

# field → word that came → our word; for one kind, or for every kind that has the field ("")
WORDS: dict[str, dict[str, Mapping[str, str]]] = {
    "": {"status": STATUS_WORDS},
    "error.raised": {"severity": SEVERITY_WORDS},
    "notice.raised": {"severity": SEVERITY_WORDS},
    "validation.completed": {"result": RESULT_WORDS},
    "test.completed": {"result": RESULT_WORDS},
    "file.changed": {"operation": _OPERATION_WORDS},
    "definition.revised": {"operation": _OPERATION_WORDS | _words("restore", "unlink", "link")},
    "definition.conflict": {"operation": _OPERATION_WORDS | _words("restore")},
    "span.started": {"span_kind": _words(*SPAN_KINDS)},
    "span.ended": {"span_kind": _words(*SPAN_KINDS)},
    "span.linked": {"link_kind": _words(*LINK_KINDS)},
    "assessment.made": {"alignment": _words("on_track", "drifting", "off_track", "blocked", "unknown")},
    "case.decided": {"decision": _words("granted", "denied", approved="granted", rejected="denied")},
}
