"""What goes to a terminal goes through here.

Agents' words may hold escape sequences, and a terminal obeys them: everything printed is made visible first. Colours only
where there is a terminal, and not with NO_COLOR.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from holdfast.errors import UsageError
from holdfast.visible import visible

if TYPE_CHECKING:
    from rich.console import Console

    from holdfast.cli.columns import Cell, Columns

_DEEP_LIMIT, _DEEP_STACK_BYTES = (
    200_000,
    512 << 20,
)  # levels, and the stack for them; only what is touched takes memory
_BEGINS_WITH_TIME = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-")  # a UUID of version 7
_LOOK = {
    "working": "green",
    "waiting": "bold yellow",
    "idle": "cyan",
    "interrupted": "yellow",
    "failed": "red",
    "cancelled": "magenta",
}


def prepare_streams() -> None:
    """Make output possible anywhere: closed streams go nowhere, characters that an encoding lacks become `?`."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for the process's life
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def plain(text: object, limit: int | None = None) -> str:
    """Text on one line that no terminal acts on, cut to `limit` characters."""
    flat = " ".join(str(text).split(None)) if limit is not None else str(text)
    if limit is not None and len(flat) > limit:
        flat = flat[: max(0, limit - 1)] + "…"
    return visible(flat)


def print_json(value: Any) -> None:  # noqa: ANN401 - any answer
    """Print an answer as JSON."""
    click.echo(as_json(value))


def as_json(value: Any) -> str:  # noqa: ANN401 - any answer
    """An answer as JSON; ASCII only, so that it is safe on a terminal too."""
    try:
        return json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False)
    except RecursionError:
        return _deep_json(value)


def _deep_json(value: Any) -> str:  # noqa: ANN401
    """The same for what is nested thousands deep, such as spans that programs started within each other: on a larger stack."""
    import threading

    out: list[str] = []

    def encode() -> None:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(_DEEP_LIMIT)
        try:
            out.append(json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False))
        except RecursionError:
            pass  # told below, in the thread that was asked
        finally:
            sys.setrecursionlimit(limit)

    before = threading.stack_size(_DEEP_STACK_BYTES)
    try:
        thread = threading.Thread(target=encode)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    if not out:
        raise UsageError("the answer is nested too deeply for JSON", hint="`holdfast timeline` shows it flat")
    return out[0]


def error(message: str, hint: str | None = None) -> None:
    """Say what went wrong, and what to do next, on standard error."""
    click.echo(f"error: {plain(_harmless(message))}", err=True)
    if hint:
        click.echo(f"  hint: {plain(_harmless(hint))}", err=True)


def note(message: str) -> None:
    """A word beside the answer, on standard error."""
    click.echo(plain(_harmless(message)), err=True)


def usage_error(exc: click.ClickException) -> None:
    """Say what was wrong with the command line, as click does, without what it may have held."""
    exc.message = _harmless(exc.message)  # type: ignore[misc] # its own `show` is what says it with usage and hint
    exc.show()


def _harmless(text: str) -> str:
    """A message without the secrets that it quotes from what it is about: such texts end up in the logs of other programs."""
    if not _QUOTES.search(text):
        return text
    from holdfast import redaction_check

    return redaction_check.without_secrets(text)


_QUOTES = re.compile(r"[^\s]{8}")  # shorter than that is no secret of any form


def console() -> Console:
    """A console that prints text as it is: no markup, no emoji codes, no guessed highlights."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS") or 140)
    return Console(markup=False, emoji=False, highlight=False, width=width)


def table(*columns: str, right: tuple[str, ...] = (), flexible: tuple[str, ...] = ()) -> Columns:
    """A borderless table whose cells are made safe. Columns in `right` are numbers; those in `flexible` are cut first where room is short."""
    from holdfast.cli.columns import Columns

    class Safe(Columns):
        def add_row(self, *cells: Any) -> None:  # noqa: ANN401 - what a cell can be
            super().add_row(*(safe(each) if isinstance(each, str) else each for each in cells))

    return Safe(columns, right, flexible)


def short_id(session: str) -> str:
    """The beginning of a session's id that tells it from others: of a UUID that begins with its time, all of the time."""
    return session[:13] if _BEGINS_WITH_TIME.match(session) else session[:8]


def safe(text: object, limit: int = 60, style: str = "") -> Cell:
    """A table cell with foreign text."""
    from holdfast.cli.columns import Cell

    if not isinstance(text, str) or len(text) > limit or not text.isprintable():
        text = "" if text is None else plain(text, limit)
    return Cell(text, style)


def cell(text: object, limit: int = 60, style: str = "") -> Any:  # noqa: ANN401 - rich's Text
    """A line with foreign text, to which more can be appended."""
    from rich.text import Text

    if isinstance(text, str) and len(text) <= limit and text.isprintable():
        return Text(text, style=style, no_wrap=True, overflow="ellipsis")
    shown = "" if text is None else plain(text, limit)
    return Text(shown, style=style, no_wrap=True, overflow="ellipsis")


def state(word: str, grade: str | None = None) -> Any:  # noqa: ANN401 - rich's Text
    """A state in its colour; what is inferred bears a `?`."""
    from rich.text import Text

    return Text(word + ("?" if grade == "inferred" else ""), style=_LOOK.get(word, ""))


def standing(word: str, grade: str | None = None) -> Cell:
    """A state as a table cell, looking like `state`."""
    from holdfast.cli.columns import Cell

    return Cell(word + ("?" if grade == "inferred" else ""), _LOOK.get(word, ""))


def some(number: int, word: str) -> str:
    """1 agent, 2 agents."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def agreed(question: str, *, as_json: bool) -> bool:
    """Ask somebody. Raises UsageError: nobody can be asked, or only JSON is to be printed."""
    if as_json or sys.stdin is None or not sys.stdin.isatty():
        where = "with --json" if as_json else "here"
        raise UsageError(
            f"nothing was changed: nobody can be asked {where}",
            hint="say --yes, or look first with --dry-run",
        )
    return click.confirm(question)


def lines_of(parts: list[str], width: int) -> str:
    """Parts side by side, on as few lines as the width allows."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) + 3 <= width:
            lines[-1] += f"   {part}"
        else:
            lines.append(part)
    return "\n".join(lines)


def count(number: int | None) -> str:
    """1234567 → 1.2M; None → unknown."""
    if number is None:
        return "unknown"
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size * 10 or (unit != "k" and number >= size):
            return f"{number / size:.1f}{unit}"
    return str(number)


def usd(cost: float | None, *, complete: bool = True) -> str:
    """A cost; `+` when some calls have no known price, "unknown" when none has."""
    if cost is None:
        return "unknown"
    text = f"${cost:,.2f}" if cost >= 1 or cost == 0 else f"${cost:.4f}"
    return text if complete else text + "+"


def all_tokens(tokens: dict[str, Any] | None) -> int | None:
    """Every token that passed: input, output, cache reads and writes; None when unknown."""
    if tokens is None:
        return None
    figures = [value for name, value in tokens.items() if not name.endswith("_calls")]
    return None if None in figures else sum(figures)


def age(then_us: int | None, now_us: int) -> str:
    """How long ago: "12 s", "5 min", "3 h", "9 d"; "unknown" for None."""
    if then_us is None:
        return "unknown"
    seconds = max(0, (now_us - then_us) // 1_000_000)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def size(number: int) -> str:
    """A size in bytes for people: "45.3 MB"."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return f"{number} B"


def _bar(part: float) -> str:
    return "█" * int(20 * part) + "░" * (20 - int(20 * part))


class ProgressLine:
    """One line on standard error that says how far a long job is; silent for short ones.

    On a terminal it is redrawn in place, elsewhere a line is printed now and then.
    """

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._live = sys.stderr.isatty()
        self._every_s = 0.1 if self._live else 5.0
        self._next_s = time.monotonic() + (0.3 if self._live else 5.0)
        self._drawn = False

    def show_count(self, report: Any) -> None:  # noqa: ANN401 - anything with `records` and `size_bytes`
        """Redraw when it is time: so many records, of such a size."""
        if self._due():
            self._draw(f"{self._verb} {report.records} records, {size(report.size_bytes)}")

    def bytes_done(self, number: int) -> None:
        """Redraw with a number of bytes when it is time."""
        if self._due():
            self._draw(f"{self._verb} {size(number)}")

    def _due(self) -> bool:
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + self._every_s
        return True

    def show(self, report: Any) -> None:  # noqa: ANN401 - ImportReport
        """Redraw when it is time."""
        if self._due():
            self._draw(self._text(report))

    def _draw(self, text: str) -> None:
        self._drawn = True
        end = "" if self._live else "\n"
        sys.stderr.write(("\r\x1b[2K" if self._live else "") + text + end)
        sys.stderr.flush()

    def _text(self, report: Any) -> str:  # noqa: ANN401 - ImportReport
        if report.folding is not None:
            done, total = report.folding.done_bytes, report.folding.total_bytes
            part = done / total if total else 1.0
            return f"folding {_bar(part)} {int(100 * part)} %, {size(done)} of {size(total)} of the journal"
        if report.files_total:
            part = report.bytes_done / report.bytes_total if report.bytes_total else 1.0
            files = f"{report.files_done} of {report.files_total} files"
            return (
                f"{self._verb} {_bar(part)} {files}, {size(report.bytes_done)} of {size(report.bytes_total)}"
            )
        return f"{self._verb} {report.records} records"

    def done(self) -> None:
        """Clear the line."""
        if self._live and self._drawn:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
