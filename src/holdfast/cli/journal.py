"""`holdfast journal …`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import JournalAltered, RetireRefused, StoreBusy

if TYPE_CHECKING:
    from holdfast.journal.verify import Finding, Verified

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")


@click.command("verify", help=COMMANDS["journal verify"][1])
@click.option(
    "--anchor",
    metavar="ANCHOR",
    help="What an earlier run printed, noted elsewhere: also finds a history that was wholly written anew.",
)
@_JSON
@click.pass_obj
def verify(context: Context, anchor: str | None, as_json: bool) -> None:  # noqa: FBT001
    from holdfast.journal import verify as verification

    home = context.home
    line = terminal.ProgressLine("verifying")
    try:
        found = verification.verify(home.journal, home.blobs, anchor=anchor, report=line.bytes_done)
    finally:
        line.done()
    if as_json:
        terminal.print_json(asdict(found) | {"findings": [_finding(each) for each in found.findings]})
    else:
        _print(found)
    if found.findings:
        hint = "every record outside those ranges is intact; restore the segments named above from a backup"
        raise JournalAltered(f"the journal is not what was written ({len(found.findings)} found)", hint=hint)


def _finding(each: Finding) -> dict[str, object]:
    return {"file": str(each.path), "what": each.what, "start_byte": each.start, "end_byte": each.end}


def _print(found: Verified) -> None:
    for each in found.findings:
        at = "" if each.start is None else f" bytes {each.start} to {each.end}"
        click.echo(f"{terminal.plain(str(each.path))}{at}: {terminal.plain(each.what)}")
    for number, why in found.rewritten:
        click.echo(f"segment {number} was rewritten on purpose: {terminal.plain(why)}")
    click.echo(
        f"read {terminal.some(found.segments, 'segment')}, {found.sealed} of them sealed "
        f"({terminal.size(found.plain_bytes)}, {terminal.size(found.stored_bytes)} on disk), "
        f"and {terminal.some(found.blobs, 'blob')}"
    )
    if found.anchor is not None:
        click.echo(f"anchor {found.anchor}")
    if not found.findings:
        click.echo("everything is as it was written")


@click.command("seal", help=COMMANDS["journal seal"][1])
@click.option(
    "--all", "newest_too", is_flag=True, help="Also the newest segment, though it is not full: begin another."
)
@_JSON
@click.pass_obj
def seal(context: Context, newest_too: bool, as_json: bool) -> None:  # noqa: FBT001
    from holdfast.journal import sealing

    home = context.home
    made = home.seal(newest_too=newest_too)
    if made is None:
        raise StoreBusy(
            "another process is importing into this home", hint="wait for it, then run this again"
        )
    waiting = sealing.sealable(home.journal)
    if as_json:
        shown = [{"segment": s.segment, "bytes": s.size, "stored_bytes": s.stored_size} for s in made]
        terminal.print_json({"sealed": shown, "still_written": waiting})
        return
    for each in made:
        click.echo(
            f"segment {each.segment} is sealed: {terminal.size(each.size)}, {terminal.size(each.stored_size)} on disk"
        )
    if waiting:
        click.echo(
            f"{terminal.some(len(waiting), 'segment')} wait: a program still holds segment {waiting[0]}"
        )
    if not made and not waiting:
        click.echo("nothing waits to be sealed; the newest segment is still written")


@click.command("retire", help=COMMANDS["journal retire"][1])
@click.option(
    "--keep-days",
    metavar="DAYS",
    type=click.IntRange(min=1),
    required=True,
    help="Retire only what was received earlier, and no session that was active since.",
)
@click.option("--yes", is_flag=True, help="Do it. Without this, only say what would be done.")
@click.option(
    "--without-backup",
    is_flag=True,
    help="Say that you have a backup of your own, or need none: this version does not make any.",
)
@click.option(
    "--most",
    metavar="PERCENT",
    type=click.IntRange(1, 100),
    default=20,
    show_default=True,
    help="Refuse to retire more than this part of the journal at once.",
)
@_JSON
@click.pass_obj
def retire(
    context: Context,
    keep_days: int,
    yes: bool,  # noqa: FBT001
    without_backup: bool,  # noqa: FBT001
    most: int,
    as_json: bool,  # noqa: FBT001
) -> None:
    from holdfast import clock, retention
    from holdfast.cli import answers

    if yes and not without_backup:
        hint = "copy the home's directories `journal` and `blobs`, then say --without-backup"
        raise RetireRefused("there is no verified backup of what would go", hint=hint)
    home = context.home
    answers.catch_up(home)
    planned = retention.plan(home, keep_days)
    line = terminal.ProgressLine("retiring")
    try:
        done = retention.carry_out(home, planned, most / 100, line.bytes_done) if yes else None
    finally:
        line.done()
    if as_json:
        terminal.print_json(
            {
                "received_before": clock.iso(planned.before_us),
                "segments": [asdict(candidate) for candidate in planned.candidates],
                "retired": done.segments if done else [],
                "stored_bytes_before": done.stored_before if done else None,
                "stored_bytes_after": done.stored_after if done else None,
                "blob_bytes_removed": done.blob_bytes if done else None,
            }
        )
        return
    for candidate in planned.candidates:
        what = (
            "retire" if candidate.kept_because is None else f"keep: {terminal.plain(candidate.kept_because)}"
        )
        click.echo(f"segment {candidate.segment} ({terminal.size(candidate.stored_size)}): {what}")
    if done is not None:
        click.echo(
            f"{terminal.some(len(done.segments), 'segment')} retired: {terminal.size(done.stored_before)} became "
            f"{terminal.size(done.stored_after)}, {terminal.size(done.blob_bytes)} of blobs removed"
        )
    elif planned.going:
        click.echo(
            f"{terminal.some(len(planned.going), 'segment')}, {planned.share:.0%} of the journal, would be retired; "
            "nothing was changed (--yes does it)"
        )
    else:
        click.echo("nothing is to be retired")


commands = {"journal verify": verify, "journal seal": seal, "journal retire": retire}
