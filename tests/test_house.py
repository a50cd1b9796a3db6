"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "holdfast"
WORDS = (
    "clock",
    "errors",
    "events",
    "failpoints",
    "git",
    "ids",
    "plain_files",
    "pricing",
    "processes",
    "redact",
    "release",
    "settings",
    "spans",
    "visible",
)
ALSO_ALLOWED = {
    "settings": {"platformdirs"},  # where the home is, is the platform's decision
    "redact": {"hyperscan"},  # the gate; `re` stands in for it
}


def imported_packages(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("word", WORDS)
def test_words_import_only_the_standard_library_and_msgspec(word):
    """A word can be read, tested and moved without any other library."""
    modules = (
        [SOURCE / f"{word}.py"] if (SOURCE / f"{word}.py").is_file() else list((SOURCE / word).glob("*.py"))
    )
    allowed = {"holdfast", "msgspec"} | ALSO_ALLOWED.get(word, set()) | sys.stdlib_module_names
    assert modules
    for module in modules:
        assert imported_packages(module) <= allowed


def test_every_file_of_ours_is_typed():
    """Type checkers of those who import us look for this marker."""
    assert (SOURCE / "py.typed").is_file()
