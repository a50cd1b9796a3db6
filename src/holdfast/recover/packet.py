"""A dossier as one agent, or person, hands it to the next: Markdown, and the same as JSON, within a budget of tokens.

Pure and deterministic: the same dossier and budget give the same bytes. No model is asked; every word that is not quoted is ours.

Text of persons, agents, tools and files is quoted (`quoting`), so that nothing in it can pass for a word of the packet, and the
packet says once that quoted text is data. How many tokens it takes is estimated on the safe side (`tokens`).

What does not fit goes in this order, until the rest fits:

1. texts over 2,000 characters are shortened to that,
2. each text that may go at all is shortened to what its kind needs (`FLOOR_CHARS`, else 200),
3. what tells of the past goes, item by item, the oldest first, kind after kind as `DROPPED_FIRST` has it,
4. what must stay is shortened to 600 characters a text, then everything to 200,
5. what helps to carry on goes likewise, as `DROPPED_LAST` has it,
6. what must stay is shortened to 80 characters a text.

The goal, calls that were cut (but for those after which their agent went on), subagents that did not finish and side effects that may have happened are never left out; a budget
that they alone exceed is exceeded, and the packet says so. What was left out, one line says.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from holdfast import clock
from holdfast.recover import tokens
from holdfast.recover.layout import HEADINGS, NAMES, NEVER_EMPTY, NOTES, head, written
from holdfast.recover.texts import MOST_CHARS, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from holdfast.recover.dossier import Dossier, Effect

Json = dict[str, Any]
BUDGET_TOKENS: Final = 4_000
MUST_STAY: Final = ("goal", "cut", "unfinished_agents", "possible_effects")
DROPPED_FIRST: Final = (
    "old_done",
    "errors",
    "old_prompts",
    "old_effects",
    "passed_checks",
    "ended_background",
    "finished_tasks",
    "reported_agents",
    "summary",
    "done",
    "steps",
    "later_prompts",
    "decisions",
    "files",
)
DROPPED_LAST: Final = (
    "unclear_checks",
    "effects",
    "worktree",
    "background",
    "failing_checks",
    "agents",
    "tasks",
    "questions",
    "thoughts",
    "last_words",
    "findings",
    "resume",
    "earlier_cut",
)
FLOOR_CHARS: Final = {  # what a text of this kind is shortened to before anything is left out
    "agents": 1_000,
    "decisions": 600,
    "failing_checks": 600,
    "last_words": 1_600,
    "questions": 1_000,
    "summary": 600,
    "thoughts": 600,
    "unclear_checks": 300,
}
_LONG_CHARS, _MUST_CHARS, _SHORT_CHARS, _SHORTEST_CHARS = 2_000, 600, 200, 80
_RECENT = 5  # turns, and side effects that happened; what is older than the last of them is old
_LATEST_GOES_FIRST: Final = frozenset(
    {"files", "unclear_checks"}
)  # these stand with what matters most at their head
_HEADING_TOKENS: Final = 5  # of the signs and lines around one


class Packet(NamedTuple):
    """What is handed over. `data` says the same as `markdown`; its shape is in docs/reference/json.md."""

    markdown: str
    data: Json


@dataclass(slots=True)
class _Item:
    """One thing that is told or left out as a whole. `kind` decides when it goes, `section` where it stands."""

    kind: str
    section: str
    data: Json
    most_chars: int = MOST_CHARS
    kept: bool = True

    def shown(self) -> Json:
        shown = _shown(self.data, self.most_chars)
        assert isinstance(shown, dict)
        return shown

    def markdown(self) -> str:
        return written(self.section, self.shown())


def packet(dossier: Dossier, budget_tokens: int = BUDGET_TOKENS) -> Packet:
    """The packet of a session, of at most so many tokens if what must stay allows it."""
    items = list(_items(dossier))
    about = _shown(_about(dossier), _SHORT_CHARS)
    beginning = head(about)
    absent = _absent(dossier, {item.section for item in items})
    _fit(items, budget_tokens, tokens.estimate(beginning), absent)
    kept = [item for item in items if item.kept]
    data: Json = {
        "session": about,
        **{section: [item.shown() for item in kept if item.section == section] for section in HEADINGS},
        **absent,
        "left_out": _left_out(items),
        "shortened_texts": sum(_is_shortened(item) for item in kept),
        "budget_tokens": budget_tokens,
    }
    markdown = _markdown(beginning, kept, data)
    data["tokens"] = tokens.estimate(markdown)
    data["over_budget"] = data["tokens"] > budget_tokens
    return Packet(markdown, data)


def _absent(dossier: Dossier, there: set[str]) -> Json:
    """Sections that are empty: because nothing of the kind is recorded, or because nobody looked."""
    looked = {"worktree": dossier.worktree is not None, "resume": dossier.resume is not None}
    absent = [name for name in HEADINGS if name not in there]
    return {
        "nothing_recorded": [name for name in absent if looked.get(name, True)],
        "not_looked_at": [name for name in absent if not looked.get(name, True)],
    }


def _about(dossier: Dossier) -> Json:
    session = dossier.session
    named = {name: session.get(name) for name in _ABOUT}
    title = session.get("title")
    first = dossier.prompts[0].text.text if dossier.prompts else ""
    shown = None
    if title and not " ".join(first.split()).startswith(" ".join(title.rstrip("…").split())):
        shown = Text.of(title, "title of the session")
    return {**named, "title": shown, "answered": dossier.answered, "missing": dossier.missing}


_ABOUT = (
    "id",
    "source",
    "tool_version",
    "workspace",
    "git_branch",
    "started_at",
    "last_activity_at",
    "status",
    "outcome",
    "grade",
    "why",
    "cause",
    "alive",
    "turns",
    "tool_calls",
    "agents",
    "forked_from",
    "continued_by",
)


# ── what there is to tell ──


def _items(dossier: Dossier) -> Iterator[_Item]:
    """Everything, section by section."""
    for number, prompt in enumerate(dossier.prompts, 1):
        left = len(dossier.prompts) - number
        kind = "goal" if number == 1 or not left else "later_prompts" if left < _RECENT else "old_prompts"
        yield _Item(kind, "goal", _plain(prompt))
    for cut in dossier.cut:
        yield _Item("earlier_cut" if cut.earlier else "cut", "in_flight", _plain(cut))
    for agent in dossier.subagents:
        if agent.status != "finished":
            yield _Item("unfinished_agents", "unfinished_agents", _plain(agent))
    for effect in dossier.effects:
        if effect.certainty != "done":
            yield _Item("possible_effects", "possible_effects", _effect(effect))
    yield from _next(dossier)
    yield from _past(dossier)


def _next(dossier: Dossier) -> Iterator[_Item]:
    for question in dossier.questions:
        yield _Item("questions", "questions", _plain(question))
    for task in dossier.tasks:
        kind = "finished_tasks" if task.status in {"completed", "cancelled", "failed"} else "tasks"
        yield _Item(kind, "tasks", {**_plain(task), "text": Text.of(task.text, "task list of an agent")})
    if dossier.last_words is not None:
        yield _Item(
            "last_words",
            "last_words",
            {"kind": "words", "latest": dossier.words_are_last, "text": dossier.last_words},
        )
    if dossier.last_thoughts is not None:
        yield _Item(
            "thoughts", "last_words", {"kind": "thoughts", "latest": True, "text": dossier.last_thoughts}
        )
    for step in dossier.steps:
        yield _Item("steps", "steps", _plain(step))
    if dossier.resume is not None:
        yield _Item("resume", "resume", dossier.resume)


def _past(dossier: Dossier) -> Iterator[_Item]:
    for check in dossier.checks:
        kind = {"failed": "failing_checks", "completed": "passed_checks"}.get(check.outcome, "unclear_checks")
        yield _Item(kind, "failing_checks" if kind == "failing_checks" else "other_checks", _plain(check))
    if dossier.worktree is not None:
        yield _Item("worktree", "worktree", dossier.worktree)
    for file in dossier.files:
        yield _Item(
            "files", "files", {**_plain(file), "path": _below(file.path, dossier.session.get("workspace"))}
        )
    happened = [effect for effect in dossier.effects if effect.certainty == "done"]
    for number, effect in enumerate(happened):
        kind = "effects" if len(happened) - number <= _RECENT else "old_effects"
        yield _Item(kind, "effects", _effect(effect))
    for decision in dossier.decisions:
        yield _Item("decisions", "decisions", _plain(decision))
    yield from _told(dossier)


def _told(dossier: Dossier) -> Iterator[_Item]:
    """What was reported, said and met on the way."""
    for agent in dossier.subagents:
        if agent.status == "finished":
            section = "unheard_agents" if agent.reported is False else "finished_agents"
            yield _Item("reported_agents" if agent.reported else "agents", section, _plain(agent))
    for task in dossier.background:
        yield _Item(
            "ended_background" if task.status == "finished" else "background", "background", _plain(task)
        )
    if dossier.summary is not None:
        yield _Item("summary", "summary", {"text": dossier.summary})
    for turn in dossier.done:
        above = turn.said is not None and turn.said == dossier.last_words
        kind = "done" if len(dossier.done) - turn.turn < _RECENT else "old_done"
        yield _Item(kind, "done", {**_plain(turn), "said": None if above else turn.said, "said_above": above})
    for error in dossier.errors:
        yield _Item("errors", "errors", _plain(error))
    for finding in dossier.findings:
        yield _Item("findings", "findings", {"says": _finding(finding)})


def _below(path: str, directory: str | None) -> str:
    """A path as it stands from the session's directory; one that lies elsewhere stays as it is."""
    return path.removeprefix(f"{directory.rstrip('/')}/") if directory else path


def _finding(finding: Json | str) -> Text:
    says = finding if isinstance(finding, str) else str(finding.get("says"))
    return Text.of(says, "what records say against each other")


def _effect(effect: Effect) -> Json:
    return {**_plain(effect), "what": Text.of(effect.what, "side effect")}


def _plain(value: msgspec.Struct) -> Json:
    """The fields of one value, texts as they are; moments as ISO 8601."""
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    moments = {name.removesuffix("_us"): clock.iso(at) for name, at in fields.items() if name.endswith("_us")}
    return {name: field for name, field in fields.items() if not name.endswith("_us")} | moments


def _shown(value: Any, most_chars: int) -> Any:  # noqa: ANN401 - whatever stands in a dossier
    """The same as plain JSON, its texts shortened."""
    if isinstance(value, Text):
        cut = value.shortened(most_chars)
        return {"text": cut.text, "source": cut.source, "part": cut.part, "chars": cut.chars}
    if isinstance(value, msgspec.Struct):
        return _shown(_plain(value), most_chars)
    if isinstance(value, dict):
        return {name: _shown(item, most_chars) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item, most_chars) for item in value]
    return value


# ── what fits ──


def _fit(items: list[_Item], budget_tokens: int, used: int, absent: Json) -> None:
    """Shorten and leave out items until they fit with what is used already and with the last lines."""
    costs = [tokens.estimate(item.markdown()) for item in items]
    standing = Counter(item.section for item in items)
    used += sum(costs) + sum(_heading_tokens(section) for section in {*standing, *NEVER_EMPTY})
    if used + _tail_tokens(absent, budget_tokens, {}, 0) <= budget_tokens:
        return
    used += _tail_tokens(absent, budget_tokens, standing, len(items))
    for at, most_chars in _steps(items):
        if used <= budget_tokens:
            break
        item = items[at]
        used -= costs[at]
        if most_chars:
            item.most_chars = min(item.most_chars, most_chars)
            costs[at] = tokens.estimate(item.markdown())
            used += costs[at]
        else:
            item.kept, costs[at] = False, 0
            standing[item.section] -= 1
            used -= 0 if standing[item.section] else _heading_tokens(item.section)


def _heading_tokens(section: str) -> int:
    said = (HEADINGS[section], NOTES.get(section, ""), NEVER_EMPTY.get(section, ""))
    return tokens.estimate("".join(said)) + _HEADING_TOKENS


def _tail_tokens(absent: Json, budget_tokens: int, left_out: Mapping[str, int], shortened: int) -> int:
    """What the last lines take if so much is left out."""
    data = {**absent, "left_out": left_out, "shortened_texts": shortened, "budget_tokens": budget_tokens}
    return tokens.estimate(_tail(data)) + _HEADING_TOKENS


def _steps(items: list[_Item]) -> Iterator[tuple[int, int]]:
    """What is shortened to how many characters a text, or left out (0), in order."""
    first, last, must = (list(_places(items, kinds)) for kinds in (DROPPED_FIRST, DROPPED_LAST, MUST_STAY))
    yield from ((at, _LONG_CHARS) for at in first + last + must)
    yield from ((at, FLOOR_CHARS.get(items[at].kind, _SHORT_CHARS)) for at in first + last)
    for places, most_chars in (
        (first, 0),
        (must, _MUST_CHARS),
        (last + must, _SHORT_CHARS),
        (last, 0),
        (must, _SHORTEST_CHARS),
    ):
        yield from ((at, most_chars) for at in places)


def _places(items: list[_Item], kinds: tuple[str, ...]) -> Iterator[int]:
    for kind in kinds:
        found = [at for at, item in enumerate(items) if item.kind == kind]
        yield from reversed(found) if kind in _LATEST_GOES_FIRST else found


def _left_out(items: list[_Item]) -> Json:
    """How many items of each section are not in the packet."""
    gone = [item.section for item in items if not item.kept]
    return {section: gone.count(section) for section in HEADINGS if section in gone}


def _is_shortened(item: _Item) -> bool:
    return item.most_chars < MOST_CHARS and item.shown() != _shown(item.data, MOST_CHARS)


# ── the whole ──


def _markdown(beginning: str, kept: list[_Item], data: Json) -> str:
    parts = [beginning]
    for section, heading in HEADINGS.items():
        found = [item.markdown() for item in kept if item.section == section]
        if found:
            note = [NOTES[section] + "\n"] if section in NOTES else []
            parts.append(f"## {heading}\n\n" + "\n".join([*note, *found]))
        elif section in NEVER_EMPTY and section in data["nothing_recorded"]:
            parts.append(f"## {heading}\n\n{NEVER_EMPTY[section]}")
    parts.append(_tail(data))
    return "\n\n".join(parts) + "\n"


def _tail(data: Json) -> str:
    lines = []
    nothing = [NAMES[name] for name in data["nothing_recorded"] if name not in NEVER_EMPTY]
    if nothing:
        lines.append(f"Nothing is recorded of: {', '.join(nothing)}.")
    if data["not_looked_at"]:
        lines.append(f"Not looked at: {', '.join(NAMES[name] for name in data['not_looked_at'])}.")
    gone = [f"{number} {NAMES[name]}" for name, number in data["left_out"].items()]
    if data["shortened_texts"]:
        gone.append(f"parts of {data['shortened_texts']} more")
    if gone:
        budget = data["budget_tokens"]
        lines.append(
            f"Left out to fit {budget} tokens: {', '.join(gone)}. The whole: `holdfast show` and `holdfast timeline`."
        )
    return "\n".join(lines) or "Nothing was left out."
