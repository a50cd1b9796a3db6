"""Have the system start the service: a unit of systemd for one user, or an agent of launchd.

Only a file is written; the commands that make the system read it are told, and typed by a person. Two traps are kept out of: systemd
ends every process that a service started when the service ends, unless `KillMode=process` (systemd.kill(5)), and so does launchd
without `AbandonProcessGroup` (launchd.plist(5)), but agents that were started must outlive us; and systemd ends a user's
services when the user logs out, unless the user lingers (loginctl(1)).
"""

from __future__ import annotations

import hashlib
import os
import plistlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from holdfast import service
from holdfast.errors import ServiceError
from holdfast.journal.blobs import write_over
from holdfast.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.settings import Settings

SYSTEMS = ("systemd", "launchd")
MARK = "Written by `holdfast service install`"
KEEPS_AGENTS = {"systemd": "KillMode=process", "launchd": "AbandonProcessGroup"}
_AGAIN_AFTER_S = 10
_NO_USE = (2, 10, 11, 12, 32, 61)  # exit codes after which starting again changes nothing
_HOME_DIGITS = 8
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # controls, and bytes that are no UTF-8
_LINGER = Path("/var/lib/systemd/linger")


class Unit(NamedTuple):
    """What is to be written, where, and the commands that start it, and that end it for good."""

    system: str
    path: Path
    content: bytes
    start: tuple[str, ...]
    stop: tuple[str, ...]


def here() -> str:
    """Which of the two this platform has."""
    return "launchd" if sys.platform == "darwin" else "systemd"


def unit(system: str, settings: Settings, env: Mapping[str, str]) -> Unit:
    """The unit for the home in force; its name tells the home, unless that is the platform's own.

    Raises:
        ServiceError: a path or setting cannot stand in one.
    """
    default = settings.origin("home") == "default"
    digest = hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:_HOME_DIGITS]
    name = "holdfast" if default else f"holdfast-{digest}"
    user = Path(env.get("HOME", "~")).expanduser()
    for text in (*_command(), *_environment(settings).values()):
        _check(text)
    return _launchd(name, settings, user) if system == "launchd" else _systemd(name, settings, user, env)


def _check(text: str) -> None:
    """Neither system's file can hold every text: a line's end begins another entry, and what is no UTF-8 is not read."""
    if _UNFIT.search(text):
        raise ServiceError(
            f"{text!r}: its characters cannot all stand in a unit",
            hint="give it a plainer name, or run `holdfast up`",
        )


def _command() -> list[str]:
    return [sys.executable, "-P", "-m", "holdfast", "up"]


def _environment(settings: Settings) -> dict[str, str]:
    """The settings that do not stand in the home, so that the service has those that hold now; not a moment, which passes."""
    values = settings.values()
    given = {
        row.env: row.written(values[row.name])
        for row in SETTINGS
        if row.name != "now"
        and values[row.name] != ""
        and settings.origin(row.name).startswith(("environment", "flag"))
    }
    return given | {"HOLDFAST_HOME": str(settings.home)}


def _systemd(name: str, settings: Settings, user: Path, env: Mapping[str, str]) -> Unit:
    configured = Path(env.get("XDG_CONFIG_HOME") or user / ".config")
    variables = [f"Environment={_quoted(f'{key}={value}')}" for key, value in _environment(settings).items()]
    lines = [
        f"# {MARK}",
        "[Unit]",
        "Description=Holdfast: keeps hold of what agents did",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={' '.join(_quoted(each).replace('$', '$$') for each in _command())}",
        *variables,
        "# agents that were started here outlive the service",
        KEEPS_AGENTS["systemd"],
        "Restart=on-failure",
        f"RestartSec={_AGAIN_AFTER_S}",
        f"RestartPreventExitStatus={' '.join(map(str, _NO_USE))}",
        "UMask=0077",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    start = (
        "systemctl --user daemon-reload",
        f"systemctl --user enable --now {name}.service",
        "loginctl enable-linger    # else it ends when you log out",
    )
    stop = (f"systemctl --user disable --now {name}.service",)
    path = configured / "systemd" / "user" / f"{name}.service"
    return Unit("systemd", path, "\n".join(lines).encode() + b"\n", start, stop)


def _quoted(text: str) -> str:
    """A word as systemd.syntax(7) has it: what it would replace or take apart stays what it is."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _launchd(name: str, settings: Settings, user: Path) -> Unit:
    label = f"dev.{name}"
    path = user / "Library" / "LaunchAgents" / f"{label}.plist"
    content = plistlib.dumps(
        {
            "Label": label,
            "Comment": MARK,
            "ProgramArguments": _command(),
            "EnvironmentVariables": _environment(settings),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": _AGAIN_AFTER_S,
            KEEPS_AGENTS["launchd"]: True,
            "ProcessType": "Background",
            "Umask": 0o077,
            "StandardErrorPath": str(service.log_path(settings.home)),
        }
    )
    domain = f"gui/{os.getuid()}"
    return Unit(
        "launchd",
        path,
        content,
        (f"launchctl bootstrap {domain} '{path}'",),
        (f"launchctl bootout {domain}/{label}",),
    )


def install(made: Unit) -> bool:
    """Write the file, unless it stands there so; whether it was written.

    Raises:
        ServiceError: it cannot be written, or one stands there that we did not write.
    """
    before = _content(made.path)
    if before == made.content:
        return False
    if before is not None and MARK.encode() not in before:
        raise ServiceError(
            f"{made.path}: it was not written by Holdfast", hint="move it away, then run this again"
        )
    try:
        made.path.parent.mkdir(parents=True, exist_ok=True)
        write_over(made.path, made.content)
    except OSError as exc:
        raise ServiceError(f"{made.path}: {exc.strerror}", hint="make room or repair access") from exc
    return True


def uninstall(made: Unit) -> bool:
    """Remove the file; whether there was one.

    Raises:
        ServiceError: it cannot be removed, or we did not write it.
    """
    before = _content(made.path)
    if before is None:
        return False
    if MARK.encode() not in before:
        raise ServiceError(
            f"{made.path}: it was not written by Holdfast", hint="remove it yourself, if it is yours"
        )
    try:
        made.path.unlink(missing_ok=True)
    except OSError as exc:
        raise ServiceError(f"{made.path}: {exc.strerror}", hint="repair access") from exc
    return True


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ServiceError(f"{path}: {exc.strerror}", hint="repair access") from exc


def ends_agents(path: Path) -> bool:
    """Whether a unit lets the system end what the service started, because somebody changed it."""
    wanted = KEEPS_AGENTS["launchd" if path.suffix == ".plist" else "systemd"].encode()
    return wanted not in (_content(path) or wanted)


def lingers(user: str, directory: Path = _LINGER) -> bool | None:
    """Whether systemd keeps a user's services when the user logs out; None: it cannot be told."""
    try:
        return (directory / user).exists() if directory.is_dir() else None
    except OSError:
        return None
