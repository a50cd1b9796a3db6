"""Ask git about a repository, and have it keep things there, without running anything of the repository's.

git takes no locks that it can do without, refreshes no index, asks no person, and uses no network. The configuration of a repository
may name programs, and a repository that an agent was given may be hostile, so none is run:

- every setting that names a program which what we ask could reach is overridden (`_OVERRIDES`), and the directory of hooks is none;
- filters (`filter.<name>.clean`, `.process`) and hooks of the configuration (`hook.<name>.command`, since git 2.54) can only be overridden by
  name, so whoever asks what could run them asks for their names first;
- missing objects are never fetched.

All that one `Git` is asked has one limit of time. What is read of its files without asking it is never waited for: a pipe may stand there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final, Self

from holdfast.plain_files import content_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_NAMES: Final = 500  # of filters, and of hooks
_HOOKS: Final = ("config", "-z", "--name-only", "--get-regexp", r"^(hook|include|includeif)\.")
_MOST_CHARS: Final = 300  # of what git says went wrong
_OVERRIDES: Final = {
    "core.alternateRefsCommand": "",
    "core.askPass": "",
    "core.editor": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.pager": "cat",
    "core.sshCommand": "false",
    "credential.helper": "",
    "diff.external": "",
    "gpg.program": "false",
    "gpg.ssh.program": "false",
    "gpg.x509.program": "false",
    "log.showSignature": "false",
    "safe.bareRepository": "explicit",
    "submodule.recurse": "false",
}
_ENVIRONMENT: Final = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_OPERATIONS: Final = (  # what git leaves in its directory while something is under way
    ("rebase-merge", "rebase"),
    ("rebase-apply/applying", "am"),
    ("rebase-apply", "rebase"),
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("sequencer", "cherry-pick or revert"),
    ("BISECT_LOG", "bisect"),
)


class NoAnswer(Exception):
    """git could not be asked, or said no; its words."""


class Git:
    """Asks git about one directory until the time is over.

    Args:
        directory: where.
        limit_s: seconds, for all of it.
        settings: of git, beyond those that keep it harmless.
        repository: git's directory; by default the one that it finds around `directory`.

    Raises:
        NoAnswer: there is no git.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        limit_s: float,
        settings: dict[str, str] | None = None,
        repository: Path | None = None,
    ) -> None:
        program = shutil.which("git")
        if program is None:
            raise NoAnswer("git is not installed, or not on the PATH")
        self._begins = [program, "--no-pager", "-C", os.fspath(directory)]
        if repository is not None:
            self._begins.append(f"--git-dir={repository}")
        self._deadline, self._limit_s = time.monotonic() + limit_s, limit_s
        self._settings = _OVERRIDES | (settings or {})
        self.filters: list[str] = []
        self._kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def place(self, *more: str) -> list[bytes]:
        """The root of the worktree, git's own directory for it, and what else `rev-parse` is asked for, a line each.

        Raises:
            NoAnswer: there is no worktree, or its name has a line end in it.
        """
        words = ["--path-format=absolute", "--show-toplevel", "--git-dir", *more]
        lines = self("rev-parse", *words).split(b"\n")
        if len(lines) != len(words) or not lines[0].startswith(b"/"):
            raise NoAnswer("git's answer about where the worktree begins is not understood")
        return lines[:-1]

    def leave_out_filters(self) -> None:
        """Have no filter run that any configuration defines."""
        said = self("config", "-z", "--name-only", "--get-regexp", r"^filter\.", empty_at=1)
        self.filters = _named(said, "filters")
        for name in self.filters:
            self._settings |= {f"filter.{name}.{part}": "" for part in ("clean", "smudge", "process")}
            self._settings[f"filter.{name}.required"] = "false"

    def hooks(self) -> Asked:
        """Have git begin to name the hooks that any configuration defines, for `leave_out_hooks`. Raises NoAnswer."""
        return self.begin(*_HOOKS)

    def leave_out_hooks(
        self, asked: Asked | None = None, names: list[str] | None = None
    ) -> tuple[list[str], bool]:
        """Have no hook run that any configuration defines; those in directories never run.

        Args:
            asked: `hooks`, if it was begun.
            names: of the hooks, where they are known.

        Returns:
            Their names, and whether they can be remembered: git's own files of configuration include no others, and they are ASCII.

        Raises:
            NoAnswer.
        """
        is_plain = True
        if names is None:
            with self.hooks() if asked is None else asked as naming:
                said = naming.answer(empty_at=1)
            keys = [key for key in said.split(b"\0") if key]
            hooks = [key for key in keys if key.startswith(b"hook.")]
            names, is_plain = _named(b"\0".join(hooks), "hooks"), len(hooks) == len(keys) and said.isascii()
        for name in names:
            self._settings |= {f"hook.{name}.enabled": "false", f"hook.{name}.command": "true"}
        return names, is_plain

    def __call__(
        self, *words: str, empty_at: int = 0, share: float = 1.0, given: bytes | None = None
    ) -> bytes:
        """What git answers.

        Args:
            words: of the question.
            empty_at: an exit code that means that there is nothing to tell.
            share: of the time in all, the most that this may take.
            given: what it reads.

        Raises:
            NoAnswer: it said no, or took too long.
        """
        with self.begin(*words, share=share, reads=given is not None) as asked:
            return asked.answer(given, empty_at)

    def begin(
        self,
        *words: str,
        share: float = 1.0,
        reads: bool | IO[bytes] = False,
        settings: dict[str, str] | None = None,
    ) -> Asked:
        """Have git begin with an answer, while something else is done.

        Args:
            words: of the question.
            share: of the time in all, the most that this may take.
            reads: whether it is given something to read, or what.
            settings: of git, for this alone.

        Raises:
            NoAnswer: it cannot be begun.
        """
        left_s = min(self._deadline - time.monotonic(), share * self._limit_s)
        late = f"git took too long: `git {words[0]}` was given up ({self._limit_s:g} s in all)"
        if left_s <= 0:
            raise NoAnswer(late)
        try:
            process = subprocess.Popen(
                [*self._begins, *words],
                stdin=(subprocess.PIPE if reads else subprocess.DEVNULL)
                if isinstance(reads, bool)
                else reads,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment(self._settings | (settings or {})),
                start_new_session=True,
            )
        except (OSError, ValueError) as exc:
            raise NoAnswer(f"git could not be started: {exc}") from exc
        return Asked(process, words[0], time.monotonic() + left_s, late)

    def _environment(self, settings: dict[str, str]) -> dict[str, str]:
        """Settings go in by number, so that names may hold anything; of all places they count most."""
        out = self._kept | _ENVIRONMENT | {"GIT_CONFIG_COUNT": str(len(settings))}
        for number, (key, value) in enumerate(settings.items()):
            out |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return out


class Asked:
    """A question that git is at. Left without its answer, git is ended.

    Attributes:
        process: git's; who talks with it by its pipes is on their own with time.
        said: what it said beside its answer.
    """

    def __init__(self, process: subprocess.Popen[bytes], word: str, deadline: float, late: str) -> None:
        self.process = process
        self.said = b""
        self._word, self._deadline, self._late = word, deadline, late

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _end(self.process)

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Talk with it by its pipes in the block. When its time is over it is ended, and NoAnswer raised."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            _kill(self.process)

        timer = threading.Timer(max(0, self._deadline - time.monotonic()), stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (NoAnswer, OSError):
            if late.is_set():
                raise NoAnswer(self._late) from None
            raise
        finally:
            timer.cancel()

    def answer(self, given: bytes | None = None, empty_at: int = 0) -> bytes:
        """What it answers. Raises NoAnswer."""
        try:
            out, self.said = self.process.communicate(
                given, timeout=max(0, self._deadline - time.monotonic())
            )
        except subprocess.TimeoutExpired as exc:
            raise NoAnswer(self._late) from exc
        if self.process.returncode not in {0, empty_at}:
            how = f"`git {self._word}` ended with exit code {self.process.returncode}"
            raise NoAnswer(_words_of(self.said) or how)
        return out


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing running: git, and what it may have started against our will."""
    _kill(process)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill its group, unless nobody of it was waited for and none can be: until then its number means nobody else."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _named(said: bytes, what: str) -> list[str]:
    """The names in the middle of settings such as `filter.<name>.clean`. Raises NoAnswer: there are too many."""
    keys = [key for key in said.split(b"\0") if key.count(b".") > 1]
    names = {key.rpartition(b".")[0].partition(b".")[2] for key in keys}
    if len(names) > _MOST_NAMES:
        raise NoAnswer(
            f"the repository defines too many {what} to leave them out, so git was not asked further"
        )
    return sorted(map(os.fsdecode, names))


def configuration(git_dir: Path, common_dir: Path, unsure_ns: int) -> str | None:
    """What git's own files of configuration are like, and git itself; the same means the same settings, if they include no others.

    Args:
        git_dir: of the worktree.
        common_dir: of its repository.
        unsure_ns: a change this shortly before may be followed by one that the system dates alike.

    Returns:
        None: one has just changed, or cannot be looked at.
    """
    program = shutil.which("git") or ""
    user = os.environ.get("HOME", "")
    more = os.environ.get("XDG_CONFIG_HOME") or f"{user}/.config"
    beside = os.path.dirname(os.path.dirname(os.path.realpath(program)))  # noqa: PTH120
    names = [program, "/etc/gitconfig", f"{beside}/etc/gitconfig", f"{user}/.gitconfig", f"{more}/git/config"]
    names += [
        f"{common_dir}/config",
        f"{git_dir}/config",
        f"{common_dir}/config.worktree",
        f"{git_dir}/config.worktree",
    ]
    out: list[object] = []
    for name in names:
        try:
            found = os.stat(name)  # noqa: PTH116 - for speed
        except (FileNotFoundError, NotADirectoryError):
            out.append((name, None))
            continue
        except OSError:
            return None
        if found.st_ctime_ns > time.time_ns() - unsure_ns:
            return None
        out.append((name, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    return hashlib.sha256(repr(out).encode("utf-8", "backslashreplace")).hexdigest()


def under_way(git_dir: Path) -> str:
    """What is under way in a worktree, by what git keeps of it ("merge", "rebase: step 2 of 5"); "": nothing."""
    found = next((name for path, name in _OPERATIONS if (git_dir / path).exists()), "")
    for place, now, end in (("rebase-merge", "msgnum", "end"), ("rebase-apply", "next", "last")):
        step, steps = _number(git_dir / place / now), _number(git_dir / place / end)
        if found and step and steps:
            return f"{found}: step {step} of {steps}"
    return found


def _number(path: Path) -> int | None:
    try:
        said = content_of(path, 20).strip()
    except OSError:
        return None
    return int(said) if said.isdigit() else None


def _words_of(said: bytes) -> str:
    """What git says went wrong, as one line."""
    lines = said.decode("utf-8", "backslashreplace").splitlines()
    first = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0] if lines else "")
    words = first.partition(": ")[2] or first
    if words.startswith("not a git repository"):
        return "there is no git repository here"
    if "must be run in a work tree" in words or "safe.bareRepository" in words:
        return "this is git's own directory or a bare repository, not a worktree"
    return f"git says: {shortened(words)}" if words else ""


def shown(name: bytes) -> str:
    """A name as it can be shown, whatever bytes it has."""
    return name.decode("utf-8", "backslashreplace")


def shortened(text: str) -> str:
    """A text cut to the length of a line."""
    return text if len(text) <= _MOST_CHARS else text[: _MOST_CHARS - 1] + "…"
