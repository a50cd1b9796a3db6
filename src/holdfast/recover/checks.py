"""Which commands tested, checked or built something, and how they came out last.

What a command is about is told by its words (`pytest`, `npm run lint`, `cargo build`); that it came out well by the exit code of the
call, where the exit code speaks of that command. Where it does not (`pytest | tail`), the end of its output may say that
something failed; if it does not either, how it came out is unknown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.recover import shell

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.recover.reading import Call

SHELLS: Final = frozenset(
    {"Bash", "bash", "shell", "exec_command", "local_shell", "container.exec", "run_terminal_cmd", "code"}
)
_ALONE: Final = {
    "test": "pytest py.test tox nox jest vitest mocha ava rspec phpunit ctest behave cypress playwright nosetests",
    "lint": "ruff flake8 pylint eslint biome prettier black isort shellcheck golangci-lint clippy-driver rubocop stylelint lint-imports "
    "pre-commit hadolint yamllint actionlint oxlint",
    "types": "mypy pyright tsc basedpyright pyre ty flow",
    "build": "make cmake ninja bazel gradle gradlew mvn mvnw msbuild webpack vite rollup esbuild tsup meson",
}
_KIND_OF = {program: kind for kind, programs in _ALONE.items() for program in programs.split()}
_WITH: Final = {  # program: what its first word that is no option says
    "cargo": {
        "test": "test",
        "nextest": "test",
        "clippy": "lint",
        "fmt": "lint",
        "build": "build",
        "check": "build",
    },
    "go": {"test": "test", "vet": "lint", "build": "build"},
    "dotnet": {"test": "test", "build": "build", "format": "lint"},
    "swift": {"test": "test", "build": "build"},
    "zig": {"test": "test", "build": "build"},
    "deno": {"test": "test", "lint": "lint", "check": "types", "fmt": "lint"},
    "mix": {"test": "test", "compile": "build", "credo": "lint", "dialyzer": "types"},
    "rails": {"test": "test"},
    "terraform": {"validate": "lint", "plan": "build"},
    "docker": {"build": "build"},
    "hatch": {"test": "test", "build": "build"},
}
_SCRIPTS: Final = frozenset(
    {"npm", "pnpm", "yarn", "bun", "just", "task", "rake", "composer", "lerna", "nx", "turbo"}
)
_RUNNERS: Final = frozenset({"npx", "bunx", "uvx"})
_ENVIRONMENTS: Final = frozenset({"bundle", "uv", "poetry", "pdm", "rye", "pipenv", "pipx"})
_SCRIPT_KINDS: Final = (
    ("test", re.compile(r"(?:^|[:_-])(?:tests?|spec|e2e|unit)(?:$|[:_-])")),
    ("lint", re.compile(r"(?:^|[:_-])(?:lint|format|fmt|style|check)(?:$|[:_-])")),
    ("types", re.compile(r"(?:^|[:_-])(?:types?|typecheck|tsc|mypy)(?:$|[:_-])")),
    ("build", re.compile(r"(?:^|[:_-])(?:build|compile|bundle)(?:$|[:_-])")),
)
_MODULES: Final = {
    "pytest": "test",
    "unittest": "test",
    "mypy": "types",
    "ruff": "lint",
    "pyright": "types",
    "build": "build",
}
_SCRIPT_FILE = re.compile(r"(?:^|/)(?:run[_-]?)?(tests?|check|lint|build)(?:\.(?:sh|py|js|ts|rb|pl))?$")
_FILE_KINDS: Final = {"test": "test", "tests": "test", "check": "lint", "lint": "lint", "build": "build"}
_FAILED_WORDS = re.compile(
    r"\b[1-9]\d* (?:failed|failing|failures?|errors?)\b|^(?:FAILED|FAIL|ERROR|error(?:\[\w+\])?:)|\bBUILD FAILED\b|"
    r"\b(?:failures|errors): [1-9]|Traceback \(most recent call last\)|npm ERR!|panicked at|AssertionError",
    re.MULTILINE,
)
_MODULE_AT = 2  # `python -m module`
_NOT_STARTED: Final = frozenset({126, 127})  # as a shell says that a program cannot be run, or is not there
_END_CHARS = 4_000  # of an output, in which words of failure are looked for


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A test, lint, type check or build that was run.

    Attributes:
        kind: test, lint, types or build.
        name: the command by itself: what makes two runs the same check.
        call: the call in which it ran.
        outcome: completed, failed or unknown.
        grade: observed where the exit code says so, else inferred or unknown.
        why: what tells.
    """

    kind: str
    name: str
    call: Call
    outcome: str
    grade: str
    why: str


def last_runs(calls: list[Call], script: Callable[[Call], str], output: Callable[[Call], str]) -> list[Check]:
    """The last run of each check, in the order in which they ran. Calls without an end are not among them.

    Args:
        calls: every call, in the order in which they began.
        script: the whole text of a shell call.
        output: the end of what a call gave back; asked for last runs only.
    """
    last: dict[str, tuple[str, Call, shell.Command]] = {}
    for call in calls:
        if call.tool in SHELLS and call.input and call.status in {"completed", "failed"}:
            for command in shell.commands(script(call)):
                kind = kind_of(command.words)
                if kind is not None:
                    name = " ".join(command.words)
                    last.pop(name, None)
                    last[name] = kind, call, command
    return [_check(name, *run, output(run[1])) for name, run in last.items()]


def _check(name: str, kind: str, call: Call, command: shell.Command, output: str) -> Check:
    outcome, grade, why = _came_out(call, command, output)
    return Check(kind=kind, name=name, call=call, outcome=outcome, grade=grade, why=why)


def _came_out(call: Call, command: shell.Command, output: str) -> tuple[str, str, str]:
    code = "" if call.exit_code is None else f" {call.exit_code}"
    if call.status == "completed" and command.shown_by_success:
        return "completed", "observed", "the call succeeded"
    if call.exit_code in _NOT_STARTED:
        return "unknown", "observed", f"a command could not be started, exit code{code}"
    if call.status == "failed" and command.shown_by_failure:
        return "failed", "observed", f"exit code{code}" if code else "the call failed"
    if found := _FAILED_WORDS.search(output[-_END_CHARS:]):
        return (
            "failed",
            "inferred",
            f"its output says {found[0].strip()!r}; the exit code is that of another command",
        )
    return "unknown", "unknown", "the exit code is that of another command, and the output names no failure"


def kind_of(words: tuple[str, ...]) -> str | None:
    """test, lint, types or build; None: the command is none of these."""
    if not words:
        return None
    program, rest = words[0].rpartition("/")[2], words[1:]
    plain = tuple(word for word in rest if not word.startswith("-"))
    if program in _RUNNERS:
        return kind_of(plain)
    if program in _ENVIRONMENTS and plain[:1] in {("exec",), ("run",)}:
        return kind_of(plain[1:])
    if re.fullmatch(r"python[\d.]*|pypy3?", program):
        return _of_python(rest)
    if program in _WITH:
        return _WITH[program].get(plain[0]) if plain else None
    if program in _SCRIPTS:
        names = [word for word in plain if word not in {"run", "run-script", "exec"}]
        return _of_script(names[0]) if names else None
    if program == "make":
        return next((kind for word in plain if (kind := _of_script(word))), "build")
    if program in _KIND_OF:
        return _KIND_OF[program]
    file = plain[0] if program in {"sh", "bash"} and plain else words[0]
    found = _SCRIPT_FILE.search(file) if "/" in file else None
    return _FILE_KINDS[found[1]] if found else None


def _of_python(rest: tuple[str, ...]) -> str | None:
    if "-m" in rest and len(rest) >= _MODULE_AT:
        after = rest[rest.index("-m") + 1 :]
        return _MODULES.get(after[0], _KIND_OF.get(after[0])) if after else None
    found = next((word for word in rest if not word.startswith("-")), "")
    script = _SCRIPT_FILE.search(found)
    if script:
        return _FILE_KINDS[script[1]]
    return "test" if re.search(r"(?:^|/)test_\w+\.py$", found) else None


def _of_script(name: str) -> str | None:
    return next((kind for kind, pattern in _SCRIPT_KINDS if pattern.search(name)), None)
