"""`holdfast definitions outcomes`: what came of the runs of a definition, text by text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast import comparing, linking
from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.definitions import outcomes, tools
from holdfast.store import queries
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.comparing import Change, Compared
    from holdfast.definitions.outcomes import Median, Outcome, Share

_MOST_DIFF_LINES = 60
_REASONS = {
    "unknown": "with an unknown text",
    "ambiguous": "with one of several texts",
    "contradicted": "that did what the text does not allow",
    "built_in": "of its tool's own agent",
}


@click.command(
    "outcomes",
    help=COMMANDS["definitions outcomes"][1]
    + f"\n\nShares and medians are shown from {outcomes.ENOUGH_RUNS} runs on, with an interval that holds the true value in 95 of 100 cases. "
    "That more runs completed says nothing yet of why: look at the models and the work, too.",
)
@click.argument("name", metavar="NAME")
@click.option("--tool", type=click.Choice(list(tools.TOOLS)), help="Of this tool only.")
@click.option(
    "--cwd", metavar="DIR", type=click.Path(), help="Of agents that ran in this directory or below it only."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, name: str, tool: str | None, cwd: str | None, as_json: bool) -> None:  # noqa: FBT001
    home, db = context.home, answers.ready(context)
    seen = linking.look(home, comparing.directories(db, name))
    if seen.noted:
        answers.catch_up(home, sources=False)
        db.close()
        db = home.reader()
    found = comparing.compare(
        home, db, name, context.stale_us, tool=tool, cwd=cwd and str(Path(cwd).absolute()), live=seen.looks
    )
    if as_json:
        definitions = [comparing.answer(one) for one in found]
        terminal.print_json(
            {
                "enough_runs": outcomes.ENOUGH_RUNS,
                "level": outcomes.LEVEL,
                "methods": outcomes.METHODS,
                "definitions": definitions,
            }
        )
        return
    for number, one in enumerate(found):
        if number:
            click.echo()
        _say(one)


def _say(one: Compared) -> None:
    title = tools.TOOLS[one.tool].title
    what = (
        f"{terminal.some(one.runs, 'run')}, {terminal.some(len(one.outcomes), 'text')}"
        if one.runs
        else "never used"
    )
    click.echo(terminal.plain(f"{one.name} ({title}): {what}"))
    left = [f"{number} {_REASONS[reason]}" for reason, number in sorted(one.left_out.items())]
    if left:
        click.echo(f"not compared: {', '.join(left)}")
    changes = {change.after.text: change for change in one.changes}
    for number, each in enumerate(one.outcomes):
        if each.text in changes:
            _say_change(changes[each.text])
        elif number:
            click.echo(f"\n{each.text[:8]} lay in another file than the texts above: not compared with them")
        _say_text(one, each)


def _say_text(one: Compared, each: Outcome) -> None:
    places = [f"{place.tier}  {visible(place.path)}" for place in one.revisions[each.text].values()]
    grades = ", ".join(
        f"{number} {grade}" for grade, number in sorted(one.grades[each.text].items(), reverse=True)
    )
    click.echo()
    click.echo(terminal.plain(f"text {each.text[:8]}  {places[0] if places else 'given in a call'}"))
    for place in places[1:]:
        click.echo(terminal.plain(f"  also     {place}"))
    models = ", ".join(f"{model or 'unknown'} ({number})" for model, number in each.models.items())
    for label, said in (
        ("runs", f"{each.runs} ({grades}), {each.ended} with a known end"),
        ("models", models),
        ("completed", _share(each.success)),
        ("retried", f"{_share(each.retried)}; {terminal.some(each.retries, 'call')} in all"),
        ("blocked", _share(each.blocked)),
        ("tokens", _median(each.tokens, _tokens)),
        ("cost", _median(each.cost_pico, _cost)),
        ("duration", _median(each.duration_ms, _duration)),
    ):
        click.echo(terminal.plain(f"  {label:<10}{said}"))


def _tokens(number: float) -> str:
    return f"{number:,.0f}"


def _cost(pico: float) -> str:
    return terminal.usd(pico / queries.PICO_PER_USD)


def _duration(ms: float) -> str:
    return f"{ms / 1000:,.1f} s"


def _points(part: float) -> str:
    return f"{part * 100:.1f}" if 0 < part < 0.01 else f"{part * 100:.0f}"


def _share(one: Share) -> str:
    said = f"{one.k} of {one.n}"
    if one.value is None or one.low is None or one.high is None:
        return f"{said}: insufficient data"
    return f"{said}: {_percent(one.value)} ({_percent(one.low)} to {_percent(one.high)})"


def _percent(share: float) -> str:
    """Nothing but none is 0%, and nothing but all 100%."""
    if share in (0, 1) or 0.01 <= share <= 0.99:
        return f"{share:.0%}"
    return "<0.1%" if share < 0.001 else ">99.9%" if share > 0.999 else f"{share:.1%}"


def _median(one: Median, shown: Callable[[float], str]) -> str:
    if one.value is None or one.low is None or one.high is None:
        return f"of {terminal.some(one.n, 'completed run')}: insufficient data"
    return f"median {shown(one.value)} ({shown(one.low)} to {shown(one.high)}), of {one.n} completed runs"


def _say_change(one: Change) -> None:
    before, after = one.before, one.after
    click.echo()
    click.echo(f"from {before.text[:8]} to {after.text[:8]}")
    for label, first, second, shown, unit in (
        ("completed", before.success, after.success, _points, " points"),
        ("retried", before.retried, after.retried, _points, " points"),
        ("blocked", before.blocked, after.blocked, _points, " points"),
        ("tokens", before.tokens, after.tokens, _tokens, ""),
        ("cost", before.cost_pico, after.cost_pico, _cost, ""),
        ("duration", before.duration_ms, after.duration_ms, _duration, ""),
    ):
        change = outcomes.difference(first, second)
        said = change.word
        if change.value is not None and change.low is not None and change.high is not None:
            value, low, high = (_signed(each, shown) for each in (change.value, change.low, change.high))
            said += f": {value}{unit} ({low} to {high})"
        click.echo(f"  {label:<10}{said}")
    for line in _diff_lines(one.diff):
        click.echo(f"  {line}")


def _signed(value: float, shown: Callable[[float], str]) -> str:
    return ("-" if value < 0 else "+") + shown(abs(value))


def _diff_lines(diff: str | None) -> Iterator[str]:
    if diff is None:
        yield "what changed cannot be shown: one of the texts is not kept, or is no text"
        return
    lines = diff.splitlines()
    yield from (visible(line, keep="\t") for line in lines[:_MOST_DIFF_LINES])
    if len(lines) > _MOST_DIFF_LINES:
        yield f"… and {len(lines) - _MOST_DIFF_LINES} more lines: --json has all"


commands = {"definitions outcomes": command}
