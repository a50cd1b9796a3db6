"""`holdfast.Definitions` as a program uses it: what counts now, prompts of it, and that nothing old is ever served."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import holdfast
from holdfast.definitions import reading
from holdfast.errors import HoldfastError, NotFound, UsageError

BODY = "You read what was changed on {{branch}}.\n"


@pytest.fixture
def project(home, tmp_path, monkeypatch):
    """A project in a repository, and the user's own directory of agents; both may be written to with `write`."""
    monkeypatch.setenv("HOLDFAST_CLAUDE_MANAGED_DIR", str(tmp_path / "managed"))
    path = tmp_path / "user" / "project"
    (path / ".git").mkdir(parents=True)
    monkeypatch.chdir(path)
    return path


def write(root, stem, body=BODY, **keys):
    path = Path(root) / "agents" / f"{stem}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {"name": stem, "description": "Reads changes"} | keys
    path.write_text(
        "---\n" + "".join(f"{key}: {value}\n" for key, value in said.items()) + f"---\n{body}", "utf-8"
    )
    return path


@pytest.fixture
def user(tmp_path):
    return tmp_path / "claude"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def counted(monkeypatch):
    """Paths of which the content is read from now on."""
    reads = []
    real = reading.content
    monkeypatch.setattr(reading, "content", lambda path: reads.append(Path(path).stem) or real(path))
    return reads


def settle(*paths):
    """As if the files had been written long ago, so that what is read of them is kept."""
    for path in paths:
        os.utime(path, ns=(10**18, 10**18))


@pytest.fixture
def settled(monkeypatch):
    """Every file counts as written long ago."""
    from holdfast.definitions import registry

    monkeypatch.setattr(registry, "_FINE_TICK_NS", -(10**18))
    monkeypatch.setattr(registry, "_COARSE_TICK_NS", -(10**18))


# ── what counts ──


def test_a_definition_is_given_with_its_text_its_revision_and_what_it_hides(project, user):
    ours = write(project / ".claude", "qa", model="opus", tools="Read, Grep", color="[a, b]")
    hidden = write(user, "qa", "Another.\n")
    one = holdfast.Definitions().get("qa")
    assert one.text == ours.read_text()
    assert (one.body, one.sha256, one.size_bytes) == (BODY, sha256(ours), ours.stat().st_size)
    assert (one.name, one.tool, one.tier, one.path, one.counts) == (
        "qa",
        "claude",
        "project",
        str(ours),
        True,
    )
    assert (one.model, one.tools, one.description) == ("opus", ("Read", "Grep"), "Reads changes")
    assert one.metadata["color"] == ["a", "b"]
    assert [(file.path, file.tier, file.sha256) for file in one.hides] == [
        (str(hidden), "user", sha256(hidden))
    ]
    assert one.hides[0].why == "project counts before user"
    one.metadata["color"].append("mine")
    assert holdfast.Definitions().get("qa").metadata["color"] == ["a", "b"]


def test_a_file_that_is_hidden_is_given_where_its_tier_is_asked_for(project, user):
    write(project / ".claude", "qa")
    hidden = write(user, "qa", "Another.\n")
    agents = holdfast.Definitions()
    one = agents.get("qa", tier="user")
    assert (one.path, one.body, one.counts, one.hides) == (str(hidden), "Another.\n", False, ())
    assert agents.prompt("qa", tier="user").counts is False
    with pytest.raises(NotFound, match="no file of 'qa' counts in the tier 'managed'") as refused:
        agents.get("qa", tier="managed")
    assert refused.value.hint == "it lies in: project, user"


def test_a_name_of_two_tools_is_asked_back(project, tmp_path):
    write(project / ".claude", "qa")
    role = tmp_path / "user" / ".codex" / "agents" / "qa.toml"
    role.parent.mkdir(parents=True)
    role.write_text('name = "qa"\ndescription = "d"\ndeveloper_instructions = "Look."\n')
    agents = holdfast.Definitions()
    with pytest.raises(UsageError, match="'qa' is a definition of claude and of codex"):
        agents.get("qa")
    assert agents.prompt("qa", tool="codex").text == "Look.\n"
    assert [(one.tool, one.name) for one in agents.all()] == [("claude", "qa"), ("codex", "qa")]
    assert [one.tier for one in agents.all(tier="user")] == ["user"]
    with pytest.raises(NotFound, match="'qa' is no definition of custom"):
        agents.get("qa", tool="custom")


def test_who_is_not_there_is_told_with_what_may_have_been_meant(project, tmp_path):
    write(project / ".claude", "qa-web")
    with pytest.raises(NotFound, match="no definition is called 'qa'") as refused:
        holdfast.Definitions(project).get("qa")
    assert refused.value.hint == "there is qa-web"
    with pytest.raises(NotFound, match="is no directory"):
        holdfast.Definitions(tmp_path / "nowhere")


def test_what_is_no_text_is_given_without_one_and_makes_no_prompt(project):
    path = write(project / ".claude", "qa")
    path.write_bytes(path.read_bytes() + b"\xff\n")
    large = write(project / ".claude", "large", "x" * 1_100_000)
    agents = holdfast.Definitions()
    assert (agents.get("qa").text, agents.get("qa").sha256) == (None, sha256(path))
    with pytest.raises(UsageError, match=r"no prompt of 'qa' \(project, .*qa.md\): it is no UTF-8"):
        agents.prompt("qa")
    one = (
        agents.get("large", tool="claude")
        if large.name in {Path(each.path).name for each in agents.all()}
        else None
    )
    assert one is None or (one.text, one.sha256, one.validity) == (None, None, "unchecked")


# ── nothing old ──


def test_after_an_edit_the_next_answer_is_new_and_nothing_else_is_read_again(
    project, user, settled, monkeypatch
):
    paths = [write(project / ".claude", name) for name in ("qa", "qa-web", "dev")]
    agents = holdfast.Definitions()
    first = agents.prompt("qa", variables={"branch": "main"})
    reads = counted(monkeypatch)
    assert agents.prompt("qa", variables={"branch": "main"}) == first
    assert agents.get("qa-web").body == BODY
    reads.clear()
    write(project / ".claude", "qa", "Anew, on {{branch}}.\n")
    second = agents.prompt("qa", variables={"branch": "main"})
    assert (second.text, second.sha256) == ("Anew, on main.\n", sha256(paths[0]))
    assert (first.sha256 != second.sha256, set(reads)) == (True, {"qa"})
    assert agents.get("qa").text == paths[0].read_text()
    user_file = write(user, "dev", "The user's.\n")
    assert [file.path for file in agents.get("dev").hides] == [str(user_file)]
    paths[2].unlink()
    assert agents.get("dev").body == "The user's.\n"
    paths[1].unlink()
    with pytest.raises(NotFound):
        agents.get("qa-web")


def test_an_edit_that_leaves_size_and_time_of_change_as_they_were_is_seen(project, settled):
    """`settled` makes the registry keep what it reads at once: the inode's own times still tell."""
    path = write(project / ".claude", "qa", "one\n")
    about = path.stat()
    agents = holdfast.Definitions()
    assert agents.get("qa").body == "one\n"
    write(project / ".claude", "qa", "two\n")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert agents.get("qa").body == "two\n"


@pytest.mark.parametrize(
    ("pattern", "read_again"),
    [("qa", ["qa"]), ("qa*", ["qa", "qa-web"]), ("*", ["dev", "qa", "qa-web"]), ("q", []), ("QA", [])],
)
def test_invalidating_drops_what_a_pattern_names_and_counts_it(
    project, settled, monkeypatch, pattern, read_again
):
    for name in ("qa", "qa-web", "dev"):
        write(project / ".claude", name)
    agents = holdfast.Definitions()
    for one in agents.all():
        agents.prompt(one.name, variables={"branch": "main"})
    reads = counted(monkeypatch)
    assert agents.invalidate(pattern) == 3 * len(read_again)  # of each its file, its text, its prompt
    agents.prompt("dev", variables={"branch": "main"})
    assert sorted(reads) == read_again


def test_a_definition_whose_name_has_stars_can_be_named(project, settled):
    write(project / ".claude", "x", name="'a*[b]'")
    write(project / ".claude", "axb")
    agents = holdfast.Definitions()
    agents.all()
    assert agents.invalidate("a[*][[]b]") == 2


def test_a_file_that_is_being_written_is_asked_for_again_and_not_for_ever(project, monkeypatch):
    path = write(project / ".claude", "qa", "one\n")
    agents = holdfast.Definitions()
    real, left = reading.content, [3]

    def restless(which):
        found = real(which)
        if left[0] > 0:
            left[0] -= 1
            write(project / ".claude", "qa", f"{left[0]}\n")
        return found

    monkeypatch.setattr(reading, "content", restless)
    one = agents.get("qa")
    assert (one.body, one.sha256, one.text) == ("0\n", sha256(path), path.read_text())
    left[0] = 10**9
    with pytest.raises(HoldfastError, match="qa: its file changed each of 5 times while it was read"):
        holdfast.Definitions().get("qa")  # one that has not seen this content yet


# ── prompts ──


def test_a_prompt_says_of_which_revision_it_is(project, user):
    ours, hidden = write(project / ".claude", "qa"), write(user, "qa", "x" * 5_000)
    made = holdfast.Definitions().prompt(
        "qa", variables={"branch": "main"}, sections={"Task": "Look at {{it}}."}
    )
    assert made.text == "You read what was changed on main.\n\n## Task\n\nLook at {{it}}.\n"
    assert (made.name, made.tool, made.tier, made.path, made.sha256) == (
        "qa", "claude", "project", str(ours), sha256(ours)
    )  # fmt: skip
    assert (made.grade, made.counts, made.variables, made.sections) == (
        "observed",
        True,
        ("branch",),
        ("Task",),
    )
    assert [file.path for file in made.hides] == [str(hidden)]
    assert made.text_sha256 == hashlib.sha256(made.text.encode()).hexdigest()


@pytest.mark.slow
def test_the_same_revision_gives_the_same_prompt_in_another_process(project):
    write(project / ".claude", "qa", "{{b}} {{a}}\n")
    code = (
        "import holdfast; p = holdfast.Definitions().prompt('qa', variables=dict(a='1', b='2'), sections=dict(S='s'));"
        "print(p.sha256, p.text_sha256)"
    )
    said = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": seed}).stdout
        for seed in ("0", "1")
    }  # fmt: skip
    made = holdfast.Definitions().prompt("qa", variables={"b": "2", "a": "1"}, sections={"S": "s"})
    assert said == {f"{made.sha256} {made.text_sha256}\n"}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, r"it names variables that were not given: branch \(line 5\)"),
        ({"variables": {"brunch": "x", "branch": "y"}}, r"it knows no variable 'brunch'; it knows branch"),
        ({"variables": {"branch": 3}}, "'branch' of the variables is int"),
        ({"variables": {"branch": ""}, "sections": {"a\nb": ""}}, "cannot stand among the sections"),
    ],
)
def test_what_is_wrong_with_a_prompt_is_named_with_its_file(project, given, why):
    path = write(project / ".claude", "qa")
    with pytest.raises(UsageError, match=why) as refused:
        holdfast.Definitions().prompt("qa", **given)
    assert str(path) in str(refused.value)
    assert refused.value.hint


def test_a_stub_makes_no_empty_prompt_and_what_it_hides_is_named(project, user):
    write(project / ".claude", "qa", "\n")
    hidden = write(user, "qa", "The real one.\n")
    agents = holdfast.Definitions()
    with pytest.raises(UsageError, match="it tells the agent nothing") as refused:
        agents.prompt("qa")
    assert str(hidden) in refused.value.hint
    assert agents.prompt("qa", tier="user").text == "The real one.\n"


def test_a_text_without_utf8_form_is_refused_by_name(project):
    path = write(project / ".claude", "qa")
    agents = holdfast.Definitions()
    with pytest.raises(UsageError, match="character 3 is half a surrogate pair"):
        agents.put("qa", "abc\udc80", base=sha256(path))
    with pytest.raises(UsageError, match="surrogate"):
        agents.create("web", "\ud800")


def test_many_threads_ask_while_files_change_and_each_answer_is_one_revision(project):
    agents, wrong, over = holdfast.Definitions(), [], threading.Event()
    write(project / ".claude", "qa", "0\n")

    def ask():
        while not over.is_set():
            one = agents.get("qa")
            if (
                one.text is None
                or hashlib.sha256(one.text.encode()).hexdigest() != one.sha256
                or not one.text.endswith(one.body)
            ):
                wrong.append(one)
            made = agents.prompt("qa")
            if not made.text.strip().isdigit():
                wrong.append(made)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(60):
            path = write(project / "beside", "qa", f"{number}\n")
            path.replace(project / ".claude" / "agents" / "qa.md")
    finally:
        over.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert agents.get("qa").body == "59\n"
