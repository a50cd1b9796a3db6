"""Acts on definitions in processes of their own, of which any call that writes can be the last, or fail.

A process that is forked and killed before its n-th call has done exactly n - 1 of them; `make definition-sweep` does the same with strace, to the command, at
the system calls themselves.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import sys
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast import door
from holdfast.defining_writes import Writer, by
from holdfast.definitions import ledger, swapping
from holdfast.definitions.choosing import Where
from holdfast.errors import HoldfastError
from holdfast.home import Home
from holdfast.journal import digested
from holdfast.settings import load
from holdfast.store import definitions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CALLS = (
    "write",
    "fsync",
    "rename",
    "replace",
    "link",
    "unlink",
    "remove",
    "mkdir",
    "rmdir",
    "fchmod",
    "fchown",
    "ftruncate",
)


def text(body: str, name: str = "qa") -> bytes:
    return f"---\nname: {name}\ndescription: Reads changes\n---\n{body}\n".encode()


@dataclass
class World:
    """A home, a user's directory and a project in it."""

    place: Path
    home: Path = field(init=False)
    user: Path = field(init=False)
    project: Path = field(init=False)

    def __post_init__(self) -> None:
        self.home = self.place / "holdfast"
        self.user, self.project = self.place / "user", self.place / "user" / "project"

    def make(self) -> World:
        (self.project / ".git").mkdir(parents=True)
        return self

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.user),
            "HOLDFAST_HOME": str(self.home),
            "CLAUDE_CONFIG_DIR": str(self.user / ".claude"),
            "CODEX_HOME": str(self.user / ".codex"),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(self.user / ".cache")),
        }

    def writer(self, wait_ms: int = 20_000) -> Writer:
        """In a process of its own: it takes over its environment."""
        os.environ.update(self.environment)
        home = Home(load(None, os.environ, {}))
        return Writer(home, str(self.project), by("me", "a test"), wait_ms=wait_ms)

    def files(self) -> dict[str, bytes]:
        """What lies in the user's directory: definitions by their paths, and whatever was left beside them."""
        return {
            str(path.relative_to(self.user)): path.read_bytes()
            for path in sorted(self.user.rglob("*"))
            if path.is_file() and ".cache" not in path.parts
        }

    def left(self) -> list[str]:
        """What says that something is under way."""
        names = [
            name
            for name in (ledger.PENDING, ledger.INTENDED)
            if not digested.is_empty(self.home / "definitions" / name)
        ]
        return names + [name for name in self.files() if ".holdfast-" in name]


def in_process(act: Callable[[], Any]) -> tuple[int, Any]:
    """Run something in a forked process: how it ended (negative: by which signal), and what it gave, or the words of its error."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        code = 0
        try:
            try:
                said = act()
            except HoldfastError as exc:
                said, code = f"{type(exc).__name__}: {exc}", exc.exit_code
            real_write(writing, json.dumps(said).encode())
            door.close()
        except BaseException:  # noqa: BLE001 - of a child that must not go on
            traceback.print_exc()
            code = 99
        sys.stderr.flush()
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), json.loads(said) if said else None


real_write = os.write


def faulty(at: int | None, error: str | None = None, *, reads: bool = False) -> list[str]:
    """From now on count the calls of this process that write; the names so far stand in what is returned.

    Args:
        at: the one (from 1) before which the process is killed, or which fails; None: none.
        error: with which it fails ("ENOSPC").
        reads: count also what is only opened for reading.
    """
    seen: list[str] = []

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **more: Any) -> Any:
            if name == "open" and not reads and not args[1] & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
                return call(*args, **more)
            seen.append(name)
            if len(seen) == at:
                if error is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                code = getattr(errno, error)
                raise OSError(code, os.strerror(code), args[0] if isinstance(args[0], str | bytes) else None)
            return call(*args, **more)

        return wrapped

    for name in ("open", *_CALLS):
        setattr(os, name, counted(name, getattr(os, name)))
    swapping._rename = counted("renameat2", swapping._rename)
    return seen


def records(world: World) -> list[dict[str, Any]]:
    """What the journal says of definitions, in its order, each once."""
    found: dict[str, dict[str, Any]] = {}
    for segment in sorted((world.home / "journal").glob("*.jsonl")):
        for line in segment.read_bytes().splitlines():
            if line and (record := json.loads(line))["s"] == "sdk":
                found.setdefault(record["id"], record)
    return list(found.values())


def revisions(world: World) -> list[definitions.Revision]:
    """The same, as what happened to files."""
    out = []
    for record in records(world):
        told = record["b"]["fields"]
        if record["b"]["kind"] == "definition.revised":
            known = {
                "id": record["id"],
                "sha256": told.get("hash_after"),
                "before_sha256": told.get("hash_before"),
            }
            named = {name: known.get(name, told.get(name)) for name in definitions.Revision._fields}
            out.append(definitions.Revision(**named))
    return out


def recorded(world: World) -> dict[str, Any]:
    """Look from a fresh process, and say what is recorded then: each revision, and what is wrong with them together."""
    code, said = in_process(lambda: world.writer()._act(lambda _held, _found: None))
    assert code == 0, said
    every = revisions(world)
    wrong = broken(every)
    lies = {one.path: one.sha256 for one in definitions.current(every).values()}
    texts = ledger.Texts(world.home / "definitions" / "texts")
    for sha256 in {sha256 for one in every for sha256 in (one.sha256, one.before_sha256) if sha256}:
        texts.get(sha256)
    for path, content in world.files().items():
        if path.endswith((".md", ".toml")) and lies.pop(str(world.user / path), None) != sha(content):
            wrong.append(f"{path} is not what is recorded")
    wrong += [f"{path} is recorded, and is not there" for path in lies]
    rows = [(one.operation, os.path.relpath(one.path, world.user), bool(one.own)) for one in every]
    return {"revisions": rows, "wrong": wrong}


def broken(every: list[definitions.Revision]) -> list[str]:
    """Where the chain of a file is broken: a revision that does not begin with what the one before left, or two that follow the same one."""
    by_id = {one.id: one for one in every}
    out = []
    followed: dict[tuple[str, str], str] = {}
    for one in every:
        before = by_id.get(one.previous or "")
        place = one.path_before or one.path
        if before is None:
            expected = None
        elif before.path == place:
            expected = before.sha256
        else:  # it was moved away from here
            expected = None
        if one.before_sha256 != expected:
            out.append(
                f"{one.operation} {one.id} begins with {one.before_sha256}, and before it was {expected}"
            )
        if one.previous and (other := followed.setdefault((one.previous, place), one.id)) != one.id:
            out.append(f"{one.id} and {other} follow {one.previous}")
    return out


# ── acts ──

OLD, NEW, THIRD = text("old"), text("new"), text("third")
QA = Where(name="qa")
PROJECT, USER = "project/.claude/agents/qa.md", ".claude/agents/qa.md"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Act:
    """What lies there before and after, and what leads from the one to the other."""

    before: dict[str, bytes]
    after: dict[str, bytes]
    do: Callable[[Writer], Any]


ACTS = {
    "create": Act({}, {PROJECT: NEW}, lambda writer: writer.create(QA, NEW)),
    "put": Act({PROJECT: OLD}, {PROJECT: NEW}, lambda writer: writer.put(QA, NEW, sha(OLD))),
    "delete": Act({PROJECT: OLD}, {}, lambda writer: writer.delete(QA)),
    "migrate": Act({PROJECT: OLD}, {USER: OLD}, lambda writer: writer.migrate(QA, "user")),
    "replicate": Act(
        {PROJECT: OLD, USER: THIRD},
        {PROJECT: OLD, USER: OLD},
        lambda writer: writer.replicate(QA, ["user"], sha(THIRD)),
    ),
    "distributed": Act(
        {PROJECT: OLD, USER: OLD},
        {PROJECT: NEW, USER: NEW},
        lambda writer: writer.put(Where(name="qa", strategy="distributed"), NEW, sha(OLD)),
    ),
    "delete both": Act(
        {PROJECT: OLD, USER: OLD}, {}, lambda writer: writer.delete(Where(name="qa", strategy="distributed"))
    ),
}


def begun(place: Path, act: Act) -> World:
    """A world in which an act may begin; what lies there is recorded."""
    world = World(place).make()
    for path, content in act.before.items():
        (world.user / path).parent.mkdir(parents=True, exist_ok=True)
        (world.user / path).write_bytes(content)
    code, said = in_process(lambda: world.writer()._act(lambda _held, _found: None))
    assert code == 0, said
    return world


def carried_out(world: World, act: Act, at: int | None, error: str | None = None) -> tuple[int, Any]:
    """Do it, with a call that is the last, or fails; how it ended, and how many calls there were."""

    def do() -> int:
        world.writer()._act(lambda _held, _found: None)
        return counted(world, act, at, error)

    return in_process(do)


def counted(world: World, act: Act, at: int | None, error: str | None = None) -> int:
    """Do it in this process; how many calls there were."""
    writer = world.writer()
    seen = faulty(at, error, reads=error is not None)
    act.do(writer)
    return len(seen)


def violations(world: World, act: Act, *, acknowledged: bool | None) -> list[str]:
    """What is wrong after an act that was cut, or refused, once somebody looked.

    `acknowledged`: True: it said that it was done; False: that nothing was done; None: nothing.
    """
    found = recorded(world)
    files = {name: content for name, content in world.files().items() if ".holdfast-" not in name}
    out = [*found["wrong"], *(f"{name} is left" for name in world.left())]
    if files not in (act.before, act.after):
        out.append(f"neither old nor new: {sorted(files)}")
    if acknowledged is True and files != act.after:
        out.append("it said that it was done, and is not")
    if acknowledged is False and files != act.before:
        out.append("it said that nothing was done, and something is")
    own = [row for row in found["revisions"] if row[2]]
    if bool(own) != (files == act.after and act.before != act.after):
        out.append(f"recorded of it: {own}")
    return out
