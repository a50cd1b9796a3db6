"""`holdfast redact …`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context

if TYPE_CHECKING:
    from holdfast.cleaning import Done, Plan


@click.command("apply", help=COMMANDS["redact apply"][1] + "\n\nWithout --yes it only says what it would do.")
@click.option("--yes", is_flag=True, help="Do it. Without this, only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def apply(context: Context, yes: bool, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import cleaning

    home = context.outdated_home()
    line = terminal.ProgressLine("looking through")
    try:
        planned = cleaning.plan(home, line.bytes_done)
        done = cleaning.carry_out(home, planned, line.bytes_done) if yes else None
    finally:
        line.done()
    if as_json:
        terminal.print_json(_apply_answer(planned, done))
    else:
        _say_applied(planned, done)


def _apply_answer(planned: Plan, done: Done | None) -> dict[str, object]:
    found = planned.found
    made = asdict(done) if done else {}
    return {
        "records_read": found.looked_at,
        "records": done.records if done else found.records,
        "kinds": done.kinds if done else dict(found.kinds),
        "unreadable_blobs": sorted(found.unreadable),
        "nameless_blobs": found.nameless_blobs,
        "level_before": planned.level_before,
        "level": planned.level,
        "done": done is not None,
        **{name: made.get(name) for name in ("segments", "blob_bytes", "copies_bytes", "anchor")},
    }


def _say_applied(planned: Plan, done: Done | None) -> None:
    found = planned.found
    records, kinds = (done.records, done.kinds) if done else (found.records, found.kinds)
    for kind, places in sorted(kinds.items()):
        click.echo(f"{terminal.plain(kind)}: {terminal.some(places, 'place')}")
    for sha256 in sorted(found.unreadable):
        terminal.note(f"note: blob {sha256} cannot be read; what is in it is not known")
    read = f"of {terminal.some(found.looked_at, 'record')}"
    if done is None:
        if left := found.nameless_blobs:
            click.echo(
                f"an earlier run was cut short: {terminal.some(left, 'blob')} that no record names would be removed"
            )
        would = terminal.some(records, "record") if records else "no record"
        click.echo(f"{would} {read} would change; nothing was changed (--yes does it)")
        return
    if not records:
        click.echo(f"no record {read} had to be changed")
    else:
        click.echo(
            f"{terminal.some(records, 'record')} {read} changed; {terminal.some(done.segments, 'segment')} rewritten, "
            f"{terminal.size(done.blob_bytes)} of blobs and {terminal.size(done.copies_bytes)} of copies removed"
        )
        if done.anchor is not None:
            click.echo(f"anchor {done.anchor} (earlier ones do not fit any more)")
        click.echo("exports made earlier, and backups of the home, may hold it too; they are yours to remove")
    if planned.level_before < planned.level:
        click.echo(f"the home is of redaction level {planned.level} now")


commands = {"redact apply": apply}
