"""Settings: who wins, where a value came from, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from holdfast.errors import SettingError
from holdfast.settings import SETTINGS, Settings, load


@pytest.fixture
def config(tmp_path):
    def write(text: str) -> Path:
        (tmp_path / "config.toml").write_text(text, "utf-8")
        return tmp_path

    return write


def test_the_table_and_the_fields_agree():
    """Every row of the table is a field of Settings, in the same order and with the type it says."""
    types = {"Path": Path, "int": int, "float": float, "str": str, "Mapping[str, list[str]]": dict}
    fields = [
        (field.name, types.get(field.type))
        for field in dataclasses.fields(Settings)
        if field.name != "origins"
    ]
    assert fields == [(setting.name, setting.type) for setting in SETTINGS]


def test_defaults(tmp_path):
    """Without anything said every value is its default, and says so."""
    found = load(tmp_path, {"HOME": "/users/me"}, {})
    assert found.segment_size_bytes == 64 * 1024 * 1024
    assert found.inline_body_size_bytes == 256 * 1024
    assert found.claude_config_dir == Path("/users/me/.claude")
    assert found.now == ""
    assert {found.origin(name) for name in found.values() if name != "home"} == {"default"}


def test_every_default_is_accepted_as_a_value(tmp_path):
    """A default given as a flag is not refused."""
    flags = {setting.name: setting.default for setting in SETTINGS if setting.default is not None}
    expected = load(tmp_path, {}, {}).values()
    assert load(tmp_path, {}, flags).values() == expected


def test_flag_beats_environment_beats_file_beats_default(config):
    """Each place wins over the ones behind it, and the origin names it."""
    home = config("head_size_chars = 1\n")
    env = {"HOLDFAST_HEAD_SIZE_CHARS": "2"}
    from_flag = load(home, env, {"head_size_chars": 3})
    from_env = load(home, env, {"head_size_chars": None})
    from_file = load(home, {"HOLDFAST_HEAD_SIZE_CHARS": ""}, {})
    assert (from_flag.head_size_chars, from_flag.origin("head_size_chars")) == (3, "flag --head-size-chars")
    assert (from_env.head_size_chars, from_env.origin("head_size_chars")) == (
        2,
        "environment HOLDFAST_HEAD_SIZE_CHARS",
    )
    assert (from_file.head_size_chars, from_file.origin("head_size_chars")) == (
        1,
        f"file {home / 'config.toml'}",
    )


@pytest.mark.parametrize(
    ("env", "flags", "origin"),
    [
        ({"HOLDFAST_HOME": "/a"}, {"home": "/b"}, "flag --home"),
        ({"HOLDFAST_HOME": "/a"}, {}, "environment HOLDFAST_HOME"),
    ],
)
def test_where_the_home_is(env, flags, origin):
    """The home is found by flag, then environment."""
    found = load(None, env, flags)
    assert (found.home, found.origin("home")) == (Path("/b" if flags else "/a"), origin)


def test_the_home_of_the_platform(tmp_path, monkeypatch):
    """Said nowhere, the home is where the platform keeps state."""
    monkeypatch.setattr("platformdirs.user_state_path", lambda name: tmp_path / name)
    found = load(None, {}, {})
    assert (found.home, found.origin("home")) == (tmp_path / "holdfast", "default")


def test_claude_codes_own_variable_is_honoured(tmp_path):
    """Ours comes first, then Claude Code's own."""
    theirs = {"CLAUDE_CONFIG_DIR": "/theirs"}
    found = load(tmp_path, theirs, {})
    assert (found.claude_config_dir, found.origin("claude_config_dir")) == (
        Path("/theirs"),
        "environment CLAUDE_CONFIG_DIR",
    )
    assert load(tmp_path, theirs | {"HOLDFAST_CLAUDE_CONFIG_DIR": "/ours"}, {}).claude_config_dir == Path(
        "/ours"
    )


def test_relative_paths(config, tmp_path, monkeypatch):
    """In the file a path starts at the home, elsewhere at the working directory; the result is absolute."""
    home = config('claude_config_dir = "claude"\n')
    assert load(home, {}, {}).claude_config_dir == home / "claude"
    monkeypatch.chdir(tmp_path)
    assert load(home, {"CLAUDE_CONFIG_DIR": "there"}, {}).claude_config_dir == tmp_path / "there"
    assert load(None, {"HOLDFAST_HOME": "here"}, {}).home == tmp_path / "here"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("head_size = 3\n", ["head_size", "= 3", "config.toml", "no such setting", "head_size_chars"]),
        ('home = "/x"\n', ["home", "config.toml", "cannot be set in the file"]),
        (
            'head_size_chars = "many"\n',
            ["head_size_chars", "'many'", "a whole number of characters, at least 0"],
        ),
        ("head_size_chars = -1\n", ["-1", "at least 0"]),
        ("head_size_chars = 1.5\n", ["1.5", "a whole number"]),
        ("head_size_chars = true\n", ["True", "not a truth value"]),
        ("segment_size_bytes = 0\n", ["segment_size_bytes", "at least 1"]),
        ("stale_after_s = nan\n", ["stale_after_s", "a number of seconds"]),
        ("stale_after_s = inf\n", ["stale_after_s"]),
        ("fsync_interval_s = 3600.5\n", ["fsync_interval_s", "at most 3600"]),
        ("[stale_after_s]\n", ["stale_after_s", "not a table"]),
        ('now = "yesterday"\n', ["now", "yesterday", "a time with its zone"]),
        ('now = "2026-01-01T00:00:00"\n', ["now", "without a zone"]),
        ("claude_config_dir = 7\n", ["claude_config_dir", "a path"]),
        ('claude_config_dir = ""\n', ["claude_config_dir", "a path"]),
        ("head_size_chars = \n", ["config.toml", "cannot be read as TOML", "line 1"]),
    ],
)
def test_what_the_file_may_not_say(config, text, parts):
    """A refusal names key, value, origin and what is accepted."""
    with pytest.raises(SettingError) as caught:
        load(config(text), {}, {})
    assert "config.toml" in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_a_file_that_is_not_text(tmp_path):
    """Bytes that are no UTF-8 are refused by name, not by traceback."""
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingError, match=r"config\.toml"):
        load(tmp_path, {}, {})


@pytest.mark.parametrize(
    ("env", "flags", "parts"),
    [
        (
            {"HOLDFAST_CATCH_UP_WAIT_MS": "soon"},
            {},
            ["catch_up_wait_ms", "environment HOLDFAST_CATCH_UP_WAIT_MS"],
        ),
        ({"HOLDFAST_FSYNC_INTERVAL_S": "nan"}, {}, ["fsync_interval_s", "a number of seconds"]),
        ({"HOLDFAST_HEAD_SIZE_CHARS": "9" * 400}, {}, ["head_size_chars"]),
        ({}, {"catch_up_wait_ms": -1}, ["flag --catch-up-wait-ms", "at least 0"]),
        ({}, {"speed": 1}, ["speed", "no such setting"]),
        ({}, {"home": "a\0b"}, ["home", "a path"]),
    ],
)
def test_what_flags_and_environment_may_not_say(tmp_path, env, flags, parts):
    """The same holds for the other two places."""
    with pytest.raises(SettingError) as caught:
        load(None if "home" in flags else tmp_path, env, flags)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("text", ["2026-11-21T12:00:00Z", "2026-11-21T12:00:00+02:00"])
def test_the_test_clock(tmp_path, text):
    """A time with its zone stands in for the clock."""
    assert load(tmp_path, {"HOLDFAST_NOW": text}, {}).now == text


def test_every_row_explains_itself():
    """Unit and sentence are there for `config` and the reference page."""
    for setting in SETTINGS:
        assert setting.unit
        assert setting.sentence.endswith(".")
        assert setting.accepts
        assert setting.env == f"HOLDFAST_{setting.name.upper()}"
