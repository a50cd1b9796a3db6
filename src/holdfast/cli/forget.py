"""`holdfast forget [SESSION…]`."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from holdfast import forgetting
from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import NotFound, UsageError
from holdfast.store import queries

if TYPE_CHECKING:
    import apsw

    from holdfast.forgetting import Belongings, Done, Plan, Session
    from holdfast.home import Home

_MOST_SHOWN = 20
_SOURCES = ("claude", "codex", "sdk")
_OUT_OF_REACH = "exports made earlier, and backups of the home, may hold it too; they are yours to remove"


@click.command(
    "forget",
    help=COMMANDS["forget"][1]
    + "\n\nSays what goes, and asks. Without SESSION, ends what was cut short before.",
)
@click.argument("sessions", nargs=-1)
@click.option(
    "--yes", is_flag=True, help="Do not ask. Where nobody can be asked, nothing is done without it."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, sessions: tuple[str, ...], yes: bool, as_json: bool) -> None:  # noqa: FBT001
    home = context.home
    answers.catch_up(home)
    with contextlib.closing(home.reader()) as db:
        chosen, before = _chosen(home, db, sessions)
    planned = forgetting.plan(home, chosen)
    if not sessions and not planned.unfinished:
        raise UsageError(
            "no session is named", hint="`holdfast sessions` lists them: holdfast forget SESSION"
        )
    waits = bool(planned.sessions or planned.unfinished)
    if not as_json:
        _say(planned, before)
    done = _forget(home, planned) if waits and (yes or (not as_json and _agreed())) else None
    if as_json:
        terminal.print_json(_answer(planned, before, done))
    elif done is not None:
        _say_done(planned, done)
    elif waits:
        click.echo("nothing was changed (--yes does it)")


def _chosen(home: Home, db: apsw.Connection, names: tuple[str, ...]) -> tuple[list[Session], list[str]]:
    """What the store says of these sessions, and which of the names are forgotten already, or about to be.

    Raises:
        NotFound, AmbiguousId: a name is no session's, or fits several.
    """
    found: dict[int, Session] = {}
    before, forgotten = [], home.forgotten()
    for name in names:
        try:
            session_id = queries.session_id(db, name)
        except NotFound as exc:
            if not any(
                forgotten.holds_session(key) for key in (name, *(f"{source}:{name}" for source in _SOURCES))
            ):
                if forgotten.unfinished:
                    exc.hint = "one is not wholly forgotten yet: `holdfast forget`, without a name, ends it"
                raise
            before.append(name)
            continue
        for one in (session_id, *queries.own_runs(db, session_id)):
            key, _ = queries.session_origin(db, one)
            [row] = queries.session_rows(db, one)
            found[one] = forgetting.described(db, one, key, row)
    return list(found.values()), before


def _agreed() -> bool:
    """Ask, where somebody can be asked."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    click.confirm("Forget this? It cannot be undone", abort=True)
    return True


def _forget(home: Home, planned: Plan) -> Done:
    line = terminal.ProgressLine("forgetting")
    try:
        return forgetting.carry_out(home, planned, line.bytes_done)
    finally:
        line.done()


def _say(planned: Plan, before: list[str]) -> None:
    for name in before:
        click.echo(terminal.plain(f"{name}: is forgotten already, or about to be"))
    for one in planned.sessions:
        title = f": {terminal.plain(one.title, 60)}" if one.title else ""
        click.echo(f"{terminal.plain(one.key)}{title}")
        click.echo(f"        {terminal.some(one.agents, 'agent')}")
        for fork in one.forks:
            click.echo(terminal.plain(f"        stays: {fork}, a fork that holds copies of its lines"))
    if planned.unfinished:
        click.echo(
            f"{terminal.some(planned.unfinished, 'session')} of an earlier run not wholly forgotten yet"
        )
    going = planned.belongings
    for key in sorted(going.others)[:_MOST_SHOWN]:
        click.echo(terminal.plain(f"loses records: {key}, which stands in the same files"))
    if planned.sessions or planned.unfinished:
        files = terminal.some(len(going.chosen), "source file")
        click.echo(
            f"to go: {terminal.some(going.records, 'record')} ({terminal.size(going.size_bytes)}) of {files}"
        )
        _say_untold(going)


def _say_untold(found: Belongings | Done) -> None:
    if found.untold:
        verb = "stays" if found.untold == 1 else "stay"
        click.echo(f"{terminal.some(found.untold, 'record')} whose session cannot be read {verb}")
    if found.nameless:
        verb = "stays" if found.nameless == 1 else "stay"
        click.echo(
            f"{terminal.some(found.nameless, 'damaged line')} of the journal in which nobody is named {verb}"
        )


def _say_done(planned: Plan, done: Done) -> None:
    click.echo(
        f"forgotten: {terminal.some(done.records, 'record')} ({terminal.size(done.size_bytes)}) of "
        f"{terminal.some(done.files, 'source file')}; {terminal.some(done.segments, 'segment')} rewritten, "
        f"{terminal.size(done.blob_bytes)} of blobs and {terminal.size(done.copies_bytes)} of copies removed"
    )
    going = planned.belongings
    if (done.untold, done.nameless) != (going.untold, going.nameless):  # it came meanwhile
        _say_untold(done)
    if done.anchor is not None:
        click.echo(f"anchor {done.anchor} (earlier ones do not fit any more)")
    if planned.transcripts:
        click.echo(
            f"not ours, and still there: {terminal.some(len(planned.transcripts), 'transcript')}; left out from now on"
        )
        for path in planned.transcripts[:_MOST_SHOWN]:
            click.echo(terminal.plain(f"        {path}"))
        if len(planned.transcripts) > _MOST_SHOWN:
            click.echo(f"        and {len(planned.transcripts) - _MOST_SHOWN} more; --json lists them all")
    click.echo(_OUT_OF_REACH)


def _answer(planned: Plan, before: list[str], done: Done | None) -> dict[str, object]:
    going = planned.belongings
    made = asdict(done) if done else {}
    return {
        "sessions": [asdict(one) for one in planned.sessions],
        "forgotten_before": before,
        "unfinished": planned.unfinished,
        "others": sorted(going.others),
        "records": done.records if done else going.records,
        "size_bytes": done.size_bytes if done else going.size_bytes,
        "files": done.files if done else len(going.chosen),
        "untold": done.untold if done else going.untold,
        "nameless": done.nameless if done else going.nameless,
        "transcripts": planned.transcripts,
        "done": done is not None,
        **{name: made.get(name) for name in ("segments", "blob_bytes", "copies_bytes", "anchor")},
    }
