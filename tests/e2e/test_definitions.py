"""`holdfast definitions` as a person uses it: which file says what an agent is, what it hides, and what is wrong with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.definitions.parse import MOST_BYTES
from tests.conftest import RUN_LIMIT_S

pytestmark = pytest.mark.slow  # each of these starts the command, most of them several times
BODY = "You read what was changed and say what is wrong with it.\n"


class World:
    """A user's home with Claude Code's and Codex's directories, and a project in a repository."""

    def __init__(self, place: Path) -> None:
        self.user, self.claude, self.codex = place / "user", place / "claude", place / "user" / ".codex"
        self.managed = place / "managed"
        self.project = self.user / "project"
        (self.project / ".git").mkdir(parents=True)
        self.claude.mkdir()

    def agent(self, root: Path, file: str, name: str | None = None, *, body: str = BODY, **more: str) -> Path:
        """Write a definition into `ROOT/agents`; without a name that of the file."""
        path = root / "agents" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        keys = {"name": name or path.stem, "description": "Reads changes"} | more
        head = "".join(f"{key}: {value}\n" for key, value in keys.items() if value is not None)
        path.write_text(f"---\n{head}---\n{body}", "utf-8")
        return path

    def role(self, root: Path, stem: str, **keys: str) -> Path:
        """Write a definition for Codex."""
        path = root / "agents" / f"{stem}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        keys = {"name": stem, "description": "d", "developer_instructions": "Look."} | keys
        path.write_text("".join(f'{key} = "{value}"\n' for key, value in keys.items() if value is not None))
        return path

    def plugin(self, name: str, *, enabled: bool = True) -> Path:
        """Install a plugin; its directory."""
        path = self.user / "plugins" / name
        (path / ".claude-plugin").mkdir(parents=True)
        (path / ".claude-plugin" / "plugin.json").write_text(json.dumps({"name": name}))
        (self.claude / "plugins").mkdir(exist_ok=True)
        listed = {"version": 2, "plugins": {f"{name}@market": [{"scope": "user", "installPath": str(path)}]}}
        (self.claude / "plugins" / "installed_plugins.json").write_text(json.dumps(listed))
        (self.claude / "settings.json").write_text(
            json.dumps({"enabledPlugins": {f"{name}@market": enabled}})
        )
        return path


@pytest.fixture
def world(home, tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_CLAUDE_MANAGED_DIR", str(tmp_path / "managed"))
    return World(tmp_path)


def hold(cwd, *args, code=0, **env):
    """Run the command somewhere; what it prints, and where it fails what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "definitions", *args],
        cwd=cwd,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )
    out, said = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == code, (out, said)
    return out if code in (0, 42) else said


def asked(cwd, *args, code=0, **env):
    return json.loads(hold(cwd, *args, "--json", code=code, **env))


def listed(cwd, *args, **env):
    """Name → definition."""
    return {one["name"]: one for one in asked(cwd, *args, **env)["definitions"]}


def order(cwd, name, **env):
    """(state, path) of each file of a name, of the only tool that has it."""
    [one] = asked(cwd, "why", name, **env)["definitions"]
    return [(each["state"], Path(each["file"]["path"])) for each in one["order"]]


# ── tiers ──


def test_the_strongest_tier_wins_and_removing_it_reveals_the_next(world):
    roots = (world.managed / ".claude", world.project / ".claude", world.claude)
    paths = [world.agent(root, "qa.md") for root in roots]
    states = ["wins", "shadowed", "shadowed"]
    while paths:
        assert order(world.project, "qa") == list(zip(states, paths, strict=False))
        assert listed(world.project)["qa"]["file"]["path"] == str(paths[0])
        paths.pop(0).unlink()
    assert "no definition is called 'qa'" in hold(world.project, "why", "qa", code=3)


def test_the_nearest_project_directory_wins_and_the_repository_ends_the_search(world):
    inner = world.project / "packages" / "one"
    inner.mkdir(parents=True)
    near = world.agent(inner / ".claude", "qa.md")
    far = world.agent(world.project / ".claude", "qa.md")
    world.agent(
        world.user / ".claude", "qa.md"
    )  # above the repository, and not the user's: CLAUDE_CONFIG_DIR says where that is
    assert order(inner, "qa") == [("wins", near), ("shadowed", far)]
    assert order(inner.parent, "qa") == [("wins", far)]
    assert order(world.user, "qa", CLAUDE_CONFIG_DIR=str(world.user / ".claude")) == [
        ("wins", world.user / ".claude" / "agents" / "qa.md")
    ]
    assert listed(world.user, CLAUDE_CONFIG_DIR=str(world.user / ".claude"))["qa"]["file"]["tier"] == "user"
    assert asked(inner.parent, "--cwd", str(inner))["cwd"] == str(inner)


def test_outside_a_repository_it_is_not_certain_that_directories_above_count(world):
    shutil.rmtree(world.project / ".git")
    inner = world.project / "inner"
    inner.mkdir()
    above = world.agent(world.project / ".claude", "qa.md")
    world.agent(
        world.user / ".claude", "not.md"
    )  # of the user's home itself, where nothing of a project lies
    assert order(inner, "qa") == [("wins", above)]
    assert {name: one["grade"] for name, one in listed(inner).items()} == {"qa": "inferred"}
    world.agent(inner / ".claude", "qa.md")
    assert listed(inner)["qa"]["grade"] == "observed"


def test_nothing_counts_that_the_home_lies_in(world, monkeypatch):
    for above in (world.user, world.user / "deep", world.user / "deep" / "a"):
        world.agent(above / ".claude", f"{above.name}.md")
    home = world.user / "deep" / "a" / "b"
    (home / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for cwd in (home, home / "work"):
        assert listed(cwd) == {}


@pytest.mark.parametrize("is_repository", [True, False])
def test_a_home_that_is_reached_by_a_link_is_the_users(world, tmp_path, monkeypatch, is_repository):
    """As on clusters: the system says where a working directory really lies, and $HOME does not."""
    link = tmp_path / "home"
    link.symlink_to(world.user)
    monkeypatch.setenv("HOME", str(link))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    if is_repository:
        (world.user / ".git").mkdir()
    shutil.rmtree(world.project / ".git")
    world.agent(world.user / ".claude", "mine.md")
    for cwd in (world.project, world.user):
        one = listed(cwd)["mine"]
        assert (one["file"]["tier"], one["grade"]) == ("user", "observed")
    assert set(listed(world.project, "--tier", "user")) == {"mine"}


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_linked_worktree_takes_what_lies_in_the_main_one_too(world, tmp_path):
    shutil.rmtree(world.project / ".git")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x", "-C", str(world.project)]
    for words in (
        ["init"],
        ["commit", "--allow-empty", "-m", "x"],
        ["worktree", "add", str(tmp_path / "beside")],
    ):
        subprocess.run([*git, *words], check=True, capture_output=True)
    main = world.agent(world.project / ".claude", "qa.md")
    assert order(tmp_path / "beside", "qa") == [("wins", main)]
    own = world.agent(tmp_path / "beside" / ".claude", "qa.md")
    assert order(tmp_path / "beside", "qa") == [("wins", own), ("shadowed", main)]


def test_an_agent_of_a_plugin_answers_to_its_whole_name_and_counts_last_by_its_plain_one(world):
    plugin = world.plugin("kit")
    brought = world.agent(plugin, "review/security.md", hooks="{}")
    assert order(world.project, "security") == [("wins", brought)]
    own = world.agent(world.claude, "security.md")
    assert order(world.project, "security") == [("wins", own)]
    assert order(world.project, "kit:review:security") == [("wins", brought)]
    found = asked(world.project, "why", "security")
    assert found["also_called"] == ["kit:review:security"]
    assert "kit:review:security has this plain name too" in hold(world.project, "why", "security")
    [file] = asked(world.project, "validate", "kit:review:security")["files"]
    assert [(one["code"], one["line"]) for one in file["findings"]] == [("not-in-plugin", 4)]
    assert (file["tier"], file["plugin"], file["writable"]) == ("plugin", "kit", False)


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        ({}, True),
        ({"project/.claude/settings.json": False}, False),
        ({"project/.claude/settings.json": False, "project/.claude/settings.local.json": True}, True),
    ],
)
def test_a_plugin_counts_where_the_settings_switch_it_on(world, settings, counts):
    world.agent(world.plugin("kit"), "qa.md")
    for path, on in settings.items():
        (world.user / path).parent.mkdir(exist_ok=True)
        (world.user / path).write_text(json.dumps({"enabledPlugins": {"kit@market": on}}))
    assert ("kit:qa" in listed(world.project)) == counts


def test_two_files_of_one_name_in_one_directory_are_told_and_their_order_is_not_certain(world):
    world.agent(world.claude, "b.md", "qa")
    world.agent(world.claude, "deep/a.md", "qa")
    [one] = asked(world.project, "why", "qa")["definitions"]
    assert one["grade"] == "inferred"
    assert [each["state"] for each in one["order"]] == ["wins", "shadowed"]
    assert "duplicate" in {each["code"] for each in one["findings"]}
    assert "which of two files in one directory counts is not documented" in hold(world.project, "why", "qa")
    assert listed(world.project)["qa"]["hides"] == 1


def test_codex_takes_the_first_by_path_and_passes_over_what_it_cannot_use(world):
    first, second = world.role(world.codex, "a", name="scout"), world.role(world.codex, "b", name="scout")
    [one] = asked(world.project, "why", "scout")["definitions"]
    assert [each["file"]["path"] for each in one["order"]] == [str(first), str(second)]
    assert (one["tool"], one["grade"]) == ("codex", "observed")
    bad = world.role(world.project / ".codex", "scout", developer_instructions=" ")
    assert order(world.project, "scout") == [("wins", first), ("shadowed", second), ("passed over", bad)]
    said = hold(world.project, "validate", "scout", code=42)
    assert "line 3: its developer_instructions is empty" in said


def test_codex_takes_a_missing_description_from_a_weaker_definition(world):
    bare = world.role(world.codex, "scout", description=None)
    one = listed(world.project)["scout"]
    assert (one["file"]["path"], one["file"]["loads"], one["grade"]) == (str(bare), None, "inferred")
    assert "only where a weaker one" in hold(world.project, "why", "scout")


def test_a_project_that_codex_does_not_trust_does_not_count(world):
    own = world.role(world.codex, "scout")
    of_project = world.role(world.project / ".codex", "scout")
    config = world.codex / "config.toml"
    assert listed(world.project)["scout"]["grade"] == "inferred"
    for level, expected in (("trusted", [of_project, own]), ("untrusted", [own, of_project])):
        config.write_text(f'[projects."{world.project}"]\ntrust_level = "{level}"\n')
        assert [path for _, path in order(world.project, "scout")] == expected
        assert listed(world.project)["scout"]["grade"] == "observed"
    assert "does not trust this project" in hold(world.project, "why", "scout")


def test_which_of_a_role_that_is_declared_and_one_in_a_file_counts_is_not_certain(world):
    world.role(world.codex, "scout")
    world.role(world.codex, "other")
    mine, theirs = world.codex / "config.toml", world.project / ".codex" / "config.toml"
    theirs.parent.mkdir()
    for config in (mine, theirs):
        config.write_text('[agents]\nmax_threads = 3\n[agents.scout]\nconfig_file = "roles/scout.toml"\n')
        found = listed(world.project)
        assert {name: one["grade"] for name, one in found.items()} == {
            "scout": "inferred",
            "other": "observed",
        }
        assert found["scout"]["grade_why"].startswith(f"{config} declares a role of this name")
        config.unlink()
    theirs.write_text("[agents.scout]\n")
    mine.write_text(f'[projects."{world.project}"]\ntrust_level = "untrusted"\n')
    assert listed(world.project)["scout"]["grade"] == "observed"


def test_roots_of_your_own_have_tiers_too(world):
    own = json.dumps({"near": [".helpers", "project"], "kit": ["~/kit", "system", "read-only"]})
    (world.project / ".helpers").mkdir()
    (world.user / "kit").mkdir()
    (world.user / "kit" / "qa.yaml").write_text(
        "name: qa\ndescription: d\ncapabilities: [review, tests]\ntype: reviewer\n"
    )
    (world.user / "kit" / "__init__.py").write_text("")
    env = {"HOLDFAST_DEFINITION_ROOTS": own}
    assert order(world.project, "qa", **env) == [("wins", world.user / "kit" / "qa.yaml")]
    (world.project / ".helpers" / "qa.py").write_text('"""Reads."""\nname = "qa"\nTYPE = "writer"\n')
    assert [path.suffix for _, path in order(world.project, "qa", **env)] == [".py", ".yaml"]
    roots = {root["path"]: root for root in asked(world.project, **env)["roots"] if root["tool"] == "custom"}
    assert not roots[str(world.user / "kit")]["writable"]
    for words in (["--type", "Writer"], ["--tier", "project"], ["--tool", "custom"]):
        assert [one["name"] for one in asked(world.project, *words, **env)["definitions"]] == ["qa"]
    for words in (["--type", "reviewer"], ["--capability", "review"], ["--tool", "codex"]):
        assert asked(world.project, *words, **env)["definitions"] == []
    (world.project / ".helpers" / "qa.py").unlink()
    for words in (["--type", "reviewer"], ["--capability", "REVIEW"], ["--tier", "system"]):
        assert [one["name"] for one in asked(world.project, *words, **env)["definitions"]] == ["qa"]


@pytest.mark.parametrize(
    "words",
    [["/x"], ["/x", "user", "project"], ["/x", "user", "vim"], ["/x", "system", "claude"], ["~x", "user"]],
)
def test_a_root_that_cannot_be_is_refused(world, words):
    said = hold(world.project, code=2, HOLDFAST_DEFINITION_ROOTS=json.dumps({"mine": words}))
    assert "definition_roots.mine" in said


# ── links, names, and what is no file ──


def test_a_root_that_is_reached_in_two_ways_counts_once(world):
    path = world.agent(world.claude, "qa.md")
    (world.project / ".claude").mkdir()
    (world.project / ".claude" / "agents").symlink_to(world.claude / "agents")
    found = asked(world.project)
    [one] = found["definitions"]
    assert (one["file"]["tier"], one["file"]["real_path"], one["hides"]) == ("project", str(path), 0)
    assert [root["also_tiers"] for root in found["roots"] if root["exists"]] == [["user"]]


def test_a_file_that_is_reached_in_two_ways_is_one(world):
    path = world.agent(world.claude, "qa.md")
    (world.project / ".claude" / "agents").mkdir(parents=True)
    link = world.project / ".claude" / "agents" / "linked.md"
    link.symlink_to(path)
    [one] = asked(world.project)["definitions"]
    assert (one["file"]["path"], one["file"]["also_at"], one["hides"]) == (str(link), [str(path)], 0)


def test_loops_pipes_broken_links_and_huge_files_are_told_and_hold_nobody_up(world):
    root = world.claude / "agents"
    world.agent(world.claude, "qa.md")
    (root / "again").symlink_to(root)
    (root / "self.md").symlink_to("self.md")
    (root / "gone.md").symlink_to("nowhere")
    os.mkfifo(root / "pipe.md")
    (root / "zero.md").symlink_to("/dev/zero")
    (root / "huge.md").write_bytes(b"x" * (MOST_BYTES + 1))
    found = listed(world.project)
    assert found.pop("qa")["file"]["validity"] == "valid"
    assert sorted(found) == ["gone", "huge", "pipe", "self", "zero"]
    for name, one in found.items():
        assert (one["file"]["validity"], one["file"]["score"]) == ("unchecked", None)
        if name == "huge":  # what is no file, no tool can read
            assert (one["counts"], one["file"]["loads"], one["grade"]) == (True, None, "inferred")
        else:
            assert (one["counts"], one["file"]["loads"]) == (False, False)
    said = hold(world.project, "validate", code=42)
    for words in ("it is a link to nothing", "it is no plain file", f"at most {MOST_BYTES:,} are read"):
        assert words in said


@pytest.mark.parametrize("above", ["..", "../..", "/"])
def test_a_link_to_what_lies_around_it_is_told_and_not_followed(world, above):
    """All of a disk may lie there. What a tool finds in it, nobody knows."""
    agents = world.agent(world.claude, "qa.md").parent
    (world.claude / "notes.md").write_text("---\nname: notes\ndescription: d\n---\n")
    (agents / "rest").symlink_to(above)
    found = asked(world.project)
    assert [(one["name"], one["grade"]) for one in found["definitions"]] == [("qa", "inferred")]
    why = "leads to a directory that it lies in, and is not followed"
    assert found["unreadable"] == [{"path": str(agents / "rest"), "why": why}]


def test_names_that_a_person_takes_for_each_other_are_told(world):
    for file, name in (("a.md", "qa"), ("b.md", "QA"), ("c.md", "café"), ("d.md", "cafe\u0301")):
        world.agent(world.claude, file, name)
    found = listed(world.project)
    assert len(found) == 4
    alike = {
        name: [one["text"] for one in each["findings"] if one["code"] == "near-name"]
        for name, each in found.items()
    }
    assert "differs in case only" in alike["qa"][0]
    assert "other characters" in alike["café"][0]
    assert hold(world.project).count("differs in case only") == 1
    assert "there is QA, qa" in hold(world.project, "show", "Qa", code=3)


def test_hostile_names_are_names_and_never_paths(world):
    secret = world.project / "secret"
    secret.write_text("secret\n")
    world.agent(world.claude, "x.md")
    for name in (
        "../secret",
        "../x",
        "../project/secret",
        str(secret),
        "x.md",
        "a" * 300,
        ".",
        "%s\x1b[31m",
        "*",
    ):
        for verb in ("show", "why"):
            said = hold(world.project, verb, "--", name, code=3)
            assert "no definition is called" in said
            assert "\x1b" not in said
        hold(world.project, "validate", "--", name, code=3)
    from holdfast.cli.app import cli
    from holdfast.errors import NotFound

    with pytest.raises(NotFound, match=r"a\\x00b"):
        cli.main(["definitions", "show", "a\0b"], standalone_mode=False)


def test_hostile_names_in_files_are_shown_escaped(world):
    long = "a" * 300
    for number, name in enumerate(('"../x"', r'"a\0b"', r'"\e[31mred"', long, '"a/b"')):
        world.agent(world.claude, f"{number}.md", name)
    found = listed(world.project)
    assert {"../x", "a\0b", "\x1b[31mred", long, "a/b"} <= set(found)
    for words in ([], ["show", "../x"], ["why", "\x1b[31mred"], ["validate", "../x"]):
        assert "\x1b" not in hold(world.project, *words)
    assert [one["code"] for one in found["a\0b"]["file"]["findings"] if one["level"] == "error"] == [
        "name-characters"
    ]
    assert [one["code"] for one in found[long]["file"]["findings"] if one["level"] == "warning"] == [
        "name-long"
    ]
    assert "there is" in hold(world.project, "why", "../X", code=3)


def test_a_name_that_is_no_utf8_is_kept_and_shown(world):
    root = world.claude / "agents"
    root.mkdir()
    path = os.fsencode(root) + b"/caf\xe9.md"
    Path(os.fsdecode(path)).write_bytes(b"---\nname: qa\ndescription: d\n---\nx\n")
    assert listed(world.project)["qa"]["file"]["path"] == f"{root}/caf\\xe9.md"
    assert "caf\\xe9.md" in hold(world.project, "why", "qa")
    assert "valid 100" in hold(world.project, "validate", "--all", os.fsdecode(path))


def test_what_stands_in_no_file_is_named_where_it_may_have_the_name(world):
    for name, said in (("qa", ["command-line"]), ("Explore", ["command-line", "built-in"])):
        world.agent(world.claude, f"{name}.md")
        lines = [line for line in hold(world.project, "why", name).splitlines() if "not seen: " in line]
        assert [line.rpartition(", ")[2][:-1] for line in lines] == said
        unseen = asked(world.project, "why", name)["unseen"]
        assert [one["tier"] for one in unseen] == ["command-line", "built-in"]


# ── what is hidden, and what is wrong ──


STUB = "---\nname: ops\ndescription: x\n---"


def test_a_stub_that_hides_a_whole_agent_is_told_by_every_command(world):
    """What went unseen for weeks while three health checks counted files: they were all there."""
    assert len(STUB) == 32
    stub = world.project / ".claude" / "agents" / "ops.md"
    stub.parent.mkdir(parents=True)
    stub.write_text(STUB)
    whole = world.agent(world.claude, "ops.md", body="Do it well. " * 2100)
    told = (
        f"with 32 bytes that tell the agent nothing it hides {whole} (user), {whole.stat().st_size:,} bytes"
    )
    assert 25_000 < whole.stat().st_size < 26_000
    assert [one["text"] for one in listed(world.project)["ops"]["findings"]] == [told]
    for words in ([], ["why", "ops"], ["validate"], ["validate", "ops"], ["show", "ops"]):
        assert told in hold(world.project, *words)
    stub.write_text(STUB + "\nShort.\n")
    assert f"with 40 bytes it hides {whole} (user)" in hold(world.project)
    shutil.copy(whole, stub)
    assert told not in hold(world.project)
    assert [one["code"] for one in listed(world.project)["ops"]["findings"]] == ["same-content"]


def test_an_invalid_file_that_hides_a_valid_one_is_told(world):
    world.agent(world.claude, "qa.md")
    world.agent(world.project / ".claude", "qa.md", description="Use when: it is needed")
    one = listed(world.project)["qa"]
    assert [each["code"] for each in one["findings"]] == ["hides-valid"]
    assert (one["grade"], one["file"]["loads"], one["file"]["validity"]) == ("inferred", None, "invalid")


@pytest.mark.parametrize("bad", ["a link to nothing", "a pipe", "a number for a name"])
def test_what_no_tool_can_load_hides_nothing(world, bad):
    good = world.agent(world.claude, "123.md", "123")
    path = world.project / ".claude" / "agents" / "123.md"
    path.parent.mkdir(parents=True)
    if bad == "a link to nothing":
        path.symlink_to("nowhere")
    elif bad == "a pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b"---\nname: 123\ndescription: d\n---\nx\n")
    good.write_text(good.read_text().replace("name: 123", "name: '123'"))
    assert order(world.project, "123") == [("wins", good), ("passed over", path)]
    assert asked(world.project, "why", "123")["definitions"][0]["grade"] == "observed"


def test_what_editors_and_systems_keep_beside_a_definition_is_none(world):
    agents = world.agent(world.claude, "qa.md").parent
    (agents / ".#qa.md").symlink_to("user@host.1:2")
    (agents / "._qa.md").write_bytes(b"\0\5\x16\7\0")
    world.agent(world.claude, ".hidden.md", "hidden")
    assert set(listed(world.project)) == {"qa", "hidden"}
    hold(world.project, "validate")


def test_a_file_that_is_too_large_is_told_to_become_smaller(world):
    for path in (world.project / "alone.md", world.claude / "agents" / "huge.md"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.truncate(path, 3_200_000_000)
        said = hold(world.project, "validate", str(path), code=42)
        assert "it has 3,200,000,000 bytes, and at most 1,048,576 are read" in said
        assert "make it smaller" in said


def test_a_file_that_its_tool_passes_over_hides_nothing(world):
    good = world.agent(world.claude, "qa.md")
    bad = world.agent(world.project / ".claude", "qa.md", description=None)
    assert order(world.project, "qa") == [("wins", good), ("passed over", bad)]
    assert "it has no description" in hold(world.project)
    good.unlink()
    one = listed(world.project)["qa"]
    assert (one["counts"], one["file"]["loads"]) == (False, False)
    assert "(project)" in hold(world.project)


HEAD = b"---\nname: a\ndescription: x\n"


@pytest.mark.parametrize(
    ("file", "content", "code", "line"),
    [
        ("a.md", b"---\nname: a\n\tdescription: x\n---\nx", "yaml", 3),
        ("a.md", b"---\nname: a\ndescription: when: it\n---\nx", "yaml", 3),
        ("a.md", HEAD + b"name: b\n---\nx", "duplicate-key", 4),
        ("a.md", b"---\ndescription: x\nname: 12\n---\nx", "name-no-text", 3),
        ("a.md", b"---\ndescription: x\nname: [a, b]\n---\nx", "name-no-text", 3),
        ("a.md", b"\xef\xbb\xbf---\nname: a\ndescription: x\n---\nx", "bom", 1),
        ("a.md", b"---\r\nname: a\r\ndescription: x\r\n---\r\nx\r\n", "line-ends", 1),
        ("a.md", HEAD + b"---\nx\n\xff\n", "encoding", 6),
        ("a.md", HEAD, "front-matter-end", 1),
        ("a.md", HEAD + b"x: " + b"[" * 5_000 + b"\n---\nx", "too-large", 4),
        ("a.md", HEAD + b"x: " + b"y" * 1_000_000 + b"\n---\nx", "too-large", 2),
        ("a.md", HEAD + b"x: !!python/object/apply:os.system [exit]\n---\nx", "tag", 4),
        ("a.md", HEAD + b"tools: Read, Wrench\n---\nx", "unknown-tool", 4),
        ("a.md", HEAD + b"model: gpt-9\n---\nx", "unknown-model", 4),
        ("a.md", HEAD + b"allowed_tools: x\n---\nx", "unknown-key", 4),
        ("a.md", HEAD + b"permissionMode: root\n---\nx", "value", 4),
        ("a.md", HEAD + b"---\n# A\n```sh\nls\n", "open-fence", 6),
        ("a.md", b"---\nname: a:b\ndescription: x\n---\nx", "colon-in-name", 2),
        ("a.toml", b'name = "a"\ndescription = [\n', "toml", 3),
        ("a.toml", b'name = "a"\ndescription = "d"\n', "no-developer_instructions", None),
        (
            "a.toml",
            b'name = "a"\ndescription = "d"\ndeveloper_instructions = """' + b"x" * 40_000 + b'"""',
            "too-large",
            3,
        ),
        ("a.json", b'{"name": "a",\n "name": 1}', "duplicate-key", 1),
        ("a.json", b'{"name": "a",\n]', "json", 2),
        ("a.toml", b'name = "a"\ntools = [0x' + b"f" * 5_000 + b"]", "number", 2),
        ("a.json", b'{"name": "a",\n "x": 9223372036854775808}', "number", 2),
        ("a.json", b'{"name": "\\ud800x"}', "surrogate", 1),
        ("a.py", b'name = "\\ud800"\nX = {0x' + b"f" * 5_000 + b": 1}", "surrogate", 1),
        ("a.json", b"[" * 100_000, "json", None),
        ("a.yaml", b"- a\n", "no-mapping", 1),
        (
            "a.yaml",
            b"a: &a [1,1]\n"
            + b"".join(b"%c: &%c [*%c,*%c]\n" % (98 + n, 98 + n, 97 + n, 97 + n) for n in range(20)),
            "too-large",
            None,
        ),
        ("a.py", b"def a(:\n", "python", 1),
        ("a.py", b"x = " + b"(" * 5_000, "too-deep", 1),
        ("a.py", b"return 1\n", "python", 1),
        ("a.md", b"", "no-name", None),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_wrong_is_a_finding_with_its_line_and_never_a_crash(world, file, content, code, line):
    path = world.project / file
    path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "definitions", "validate", "--json", str(path)],
        cwd=world.project,
        capture_output=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )
    assert done.returncode in (0, 42), done.stderr
    [found] = json.loads(done.stdout)["files"]
    [one, *_] = [each for each in found["findings"] if each["code"] == code]
    assert line in (None, one["line"])
    assert (
        (found["validity"] == "invalid")
        == (done.returncode == 42)
        == any(each["level"] == "error" for each in found["findings"])
    )
    assert (found["score"] >= 50) == (found["validity"] == "valid")


def test_a_file_of_a_megabyte_is_read(world):
    world.agent(world.claude, "qa.md", body="x" * 1_000_000)
    one = listed(world.project)["qa"]["file"]
    assert (one["validity"], one["score"]) == ("valid", 100)
    assert len(asked(world.project, "show", "qa")["definitions"][0]["text"]) == one["size_bytes"]


def test_python_is_never_run(world, tmp_path):
    """Not by listing, showing, explaining or validating; the same file run by hand writes the marker."""
    marker, root = tmp_path / "marker", tmp_path / "kit"
    root.mkdir()
    path = root / "helper.py"
    path.write_text(f'"""Helps."""\nopen({str(marker)!r}, "w").close()\nname = "helper"\ntools = ["Read"]\n')
    env = {"HOLDFAST_DEFINITION_ROOTS": json.dumps({"kit": [str(root), "user"]})}
    one = listed(world.project, **env)["helper"]["file"]
    assert (one["description"], one["tools"], one["validity"]) == ("Helps.", ["Read"], "valid")
    for words in (["show", "helper"], ["why", "helper"], ["validate"], ["validate", str(path)]):
        hold(world.project, *words, **env)
    assert not marker.exists()
    assert list(root.iterdir()) == [path]
    subprocess.run([sys.executable, str(path)], check=True)
    assert marker.exists()


def test_nothing_is_written_but_into_the_home(world, tmp_path, home):
    world.agent(world.claude, "qa.md")
    before = _all_but(home, tmp_path)
    for words in ([], ["show", "qa"], ["why", "qa"], ["validate"]):
        hold(world.project, *words)
    assert _all_but(home, tmp_path) == before


def _all_but(home, top):
    return {path: path.lstat().st_mtime_ns for path in top.rglob("*") if home not in (path, *path.parents)}


def test_what_cannot_be_read_of_settings_is_told(world):
    world.agent(world.plugin("kit"), "qa.md")
    (world.claude / "settings.json").write_text("{")
    found = asked(world.project)
    assert found["definitions"] == []
    assert [one["path"] for one in found["unreadable"]] == [str(world.claude / "settings.json")]


def test_pipes_in_place_of_the_tools_settings_are_told_and_hold_nobody_up(world):
    world.agent(world.plugin("kit"), "qa.md")
    unknown = "cannot be read, so whether Codex trusts this project and which roles it declares is not known: it is no plain file"
    passed_over = "cannot be read, so what it says does not count here: it is no plain file"
    places = {
        world.codex / "config.toml": unknown,
        world.claude / "settings.json": passed_over,
        world.project / ".claude" / "settings.local.json": passed_over,
        world.managed / "managed-settings.json": passed_over,
    }
    for place in places:
        place.parent.mkdir(exist_ok=True)
        place.unlink(missing_ok=True)
        os.mkfifo(place)
    assert {Path(one["path"]): one["why"] for one in asked(world.project)["unreadable"]} == places


@pytest.mark.parametrize("place", [".git", "gone/commondir"])
def test_pipes_in_place_of_gits_files_hold_nobody_up(world, place):
    (world.project / ".git").rmdir()
    (world.project / ".git").write_text("gitdir: gone\n")
    path = world.project / place
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    world.agent(world.project / ".claude", "qa.md")
    assert listed(world.project)["qa"]["grade"] == "observed"  # the directory is a repository's root


@pytest.mark.parametrize("level", ['["trusted"]', "{}"])
def test_a_level_of_trust_that_is_no_word_tells_nothing(world, level):
    world.role(world.project / ".codex", "scout")
    world.codex.mkdir()
    (world.codex / "config.toml").write_text(f'[projects."{world.project}"]\ntrust_level = {level}\n')
    assert listed(world.project)["scout"]["grade"] == "inferred"


def test_a_worktree_that_names_no_place_is_its_own(world):
    (world.project / ".git").rmdir()
    (world.project / ".git").write_text("gitdir: gone\n")
    (world.project / "gone").mkdir()
    (world.project / "gone" / "commondir").write_bytes(b"..\0/other\n")
    path = world.agent(world.project / ".claude", "qa.md")
    assert order(world.project, "qa") == [("wins", path)]


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root reads everything; needs setpriv"
)
def test_a_directory_without_permission_is_told_and_makes_what_it_may_hide_uncertain(world):
    """Nothing in it is taken for gone, and no snapshot holds it."""
    theirs = world.agent(world.project / ".claude", "qa.md", body="good\n")
    world.agent(world.claude, "qa.md")
    world.agent(world.managed / ".claude", "boss.md")
    user = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

    def as_user(*args: str) -> subprocess.CompletedProcess[str]:
        command = [*user, sys.executable, "-m", "holdfast", *args]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=world.project)

    if subprocess.run([*user, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this root may not give up that it reads everything")
    assert ": 3 definitions" in as_user("definitions", "snapshot").stdout
    theirs.write_text(theirs.read_text().replace("good", "bad"))
    as_user("definitions", "list")
    closed = theirs.parent.parent
    closed.chmod(0)
    try:
        [one] = json.loads(as_user("definitions", "why", "qa", "--json").stdout)["definitions"]
        assert (one["order"][0]["file"]["tier"], one["grade"]) == ("user", "inferred")
        assert one["grade_why"] == f"{theirs.parent} (project) could not all be looked through"
        [boss] = json.loads(as_user("definitions", "why", "boss", "--json").stdout)["definitions"]
        assert boss["grade"] == "observed"
        assert (
            "note: .claude/agents cannot be looked at: Permission denied"
            in as_user("definitions", "list").stderr
        )
        taken = as_user("definitions", "snapshot")
        assert ": 2 definitions" in taken.stdout
        assert "1 place could not be looked at" in taken.stderr
    finally:
        closed.chmod(0o755)
    assert "deleted" not in as_user("definitions", "history", "qa").stdout
    theirs.parent.chmod(0o555)
    done = as_user("restore", "definition", "qa", "--path", str(theirs), "--yes")
    assert "the system does not let you write there" in done.stderr


def test_an_empty_machine_says_where_it_would_look(world):
    said = hold(world.project)
    assert "no definitions of agents count here" in said
    assert ".claude/agents" in said
    assert hold(world.project, "validate") == said
    assert asked(world.project, "validate")["checked"] == 0
    world.agent(world.claude, "qa.md")
    for words in ([], ["validate"]):
        assert hold(world.project, *words, "--tool", "codex") == "no definition is like that\n"
    assert "is no directory" in hold(world.project, "--cwd", "nowhere", code=3)


def test_the_day_chooses_the_order_of_tiers(world):
    """Before April 2026 what was passed to Claude Code counted before what an organisation managed; only what is seen here is unchanged."""
    managed, own = world.agent(world.managed / ".claude", "qa.md"), world.agent(world.claude, "qa.md")
    for day in ("2026-01-01T00:00:00Z", "2026-11-22T00:00:00Z"):
        assert order(world.project, "qa", HOLDFAST_NOW=day) == [("wins", managed), ("shadowed", own)]
