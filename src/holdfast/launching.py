"""What is started for an agent, as its tool needs it: `supervise/tools.py` decides, and is told here what there is on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from holdfast import hooks
from holdfast.plain_files import content_of
from holdfast.supervise import look, tools
from holdfast.supervise.start import Command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.home import Home
    from holdfast.supervise.spec import Spec, Wish

_MOST_BYTES = 1 << 20  # of a file of settings


class Prepared(NamedTuple):
    """What one life of an agent is started with, and which tool and session that is, if any."""

    start: Command
    tool: str | None
    session: str | None
    notes: list[str]


def command(
    home: Home, wish: Wish | Spec, agent: str, attempt: int, environment: Mapping[str, str]
) -> Prepared:
    """What is started for one life of an agent; `environment` is all that it would be given without this."""
    settings = home.settings
    programs = {"claude": settings.claude_program, "codex": settings.codex_program}
    is_claude = tools.tool_of(wish.argv, programs) == "claude"  # of no other is anything read
    named = tools.settings_file(wish.argv) if is_claude else None
    asked = tools.Asked(
        agent,
        attempt,
        wish.argv,
        environment,
        programs,
        hooks.settings(home.inbox),
        look.attempt_directory(look.run_directory(home.path) / agent, attempt),
        _installed(home, wish.cwd, environment) if is_claude else set(),
        None if named is None else _content(Path(wish.cwd, named)),
    )
    out = tools.prepare(asked)
    if out.files:
        home.inbox.mkdir(mode=0o700, exist_ok=True)
    start = Command(out.argv, {**environment, **out.environment}, out.files)
    return Prepared(start, out.tool, out.session, out.notes)


def known(wish: Wish, prepared: Prepared) -> Wish:
    """A wish with what is known of its tool; what a caller said of it stays."""
    tool = wish.tool or prepared.tool
    return msgspec.structs.replace(wish, tool=tool, session=wish.session or prepared.session)


def _installed(home: Home, cwd: str, environment: Mapping[str, str]) -> set[str]:
    """The events at which Claude Code runs our hook of this version there anyway."""
    user = environment.get("CLAUDE_CONFIG_DIR") or os.path.join(environment.get("HOME", ""), ".claude")  # noqa: PTH118 - texts
    places = [Path(cwd, user), *(Path(cwd, ".claude") for _ in range(2))]
    names = ["settings.json", "settings.json", "settings.local.json"]
    found = [
        hooks.Hooks(place / name, home.inbox).look("")
        for place, name in zip(places, names, strict=True)
        if (place / name).is_file()
    ]
    return {event for one in found for event in one.installed}


def _content(path: Path) -> bytes | None:
    """What stands in a file of settings; None: it cannot be read."""
    try:
        return content_of(path, _MOST_BYTES)
    except OSError:
        return None
