"""What came of the runs of a definition, by the text that each ran with, and what changed between the texts."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from holdfast import clock, defining, linking
from holdfast.definitions import outcomes, tools
from holdfast.definitions.alarms import CONTRADICTED
from holdfast.definitions.effective import BUILT_IN
from holdfast.definitions.outcomes import Difference, Median, Outcome, Run, Share, difference
from holdfast.errors import BlobDamaged, NotFound
from holdfast.store import queries, uses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import apsw

    from holdfast.definitions.past import Look, Revision
    from holdfast.home import Home
    from holdfast.linking import Link

Json = dict[str, Any]
_MOST_SESSIONS_LOOKED: Final = 20  # whose directories are looked at before an answer
_MOST_CHARS: Final = 200_000  # of a difference
LEFT_OUT: Final = ("unknown", "ambiguous", CONTRADICTED, "built_in")


@dataclass(frozen=True, slots=True)
class Change:
    """A text and the one that was used before it in the same file.

    Attributes:
        diff: what changed; None: one of the two is not kept, or is no text.
    """

    before: Outcome
    after: Outcome
    diff: str | None


@dataclass(slots=True)
class Compared:
    """The texts of one name of one tool, in the order in which they were used first.

    Attributes:
        left_out: runs of which it is not known for sure with which text they ran, by why: of `LEFT_OUT`.
        revisions: where each text lay, by its SHA-256 and path; none: it was given in a call.
        grades: how sure it is of the runs of each text, by its SHA-256.
        changes: of each text that had one before it in its file.
    """

    tool: str
    name: str
    runs: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    outcomes: list[Outcome] = field(default_factory=list)
    revisions: dict[str, dict[str, Revision]] = field(default_factory=dict)
    grades: dict[str, Counter[str]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)


def directories(db: apsw.Connection, name: str) -> list[str | None]:
    """Where agents of a name were started last."""
    latest = sorted(uses.of_name(db, name), key=lambda use: use.started_us or 0, reverse=True)
    return list(dict.fromkeys(use.cwd for use in latest))[:_MOST_SESSIONS_LOOKED]


def compare(
    home: Home,
    db: apsw.Connection,
    name: str,
    stale_us: int,
    *,
    tool: str | None = None,
    cwd: str | None = None,
    live: Iterable[Look] = (),
) -> list[Compared]:
    """Compare the texts of a name, for each tool that has agents or definitions of it.

    Args:
        home: where it is recorded.
        db: its store.
        name: of the definition.
        stale_us: after how long without a sign a session counts as cut.
        tool: of this tool only.
        cwd: of agents that ran in this directory or below it only.
        live: looks of this moment, which need not be recorded.

    Raises:
        NotFound: no agent ran under the name, and no definition has it.
    """
    every: dict[str, Compared] = {
        each: Compared(each, name)
        for each, called, *_ in uses.lying(db)
        if called == name and tool in (None, each)
    }
    found: dict[str, list[Run]] = {}
    for link, agent in _runs(home, db, name, stale_us, live):
        of = tools.of_source(link.use.source)
        if tool not in (None, of) or not _is_below(cwd, link.use.cwd):
            continue
        one = every.setdefault(of, Compared(of, name))
        one.runs += 1
        if (reason := _left_out(link)) is not None:
            one.left_out[reason] += 1
            continue
        text = str(link.found.sha256)
        places = one.revisions.setdefault(text, {})
        if (revision := link.found.revision) is not None:
            places.setdefault(revision.path, revision)
        one.grades.setdefault(text, Counter())[link.found.grade] += 1
        found.setdefault(of, []).append(_run(db, link, agent, text))
    if not every:
        raise NotFound(
            f"no agent is known that ran as {name!r}, and no definition is called so",
            hint="`holdfast stats` lists the types of agents that ran, `holdfast definitions` the definitions that count here",
        )
    texts = defining.ledger_of(home).texts
    for of, one in every.items():
        one.outcomes = outcomes.outcomes(found.get(of, ()))
        one.changes = [
            Change(before, after, _diff(texts, before.text, after.text)) for before, after in _pairs(one)
        ]
    return sorted(every.values(), key=lambda one: list(tools.TOOLS).index(one.tool))


def _is_below(above: str | None, cwd: str | None) -> bool:
    """Whether a directory lies in another one, or is it; None: any."""
    if above is None:
        return True
    return cwd is not None and Path(linking.real(cwd)).is_relative_to(linking.real(above))


def _pairs(one: Compared) -> Iterator[tuple[Outcome, Outcome]]:
    """Each text after the one that was used last before it in the same file; of those given in calls, after the last of these."""
    for number, after in enumerate(one.outcomes):
        for before in reversed(one.outcomes[:number]):
            if _is_one_file(one.revisions[before.text], one.revisions[after.text]):
                yield before, after
                break


def _is_one_file(before: dict[str, Revision], after: dict[str, Revision]) -> bool:
    came_from = {revision.path_before for revision in after.values()}
    return before.keys() == after.keys() or any(path in after or path in came_from for path in before)


def _left_out(link: Link) -> str | None:
    """Why a run is not compared; None: it is."""
    if link.found.origin == BUILT_IN:
        return "built_in"
    if link.found.either:
        return "ambiguous"
    if link.found.rule == CONTRADICTED:
        return CONTRADICTED
    return "unknown" if link.found.sha256 is None else None


def _runs(
    home: Home, db: apsw.Connection, name: str, stale_us: int, live: Iterable[Look]
) -> Iterator[tuple[Link, Json]]:
    """Each run of a name, linked, and what is told of it."""
    now_us, vitals = home.now_us(), home.vitals()
    links = linking.Linking(home, db, live)
    by_session: dict[int, list[uses.Use]] = {}
    for use in uses.of_name(db, name):
        by_session.setdefault(use.session_id, []).append(use)
    for session, some in by_session.items():
        row = queries.session_rows(db, session, vitals=vitals)[0]
        state = queries.session_answer(row, now_us, stale_us)["state"]
        agents = {agent["id"]: agent for agent in queries.agents(db, session, state)}
        for use in some:
            link = links.link(use)
            if link is not None and use.agent in agents:
                yield link, agents[use.agent]


def _run(db: apsw.Connection, link: Link, agent: Json, text: str) -> Run:
    use = link.use
    did = uses.work(db, use)
    known = use.started_us is not None and use.last_us is not None
    return Run(
        text=text,
        status=agent["status"],
        started_us=use.started_us,
        retries=did.retries,
        blocked=did.blocked,
        tokens=_tokens(agent),
        cost_pico=agent["cost_pico_usd"] if agent["cost_complete"] else None,
        duration_ms=(use.last_us - use.started_us) // 1000 if known else None,  # type: ignore[operator]
        model=" + ".join(use.models) or None,
    )


def _tokens(agent: Json) -> int | None:
    """All that passed; None where a call's figures are missing, or it made none that is known."""
    tokens = agent["tokens"]
    if tokens is None or tokens["unknown_calls"] or not agent["llm_calls"]:
        return None
    return sum(int(figure) for name, figure in tokens.items() if not name.endswith("_calls"))


def _diff(texts: Any, before: str, after: str) -> str | None:  # noqa: ANN401 - ledger.Texts
    """What changed between two texts, as `diff -u` shows it."""
    try:
        old, new = (texts.get(sha256).decode("utf-8").splitlines(keepends=True) for sha256 in (before, after))
    except (BlobDamaged, OSError, UnicodeDecodeError):
        return None
    lines = difflib.unified_diff(old, new, before[:8], after[:8])
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )[:_MOST_CHARS]


# ── as the JSON answer has it ──


def answer(one: Compared) -> Json:
    """What came of one name of one tool."""
    return {
        "tool": one.tool,
        "name": one.name,
        "runs": one.runs,
        "left_out": {reason: one.left_out[reason] for reason in LEFT_OUT},
        "texts": [_outcome(one, each) for each in one.outcomes],
        "comparisons": [
            {
                "from": each.before.text,
                "to": each.after.text,
                **_differences(each.before, each.after),
                "diff": each.diff,
            }
            for each in one.changes
        ],
    }


def _outcome(one: Compared, each: Outcome) -> Json:
    places = [linking.revision(place) for place in one.revisions[each.text].values()]
    return {
        "sha256": each.text,
        "revision": places[0] if places else None,
        "also_at": places[1:],
        "grades": {grade: one.grades[each.text][grade] for grade in ("observed", "inferred")},
        "runs": each.runs,
        "ended": each.ended,
        "enough": each.is_enough,
        "first_at": clock.iso(each.first_us),
        "last_at": clock.iso(each.last_us),
        "completed": share(each.success),
        "retried": share(each.retried),
        "blocked": share(each.blocked),
        "retries": each.retries,
        "tokens": median(each.tokens),
        "cost_usd": median(each.cost_pico, queries.PICO_PER_USD),
        "duration_ms": median(each.duration_ms),
        "models": [{"model": model, "runs": number} for model, number in each.models.items()],
    }


def share(one: Share) -> Json:
    """A share and its interval."""
    return {"count": one.k, "of": one.n, "share": one.value, "low": one.low, "high": one.high}


def median(one: Median, unit: int = 1) -> Json:
    """A median and its interval, in units."""
    return {
        "of": one.n,
        "median": _in(unit, one.value),
        "low": _in(unit, one.low),
        "high": _in(unit, one.high),
    }


def _in(unit: int, value: float | None) -> float | None:
    return value if value is None or unit == 1 else value / unit


def _differences(before: Outcome, after: Outcome) -> Json:
    return {
        name: _difference(difference(first, second), queries.PICO_PER_USD if name == "cost_usd" else 1)
        for name, first, second in (
            ("completed", before.success, after.success),
            ("retried", before.retried, after.retried),
            ("blocked", before.blocked, after.blocked),
            ("tokens", before.tokens, after.tokens),
            ("cost_usd", before.cost_pico, after.cost_pico),
            ("duration_ms", before.duration_ms, after.duration_ms),
        )
    }


def _difference(one: Difference, unit: int) -> Json:
    return {
        "difference": _in(unit, one.value),
        "low": _in(unit, one.low),
        "high": _in(unit, one.high),
        "verdict": one.word,
    }
