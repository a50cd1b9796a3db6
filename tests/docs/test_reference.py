"""The reference pages and the declarations in the code say the same."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import zlib
from pathlib import Path

import click
import pytest

import holdfast
from holdfast import errors, events, settings
from holdfast.cli.app import COMMANDS, cli, find_command
from tools import render_reference

ROOT = Path(__file__).resolve().parent.parent.parent
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted(REFERENCE.glob("*.md"))


def page(name):
    return (REFERENCE / f"{name}.md").read_text("utf-8")


def section(text, heading):
    """The text under a heading, up to the next one of the same or a higher level."""
    level = len(heading) - len(heading.lstrip("#"))
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{level}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no {heading!r}"
    return found[1]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_is_what_the_declarations_render(path):
    """If this fails: python tools/render_reference.py"""
    text = path.read_text("utf-8")
    assert render_reference.rendered(text) == text


def test_every_generated_part_has_a_place():
    """A new command or table cannot be left out of the pages."""
    begun = {name for path in PAGES for name in re.findall(r"<!-- begin: (.+?) -->", path.read_text("utf-8"))}
    assert begun == set(render_reference.parts())


def test_every_command_has_a_section_and_declared_exit_codes():
    text = page("cli")
    for name in ("", *COMMANDS):
        assert section(text, f"## holdfast {name}".strip())
    assert set(render_reference.EXITS) == {"", *COMMANDS}


def test_every_option_and_argument_is_documented():
    """Hidden options too: they are settings that can be given as flags."""
    for name in COMMANDS:
        text = section(page("cli"), f"## holdfast {name}")
        for param in find_command(name).params:
            named = (param.metavar or param.name.upper()).strip("[]").removesuffix("S")
            shown = param.opts[0] if isinstance(param, click.Option) else named
            assert shown in text, f"{name} {shown}"
            assert isinstance(param, click.Argument) or param.help, f"{name} {shown} has no help"
    text = section(page("cli"), "## Global options")
    for param in cli.params:
        assert f"`{param.opts[0]}" in text


def test_every_setting_is_documented():
    text = page("settings")
    for row in settings.SETTINGS:
        about = section(text, f"### {row.name}")
        for fact in (row.sentence, row.unit, row.env, row.flag, row.accepts, *row.also_env):
            assert fact in about


def test_every_event_kind_is_documented_with_its_fields_and_spellings():
    text = page("events")
    for row in events.reference():
        about = section(text, f"### {row['kind']}")
        assert row["sentence"] in about
        for name in [field["name"] for field in row["fields"]] + row["aliases"]:
            assert f"`{name}`" in about


def test_every_exit_code_is_documented():
    """Those of all error classes, also such as are defined outside the tree's own module, and the three others."""
    for module in pkgutil.walk_packages(holdfast.__path__, "holdfast."):
        if module.name != "holdfast.__main__":
            importlib.import_module(module.name)
    text = page("exit-codes")
    documented = {int(code) for code in re.findall(r"^\| \*\*(\d+)\*\* \|", text, re.MULTILINE)}
    assert documented == {cls.exit_code for cls in errors.tree()} | {0, 70, 130}
    given = {code for codes in render_reference.EXITS.values() for code in codes}
    assert given | set(render_reference.EVERY_COMMAND) <= documented


def test_the_tree_drawn_in_the_code_is_the_tree():
    drawn = re.findall(r"^\s*[│├└─ ]*(\w+) +exit (\d+)", errors.__doc__, re.MULTILINE)
    assert [(cls.__name__, str(cls.exit_code)) for cls in render_reference.ours()] == drawn


def test_every_environment_variable_that_is_read_is_documented():
    names = set()
    for path in (ROOT / "src" / "holdfast").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                names |= set(re.findall(r"\A[A-Z]+(?:_[A-Z]+)+\Z|\ACOLUMNS\Z", node.value))
    text = page("settings")
    for name in names & {"HOLDFAST_DEBUG", "HOLDFAST_HOME", "CLAUDE_CONFIG_DIR", "COLUMNS"} | {"NO_COLOR"}:
        assert f"`{name}`" in text
    unknown = {
        name for name in names if name.startswith(("HOLDFAST_", "CLAUDE_")) and f"`{name}`" not in text
    }
    assert unknown == set()


def test_a_changed_declaration_would_be_noticed(monkeypatch):
    """The comparison above goes red when a command's sentence changes."""
    monkeypatch.setitem(COMMANDS, "stats", ("stats", "Something else."))
    text = page("cli")
    assert render_reference.rendered(text) != text


# ── exit codes that can be provoked are those that the pages give ──


def gives(run, *args, code, stdin="", env=None):
    done = run(*args, stdin=stdin, env=env)
    assert done.returncode == code, done.stderr
    names = (" ".join(map(str, args[:2])), str(args[0]) if args else "")
    command = next((name for name in names if name in COMMANDS), "")
    documented = re.search(
        r"\[Exit codes\]\(exit-codes\.md\): ([\d, ]+)\.",
        section(page("cli"), f"## holdfast {command}".strip()),
    )
    assert str(code) in documented[1].split(", ")
    if code not in (0, 130):
        assert "rror: " in done.stderr


READING = ("", "sessions", "stats", "cost", "doctor")


@pytest.mark.slow
def test_wrong_usage_and_unknown_names_exit_as_documented(run, tmp_path):
    for args in (
        ["stats", "--since", "yesterday"],
        ["cost", "--by", "week"],
        ["sessions", "--no-such-option"],
    ):
        gives(run, *args, code=2)
    gives(run, "record", stdin="no JSON\n", code=2)
    gives(run, "config", code=2, env={"HOLDFAST_STALE_AFTER_S": "soon"})
    for name in ("show", "tree", "timeline"):
        gives(run, name, "nothing", code=3)
    gives(run, "import", tmp_path / "absent", code=3)
    gives(run, "export", "--session", "nothing", code=3)
    gives(run, "cost", "--session", "nothing", code=3)
    gives(run, "workspace", "move", "/nothing", "/else", code=3)
    gives(run, "import", code=3)


@pytest.mark.slow
def test_an_unusable_home_exits_as_documented(run, home):
    home.mkdir()
    (home / "home.json").write_text("no JSON")
    for name in (*READING, "import", "record", "rebuild", "export"):
        gives(run, *([name] if name else []), code=10)
    gives(run, "workspace", "list", code=10)
    gives(run, "uninstall", "--purge", "--yes", code=10)
    gives(run, "config", code=0)


@pytest.mark.slow
def test_versions_that_do_not_fit_exit_as_documented(run, home):
    run("record", stdin='{"kind":"info"}\n')
    gives(run, "sessions", code=0)
    mark = home / "home.json"
    kept = mark.read_text()
    for changed in ({"format": 2}, {"redaction": 9}):
        mark.write_text(json.dumps(json.loads(kept) | changed))
        gives(run, "sessions", code=12)
    mark.write_text(json.dumps(json.loads(kept) | {"redaction": -1}))
    gives(run, "sessions", code=11)
    mark.write_text(kept)

    import apsw

    db = apsw.Connection(str(home / "store.db"))
    db.execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    db.close()
    for name in ("sessions", "import", "rebuild"):
        gives(run, name, *([home] if name == "import" else []), code=32)
    gives(run, "doctor", code=40)
    gives(run, "rebuild", "--set-aside", code=0)
    gives(run, "sessions", code=0)


@pytest.mark.slow
def test_a_held_lock_exits_as_documented(run, home):
    """Importing and rebuilding need the lock; a question is answered from what is there."""
    import fcntl

    run("record", stdin='{"kind":"info"}\n')
    gives(run, "sessions", code=0)
    with (home / "writer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        gives(run, "sessions", code=0)
        gives(run, "rebuild", code=31)
        gives(run, "export", code=0)
        gives(run, "uninstall", "--purge", "--yes", code=31)


@pytest.mark.slow
def test_damage_in_the_journal_exits_as_documented(run, home):
    run("record", stdin='{"kind":"info"}\n')
    with (home / "journal" / "00000001.jsonl").open("ab") as segment:
        segment.write(b"damage\n")
    gives(run, "sessions", code=0)
    gives(run, "doctor", code=40)
    gives(run, "export", code=26)
    export = home.with_name("export.jsonl")
    run("export", export)
    gives(run, "import", export, code=0)
    export.write_bytes(export.read_bytes() + b"damage\n")
    gives(run, "import", export, code=26)
    head = b'{"v":2,"s":"holdfast.export"'
    export.write_bytes(head + b',"c":"%08x"}\n' % zlib.crc32(head))
    gives(run, "import", export, code=27)
