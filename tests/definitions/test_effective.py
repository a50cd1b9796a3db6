"""Which text an agent ran with: what histories say, how sure that is, and that nothing is called observed that was not so."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import clock
from holdfast.definitions import tools
from holdfast.definitions.effective import BUILT_IN, CALL, FILE, NOT_FOUND, Start, effective
from holdfast.definitions.past import INFERRED, OBSERVED, UNKNOWN, Look, Past, Reached, Revision

US = 1_000_000
EARLY = clock.parse_us(
    "2026-03-01T00:00:00Z"
)  # when Claude Code's documents said that a session reads at its begin
LATE = clock.parse_us("2026-11-01T00:00:00Z")  # when they say that it watches, and reports say otherwise
CWD = "/home/dev/demo"
PROJECT, ABOVE, USER, MANAGED = (
    f"{CWD}/.claude/agents",
    "/home/dev/.claude/agents",
    "/home/dev/conf/agents",
    "/etc/managed/.claude/agents",
)
TIERS = {PROJECT: "project", ABOVE: "project", USER: "user", MANAGED: "managed"}


class Told:
    """Records in the making: seconds after a day's begin, contents by a letter."""

    def __init__(self, day_us=EARLY, tool="claude", name="qa"):
        self.day_us, self.tool, self.name = day_us, tool, name
        self.revisions, self.looks = [], []

    def saw(self, seen, text, *, mtime=None, root=PROJECT, file="qa.md", name=None, **more):
        """A file was seen to hold a text (None: gone) that its own time says is from `mtime`."""
        self.revisions.append(
            Revision(
                id=f"r{len(self.revisions)}",
                seen_us=self.day_us + seen * US,
                tool=self.tool,
                name=name or self.name,
                tier=more.pop("tier", None) or TIERS.get(root, "project"),
                root=root,
                path=f"{root}/{file}",
                sha256=text,
                changed_us=None if mtime is None else self.day_us + mtime * US,
                **more,
            )
        )
        return self

    def looked(self, *moments, cwd=CWD, roots=(MANAGED, PROJECT, USER), counts=True, seen=True):
        """Somebody looked at moments, or watched for spans of two."""
        for moment in moments:
            first, last = moment if isinstance(moment, tuple) else (moment, moment)
            reached = tuple(
                Reached(self.tool, TIERS.get(root, "project"), root, counts, seen) for root in roots
            )
            self.looks.append(Look(cwd, self.day_us + first * US, self.day_us + last * US, reached))
        return self

    def of(self, at=100, since=None, *, cwd=CWD, **more):
        """What an agent ran with that started at a moment, in a session whose process began at another."""
        past = Past(self.tool, self.name, self.revisions, self.looks)
        at_us = None if at is None else self.day_us + at * US
        return effective(past, Start(cwd, at_us, None if since is None else self.day_us + since * US, **more))


def said(found):
    return found.origin, found.sha256, found.grade, found.rule


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (Told(), (NOT_FOUND, None, UNKNOWN, "no-file")),
        (Told().saw(10, "a").looked(10, 200), (FILE, "a", OBSERVED, "looks")),
        (Told().saw(10, "a").looked((10, 200)), (FILE, "a", OBSERVED, "looks")),
        (Told().saw(10, "a").looked(10), (FILE, "a", INFERRED, "seen-before")),
        (Told().saw(10, "a"), (FILE, "a", INFERRED, "seen-before")),
        (Told().saw(150, "a", mtime=99).looked(150), (FILE, "a", INFERRED, "mtime")),
        (Told().saw(150, "a", mtime=99), (FILE, "a", INFERRED, "mtime")),
        (Told().saw(150, "a", mtime=100).looked(5, cwd="/other", roots=()), (FILE, "a", INFERRED, "mtime")),
        (Told().saw(150, "a", mtime=120).looked(150), (FILE, None, UNKNOWN, "never-seen")),
        (Told().saw(150, "a").looked(150), (FILE, None, UNKNOWN, "never-seen")),
        (Told().saw(10, "a").saw(150, "b", mtime=120).looked(10, 150), (FILE, "a", INFERRED, "mtime-order")),
        (Told().saw(10, "a").saw(150, "b", mtime=90).looked(10, 150), (FILE, "b", INFERRED, "mtime-order")),
        (Told().saw(10, "a").saw(150, "b", mtime=5).looked(10, 150), (FILE, None, UNKNOWN, "change-unplaced")),
        (Told().saw(10, "a").saw(150, "b", mtime=160).looked(10, 150), (FILE, None, UNKNOWN, "change-unplaced")),
        (Told().saw(10, "a").saw(150, "b").looked(10, 150), (FILE, None, UNKNOWN, "change-unplaced")),
        (Told().saw(10, "a").saw(150, "b", mtime=120).looked(10, 110, 150), (FILE, "a", OBSERVED, "looks")),
        (Told().saw(10, "a").saw(150, "b", own=True).looked(10, 150), (FILE, "a", INFERRED, "mtime-order")),
        (Told().saw(10, "a").saw(101, "b", mtime=101).looked((10, 200)), (FILE, "a", INFERRED, "mtime-order")),
        (Told().saw(10, "a").saw(50, None).looked(10, 50, 200), (NOT_FOUND, None, UNKNOWN, "no-file-then")),
        (Told().saw(10, "a").saw(50, None).saw(60, "a").looked((10, 200)), (FILE, "a", OBSERVED, "looks")),
        (Told().saw(10, "a", loads=False).looked(10, 200), (NOT_FOUND, None, UNKNOWN, "no-file-then")),
        (Told().saw(10, "a", loads=None).looked(10, 200), (FILE, "a", INFERRED, "unchecked")),
        (Told().saw(10, "a").looked(10, 200, counts=None), (FILE, "a", INFERRED, "counts")),
        (Told().saw(10, "a").looked(10, 200, counts=False), (NOT_FOUND, None, UNKNOWN, "no-file-then")),
        (Told().saw(10, "a").looked(10, 200, seen=False), (FILE, "a", INFERRED, "seen-before")),
        (Told().saw(10, "a", root="/elsewhere/.claude/agents").looked(10, 200), (NOT_FOUND, None, UNKNOWN, "no-file-then")),
        (Told().saw(10, "a", root="/elsewhere/.claude/agents"), (NOT_FOUND, None, UNKNOWN, "no-file-then")),
    ],
    ids=[
        "nothing recorded", "looked before and after", "watched", "not looked since", "no look", "first seen later, and old",
        "first seen later, and no look", "its time is the start", "first seen later, and new", "first seen later, time unknown",
        "changed after", "changed before", "a time from before the last look", "a time from the future", "no time",
        "looked before the change", "we wrote it, and know when", "changed while watched", "gone before", "gone and back",
        "its tool does not take it", "whether it is taken is unknown", "whether its place counts is unknown",
        "its place does not count", "its place could not be looked through", "another project's", "another project's, no look",
    ],
)  # fmt: skip
def test_one_file(told, expected):
    assert said(told.of()) == expected


@pytest.mark.parametrize(
    ("told", "expected", "shadowed"),
    [
        (Told().saw(1, "p").saw(1, "u", root=USER).looked(1, 200), ("p", OBSERVED, "looks"), ["u"]),
        (Told().saw(1, "p").saw(1, "u", root=USER), ("p", INFERRED, "seen-before"), ["u"]),
        (Told().saw(1, "p").saw(150, "u", mtime=120, root=USER).looked(150), ("p", INFERRED, "one-look"), []),
        (Told().saw(1, "p").saw(150, "u", mtime=90, root=USER).looked(150), ("p", INFERRED, "one-look"), ["u"]),
        (Told().saw(1, "p").saw(1, "u", root=USER).saw(150, "v", root=USER).looked(1, 150), ("p", OBSERVED, "looks"), []),
        (Told().saw(1, "p").saw(1, "m", root=MANAGED).looked(1, 200), ("m", OBSERVED, "looks"), ["p"]),
        (Told().saw(1, "a", root=ABOVE).saw(1, "p").looked(1, 200, cwd="/other", roots=(PROJECT,)), ("p", INFERRED, "paths"), ["a"]),
        (Told().saw(1, "p", loads=False).saw(1, "u", root=USER).looked(1, 200), ("u", OBSERVED, "looks"), []),
        (Told().saw(1, "p").saw(50, None).saw(1, "u", root=USER).looked(1, 200), ("u", OBSERVED, "looks"), []),
        (Told().saw(1, "u", root=USER).saw(150, "p", mtime=120).looked(1, 150), ("u", INFERRED, "mtime-order"), []),
        (Told().saw(1, "u", root=USER).saw(150, "p", mtime=90).looked(1, 150), ("p", INFERRED, "mtime-order"), ["u"]),
        (Told().saw(1, "u", root=USER).saw(150, "p", mtime=0).looked(1, 150), (None, UNKNOWN, "change-unplaced"), []),
        (Told().saw(1, "a").saw(1, "b", file="x.md").looked(1, 200), (None, UNKNOWN, "same-directory"), []),
        (Told().saw(1, "a").saw(1, "a", file="x.md").looked(1, 200), ("a", OBSERVED, "looks"), ["a"]),
        (Told(tool="codex").saw(1, "a", file="b.toml").saw(1, "b", file="a.toml").looked(1, 200), ("b", OBSERVED, "looks"), ["a"]),
        (Told().saw(1, "a").saw(50, "b", name="web", name_before="qa").saw(1, "u", root=USER).looked(1, 200), ("u", OBSERVED, "looks"), []),
        (Told().saw(1, "a", file="old.md").saw(50, "a", path_before=f"{PROJECT}/old.md").looked(1, 200), ("a", OBSERVED, "looks"), []),
        (Told().saw(1, "a", file="old.md").saw(150, "a", mtime=0, path_before=f"{PROJECT}/old.md").looked(1, 150), ("a", INFERRED, "renamed"), []),
        (Told().saw(1, "a").saw(1, "u", root=USER).saw(150, "a", mtime=0, file="z.md", path_before=f"{PROJECT}/qa.md").looked(1, 150), ("a", INFERRED, "renamed"), ["u"]),
        (Told().saw(1, "a").saw(150, "b", mtime=0, file="z.md", path_before=f"{PROJECT}/qa.md").looked(1, 150), (None, UNKNOWN, "change-unplaced"), []),
        (Told().saw(1, "a").saw(150, None).saw(150, "a", mtime=0, file="z.md").looked(1, 150), (None, UNKNOWN, "change-unplaced"), []),
    ],
    ids=[
        "project hides user", "by paths", "the weaker one came later", "the weaker one was seen later", "the weaker one changed, when is unknown",
        "managed hides project", "the nearest project", "the first is passed over", "the first is gone",
        "the first came after", "the first came before", "when the first came is unknown", "two in one directory",
        "two with one content", "two in one directory, first by path", "renamed away", "moved",
        "moved meanwhile", "moved meanwhile, and hides one", "moved and changed meanwhile", "gone, and the same somewhere else",
    ],
)  # fmt: skip
def test_several_files(told, expected, shadowed):
    found = told.of()
    assert (found.sha256, found.grade, found.rule) == expected
    assert [one.sha256 for one in found.shadowed] == shadowed


def changed_between(day_us, tool="claude"):
    return Told(day_us, tool).saw(10, "a").saw(70, "b", mtime=70).looked((10, 200))


@pytest.mark.parametrize(
    ("told", "expected", "either"),
    [
        (changed_between(EARLY), ("a", INFERRED, "read-at-session"), []),
        (changed_between(LATE), ("a", INFERRED, "read-at-session?"), ["b"]),
        (changed_between(LATE, "codex"), ("b", INFERRED, "read-at-agent"), []),
        (changed_between(LATE, "custom"), (None, UNKNOWN, "reading-unknown"), ["b", "a"]),
        (Told().saw(70, "b", mtime=70).looked((10, 200)), ("b", INFERRED, "read-later"), []),
        (Told().saw(10, "a").saw(70, "b").saw(80, "a").looked((10, 200)), ("a", OBSERVED, "looks"), []),
        (Told().saw(60, "a").looked(60, 200), (None, UNKNOWN, "never-seen"), ["a"]),
        (Told().saw(60, "a", mtime=40).looked(60, 200), ("a", INFERRED, "mtime"), []),
    ],
    ids=[
        "read when a session begins", "which may be so or otherwise", "read when an agent starts", "nobody knows when it is read",
        "it came while the session ran", "changed and changed back", "nobody saw what lay there first", "its time is from before",
    ],
)  # fmt: skip
def test_a_file_that_changes_while_a_session_runs(told, expected, either):
    """The session begins at 50, the agent starts at 100."""
    found = told.of(since=50)
    assert (found.sha256, found.grade, found.rule) == expected
    assert [one.sha256 for one in found.either] == either


@pytest.mark.parametrize(
    ("told", "start", "expected"),
    [
        (Told(name="Explore"), {}, (BUILT_IN, None, INFERRED, "built-in-name")),
        (Told(name="Explore"), {"built_in": True}, (BUILT_IN, None, OBSERVED, "tool-says")),
        (Told(name="Explore"), {"built_in": False}, (NOT_FOUND, None, UNKNOWN, "no-file")),
        (Told(name="default", tool="codex"), {}, (BUILT_IN, None, INFERRED, "built-in-name")),
        (Told(name="default", tool="custom"), {}, (NOT_FOUND, None, UNKNOWN, "no-file")),
        (Told(name="Explore").saw(1, "a").looked(1, 200), {}, (FILE, "a", OBSERVED, "looks")),
        (Told(name="Explore").saw(1, "a").saw(50, None).looked(1, 200), {}, (BUILT_IN, None, INFERRED, "built-in-name")),
        (Told().saw(1, "a").looked(1, 200), {"given": "g"}, (CALL, "g", OBSERVED, "call")),
        (Told(LATE).saw(1, "m", root=MANAGED).looked(1, 200), {"given": "g"}, (FILE, "m", OBSERVED, "looks")),
        (Told(EARLY).saw(1, "m", root=MANAGED).looked(1, 200), {"given": "g"}, (CALL, "g", OBSERVED, "call")),
        (Told().saw(1, "a").saw(5, "b"), {"told": "a", "at": None}, (FILE, "a", OBSERVED, "told")),
        (Told().saw(1, "a"), {"told": "x"}, (CALL, "x", OBSERVED, "told")),
        (Told().saw(1, "a"), {"at": None}, (NOT_FOUND, None, UNKNOWN, "no-start")),
        (Told().saw(1, "a").looked(1, 200), {"cwd": None}, (NOT_FOUND, None, UNKNOWN, "no-file-then")),
        (Told().saw(1, "u", root=USER).looked(1, 200), {"cwd": None}, (FILE, "u", OBSERVED, "looks")),
        (Told().saw(1, "u", root=USER).saw(1, "p").looked(1, 200), {"cwd": None}, (FILE, None, UNKNOWN, "no-directory")),
    ],
    ids=[
        "a name that the tool brings along", "the tool says so", "the tool denies it", "Codex's", "no tool's", "a file hides it",
        "a file hid it once", "given in the call", "managed before the call", "the call before managed", "whoever started it says so",
        "whoever started it says so, and the text lies nowhere", "no start", "no directory",
        "no directory, but the user's", "no directory, and a project's",
    ],
)  # fmt: skip
def test_what_is_no_file_of_a_project(told, start, expected):
    assert said(told.of(**start)) == expected


def test_a_built_in_agent_names_the_files_that_should_have_run():
    found = Told(name="Explore").saw(1, "a").saw(1, "u", root=USER).of(built_in=True)
    assert [one.sha256 for one in found.shadowed] == ["a", "u"]
    assert found.tier == tools.BUILT_IN


def test_a_built_in_agent_names_no_file_that_may_have_come_later():
    told = Told(name="Explore").saw(150, "a", mtime=120).saw(150, "u", root=USER).looked(150)
    assert told.of(built_in=True).shadowed == ()


def test_an_agent_of_a_plugin_answers_to_its_plain_name_after_all_others():
    told = Told().saw(1, "x", root="/p/agents", tier="plugin", name="kit:qa")
    assert said(told.of())[:2] == (FILE, "x")
    assert said(told.saw(1, "u", root=USER).of())[:2] == (FILE, "u")


def test_later_evidence_wins():
    told = Told().saw(10, "a").looked(10)
    assert told.of().grade == INFERRED
    assert told.looked(200).of().grade == OBSERVED


# ── against histories whose truth is known ──


@st.composite
def histories(draw):
    """What two files held from when on, when somebody looked, and when a session began and its agent started."""
    moments = st.integers(1, 400)
    truth = {}
    for root in (PROJECT, USER):
        whens = sorted(draw(st.sets(moments, max_size=4)))
        truth[root] = [(when, draw(st.sampled_from(["a", "b", "c", None]))) for when in whens]
    looks = sorted(draw(st.sets(moments, min_size=1, max_size=6)))
    begin = draw(moments)
    return truth, looks, begin, begin + draw(st.integers(0, 100))


def held(changes, at):
    """What a file holds at a moment."""
    return next((text for when, text in reversed(changes) if when <= at), None)


def recorded(truth, looks):
    """What is recorded by somebody who looks at these moments only."""
    told = Told()
    last = {}
    for moment in looks:
        for root, changes in truth.items():
            text = held(changes, moment)
            if text != last.get(root):
                since = max(when for when, _ in changes if when <= moment)
                told.saw(moment, text, mtime=None if text is None else since, root=root)
            last[root] = text
    return told.looked(*looks)


def possible(truth, begin, start):
    """Every text that a tool may have read between two moments."""
    moments = {
        begin,
        start,
        *(when for changes in truth.values() for when, _ in changes if begin <= when <= start),
    }
    return {held(truth[PROJECT], moment) or held(truth[USER], moment) for moment in moments}


def test_what_a_link_led_to_counts_as_long_as_it_did():
    """Also when another root alone leads to the file afterwards."""
    told = Told().saw(0, "a", root=PROJECT).saw(200, "a", root=USER).saw(300, "b", root=USER)
    told.revisions = [dataclasses.replace(one, path="/outside/qa.md") for one in told.revisions]
    files = {file.root: file for file in Past("claude", "qa", told.revisions).files}
    texts = {
        root: [lay.revision and lay.revision.sha256 for lay in file.lays] for root, file in files.items()
    }
    assert texts == {PROJECT: ["a", None], USER: ["a", "b"]}


@given(histories())
def test_what_is_observed_was_so_at_begin_and_at_start(history):
    """Whatever else happened unseen: at both moments the text lay there, and so did everything it is said to hide."""
    truth, looks, begin, start = history
    found = recorded(truth, looks).of(start, begin)
    if found.grade == OBSERVED and found.origin == FILE:
        lay = [
            held(truth[PROJECT], begin) or held(truth[USER], begin),
            held(truth[PROJECT], start) or held(truth[USER], start),
        ]
        if _unseen_detour(truth, looks):
            return
        assert lay == [found.sha256, found.sha256]


def _unseen_detour(truth, looks):
    """Whether a file changed and changed back between two looks, which nobody can see who compares contents."""
    for first, second in itertools.pairwise(looks):
        for changes in truth.values():
            inside = [text for when, text in changes if first < when <= second]
            if inside and held(changes, first) == held(changes, second):
                return True
    return False


@given(histories())
def test_an_answer_is_one_of_the_texts_that_the_tool_may_have_read(history):
    """As long as file times are honest, and every file that was seen gone was looked for before it came back."""
    truth, looks, begin, start = history
    found = recorded(truth, looks).of(start, begin)
    if (
        found.origin == FILE
        and found.sha256
        and found.rule != "seen-before"
        and not _unseen_detour(truth, looks)
    ):
        assert found.sha256 in possible(truth, begin, start) | {one.sha256 for one in found.either} or _lost(
            truth, looks
        )


def _lost(truth, looks):
    """Whether a text came and went between two looks, so that nobody ever saw it."""
    seen = {(root, held(changes, moment)) for root, changes in truth.items() for moment in looks}
    return any((root, text) not in seen for root, changes in truth.items() for _, text in changes)


def test_the_check_of_histories_fails_for_an_answer_that_forgets_the_second_look():
    """The control: were a look before enough to call it observed, the property above would not hold."""
    truth, looks = {PROJECT: [(1, "a"), (60, "b")], USER: []}, [10, 200]
    told = recorded(truth, looks)
    blind = dataclasses.replace(told.revisions[0])
    only = Told()
    only.revisions, only.looks = [blind], told.looks
    assert only.of(100, 100).grade == OBSERVED  # the change is missing from the record
    assert held(truth[PROJECT], 100) != only.of(100, 100).sha256
    assert told.of(100, 100).sha256 == "b"
