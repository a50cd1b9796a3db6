"""Settings: one table, three places to change a value, and where each value came from.

A flag beats the environment, which beats `config.toml` in the home, which beats the default. The table below
is all there is: the file, the environment names, the flags and the reference page are made from it.
"""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAME = "config.toml"
ENV_PREFIX = "HOLDFAST_"
_KIB = 1024
_MIB = 1024 * _KIB
_LARGEST = 2**63 - 1
_TIME = "ISO 8601"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    `default` None means that the sentence says how it is found. `minimum` is the least accepted number.
    `also_env` names environment variables of other programs that are honoured after our own. `words` says what stands in the lists of a table.
    """

    name: str
    type: type
    default: str | float | None
    unit: str
    sentence: str
    minimum: int = 0
    maximum: int | None = None
    also_env: tuple[str, ...] = ()
    words: str = "of which the first is the program"

    @property
    def is_time(self) -> bool:
        return self.unit == _TIME

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @staticmethod
    def written(value: object) -> str:
        """A value as the environment and a flag take it."""
        return json.dumps(value) if isinstance(value, dict) else str(value)

    @property
    def accepts(self) -> str:
        """What a value may be, in words."""
        if self.type is Path:
            return "a path"
        if self.is_time:
            return "a time with its zone, such as 2026-11-21T12:00:00Z, or nothing"
        if self.type is str:
            return "a program's name, or the path of one"
        if self.type is dict:
            return f"for each name a list of words, {self.words}; in the environment and as a flag as JSON"
        number = "a whole number" if self.type is int else "a number"
        most = "" if self.maximum is None else f" and at most {self.maximum}"
        return f"{number} of {self.unit}, at least {self.minimum}{most}"


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "home",
        Path,
        None,
        "path",
        "Where everything of one user on one host is kept; by default the platform's directory for state. "
        "Cannot be set in the file, which lies inside it.",
    ),
    Setting(
        "claude_config_dir",
        Path,
        "~/.claude",
        "path",
        "Where Claude Code keeps its files.",
        also_env=("CLAUDE_CONFIG_DIR",),
    ),
    Setting(
        "codex_home",
        Path,
        "~/.codex",
        "path",
        "Where Codex keeps its files.",
        also_env=("CODEX_HOME",),
    ),
    Setting(
        "segment_size_bytes",
        int,
        64 * _MIB,
        "bytes",
        "A journal segment that has reached this size is followed by a new one.",
        minimum=1,
    ),
    Setting(
        "inline_body_size_bytes",
        int,
        256 * _KIB,
        "bytes",
        "A record's body larger than this is kept as a blob beside the journal.",
    ),
    Setting(
        "fsync_interval_s",
        float,
        1.0,
        "seconds",
        "How often the journal is forced to disk; what a power loss can cost at most.",
        maximum=3_600,
    ),
    Setting(
        "stale_after_s",
        float,
        600.0,
        "seconds",
        "An open turn without any record for this long counts as interrupted.",
    ),
    Setting(
        "sweep_warning_days",
        int,
        7,
        "days",
        "Warn of a session when the tool that wrote it will delete its history within this time.",
    ),
    Setting(
        "head_size_chars",
        int,
        300,
        "characters",
        "How much of a prompt or of a tool's input or output the store keeps; the journal keeps all.",
    ),
    Setting(
        "search_size_chars",
        int,
        2_000,
        "characters",
        "How much of a prompt, an answer or a tool's input can be searched; of outputs it is head_size_chars. "
        "What is recorded already keeps its limit until `holdfast rebuild`; 0 indexes nothing.",
    ),
    Setting(
        "catch_up_wait_ms",
        int,
        200,
        "milliseconds",
        "How long a question waits for a process that is catching up before it is answered anyway.",
    ),
    Setting(
        "first_answer_s",
        float,
        2.5,
        "seconds",
        "How long the first import goes on before a first answer is shown.",
    ),
    Setting(
        "claude_program",
        str,
        "claude",
        "program",
        "What is started to resume a session of Claude Code, and what `holdfast run` knows it by; a name is looked for in PATH.",
    ),
    Setting(
        "codex_program",
        str,
        "codex",
        "program",
        "What is started to resume a session of Codex, and what `holdfast run` knows it by; a name is looked for in PATH.",
    ),
    Setting(
        "resume_commands",
        dict,
        "{}",
        "words",
        "What is started to resume a session of another source, by the source's name; `{session}`, `{directory}` and "
        "`{packet_file}` in a word stand for the session's id, its directory, and a file with what it is handed over.",
    ),
    Setting(
        "resume_limit_s",
        float,
        60.0,
        "seconds",
        "A resumed session that shows no work of its own for this long counts as not resumed.",
    ),
    Setting(
        "checkpoint_every_s",
        float,
        0.0,
        "seconds",
        "How often the service takes a checkpoint of each workspace in which a session is at work; 0 means never.",
        maximum=604_800,
    ),
    Setting(
        "checkpoint_file_size_bytes",
        int,
        64 * _MIB,
        "bytes",
        "A larger file is left out of checkpoints, which say so.",
        maximum=1024 * _MIB,
    ),
    Setting(
        "deploy_commands",
        dict,
        "{}",
        "words",
        "What is started for a request that names no command, by `TYPE/MODEL`, else by the agent's type, else by the model, else `*`; "
        "`{prompt}`, `{prompt_file}`, `{model}`, `{agent_id}`, `{agent_name}`, `{agent_type}`, `{request_id}` and `{cwd}` in a word "
        "stand for what the request says.",
    ),
    Setting(
        "definition_roots",
        dict,
        "{}",
        "words",
        "Directories with definitions of agents beyond those that the tools have, by a name for each. A path that begins with neither `/` nor "
        "`~` is looked for in the working directory and above it, up to the repository's root.",
        words="of which the first is the directory, one is its tier (`project`, `user`, `system`), and others may be the tool (`claude`, "
        "`codex`, `custom`) and `read-only`, without which Holdfast may write there",
    ),
    Setting(
        "claude_managed_dir",
        Path,
        None,
        "path",
        "Where an organisation keeps Claude Code's managed settings, and agents below `.claude/agents`; by default `/etc/claude-code`, on macOS "
        "`/Library/Application Support/ClaudeCode`.",
    ),
    Setting(
        "now",
        str,
        "",
        _TIME,
        "For tests: this time replaces the clock in answers; nothing means the clock.",
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The values in force. A field per row of the table, and for each the place it came from."""

    home: Path
    claude_config_dir: Path
    codex_home: Path
    segment_size_bytes: int
    inline_body_size_bytes: int
    fsync_interval_s: float
    stale_after_s: float
    sweep_warning_days: int
    head_size_chars: int
    search_size_chars: int
    catch_up_wait_ms: int
    first_answer_s: float
    claude_program: str
    codex_program: str
    resume_commands: Mapping[str, list[str]]
    resume_limit_s: float
    checkpoint_every_s: float
    checkpoint_file_size_bytes: int
    deploy_commands: Mapping[str, list[str]]
    definition_roots: Mapping[str, list[str]]
    claude_managed_dir: Path
    now: str
    origins: Mapping[str, str]

    def origin(self, name: str) -> str:
        """Where a value came from: "default", "file <path>", "environment <NAME>" or "flag --<name>"."""
        return self.origins[name]

    def values(self) -> dict[str, Any]:
        """Every value by name, in the order of the table."""
        return {setting.name: getattr(self, setting.name) for setting in SETTINGS}


def load(home: Path | None, env: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Find every value.

    `home` None means: look in flags and environment, then ask the platform. A flag that is None was not
    given, nor was an environment variable that is empty. Raises SettingError on a name the file may not have
    and on a bad value.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if home is not None:
        given["home"] = home
    for name, value in given.items():
        if name not in _ROWS:
            raise SettingError(name, value, f"flag --{name}", f"no such setting; {_names_hint()}")
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    from_file: Mapping[str, Any] = {}
    for setting in SETTINGS:  # `home` is the first row: the file is found through it
        raw, origin, base = _look(setting, given, env, from_file, values.get("home"))
        values[setting.name] = _read(setting, raw, origin, base, env)
        origins[setting.name] = origin
        if setting.name == "home":
            from_file = _read_file(values["home"] / FILE_NAME)
    return Settings(**values, origins=origins)


_ROWS = {setting.name: setting for setting in SETTINGS}
_TYPE_NAMES = {bool: "a truth value", list: "a list", dict: "a table"}


def _look(
    setting: Setting,
    flags: Mapping[str, Any],
    env: Mapping[str, str],
    from_file: Mapping[str, Any],
    home: Path | None,
) -> tuple[Any, str, Path]:
    """Find a raw value, its origin, and the directory that a relative path starts from."""
    here = Path()  # the working directory; it is asked for only when a path needs it
    if setting.name in flags:
        return flags[setting.name], f"flag {setting.flag}", here
    for name in (setting.env, *setting.also_env):
        if env.get(name):
            return env[name], f"environment {name}", here
    if home is not None and setting.name in from_file:
        return from_file[setting.name], f"file {home / FILE_NAME}", home
    if setting.default is None:
        return (_platform_home() if setting.name == "home" else _managed_directory()), "default", here
    return setting.default, "default", here


def _platform_home() -> Path:
    import platformdirs  # noqa: PLC0415 - start-up time: most runs are told where their home is

    return platformdirs.user_state_path("holdfast")


def _managed_directory() -> Path:
    """Where Claude Code looks for what an organisation manages: code.claude.com/docs/en/settings, 2026-09."""
    return Path("/Library/Application Support/ClaudeCode" if sys.platform == "darwin" else "/etc/claude-code")


def cache_directory() -> Path:
    """Where what can be made again is kept for this user, whatever the home."""
    import platformdirs  # noqa: PLC0415 - as above

    return platformdirs.user_cache_path("holdfast")


def _read_file(path: Path) -> Mapping[str, Any]:
    """Read the file's values; a file that is not there sets nothing."""
    origin = f"file {path}"
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):  # what is wrong with the home, the home says
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise SettingError(FILE_NAME, str(path), origin, f"cannot be read as TOML: {exc}") from exc
    for name, value in found.items():
        if name == "home":
            raise SettingError(name, value, origin, "cannot be set in the file, which is found through it")
        if name not in _ROWS:
            raise SettingError(name, value, origin, f"no such setting; {_names_hint()}")
    return found


def _names_hint() -> str:
    return "there are " + ", ".join(_ROWS)


def _read(
    setting: Setting, raw: object, origin: str, base: Path, env: Mapping[str, str]
) -> Path | str | float | dict[str, list[str]]:
    """Turn a raw value into the row's type; raises SettingError."""
    try:
        if setting.type is Path:
            return _read_path(raw, base, env)
        if setting.is_time:
            return _read_time(raw)
        if setting.type is str:
            return _read_program(raw)
        if setting.type is dict:
            return _read_commands(raw)
        return _read_number(setting, raw)
    except ValueError as exc:
        why = f"expected {setting.accepts}{f', {exc}' if str(exc) else ''}"
        raise SettingError(setting.name, raw, origin, why) from exc


def _read_path(raw: object, base: Path, env: Mapping[str, str]) -> Path:
    if not isinstance(raw, str | Path) or not str(raw) or "\0" in str(raw):
        raise ValueError(_not(raw))
    path = Path(raw)
    if path.parts[:1] == ("~",):
        path = Path(env.get("HOME") or Path.home()).joinpath(*path.parts[1:])
    return path if path.is_absolute() else (base if base.is_absolute() else Path.cwd()) / path


def _read_time(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError(_not(raw))  # noqa: TRY004 - one way out for every bad value
    if raw and datetime.fromisoformat(raw).tzinfo is None:
        raise ValueError("not one without a zone")
    return raw


def _read_program(raw: object) -> str:
    if not isinstance(raw, str) or not raw or "\0" in raw:
        raise ValueError(_not(raw))
    return raw


def _read_commands(raw: object) -> dict[str, list[str]]:
    try:
        given = json.loads(raw) if isinstance(raw, str) else raw
    except RecursionError:
        raise ValueError("") from None
    if not isinstance(given, dict):
        raise ValueError(_not(given))  # noqa: TRY004 - one way out for every bad value
    for source, words in given.items():
        if not isinstance(words, list) or not words or not all(map(_is_word, words)) or not words[0]:
            raise ValueError(f"which {source!r} has not")
    return given


def _is_word(word: object) -> bool:
    return isinstance(word, str) and "\0" not in word


def _read_number(setting: Setting, raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueError(_not(raw))  # noqa: TRY004 - one way out for every bad value
    if setting.type is int and isinstance(raw, float):
        raise ValueError("not a fraction")
    try:
        number = int(raw) if setting.type is int else float(raw)
    except ValueError:
        raise ValueError("") from None
    most = _LARGEST if setting.maximum is None else setting.maximum
    if not setting.minimum <= number <= most:  # NaN compares with nothing, so it is refused too
        raise ValueError("")
    return number


def _not(raw: object) -> str:
    return f"not {_TYPE_NAMES.get(type(raw), 'this')}"
