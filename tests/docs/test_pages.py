"""The pages are true to themselves: their commands answer as shown, their links lead somewhere."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from holdfast.store.state import STATES
from tests.docs import console

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
WITH_COMMANDS = [path for path in PAGES if "```console" in path.read_text("utf-8")]
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.slow
@pytest.mark.parametrize("path", WITH_COMMANDS, ids=name)
def test_every_command_answers_as_the_page_shows(path, tmp_path):
    """If this fails: python -m tests.docs.console --write PAGE"""
    text = path.read_text("utf-8")
    if re.search(r"^\$ .*\bjq ", text, re.MULTILINE) and shutil.which("jq") is None:
        pytest.skip("the page's commands need jq")
    if ", compiled from" in text and not (any(map(shutil.which, ("cc", "gcc", "clang"))) and _is_usual()):
        pytest.skip("what the page shows needs a C compiler and a usual processor")
    found = console.commands(text)
    for command, (lines, code) in zip(found, console.answers(found, tmp_path), strict=True):
        shown = f"$ {command.text}\n" + "\n".join(lines)
        assert code == 0, shown
        assert console.same(command.shown, lines), shown


def test_an_output_that_differs_would_be_noticed():
    assert console.same(["a", "…", "z 2026-11-21"], ["a", "b", "c", "z 1999-01-01"])
    assert not console.same(["a", "z"], ["a", "b", "z"])
    assert not console.same(["a"], [])


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_link_inside_the_repository_leads_somewhere(path):
    text = _FENCE.sub("", path.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there.read_text("utf-8")), target


def anchors(text):
    """The anchors that headings get, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


def test_every_page_can_be_found_from_the_first_one():
    """No page is reachable only by knowing its name."""
    seen, todo = set(), [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    while todo:
        path = todo.pop()
        seen.add(path)
        for target in re.findall(r"\]\(([^)#\s]+\.md)(?:#[^)]*)?\)", path.read_text("utf-8")):
            there = (path.parent / target).resolve()
            if there.exists() and there not in seen:
                todo.append(there)
    assert seen >= set(PAGES)


def test_the_decisions_are_numbered_and_listed():
    listed = (ROOT / "docs" / "decisions" / "index.md").read_text("utf-8")
    pages = sorted(path for path in (ROOT / "docs" / "decisions").glob("0*.md"))
    numbers = [int(path.name[:4]) for path in pages]
    assert numbers == list(range(1, len(pages) + 1))
    for path in pages:
        title = path.read_text("utf-8").splitlines()[0].partition(": ")[2]
        assert f"| [{path.name[:4]}]({path.name}) | {title} |" in listed
        headings = re.findall(r"^## (.+)$", path.read_text("utf-8"), re.MULTILINE)
        assert headings == ["Why", "Decision", "Refused", "Consequences"]


def test_the_glossary_uses_the_words_of_the_code():
    from holdfast.spans import LINK_KINDS, SPAN_KINDS, STATUSES

    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    for word in (*SPAN_KINDS, *LINK_KINDS, *STATUSES, *STATES):
        assert f"`{word}`" in text, word
    states = (ROOT / "docs" / "explanation" / "states.md").read_text("utf-8")
    for word in STATES:
        assert f"`{word}`" in states, word


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_a_page_speaks_to_strangers(path):
    """No trace of the place it was written in."""
    text = path.read_text("utf-8")
    assert not re.search(
        r"/work/|/tmp/|issue #?\d|\.internal\b|localhost|artifactory|TODO|<!-- tour", text, re.IGNORECASE
    )


def _is_usual() -> bool:
    place = Path("/proc/sys/kernel/arch")
    return place.exists() and place.read_text().strip() == "x86_64"
