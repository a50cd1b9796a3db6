from __future__ import annotations

from pathlib import Path

from holdfast import errors


def test_every_error_stands_in_the_drawing_at_the_top_of_the_file():
    drawing = (errors.__doc__ or "").splitlines()
    drawn = {
        line.replace("│", " ").replace("├──", " ").replace("└──", " ").split()[0]: line
        for line in drawing
        if "exit" in line
    }
    for cls in errors.tree():
        if cls.__module__ == "holdfast.errors":
            assert drawn[cls.__name__].split("exit")[1].split()[0] == str(cls.exit_code)
    assert set(drawn) - {"Exit"} == {
        cls.__name__ for cls in errors.tree() if cls.__module__ == "holdfast.errors"
    }


def test_an_error_says_what_and_where_and_what_to_do_next():
    error = errors.AppendFailed(Path("/home/x/journal/00000001.jsonl"), "No space left on device")
    assert "00000001.jsonl" in str(error)
    assert "No space left" in str(error)
    assert "nothing was lost" in (error.hint or "")
