"""Leave: take away what Holdfast put outside its home, and, when asked, the home itself.

Outside the home stands only what some command was told to install. Each sort has a `Trace` in `TRACES`, which looks for
it; a part that installs something adds its own, with how to take it away again.

The home is purged so that a kill at any moment leaves one that still opens, or can be purged again: what is derived goes
first, then the journal, then the blobs that it named; `home.json`, which marks the directory as ours, goes last. Nothing
is removed that has no name of ours, and nothing is followed through a symbolic link.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shlex
import stat
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from holdfast import background, forgotten, premises
from holdfast.capture import inbox
from holdfast.errors import HomeError, StoreBusy
from holdfast.home import KeptGates
from holdfast.journal.blobs import sync_directory
from holdfast.store import database, lock, migrate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from holdfast.settings import Settings

_WAIT_MS = 5_000
_LOOK_LIMIT_BYTES = 4 << 20
_GIT_LIMIT_S = 10
_OURS = re.compile(r"(?:\A|[/\s'\"=])holdfast(?:\Z|[\s'\".])")

# The names of a home, in the order in which they are removed. A directory is a table of its own.
_HOME: tuple[tuple[str, Any], ...] = (
    (r"\.store\.db\.new|store\.db", None),
    (r"store-\d+\.db(?:\.ahead|\.damaged|\.newer)?(?:-wal|-shm|-journal)?", None),
    (r"\.known-[0-9a-f-]{36}", None),
    (r"journal", ((r"\d{8,}\.[a-z0-9.]+|chain\.jsonl", None), (r"\.[a-z0-9.-]+", None))),
    (r"blobs", ((r"[0-9a-f]{64}", None), (r"\.writing-[0-9a-f-]{36}|\.removing-[0-9a-f]{64}", None))),
    (r"run", ((re.escape(background.LOG), None),)),
    (migrate.BACKUPS, ((r"\.?store-schema-\d+\.db[a-z0-9.-]*", None),)),
    (r"inbox", ((r"claude(?:-[0-9a-f-]{36})?", None),)),
    (rf"{re.escape(forgotten.TEMPORARY)}|{forgotten.NAME}", None),
    (r"host-id|config\.toml|redact\.toml|redaction-key", None),
    (r"\.redact\.toml\.[0-9a-f]{32}", None),
    (premises.TEMPORARY.pattern, None),
    (re.escape(lock.NAME), None),
    (premises.MARK, None),
)


@dataclass(frozen=True, slots=True)
class Found:
    """Something of ours outside the home: what and where, and how a person takes it away."""

    what: str
    where: str
    remedy: str


class Trace(Protocol):
    """One sort of things that can stand outside the home."""

    def look(self, settings: Settings, workspaces: list[str], env: Mapping[str, str]) -> Iterator[Found]:
        """Find them. Raises nothing: what cannot be read is told as found, with the reason."""
        ...


class Hooks:
    """Commands of ours that Claude Code or Codex start."""

    def look(self, settings: Settings, workspaces: list[str], env: Mapping[str, str]) -> Iterator[Found]:  # noqa: ARG002 - as every sort
        codex = settings.codex_home
        files = [settings.claude_config_dir / "settings.json", codex / "hooks.json", codex / "config.toml"]
        for workspace in workspaces:
            files += [Path(workspace, ".claude", name) for name in ("settings.json", "settings.local.json")]
        for path in files:
            try:
                commands = [text for text in _commands(_content(path)) if _OURS.search(text)]
            except (OSError, ValueError, RecursionError) as exc:
                if not isinstance(exc, FileNotFoundError | NotADirectoryError):
                    yield Found(f"cannot be read: {exc}", str(path), "look for `holdfast` in it yourself")
                continue
            for command in dict.fromkeys(commands):
                yield Found(f"a hook that runs {command!r}", str(path), _remedy(command, path, settings))


def _remedy(command: str, path: Path, settings: Settings) -> str:
    """How a hook is taken away: by ourselves, if it is of this home."""
    if not command.startswith(inbox.OURS) or os.fspath(settings.home / inbox.DIRECTORY) not in command:
        return "remove this entry from the file"
    if path.parent == settings.claude_config_dir:
        return "holdfast hooks uninstall"
    scope = "local" if path.name == "settings.local.json" else "project"
    return f"cd {shlex.quote(os.fspath(path.parent.parent))} && holdfast hooks uninstall --scope {scope}"


def _content(path: Path) -> object:
    with path.open("rb") as file:
        raw = file.read(_LOOK_LIMIT_BYTES)
    return tomllib.loads(raw.decode()) if path.suffix == ".toml" else msgspec.json.decode(raw)


def _commands(value: object) -> Iterator[str]:
    """Every text below `hooks`, `command` and `notify` of a tool's settings."""
    if isinstance(value, dict):
        for name in ("hooks", "command", "notify"):
            yield from _texts(value.get(name))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


class Units:
    """Services that the system starts for us."""

    def look(self, settings: Settings, workspaces: list[str], env: Mapping[str, str]) -> Iterator[Found]:  # noqa: ARG002
        user = Path(env.get("HOME", "~")).expanduser()
        configured = Path(env.get("XDG_CONFIG_HOME") or user / ".config")
        for directory, pattern in (
            (configured / "systemd" / "user", "*holdfast*"),
            (user / "Library" / "LaunchAgents", "*holdfast*.plist"),
        ):
            for path in sorted(directory.glob(pattern)) if directory.is_dir() else ():
                yield Found("a service", str(path), "stop and disable it, then delete this file")


class Refs:
    """Checkpoints in the Git repositories of workspaces."""

    def look(self, settings: Settings, workspaces: list[str], env: Mapping[str, str]) -> Iterator[Found]:  # noqa: ARG002
        for workspace in workspaces:
            if not os.path.isdir(workspace):  # noqa: PTH112 - foreign text
                continue
            asked = ["git", "-C", workspace, "for-each-ref", "--format=%(refname)", "refs/holdfast"]
            try:
                done = subprocess.run(
                    asked, capture_output=True, text=True, timeout=_GIT_LIMIT_S, check=False
                )
            except (OSError, subprocess.TimeoutExpired, ValueError):
                continue
            for name in done.stdout.split() if done.returncode == 0 else ():
                yield Found(f"the checkpoint {name}", workspace, f"git update-ref -d {name}")


TRACES: tuple[Trace, ...] = (Hooks(), Units(), Refs())


def outside(settings: Settings, workspaces: list[str], env: Mapping[str, str]) -> list[Found]:
    """What of ours stands outside the home."""
    return [found for trace in TRACES for found in trace.look(settings, workspaces, env)]


# ── the home ──


@dataclass(slots=True)
class Purge:
    """What a purge removes, in this order, and what it keeps because it is not ours; sizes in bytes."""

    home: Path
    remove: list[Path] = field(default_factory=list)
    keep: list[Path] = field(default_factory=list)
    size_bytes: int = 0


def plan(home: Path) -> Purge | None:
    """What purging a home would remove; None when there is no home.

    Raises:
        HomeError: what lies there is no home of ours, or is somebody else's.
    """
    try:
        found = home.lstat()
    except FileNotFoundError:
        return None
    _refuse(home, found)
    out = Purge(home)
    _sort(home, _HOME, out)
    return out


def _refuse(home: Path, found: os.stat_result) -> None:
    why = None
    if stat.S_ISLNK(found.st_mode):
        why = "it is a symbolic link"
    elif not stat.S_ISDIR(found.st_mode):
        why = "it is no directory"
    elif found.st_uid != os.geteuid():
        why = f"it belongs to user {found.st_uid}, not to you ({os.geteuid()})"
    elif not premises.is_marked(home) and not _is_emptied(home):
        why = f"it holds no {premises.MARK} of ours"
    if why is not None:
        raise HomeError(
            f"{home} is not removed: {why}", hint="look at it, and remove it yourself if it is yours"
        )


def _sort(directory: Path, table: tuple[tuple[str, Any], ...], out: Purge) -> None:
    """Sort a directory's names into ours and others; ours in the order of the table, the directory itself last."""
    ranks: list[list[str]] = [[] for _ in table]
    kept_before = len(out.keep)
    for name in sorted(os.listdir(directory)):  # noqa: PTH208 - names only
        rank = next((n for n, (names, _) in enumerate(table) if re.fullmatch(names, name)), None)
        if rank is None or not _is_sort(directory / name, table[rank][1]):
            if directory == out.home and _is_sample(directory / name):
                _sort(directory / name, _HOME, out)
            else:
                out.keep.append(directory / name)
        else:
            ranks[rank].append(name)
    for names, (_, inside) in zip(ranks, table, strict=True):
        for name in names:
            path = directory / name
            if inside is None:
                out.remove.append(path)
                out.size_bytes += path.lstat().st_size
            else:
                _sort(path, inside, out)
    if len(out.keep) == kept_before:
        out.remove.append(directory)


def _is_sample(path: Path) -> bool:
    """Whether this is the home of the bundled samples, inside another, or what a killed purge left of it."""
    if path.name != "sample" or path.is_symlink() or not path.is_dir():
        return False
    return premises.is_marked(path) or _is_emptied(path)


def _is_emptied(home: Path) -> bool:
    """Whether this is what a killed purge leaves last: an empty home, or one with the lock that the next purge took."""
    return {path.name for path in home.iterdir()} <= {lock.NAME}


def _is_sort(path: Path, inside: object) -> bool:
    """Whether a name of ours is what it should be: a directory of our user, or a plain file, or the store's link."""
    found = path.lstat()
    if found.st_uid != os.geteuid():
        return False
    if inside is not None:
        return stat.S_ISDIR(found.st_mode)
    return stat.S_ISREG(found.st_mode) or (
        stat.S_ISLNK(found.st_mode) and path.name.lstrip(".").startswith(database.LINK)
    )


def purge(planned: Purge) -> Purge:
    """Remove what was planned, while nobody else uses the home; returns what was really removed and kept.

    Raises:
        StoreBusy: another process imports into the home, or writes its journal.
        OSError: something could not be removed; what is left is a home, or can be purged again.
    """
    with contextlib.ExitStack() as held:
        sample = planned.home / "sample"
        for home in (planned.home, *([sample] if _is_sample(sample) else [])):
            if not held.enter_context(database.writer_lock(home, wait_ms=_WAIT_MS)):
                raise StoreBusy(
                    "another process is importing into this home", hint="end it, then run this again"
                )
            _lock_segments(home / "journal", held)
        now = Purge(planned.home)
        _sort(planned.home, _HOME, now)  # again: something may have come since it was shown
        return _remove(now)


def _lock_segments(journal: Path, held: contextlib.ExitStack) -> None:
    """Lock every segment, so that nobody who writes is cut off."""
    for path in sorted(journal.iterdir()) if journal.is_dir() else ():
        if path.is_symlink() or not re.match(r"\d{8,}\.", path.name):
            continue
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        held.callback(os.close, fd)
        if not lock.lock_within(fd, _WAIT_MS):
            raise StoreBusy(
                f"another process is recording: it writes {path}", hint="end it, then run this again"
            )


def _remove(now: Purge) -> Purge:
    """Unlink in order; the mark stays for as long as anything else does."""
    done = Purge(now.home, keep=now.keep, size_bytes=now.size_bytes)
    for path in now.remove:
        if path == now.home / premises.MARK and _came_since(now.home):
            done.keep.append(now.home)
            break
        try:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        except FileNotFoundError:
            continue
        except OSError as exc:
            if exc.errno != errno.ENOTEMPTY:
                raise
            continue  # somebody began to record in this moment: the mark will stay too
        done.remove.append(path)
    if not now.home.exists():
        KeptGates().remove()
        sync_directory(now.home.parent)
    return done


def _came_since(home: Path) -> bool:
    """Whether anything of ours but the mark is in the home: then it is in use again, and stays one."""
    left = Purge(home)
    _sort(home, _HOME, left)
    return bool({*left.remove} - {home, home / premises.MARK})
