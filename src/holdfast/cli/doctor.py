"""`holdfast doctor`."""

from __future__ import annotations

from dataclasses import asdict

import click

from holdfast import doctor
from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import DoctorFoundFaults, StoreBusy, StoreFromFuture


@click.command("doctor", help=COMMANDS["doctor"][1])
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, as_json: bool) -> None:  # noqa: FBT001
    try:
        unreadable = answers.catch_up(context.home).unreadable
    except (StoreBusy, StoreFromFuture):  # told below, as a finding
        unreadable = []
    found = doctor.examine(context.home, unreadable)
    if as_json:
        terminal.print_json({"faults": found.faults, **asdict(found)})
    else:
        for finding in found.findings:
            at = "" if finding.start_byte is None else f" bytes {finding.start_byte} to {finding.end_byte}"
            click.echo(
                f"{finding.severity}: {terminal.plain(finding.where)}{at}: {terminal.plain(finding.what)}"
            )
            click.echo(f"        {terminal.plain(finding.remedy)}")
        click.echo(
            f"looked at {terminal.some(found.records, 'record')} in {terminal.some(found.segments, 'segment')} "
            f"({terminal.size(found.journal_bytes)}), {terminal.some(found.blobs, 'blob')}, "
            f"{terminal.some(found.source_files, 'source file')}"
        )
        click.echo(_redaction(found.redaction))
        if found.kept_types:
            kinds = ", ".join(f"{number} {kind}" for kind, number in list(found.kept_types.items())[:12])
            click.echo(f"kept without reading further: {terminal.plain(kinds)}")
        if not found.faults:
            click.echo("no faults")
    if found.faults:
        raise DoctorFoundFaults(
            f"{terminal.some(found.faults, 'fault')} found", hint="each finding above says what to do"
        )


def _redaction(found: doctor.Redaction) -> str:
    if found.rules is None:
        return f"redaction: {found.engine}, your rules cannot be used"
    own = f", {found.own_rules} of them yours" if found.own_rules else ""
    return f"redaction: {found.engine}, {terminal.some(found.rules, 'rule')}{own}"
