"""What the agents wrote down as to be done: their newest task lists.

Claude Code writes a whole list at a time (`TodoWrite`) or one task at a time (`TaskCreate`, `TaskUpdate`), Codex a plan
(`update_plan`); programs tell of tasks as events. Everything here is pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.recover.reading import Call, Told

TOOLS: Final = frozenset({"TodoWrite", "TaskCreate", "TaskUpdate", "update_plan"})
_WHOLE: Final = frozenset({"TodoWrite", "update_plan"})  # of them, those that write the whole list
_CREATED = re.compile(r"Task #(\S{1,40}) created")
_STATUS: Final = {
    "in_progress": "in_progress",
    "completed": "completed",
    "pending": "pending",
    "done": "completed",
}


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do. `status` is pending, in_progress, completed, or what the source says; `agent` whose list it stands on."""

    id: str
    text: str
    status: str
    agent: str


def newest(calls: list[Call], given: Callable[[Call], Any], told: list[Told]) -> list[Task]:
    """The tasks as they stood last, in the order of their lists.

    Args:
        calls: every call, in the order in which they began.
        given: what a call was given, whole.
        told: events, of which those about tasks count.
    """
    lists: dict[str, dict[str, Task]] = {}
    for call in calls:
        if call.tool in TOOLS and call.status != "cancelled":
            _take(lists.setdefault(call.agent, {}), call, given(call))
    for event in told:
        if event.kind.startswith("task."):
            _take_event(lists.setdefault(event.agent, {}), event)
    return [task for agent in sorted(lists) for task in lists[agent].values()]


def since_whole(calls: list[Call]) -> list[Call]:
    """Those of one agent's calls that its list of tasks still depends on: from the last one on that wrote all of it."""
    last = max(
        (at for at, call in enumerate(calls) if call.tool in _WHOLE and call.status != "cancelled"), default=0
    )
    return calls[last:]


def _take(tasks: dict[str, Task], call: Call, value: object) -> None:
    found = value if isinstance(value, dict) else {}
    if call.tool == "TodoWrite":
        _replace(tasks, call.agent, found.get("todos"), "content")
    elif call.tool == "update_plan":
        _replace(tasks, call.agent, found.get("plan"), "step")
    elif call.tool == "TaskCreate":
        number = _CREATED.search(call.output or "")
        name = number[1] if number else call.id
        text = _text(found.get("subject")) or (call.input or "")
        tasks[name] = Task(id=name, text=text, status="pending", agent=call.agent)
    elif call.status != "failed" and (known := tasks.get(_text(found.get("taskId")))) is not None:
        status = _text(found.get("status")) or known.status
        text = _text(found.get("subject")) or known.text
        tasks[known.id] = Task(id=known.id, text=text, status=_STATUS.get(status, status), agent=call.agent)
        if status == "deleted":
            del tasks[known.id]


def _replace(tasks: dict[str, Task], agent: str, items: object, name: str) -> None:
    if not isinstance(items, list):
        return
    tasks.clear()
    for number, item in enumerate(items, 1):
        if isinstance(item, dict) and (text := _text(item.get(name))):
            status = _text(item.get("status")) or "unknown"
            tasks[str(number)] = Task(
                id=str(number), text=text, status=_STATUS.get(status, status), agent=agent
            )


def _take_event(tasks: dict[str, Task], event: Told) -> None:
    name = _text(event.data.get("task_id"))
    known = tasks.get(name)
    text = _text(event.data.get("name")) or (
        known.text if known else _text(event.data.get("summary")) or name
    )
    status = _text(event.data.get("status")) if event.kind == "task.completed" else "in_progress"
    tasks[name] = Task(id=name, text=text, status=status or "completed", agent=event.agent)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
