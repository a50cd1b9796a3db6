"""Which files the agents changed, how, and who: from calls that name them. What commands changed, calls do not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.recover.reading import Call, Told

_CHANGES: Final = frozenset({"create", "modify", "write", "delete", "rename"})
_CREATED = "File created successfully"


class FileWork(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file.

    Attributes:
        change: created, modified, deleted, renamed or written (over, or new: unknown).
        lines_added, lines_removed: sums over all calls; None: no call says.
        agents: who changed it, "" for the main agent.
        cut: a call without a known outcome may have changed it too.
        at_us: when it was changed last.
    """

    path: str
    change: str
    lines_added: int | None
    lines_removed: int | None
    agents: list[str]
    cut: bool
    at_us: int | None


class _Step(msgspec.Struct, frozen=True):
    path: str
    operation: str
    added: int | None
    removed: int | None
    agent: str
    at_us: int | None
    cut: bool = False


def changed(
    calls: list[Call], given: Callable[[Call], Any], told: list[Told], cut: set[str]
) -> list[FileWork]:
    """Each file once, the one changed last comes first.

    Args:
        calls: every call, in the order in which they began.
        given: what a call was given, whole.
        told: events, of which `file.changed` counts.
        cut: ids of the calls whose outcome is unknown.
    """
    by_path: dict[str, list[_Step]] = {}
    for step in (*_of_calls(calls, given, cut), *_of_events(told)):
        by_path.setdefault(step.path, []).append(step)
    found = [_file(path, steps) for path, steps in by_path.items()]
    return sorted(found, key=lambda file: (-(file.at_us or 0), file.path))


def _of_calls(calls: list[Call], given: Callable[[Call], Any], cut: set[str]) -> list[_Step]:
    out = []
    for call in calls:
        if call.path is None or call.operation not in _CHANGES:
            continue
        is_cut = call.id in cut
        if not is_cut and call.status != "completed":
            continue
        operation, added = call.operation, call.lines_added
        if operation == "write" and (call.output or "").startswith(_CREATED):
            operation, added = "create", _lines(given(call)) if added is None else added
        out.append(
            _Step(
                call.path,
                operation,
                added,
                call.lines_removed,
                call.agent,
                call.end_us or call.start_us,
                is_cut,
            )
        )
    return out


def _lines(value: object) -> int | None:
    content = value.get("content") if isinstance(value, dict) else None
    return len(content.splitlines()) if isinstance(content, str) else None


def _of_events(told: list[Told]) -> list[_Step]:
    return [
        _Step(
            str(event.data["path"]),
            str(event.data["operation"]),
            event.data.get("lines_added"),
            event.data.get("lines_removed"),
            event.agent,
            event.time_us,
        )
        for event in told
        if event.kind == "file.changed" and event.data.get("operation") in _CHANGES
    ]


def _file(path: str, steps: list[_Step]) -> FileWork:
    done = [step for step in steps if not step.cut]
    return FileWork(
        path=path,
        change=_change([step.operation for step in done]),
        lines_added=_sum(step.added for step in done),
        lines_removed=_sum(step.removed for step in done),
        agents=sorted({step.agent for step in steps}),
        cut=len(done) < len(steps),
        at_us=max((step.at_us for step in steps if step.at_us is not None), default=None),
    )


def _change(operations: list[str]) -> str:
    if not operations:
        return "unknown"
    if operations[-1] == "delete":
        return "deleted"
    if "rename" in operations:
        return "renamed"
    if "create" in operations:
        return "created"
    return "written" if operations[0] == "write" and len(set(operations)) == 1 else "modified"


def _sum(figures: Any) -> int | None:  # noqa: ANN401 - an iterable of counts, unknown ones among them
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None
