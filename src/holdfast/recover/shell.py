"""Reads the text of a shell call: which commands stand in it, and what the exit code of the whole says about each.

Nothing is run or expanded: `$NAME` stays as it stands, a glob too. Understood are the operators of POSIX shells and what bash adds
and agents use: quotes, here-documents (whose text is no commands, unless a shell reads it), substitutions, subshells, compound
commands, functions, `bash -c`, and programs that run another one, such as `sudo` and `xargs`. Text that is no shell gives
something or nothing, and never an error.

What the exit code says follows from the operators. In `a && b`, success shows that both succeeded, failure that b did not. In
`a; b` it tells of b alone, unless `set -e` stands before it; in `a | b` of b, unless `set -o pipefail` does.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.recover.shell_tree import DEEPEST, AndOr, CommandList, Group, Parser, Pipeline, Simple
from holdfast.recover.wrappers import unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIMIT_CHARS: Final = 256 << 10  # of a script; what stands behind is not read
_MOST_COMMANDS: Final = 2000
_MOST_WEIGHED: Final = 8  # pipelines of one `&&`/`||` list of which each outcome is tried
_SHELLS: Final = {"bash", "sh", "zsh", "dash", "ksh", "ash"}
_ALWAYS: Final = {"true", ":", "echo", "printf"}
_NEVER: Final = {"false", "exit", "return"}


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it stands: the program and its arguments without quotes.

    `writes` names the files that its output goes to. `stdin` is the text given to it; None: none is, or it is not known.
    `shown_by_success` says that it succeeded if the whole did; `shown_by_failure` that it did not if the whole did not.
    """

    words: tuple[str, ...]
    writes: tuple[str, ...] = ()
    stdin: str | None = None
    shown_by_success: bool = False
    shown_by_failure: bool = False


def commands(script: str, *, whole: bool = True) -> list[Command]:
    """The commands of a script in the order in which they stand.

    Args:
        script: its text.
        whole: nothing was cut from its end; else the exit code says nothing about what is left.
    """
    reading = Parser(script[:_LIMIT_CHARS])
    flat = _Flattening()
    whole = whole and len(script) <= _LIMIT_CHARS
    found = flat.of_list(reading.top(), success=whole, failure=whole)
    return list(itertools.islice(found, _MOST_COMMANDS))


# ── from tree to commands ──


class _Flattening:
    """Walks the tree in order, with what success and failure of the whole show about the part that it is at."""

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._ends_at_failure = False  # set -e
        self._pipes_fail = False  # set -o pipefail

    def of_list(self, found: CommandList, *, success: bool, failure: bool) -> Iterator[Command]:
        for number, one in enumerate(found):
            last = number == len(found) - 1 and not one.background
            shown = success and not one.background and (last or self._ends_at_failure)
            yield from self._of_and_or(one, success=shown, failure=failure and last)

    def _of_and_or(self, one: AndOr, *, success: bool, failure: bool) -> Iterator[Command]:
        shown = _what_is_shown(one)
        for pipeline, (by_success, by_failure) in zip(one.pipelines, shown, strict=True):
            plain = not pipeline.negated
            yield from self._of_pipeline(
                pipeline, success=success and by_success and plain, failure=failure and by_failure and plain
            )

    def _of_pipeline(self, one: Pipeline, *, success: bool, failure: bool) -> Iterator[Command]:
        for number, item in enumerate(one.items):
            last = number == len(one.items) - 1
            yield from self._of_item(
                item, success=success and (last or self._pipes_fail), failure=failure and last
            )

    def _of_item(self, one: Simple | Group, *, success: bool, failure: bool) -> Iterator[Command]:
        if isinstance(one, Group):
            for found in one.lists:
                yield from self.of_list(found, success=success and one.sure, failure=failure and one.sure)
            if one.writes:
                yield Command((), tuple(one.writes), None, success, shown_by_failure=False)
            return
        gives = one.assigns and not one.words  # then its exit code is that of the substitution
        for number, found in enumerate(one.within):
            last = gives and number == len(one.within) - 1
            yield from self.of_list(found, success=success and last, failure=failure and last)
        self._options(one.words)
        yield from self._of_words(one, success=success, failure=failure)

    def _options(self, words: list[str]) -> None:
        if words[:1] == ["set"]:
            short = "".join(word[1:] for word in words[1:] if word.startswith("-") and word[1:2] != "-")
            self._ends_at_failure |= "e" in short or "errexit" in words
            self._pipes_fail |= "pipefail" in words

    def _of_words(self, one: Simple, *, success: bool, failure: bool) -> Iterator[Command]:
        words, sure = unwrapped(one.words)
        script = _script_of(words, one.stdin)
        if script is not None and self._depth < DEEPEST:
            inner = _Flattening(self._depth + 1)
            tree = Parser(script, 0, self._depth + 1).top()
            yield from inner.of_list(tree, success=success, failure=failure)
            if one.writes:
                yield Command((), tuple(one.writes), None, success, shown_by_failure=False)
        elif words or one.writes:
            yield Command(tuple(words), tuple(one.writes), one.stdin, success and sure, failure)


def _script_of(words: list[str], stdin: str | None) -> str | None:
    """The text that a shell is given to run; None: this is no shell, or it runs a file."""
    name = words[0].rpartition("/")[2] if words else ""
    if name == "eval":
        return " ".join(words[1:])
    if name not in _SHELLS:
        return None
    rest = words[1:]
    while rest and rest[0][:1] in {"-", "+"}:
        option, rest = rest[0], rest[1:]
        if option[1:2] != "-" and "c" in option[1:]:
            while rest and rest[0].startswith("-"):
                rest = rest[1:]
            return rest[0] if rest else ""
        if option in {"-o", "+o", "-O", "+O"} and rest:
            rest = rest[1:]
        if option == "-s":
            return stdin
    return stdin if not rest else None


def _what_is_shown(one: AndOr) -> list[tuple[bool, bool]]:
    """For each pipeline of a list: does success of the list show that it succeeded, failure that it did not?"""
    count = len(one.pipelines)
    if "||" not in one.operators:
        return [(True, number == count - 1) for number in range(count)]
    if count > _MOST_WEIGHED:
        return [(False, False)] * count
    by_success, by_failure = [True] * count, [True] * count
    for outcomes in itertools.product(*(_outcomes(pipeline) for pipeline in one.pipelines)):
        did, whole = _run(outcomes, one.operators)
        for number in range(count):
            if whole:
                by_success[number] &= did[number]
            else:
                by_failure[number] &= not did[number]
    return list(zip(by_success, by_failure, strict=True))


def _outcomes(one: Pipeline) -> tuple[bool, ...]:
    """How a pipeline may go."""
    last = one.items[-1] if one.items else None
    if isinstance(last, Simple) and last.words and not one.negated:
        if last.words[0] in _NEVER:
            return (False,)
        if last.words[0] in _ALWAYS:
            return (True,)
    return (False, True)


def _run(outcomes: tuple[bool, ...], operators: list[str]) -> tuple[list[bool], bool]:
    """Which pipelines ran and succeeded if each goes as given, and how the list ends."""
    whole = outcomes[0]
    did = [whole]
    for outcome, operator in zip(outcomes[1:], operators, strict=True):
        runs = whole == (operator == "&&")
        did.append(runs and outcome)
        whole = outcome if runs else whole
    return did, whole
