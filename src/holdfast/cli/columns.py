"""A table of text in columns, quick with ten thousand rows.

Rich's own tables measure every cell several times: 18,000 rows took six seconds. Here a row is a few strings, each measured once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console, ConsoleOptions
    from rich.style import Style

_GAP = 2
_LEAST = 4  # columns; no column is cut below this while another can give
_LINES_A_PIECE = 500  # what is handed over at once where there are no colours


class Cell(NamedTuple):
    """Text that is safe to print, and its style."""

    text: str
    style: str = ""


class Columns:
    """A borderless table. `right` are the columns of numbers; `flexible` ones are cut first where room is short."""

    def __init__(self, heads: tuple[str, ...], right: tuple[str, ...], flexible: tuple[str, ...]) -> None:
        self._right = [head in right for head in heads]
        self._flexible = [head in flexible for head in heads]
        self._rows: list[list[Cell]] = [[Cell(head, "bold") for head in heads]]

    def add_row(self, *cells: Cell | Text | str | None) -> None:
        """Add a row; plain strings must be safe already."""
        self._rows.append([_cell(each) for each in cells])

    @property
    def row_count(self) -> int:
        """Rows without the heads."""
        return len(self._rows) - 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        if not self.row_count and not any(cell.text for cell in self._rows[0]):
            return
        widths = fitted(
            [max(map(_width, column)) for column in zip(*self._rows, strict=True)],
            self._flexible,
            options.max_width,
        )
        yield from _segments(console, ([*self._shown(row, widths)] for row in self._rows))

    def _shown(self, row: list[Cell], widths: list[int]) -> Iterator[Cell]:
        """A row's cells, each as wide as its column, but for the space behind the last."""
        last = max((at for at, cell in enumerate(row) if cell.text), default=0)
        for at, (cell, width) in enumerate(zip(row[: last + 1], widths, strict=False)):
            text = _cut(cell.text, width)
            if self._right[at]:
                text = " " * (width - _width(text)) + text
            elif at < last:
                text += " " * (width - _width(text))
            yield Cell(text + " " * _GAP if at < last else text, cell.style)


class Lines:
    """Lines of a few cells each, cut where the room ends."""

    def __init__(self, lines: Iterable[list[Cell]]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        yield from _segments(console, (_within(line, options.max_width) for line in self._lines))


def _within(line: list[Cell], room: int) -> list[Cell]:
    if sum(map(_width, line)) <= room:
        return line
    out: list[Cell] = []
    for cell in line:
        if _width(cell) > room:
            return [*out, Cell(_cut(cell.text, room), cell.style)]
        out.append(cell)
        room -= _width(cell)
    return out


def _segments(console: Console, lines: Iterator[list[Cell]]) -> Iterator[Segment]:
    if console.color_system is None:
        yield from _plain(lines)
        return
    styles: dict[str, Style] = {"": console.get_style("")}
    for line in lines:
        for text, name in line:
            style = styles.get(name)
            if style is None:
                style = styles[name] = console.get_style(name)
            yield Segment(text, style)
        yield Segment.line()


def _plain(lines: Iterator[list[Cell]]) -> Iterator[Segment]:
    held: list[str] = []
    for line in lines:
        held.append("".join([text for text, _ in line]))
        if len(held) >= _LINES_A_PIECE:
            yield Segment("\n".join(held) + "\n")
            held.clear()
    if held:
        yield Segment("\n".join(held) + "\n")


def _cell(given: Cell | Text | str | None) -> Cell:
    if isinstance(given, Cell):
        return given
    if isinstance(given, Text):
        return Cell(given.plain, str(given.style))
    return Cell(given or "")


def _width(text: str | Cell) -> int:
    """How many columns of a terminal a text takes."""
    text = text.text if isinstance(text, Cell) else text
    return len(text) if text.isascii() else cell_len(text)


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    return set_cell_size(text, width - 1) + "…" if width > 1 else "…"[:width]


def fitted(widths: list[int], flexible: list[bool], room: int) -> list[int]:
    """Column widths that fit into the room: the widest flexible columns give first, then the widest of the others."""
    out = list(widths)
    for some in (flexible, [True] * len(out)):
        over = sum(out) + _GAP * (len(out) - 1) - room
        while over > 0:
            giving = [at for at, may in enumerate(some) if may and out[at] > _LEAST]
            if not giving:
                break
            widest = max(giving, key=out.__getitem__)
            out[widest] -= 1
            over -= 1
    return out
