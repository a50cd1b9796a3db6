"""What is asked for when an agent is started: what a caller says (`Wish`), and what is kept of it for good (`Spec`)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from holdfast.errors import SuperviseError
from holdfast.plain_files import content_of
from holdfast.supervise.inherited import Inherited

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = 1
NAME: Final = "spec.json"
ID: Final = re.compile(r"[0-9a-f]{12}")
RESTARTS: Final = ("never", "on-failure", "ask")
GRACE_S: Final = 10.0
_NAME_CHARS = 128

Restart = Literal["never", "on-failure", "ask"]


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, as a caller says it, and as it is kept.

    Attributes:
        argv: the program and its arguments, as they are given to it. Not empty.
        cwd: where it works; absolute.
        environment: what is added to the environment of who starts it.
        name: what people call it.
        parent: the id of the agent that it works for; of one that is not known here, what a request calls it.
        task: what it is to do, in words.
        model, agent_type: as the caller says.
        external_id: what another system calls it, such as `L2.2.1`. Never a path.
        tool: the agent tool that the command is, where that is known.
        restart: what is done when it fails: nothing, start it again, or ask.
        stop_grace_s: how long it has between a request to end and its end by force.
        requested_by: who asked for it.
        request: the id of a request that it answers.
        metadata: whatever else the caller says.
        inherited: what it has from who asked for it.
    """

    argv: tuple[str, ...]
    cwd: str
    environment: dict[str, str] = {}
    name: str | None = None
    parent: str | None = None
    task: str | None = None
    model: str | None = None
    agent_type: str | None = None
    external_id: str | None = None
    tool: str | None = None
    restart: Restart = "never"
    stop_grace_s: float = GRACE_S
    requested_by: str | None = None
    request: str | None = None
    metadata: dict[str, Any] = {}
    inherited: Inherited = Inherited()


class Wish(_Asked, frozen=True, kw_only=True):
    """What somebody wants to have started.

    Attributes:
        session: the key of its tool's session ("<source>:<native id>"); None: the run is a session of its own.
        id: the agent's id, where it was chosen before; asking for the same id again starts nothing.
    """

    session: str | None = None
    id: str | None = None


class Spec(_Asked, frozen=True, kw_only=True):
    """What was asked for, as it is kept for good.

    Attributes:
        id: the agent's.
        session: the key of its tool's session, or of its own.
        created_us: when it was asked for, in UTC microseconds.
    """

    id: str
    session: str
    created_us: int
    format: int = FORMAT

    @property
    def is_plain(self) -> bool:
        """Whether the run is a session of its own."""
        return self.session == own_session(self.id)


def own_session(agent: str) -> str:
    """The key of the session that a plain command's run is."""
    return f"run:{agent}"


def made(wish: Wish, agent: str, created_us: int) -> Spec:
    """What is kept of a wish."""
    fields = {name: getattr(wish, name) for name in wish.__struct_fields__}
    fields |= {"id": agent, "session": wish.session or own_session(agent), "created_us": created_us}
    return Spec(**fields)


def check(wish: Wish) -> None:
    """Refuse what cannot be started, or not be told from others afterwards. Raises SuperviseError."""
    if not wish.argv or not wish.argv[0]:
        raise SuperviseError("no program was given", hint="holdfast run [OPTIONS] -- PROGRAM [ARGUMENT]...")
    if any("\0" in text for text in (*wish.argv, wish.cwd, *wish.environment, *wish.environment.values())):
        raise SuperviseError(
            "a NUL character cannot be given to a program", hint="look at the command and its environment"
        )
    if any(not name or "=" in name for name in wish.environment):
        raise SuperviseError("a variable's name is empty or holds `=`", hint="look at the environment")
    if wish.name is not None and not 0 < len(wish.name) <= _NAME_CHARS:
        raise SuperviseError(f"name: expected 1 to {_NAME_CHARS} characters, got {len(wish.name)}")
    if wish.restart not in RESTARTS:
        raise SuperviseError(f"restart: expected {', '.join(RESTARTS)}, got {wish.restart!r:.40}")
    if not 0 <= wish.stop_grace_s < 86_400:
        raise SuperviseError(f"stop_grace_s: expected 0 to 86400 seconds, got {wish.stop_grace_s}")


def written(spec: Spec) -> bytes:
    """A spec as it stands in its file. Arguments may be bytes that are no text, so plain `json` writes them."""
    return json.dumps(msgspec.to_builtins(spec), indent=1).encode() + b"\n"


def read(directory: Path) -> Spec:
    """The spec of an agent's run directory.

    Raises:
        SuperviseError: it is not there, or cannot be understood.
    """
    path = directory / NAME
    try:
        return msgspec.convert(json.loads(content_of(path)), Spec)
    except (OSError, ValueError, RecursionError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise SuperviseError(
            f"{path}: {why}", hint="its directory stays as it is; `holdfast rm` removes it"
        ) from exc
