"""Spans: their kinds and links, the status each may have, and walks over their tree.

Everything here is a plain function of values. Two questions about status are kept apart:

- *May we?* `move` guards what this program itself does to a span.
- *What is so?* `merge` folds evidence from several sources, in any order, into one answer. Evidence can never
  be illegal: the world does not ask for permission.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import IllegalTransition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SPAN_KINDS = (
    "phase",
    "task",
    "step",
    "turn",
    "agent",
    "llm",
    "tool",
    "code",
    "message",
    "approval",
    "branch",
)
LINK_KINDS = (
    "sequential",
    "parallel",
    "conditional",
    "optional",
    "handoff",
    "retry_of",
    "redo_of",
    "branch_of",
    "resumes",
    "caused_by",
)

# ── Execution status ──────────────────────────────────────────────────────────────────────────

TERMINAL = frozenset({"completed", "failed", "cancelled", "interrupted"})
_ENDS = ("completed", "failed", "cancelled", "interrupted", "lost")

# `lost` is no outcome: whatever turns up later corrects it.
TRANSITIONS: Mapping[str, tuple[str, ...]] = {
    "pending": ("spawning", "running", *_ENDS[1:]),
    "spawning": ("running", *_ENDS[1:]),
    "running": ("waiting", "paused", *_ENDS),
    "waiting": ("running", *_ENDS),
    "paused": ("running", *_ENDS),
    "lost": ("running", "waiting", "paused", *_ENDS[:-1]),
    "completed": (),
    "failed": (),
    "cancelled": (),
    "interrupted": (),
}

# The order breaks ties between claims of equal standing. `failed` stands last: doubt is no success.
STATUSES = (
    "pending",
    "spawning",
    "running",
    "waiting",
    "paused",
    "lost",
    "interrupted",
    "cancelled",
    "completed",
    "failed",
)
_PLACE = {status: place for place, status in enumerate(STATUSES)}

# The words that other systems use, and ours for them.
STATUS_WORDS: Mapping[str, str] = {status: status for status in STATUSES} | {
    "draft": "pending",
    "planning": "pending",
    "queued": "pending",
    "todo": "pending",
    "not_started": "pending",
    "initializing": "spawning",
    "starting": "spawning",
    "executing": "running",
    "working": "running",
    "started": "running",
    "in_progress": "running",
    "active": "running",
    "idle": "running",  # activity is another axis, computed when read
    "busy": "running",
    "blocked": "waiting",
    "waiting_approval": "waiting",
    "waiting_for_approval": "waiting",
    "waiting_for_input": "waiting",
    "suspended": "paused",
    "success": "completed",
    "succeeded": "completed",
    "passed": "completed",
    "complete": "completed",
    "done": "completed",
    "ok": "completed",
    "warning": "completed",
    "error": "failed",
    "failure": "failed",
    "fail": "failed",
    "timeout": "failed",
    "terminated": "cancelled",
    "canceled": "cancelled",
    "killed": "cancelled",
    "aborted": "interrupted",
    "unknown": "lost",
}


def can_move(before: str, after: str) -> bool:
    """Whether a span may go from one status to another. Staying is not a move."""
    return after in TRANSITIONS.get(before, ())


def move(before: str, after: str) -> str:
    """Return `after`; raises IllegalTransition, which names what may follow, if it may not follow
    `before`.
    """
    if not can_move(before, after):
        raise IllegalTransition(before, after, TRANSITIONS.get(before, ()))
    return after


# ── Evidence ──────────────────────────────────────────────────────────────────────────────────

INFERRED = 1
OBSERVED = 2


class Evidence(NamedTuple):
    """One source's claim about the status of a span.

    `grade` is OBSERVED (a record says so) or INFERRED (a rule says so); `rank` is how far the source is
    trusted, higher wins; `time_us` is UTC microseconds of the claim.
    """

    grade: int
    rank: int
    time_us: int
    status: str


def merge(a: Evidence, b: Evidence) -> Evidence:
    """The better of two claims, whichever came first: commutative, associative, idempotent.

    Observed beats inferred; then an outcome beats an unfinished status; then rank, then time, then the order
    of STATUSES decides.
    """
    return max(a, b, key=_weight)


def _weight(claim: Evidence) -> tuple[int, bool, int, int, int, str]:
    """Order claims totally: no two different claims weigh the same, or the order of arrival would decide."""
    place = _PLACE.get(claim.status, -1)
    return claim.grade, claim.status in TERMINAL, claim.rank, claim.time_us, place, claim.status


def strength(claim: Evidence) -> int:
    """What of a claim counts before its time, as one number for a database column.

    Comparing (strength, time, `place`) orders claims as `merge` does; ranks are below 1,000.
    """
    return (claim.grade * 2 + (claim.status in TERMINAL)) * 1_000 + claim.rank


def place(status: str) -> int:
    """Where a status stands in STATUSES, to break ties; -1 for a word that is none of them."""
    return _PLACE.get(status, -1)


# ── The tree ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Tree:
    """Spans as a forest, in the order their rows came.

    `roots` holds the rows without a parent, and where the parent is missing or stands below its own child,
    these too: nothing disappears. `orphans` are the roots whose parent is not among the rows. `cycles` lists
    each ring of spans that are their own ancestors; the member whose row came first is its root.
    """

    roots: tuple[str, ...]
    children: Mapping[str, tuple[str, ...]]
    orphans: tuple[str, ...] = ()
    cycles: tuple[tuple[str, ...], ...] = ()

    def children_of(self, span: str) -> tuple[str, ...]:
        return self.children.get(span, ())

    def walk(self, roots: Iterable[str] | None = None) -> Iterator[tuple[str, int]]:
        """Yield (span, depth), parents before children, depth first; from all roots, or from the given
        spans.
        """
        starts = self.roots if roots is None else tuple(roots)
        pending = [(span, 0) for span in reversed(starts)]
        while pending:
            span, depth = pending.pop()
            yield span, depth
            pending.extend((child, depth + 1) for child in reversed(self.children_of(span)))

    def depths(self) -> dict[str, int]:
        """How many ancestors each span has."""
        return dict(self.walk())


def tree(rows: Iterable[tuple[str, str | None]]) -> Tree:
    """Build the tree of (span, parent) rows, in any order. Of rows for the same span the first counts."""
    parents: dict[str, str | None] = {}
    for span, parent in rows:
        parents.setdefault(span, parent)
    cycles = tuple(_cycles(parents))
    cut = {ring[0] for ring in cycles}
    roots: list[str] = []
    children: dict[str, list[str]] = {}
    for span, parent in parents.items():
        if parent is None or parent not in parents or span in cut:
            roots.append(span)
        else:
            children.setdefault(parent, []).append(span)
    return Tree(
        roots=tuple(roots),
        children={parent: tuple(spans) for parent, spans in children.items()},
        orphans=tuple(span for span in roots if span not in cut and parents[span] is not None),
        cycles=cycles,
    )


def _cycles(parents: Mapping[str, str | None]) -> Iterator[tuple[str, ...]]:
    """Yield each ring once, upwards from its member that came first. Every span is visited once."""
    place = {span: at for at, span in enumerate(parents)}
    done: set[str] = set()
    for start in parents:
        path: dict[str, None] = {}  # an ordered set
        span: str | None = start
        while span is not None and span in parents and span not in done and span not in path:
            path[span] = None
            span = parents[span]
        if span is not None and span in path:
            ring = list(path)[list(path).index(span) :]
            first = ring.index(min(ring, key=place.__getitem__))
            yield (*ring[first:], *ring[:first])
        done.update(path)
