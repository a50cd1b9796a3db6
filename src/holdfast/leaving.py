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
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from holdfast import background, checkpointing, forgotten, premises, service
from holdfast.capture import inbox, progress, sink
from holdfast.checkpoint import kept, place
from holdfast.definitions import ledger, looks, trouble
from holdfast.errors import AgentRuns, CheckpointFailed, HomeError, StoreBusy
from holdfast.git import Git, NoAnswer
from holdfast.home import KeptGates
from holdfast.journal.blobs import sync_directory
from holdfast.plain_files import content_of
from holdfast.store import asking, database, lock, migrate
from holdfast.supervise import look, mailbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from holdfast.settings import Settings

_WAIT_MS = 5_000
_LOOK_LIMIT_BYTES = 4 << 20
_GIT_LIMIT_S = 10
_OURS = re.compile(r"(?:\A|[/\s'\"=])holdfast(?:\Z|[\s'\".])")

_ATTEMPT = (
    (
        r"(?:start|child|exit|stop|settings)\.json|lock|hb|out\.log|told|\.exit|sessions\.jsonl|linked|again",
        None,
    ),
    (r"\.(?:child|stop)\.json(?:\.[0-9a-f]{8})?|\.(?:told|linked|again)\.[0-9a-f]{8}", None),
)
_AGENT = (
    (r"\d{4,9}|\.\d{4,9}\.[0-9a-f]{8}\.new", _ATTEMPT),
    (r"spec\.json|settled|\.settled\.[0-9a-f]{8}", None),
)
_STEM = r"[^.].*\.json"  # of a request: coordinators choose names
_HALF = r"\..+\.[0-9a-f]{32}"  # of `write_over`, when it was killed

# The names of a home, in the order in which they are removed. A directory is a table of its own.
_HOME: tuple[tuple[str, Any], ...] = (
    (r"\.store\.db\.new|store\.db", None),
    (r"store-\d+\.db(?:\.ahead|\.damaged|\.newer)?(?:-wal|-shm|-journal)?", None),
    (r"\.known-[0-9a-f-]{36}", None),
    (r"journal", ((r"\d{8,}\.[a-z0-9.]+|chain\.jsonl", None), (r"\.[a-z0-9.-]+", None))),
    (r"blobs", ((r"[0-9a-f]{64}", None), (r"\.writing-[0-9a-f-]{36}|\.removing-[0-9a-f]{64}", None))),
    (
        r"run",
        (
            (
                rf"{re.escape(background.LOG)}|{re.escape(checkpointing.LOG)}|{re.escape(mailbox.LOCK)}|service\.(?:lock|log|sock)|resume-[0-9a-f]{{16}}\.(?:lock|md)",
                None,
            ),
            (rf"{re.escape(trouble.NAME)}|\.{re.escape(trouble.NAME)}\.[0-9a-f-]{{36}}", None),
            (r"[0-9a-f]{12}|\.[0-9a-f]{12}\.[0-9a-f]{8}\.(?:new|gone)", _AGENT),
        ),
    ),
    (
        ledger.DIRECTORY,
        (
            (ledger.TEXTS, ((r"[0-9a-f]{64}|\.writing-[0-9a-f-]{36}|\.removing-[0-9a-f]{64}", None),)),
            (ledger.EDITING, ((r"[0-9a-f-]{36}", ((r".*", None),)),)),
            (
                rf"{ledger.INDEX}|{looks.FILE}|(?:{ledger.PENDING}|{ledger.INTENDED})(?:\.damaged)?|{ledger.LOCK}",
                None,
            ),
            (rf"\.(?:{ledger.INDEX}|{looks.FILE}|{ledger.PENDING}|{ledger.INTENDED})\.[0-9a-f-]{{36}}", None),
        ),
    ),
    (kept.DIRECTORY, ((r"\.?[0-9a-f]{32}\.(?:index|lock|[0-9a-f-]{36})", None),)),
    (migrate.BACKUPS, ((r"\.?store-schema-\d+\.db[a-z0-9.-]*", None),)),
    (
        r"inbox",
        (
            (
                rf"(?:{'|'.join(inbox.TOOLS)})(?:-[0-9a-f-]{{36}})?|{progress.SPOOL.pattern}|{progress.TAKEN.pattern}",
                None,
            ),
        ),
    ),
    (
        mailbox.REQUESTS,
        (
            (_STEM, None),
            (_HALF, None),
            (r"claimed|answered", ((_STEM, None), (_HALF, None))),
            (r"refused", ((r"[0-9a-f-]{36}(?:\.why)?\.json", None), (_HALF, None))),
            (r"prompts", ((r"[0-9a-f]{12}\.txt", None), (_HALF, None))),
        ),
    ),
    (mailbox.RESPONSES, ((r".+_response\.json", None), (_HALF, None))),
    (sink.DIRECTORY, ((r"hook-[a-z0-9_]+|hook\.c|\.hook\.[0-9a-f]{32}(?:\.tried)?", None),)),
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
            files.append(Path(workspace, ".codex", "hooks.json"))
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
    if not command.startswith(sink.OURS) or os.fspath(settings.home / inbox.DIRECTORY) not in command:
        return "remove this entry from the file"
    if path.parent in {settings.claude_config_dir, settings.codex_home}:
        return "holdfast hooks uninstall"
    scope = "local" if path.name == "settings.local.json" else "project"
    return f"cd {shlex.quote(os.fspath(path.parent.parent))} && holdfast hooks uninstall --scope {scope}"


def _content(path: Path) -> object:
    raw = content_of(path, _LOOK_LIMIT_BYTES)
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
                yield Found("a service", str(path), "holdfast service uninstall")


@dataclass(frozen=True, slots=True)
class Reference:
    """One of ours in a repository: git's directory, its name, and how many checkpoints it keeps, if it is one of those."""

    repository: str
    name: str
    checkpoints: int


@dataclass(frozen=True, slots=True)
class Unreached:
    """A repository in which checkpoints were taken, and of which it cannot be told whether it keeps them still: git's directory, and why."""

    repository: str
    why: str


@dataclass(frozen=True, slots=True)
class References:
    """Ours in repositories, and the repositories that could not be asked."""

    found: list[Reference] = field(default_factory=list)
    unreached: list[Unreached] = field(default_factory=list)


def references(workspaces: Iterable[str], repositories: Iterable[str] = ()) -> References:
    """Ours in the repositories of workspaces, and in those that checkpoints were taken in."""
    out = References()
    found: dict[str, None] = {}
    for workspace in workspaces:
        if os.path.isdir(workspace):  # noqa: PTH112 - foreign text
            with contextlib.suppress(NoAnswer, UnicodeDecodeError):
                said = Git(workspace, _GIT_LIMIT_S)("rev-parse", "--path-format=absolute", "--git-common-dir")
                found[os.path.realpath(said.decode().rstrip("\n"))] = None
    found |= {one if "\0" in one else os.path.realpath(one): None for one in repositories}
    for repository in found:
        try:
            os.stat(repository)  # noqa: PTH116 - foreign text
            out.found.extend(_references(repository))
        except FileNotFoundError:
            out.unreached.append(Unreached(repository, "it is not there any more"))
        except OSError as exc:
            out.unreached.append(Unreached(repository, exc.strerror or str(exc)))
        except (NoAnswer, ValueError) as exc:
            out.unreached.append(Unreached(repository, str(exc)))
    return out


def _references(repository: str) -> Iterator[Reference]:
    """Those of one. Raises NoAnswer, ValueError."""
    git = Git("/", _GIT_LIMIT_S, repository=Path(repository))
    for name in git("for-each-ref", "--format=%(refname)", "refs/holdfast").decode().split():
        count = 0
        if name.startswith(place.REFS):
            count = int(git("rev-list", "--count", "--first-parent", name, "--"))
        yield Reference(repository, name, count)


def refuse_unreached(unreached: list[Unreached]) -> None:
    """The home is the only one that knows where checkpoints are. Raises CheckpointFailed."""
    for one in unreached:
        raise CheckpointFailed(
            one.repository,
            f"checkpoints were taken there, and whether it keeps them cannot be told: {one.why}",
            hint="bring it back, or repair access, and run this again; --leave-behind forgets where they are. Nothing was removed",
        )


def remove(found: list[Reference]) -> None:
    """Remove references to checkpoints; what only they named, git collects in time. Raises CheckpointFailed."""
    for one in found:
        try:
            git = Git("/", _GIT_LIMIT_S, place.SETTINGS, Path(one.repository))
            git.leave_out_hooks()
            git("update-ref", "--no-deref", "-d", one.name)
        except NoAnswer as exc:
            raise CheckpointFailed(one.repository, f"{one.name} was not removed: {exc}") from exc


TRACES: tuple[Trace, ...] = (Hooks(), Units())


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
    return (
        stat.S_ISREG(found.st_mode)
        or (stat.S_ISSOCK(found.st_mode) and path.name == asking.NAME)
        or (stat.S_ISLNK(found.st_mode) and path.name.lstrip(".").startswith(database.LINK))
    )


def purge(planned: Purge, found: list[Reference]) -> Purge:
    """Remove what was planned, and references to checkpoints before it, while nobody else uses the home; returns what was really removed
    and kept.

    Raises:
        CheckpointFailed: a reference could not be removed; the home stays, and knows of it.
        StoreBusy: another process imports into the home, or writes its journal.
        AgentRuns: an agent that was started here is alive.
        OSError: something could not be removed; what is left is a home, or can be purged again.
    """
    with contextlib.ExitStack() as held:
        sample = planned.home / "sample"
        for home in (planned.home, *([sample] if _is_sample(sample) else [])):
            if not (
                held.enter_context(database.writer_lock(home, wait_ms=_WAIT_MS, ask=False))
                and held.enter_context(_no_service(home))
            ):
                raise StoreBusy(
                    "another process keeps this home, or imports into it",
                    hint="end it (a service: `holdfast down`), then run this again",
                )
            _lock_definitions(home / ledger.DIRECTORY, held)
            _lock_segments(home / "journal", held)
        refuse_with_agents(planned.home)
        remove(found)
        now = Purge(planned.home)
        _sort(planned.home, _HOME, now)  # again: something may have come since it was shown
        return _remove(now)


def refuse_with_agents(home: Path) -> None:
    """What an agent writes lies in the home. Raises AgentRuns."""
    found = map(look.look, look.agent_directories(look.run_directory(home)))
    if alive := [one.id for one in found if one.is_alive]:
        raise AgentRuns(
            f"agents that were started here are alive: {', '.join(alive[:5])}",
            hint="`holdfast down --kill` stops them all; nothing was removed",
        )


@contextlib.contextmanager
def _no_service(home: Path) -> Iterator[bool]:
    """Keep services from beginning for the block; yields whether none runs: one in trouble holds no other lock."""
    run = home / asking.RUN
    if not run.is_dir():
        yield True
        return
    with lock.held(run, 0, name=service.LOCK) as mine:
        yield mine


def _lock_definitions(directory: Path, held: contextlib.ExitStack) -> None:
    """Have nobody look at definitions meanwhile."""
    if directory.is_dir() and not held.enter_context(lock.held(directory, _WAIT_MS, name=ledger.LOCK)):
        raise StoreBusy("another process looks at definitions", hint="run this again")


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
