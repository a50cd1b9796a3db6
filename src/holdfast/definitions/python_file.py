"""A definition that is a Python file: what it assigns and what its docstring says. It is never imported, run, or compiled to be run.

Names count in any case, and with underscores around them: `NAME`, `name` and `__name__ = "x"` are the same.
"""

from __future__ import annotations

import ast
import warnings
from typing import Any

from holdfast.definitions.findings import ERROR, Finding
from holdfast.definitions.plain_data import fields_of
from holdfast.definitions.plain_yaml import Read

MOST_BYTES = 256 * 1024  # what Python's own parser gets to see
_MOST_OPEN = 90  # brackets and blocks within each other; Python's own limit is 100 of blocks, 200 of brackets
_MOST_LINE_CHARS = 20_000
_MOST_DEEP = 200  # of the tree; what is deeper was made to be, and takes seconds


def read(text: str) -> Read:
    """What a file assigns, and its docstring as `description` where it assigns none."""
    if refused := _refused(text):
        return Read(None, [refused])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
            if _is_deep(tree):
                return Read(None, [_too_deep(None)])
            compile(
                text, "definition", "exec", dont_inherit=True
            )  # as far as Python's compiler looks; nothing is run
    except SyntaxError as exc:
        hint = "run `python -m py_compile` on it"
        return Read(None, [Finding(ERROR, "python", f"this does not compile: {exc.msg}", hint, exc.lineno)])
    except (ValueError, RecursionError, MemoryError) as exc:
        return Read(
            None, [Finding(ERROR, "python", f"this does not compile: {str(exc) or type(exc).__name__}")]
        )
    told = [one for statement in tree.body for one in _assigned(statement)]
    said = ast.get_docstring(tree)
    if said and all(name != "description" for name, _, _ in told):
        told.append(("description", said, tree.body[0].lineno))
    return fields_of(told)


def _refused(text: str) -> Finding | None:
    """Why Python's parser does not get to see a text: deep enough, it would end the process."""
    if len(text.encode("utf-8", "replace")) > MOST_BYTES:
        return Finding(ERROR, "too-large", f"a Python file is read up to {MOST_BYTES:,} bytes")
    deep = 0
    for number, line in enumerate(text.splitlines(), 1):
        deep = max(0, deep + sum(map(line.count, "([{")) - sum(map(line.count, ")]}")))
        opened = max(deep, *map(line.count, "([{"), 0)
        if opened > _MOST_OPEN or len(line) > _MOST_LINE_CHARS:
            return _too_deep(number)
    return None


def _too_deep(line: int | None) -> Finding:
    return Finding(
        ERROR, "too-deep", "this is nested too deeply, or a line is too long, to be read", "", line
    )


def _is_deep(tree: ast.AST) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(_MOST_DEEP):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return False
    return True


def _assigned(statement: ast.stmt) -> list[tuple[str, Any, int | None]]:
    """Name, value and line of what a statement assigns, as far as that is written out."""
    if isinstance(statement, ast.Assign):
        names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
        value: ast.expr | None = statement.value
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        names, value = [statement.target.id], statement.value
    else:
        return []
    if not names or value is None:
        return []
    try:
        literal = ast.literal_eval(value)
    except (ValueError, TypeError, ArithmeticError, SyntaxError, RecursionError, MemoryError):
        return []
    return [(name.strip("_").lower(), literal, statement.lineno) for name in names]
