"""`holdfast hooks install`, `hooks uninstall` and `hooks status`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from holdfast import codex_settings, hooks
from holdfast.capture import inbox, sink
from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import HoldfastError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.settings import Settings

_TOOL = click.option(
    "--tool",
    type=click.Choice(inbox.TOOLS),
    help="Whose settings; without it those of every tool whose own directory is there.",
)
_SCOPE = click.option(
    "--scope",
    type=click.Choice(hooks.SCOPES),
    default="user",
    show_default=True,
    help="`user`: all your projects; `project`: this directory's, shared with its repository; `local`: this directory's, for you (Codex has none).",
)
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
_INDENT = " " * 14  # below the words of a line of `hooks status`


def _changing(name: str, text: str) -> Callable[[Callable[..., None]], click.Command]:
    def decorate(function: Callable[..., None]) -> click.Command:
        for option in (_JSON, _DRY_RUN, _SCOPE, _TOOL):
            function = option(function)
        return click.command(name, help=f"{COMMANDS[f'hooks {name}'][1]}\n\n{text}")(click.pass_obj(function))

    return decorate


@_changing(
    "install",
    "Adds one line of shell to each event in the tool's settings and keeps what they held beside them. It can be said "
    "again: only what is missing or outdated changes.",
)
def install(context: Context, tool: str | None, scope: str, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001
    places = list(_places(context.settings, tool, scope))
    directory = context.home.inbox
    if not dry_run:
        directory.mkdir(mode=0o700, exist_ok=True)
    done = [_installed(context.settings, mine, scope, dry_run) for mine in places]
    built = _program(context.settings) if dry_run else _built(context.settings)
    if as_json:
        terminal.print_json({"places": done, "dry_run": dry_run, **built})
        return
    _tell(done, "installed in", dry_run)
    if not dry_run:
        click.echo(terminal.plain(_runs(built)))


@_changing("uninstall", "Removes only what `holdfast hooks install` added for this home.")
def uninstall(context: Context, tool: str | None, scope: str, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001
    places = list(_places(context.settings, tool, scope))
    done = []
    for mine in places:
        one = _answer(mine, scope, mine.uninstall(dry_run=dry_run))
        if (notify := _notify(context.settings, mine, scope)) is not None:
            one["notify_changed"] = notify.uninstall(dry_run=dry_run)
            one["notify"] = notify.look()
        done.append(one)
    if as_json:
        terminal.print_json({"places": done, "dry_run": dry_run})
        return
    _tell(done, "removed from", dry_run)


def _built(settings: Settings) -> dict[str, Any]:
    """What hooks run, compiled if that is possible and was not done yet."""
    try:
        sink.build(settings.home)
    except sink.NotBuilt as exc:
        return _program(settings) | {"program_why": str(exc)}
    return _program(settings)


def _program(settings: Settings) -> dict[str, Any]:
    place = sink.program(settings.home)
    return {"program": None if place is None else str(place), "program_why": None}


def _places(settings: Settings, tool: str | None, scope: str) -> Iterator[hooks.Hooks]:
    """What is to be changed.

    Raises:
        UsageError: nothing is.
    """
    if tool is not None and hooks.settings_file(settings, tool, scope) is None:
        raise UsageError(
            "Codex has no settings that are this directory's for you alone",
            hint="say --scope user or project",
        )
    chosen = hooks.tools_here(settings) if tool is None else [tool]
    if not chosen:
        where = f"{settings.claude_config_dir} nor {settings.codex_home}"
        raise UsageError(f"neither {where} is there", hint="say which tool is meant: --tool claude or codex")
    for name in chosen:
        if (path := hooks.settings_file(settings, name, scope)) is not None:
            yield hooks.Hooks(path, settings.home / inbox.DIRECTORY, name)


def _notify(settings: Settings, mine: hooks.Hooks, scope: str) -> codex_settings.Notify | None:
    """The command told of turns, where there is one: in the user's settings of Codex."""
    if mine.tool != "codex" or scope != "user":
        return None
    return codex_settings.Notify(settings.codex_home / codex_settings.NAME, settings.home / inbox.DIRECTORY)


def _installed(settings: Settings, mine: hooks.Hooks, scope: str, dry_run: bool) -> dict[str, Any]:  # noqa: FBT001
    one = _answer(mine, scope, mine.install(dry_run=dry_run))
    if (notify := _notify(settings, mine, scope)) is not None:
        one["notify_changed"] = notify.install(dry_run=dry_run)
        one["notify"] = notify.look()
    if mine.tool == "codex" and not dry_run:
        config = settings.codex_home / codex_settings.NAME
        trust = codex_settings.trust(config, mine.look(scope), settings.home / inbox.DIRECTORY)
        one["trust"] = trust and trust.word
    return one


def _answer(mine: hooks.Hooks, scope: str, changed: tuple[str, ...]) -> dict[str, Any]:
    return {
        "tool": mine.tool,
        "scope": scope,
        "path": str(mine.path),
        "changed": list(changed),
        "notify": None,
        "notify_changed": False,
        "trust": None,
        "two_places": _two_places(mine),
    }


def _two_places(mine: hooks.Hooks) -> bool:
    return mine.tool == "codex" and codex_settings.holds_hooks(mine.path.with_name(codex_settings.NAME))


def _tell(done: list[dict[str, Any]], verb: str, dry_run: bool) -> None:  # noqa: FBT001
    would = "would be " if dry_run else ""
    for one in done:
        path, number = one["path"], len(one["changed"])
        if number:
            click.echo(terminal.plain(f"{terminal.some(number, 'hook')} {would}{verb} {path}"))
        if one["notify_changed"]:
            click.echo(f"`notify` {would}{verb} {codex_settings.NAME} beside it")
        if not number and not one["notify_changed"]:
            click.echo(terminal.plain(f"nothing to change in {path}"))
        if number and not dry_run and hooks.backup_of(one["path"]).exists():
            click.echo(terminal.plain(f"what it held before: {hooks.backup_of(path)}"))
        if one["notify"] == "theirs":
            click.echo(
                f"`notify` in {codex_settings.NAME} beside it runs another command, and stays: hooks alone are used"
            )
        if number and one["two_places"] and verb.startswith("installed"):
            click.echo(_TWO_PLACES)
        if one["trust"] in {"untrusted", "unknown"}:
            click.echo(
                "Codex runs no hook before you approve it: say /hooks in Codex; `holdfast hooks status` says whether you did"
            )


def _runs(built: dict[str, Any]) -> str:
    if built["program"]:
        return f"they run {built['program']}, compiled from {sink.SOURCE} beside it"
    why = f" ({built['program_why']})" if built["program_why"] else ""
    return f"they run programs of the system{why}; with a C compiler they would take half a millisecond: install them again then"


# ── status ──


@click.command("status", help=COMMANDS["hooks status"][1])
@_JSON
@click.pass_obj
def status(context: Context, as_json: bool) -> None:  # noqa: FBT001
    settings = context.settings
    directory = settings.home / inbox.DIRECTORY
    places = [
        _place(context, hooks.Hooks(path, directory, tool), scope)
        for tool in hooks.TOOLS
        for scope in hooks.SCOPES
        if (path := hooks.settings_file(settings, tool, scope)) is not None
    ]
    waiting = inbox.waiting_bytes(directory)
    if as_json:
        told = {"places": places, "inbox": str(directory), "waiting_bytes": waiting}
        terminal.print_json(told | {"program": _program(settings)["program"]})
        return
    for place in places:
        _print(place)
    if any(place["installed"] for place in places):
        click.echo(terminal.plain(_runs(_program(settings))))
    click.echo(
        terminal.plain(f"{terminal.size(waiting)} in {directory} wait for the next command")
        if waiting
        else "nothing waits to be recorded"
    )


def _place(context: Context, mine: hooks.Hooks, scope: str) -> dict[str, Any]:
    settings, found = context.settings, mine.look(scope)
    trust = None
    if mine.tool == "codex":
        config = settings.codex_home / codex_settings.NAME
        trust = codex_settings.trust(config, found, settings.home / inbox.DIRECTORY)
    notify = _notify(settings, mine, scope)
    began, told = _heard(context, found) if trust and scope == "user" else (None, None)
    return {
        "tool": found.tool,
        "scope": scope,
        "path": str(found.path),
        "installed": list(found.installed),
        "outdated": list(found.outdated),
        "missing": list(found.missing),
        "problem": found.problem,
        "trust": trust and trust.word,
        "untrusted": list(trust.events) if trust else [],
        "trust_why": trust and trust.why,
        "notify": notify and notify.look(),
        "two_places": _two_places(mine),
        "sessions_since": began,
        "sessions_told": told,
    }


def _heard(context: Context, place: hooks.Place) -> tuple[int | None, int | None]:
    """How many sessions began since the hooks stand there, and of how many of them a hook told, as far as it is recorded."""
    from holdfast.store import database, queries

    try:
        if database.current(context.settings.home) is None:
            return None, None
        since_us = place.path.stat().st_mtime_ns // 1000
        return queries.told_by_hooks(context.home.reader(), place.tool, since_us)
    except (HoldfastError, OSError):
        return None, None


def _print(place: dict[str, Any]) -> None:
    click.echo(terminal.plain(f"{place['tool']:6} {place['scope']:8} {_words(place):28} {place['path']}"))
    for line in _remarks(place):
        for part in textwrap.wrap(line, 100):
            click.echo(terminal.plain(f"{_INDENT}  {part}"))


def _remarks(place: dict[str, Any]) -> Iterator[str]:
    """What is to be known about Codex's."""
    if place["trust"] == "trusted":
        yield "trusted: Codex runs them"
    elif place["trust"]:
        events = len(place["untrusted"])
        which = (
            f"not trusted: Codex passes over {events} of them"
            if events
            else "unknown whether Codex trusts them"
        )
        yield f"{which} ({place['trust_why']}); say /hooks in Codex to approve them"
    if place["sessions_since"]:
        began = terminal.some(place["sessions_since"], "session")
        yield f"{began} of Codex began since they were installed; hooks told of {place['sessions_told']}"
    if place["two_places"] and place["installed"]:
        yield _TWO_PLACES
    if place["notify"] is not None:
        yield f"notify: {_NOTIFY[place['notify']]}"


_TWO_PLACES = f"{codex_settings.NAME} beside it holds hooks too: Codex runs both, and says so at each start"
_NOTIFY = {
    "installed": "installed, needs no trust",
    "outdated": "to renew",
    "missing": "not installed",
    "theirs": "another command stands there",
    "unknown": f"{codex_settings.NAME} cannot be read",
}


def _words(place: dict[str, Any]) -> str:
    if place["problem"]:
        return "cannot be read"
    if not place["installed"] and not place["outdated"]:
        return "not installed"
    if not place["missing"] and not place["outdated"]:
        return f"installed ({terminal.some(len(place['installed']), 'event')})"
    return f"to renew: {len(place['outdated'])} outdated, {len(place['missing'])} missing"


commands = {"hooks install": install, "hooks uninstall": uninstall, "hooks status": status}
