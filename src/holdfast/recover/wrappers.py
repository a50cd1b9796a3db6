"""Programs that run the program named in their arguments: `sudo git push` is a push."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from holdfast.recover.deeds import word_set


class _Wrapper(NamedTuple):
    """How a program names the one it runs.

    `valued` are its options that take the next word; `skipped` how many words stand before the program; `sure` says that its
    exit code shows whether the program succeeded, `feeds` that it gives it more words, which nobody knows.
    """

    valued: frozenset[str] = frozenset()
    skipped: int = 0
    sure: bool = True
    feeds: bool = False


_WRAPPERS: Final = {
    "builtin": _Wrapper(),
    "bunx": _Wrapper(),
    "command": _Wrapper(),
    "doas": _Wrapper(word_set("-u -C")),
    "env": _Wrapper(word_set("-u --unset -C --chdir")),
    "exec": _Wrapper(word_set("-a")),
    "flock": _Wrapper(word_set("-w -E --timeout"), skipped=1),
    "ionice": _Wrapper(word_set("-c -n -p")),
    "nice": _Wrapper(word_set("-n --adjustment")),
    "nohup": _Wrapper(),
    "npx": _Wrapper(word_set("-p --package")),
    "proxychains": _Wrapper(word_set("-f")),
    "setsid": _Wrapper(),
    "stdbuf": _Wrapper(word_set("-i -o -e")),
    "sudo": _Wrapper(word_set("-u --user -g --group -h --host -p -C -D -R -T -r -t")),
    "time": _Wrapper(word_set("-o -f")),
    "timeout": _Wrapper(word_set("-s --signal -k --kill-after"), skipped=1),
    "uvx": _Wrapper(word_set("--from --with --python -p")),
    "watch": _Wrapper(word_set("-n --interval"), sure=False),
    "xargs": _Wrapper(
        word_set("-n -P -I -L -d -s -a -E --max-args --max-procs --replace --delimiter --arg-file"),
        feeds=True,
    ),
}
_RUNNERS: Final = {  # program and word → how the rest names what runs
    ("bundle", "exec"): _Wrapper(),
    ("mise", "exec"): _Wrapper(),
    ("mise", "x"): _Wrapper(),
    ("npm", "exec"): _Wrapper(word_set("-p --package")),
    ("pnpm", "dlx"): _Wrapper(),
    ("pnpm", "exec"): _Wrapper(),
    ("poetry", "run"): _Wrapper(),
    ("pdm", "run"): _Wrapper(),
    ("hatch", "run"): _Wrapper(),
    ("uv", "run"): _Wrapper(word_set("--with --python -p --extra --group --project --directory --env-file")),
    ("yarn", "dlx"): _Wrapper(),
}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_MOST = 16  # of one within the other


def unwrapped(words: list[str]) -> tuple[list[str], bool]:
    """The words of the program that really runs, and whether the exit code of the whole is its own."""
    sure = True
    for _ in range(_MOST):
        found = _wrapper(words)
        if found is None or words[1:2] in (["-v"], ["-V"]):  # `command -v` only asks
            break
        wrapper, rest = found
        words, sure = _behind(wrapper, rest), sure and wrapper.sure
    return words, sure


def _wrapper(words: list[str]) -> tuple[_Wrapper, list[str]] | None:
    if not words:
        return None
    name = words[0].rpartition("/")[2]
    if name in _WRAPPERS:
        return _WRAPPERS[name], words[1:]
    runner = _RUNNERS.get((name, words[1])) if len(words) > 1 else None
    return None if runner is None else (runner, words[2:])


def _behind(wrapper: _Wrapper, words: list[str]) -> list[str]:
    left, skipped = list(words), wrapper.skipped
    while left:
        word = left[0]
        if word == "--":
            left = left[1:]
            break
        if word.startswith("-") and len(word) > 1:
            left = left[2:] if word in wrapper.valued else left[1:]
        elif _ASSIGNMENT.match(word):
            left = left[1:]
        elif skipped:
            left, skipped = left[1:], skipped - 1
        else:
            break
    left = left[skipped:]
    return [*left, "…"] if left and wrapper.feeds and "{}" not in left else left
