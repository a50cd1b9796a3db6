"""Tables for people: columns fit, foreign text does no harm, and wide characters stay in line."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console

from holdfast.cli import terminal
from holdfast.cli.columns import Cell, Lines, fitted


def printed(made, width, **more):
    console = Console(markup=False, emoji=False, highlight=False, width=width, **more)
    with console.capture() as held:
        console.print(made)
    return held.get()


def sample():
    made = terminal.table("name", "number", "text", right=("number",), flexible=("text",))
    made.add_row("a", "1", terminal.safe("short"))
    made.add_row("日本語", "12345", terminal.safe("long " * 30, 200))
    made.add_row("\x1b]52;c;aGk=\x07", "", terminal.standing("failed", "inferred"))
    return made


def test_no_line_is_wider_than_the_room_and_flexible_columns_give_first():
    for width in (30, 50, 80, 140):
        lines = printed(sample(), width).splitlines()
        assert all(cell_len(line) <= width for line in lines), width
        assert "12345" in lines[2]
        assert len(lines) == 4


def test_numbers_stand_under_each_other_also_beside_wide_characters():
    lines = printed(sample(), 80).splitlines()
    ends = [
        cell_len(line[: line.index(word) + len(word)])
        for line, word in zip(lines, ("number", "1", "12345"), strict=False)
    ]
    assert len(set(ends)) == 1


def test_foreign_text_is_made_visible():
    assert "\x1b" not in printed(sample(), 80)
    assert "\\x1b]52" in printed(sample(), 80)


def test_styles_are_only_for_terminals():
    assert "\x1b" not in printed(sample(), 80)
    coloured = printed(sample(), 80, force_terminal=True, color_system="standard")
    assert "\x1b[31mfailed?" in coloured
    assert "\x1b[1mname" in coloured


def test_nothing_is_cut_where_there_is_room():
    assert fitted([3, 5, 100], [False, False, True], 112) == [3, 5, 100]
    assert fitted([3, 5, 100], [False, False, True], 62) == [3, 5, 50]
    assert fitted([50, 50], [True, False], 30) == [4, 24]


def test_lines_are_cut_where_the_room_ends():
    lines = [[Cell("├─ ", "dim"), Cell("x" * 50, "bold"), Cell("  tail", "dim")], [Cell("short")], []]
    shown = printed(Lines(lines), 20).splitlines()
    assert shown == ["├─ " + "x" * 16 + "…", "short", ""]
    assert printed(Lines(lines), 80).splitlines()[0].endswith("x  tail")
