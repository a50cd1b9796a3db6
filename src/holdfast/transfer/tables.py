"""The store's rows as Parquet files, one for each table, for programs that read columns.

Times are UTC microseconds, costs whole pico-dollars, unknown is null. `sql/tables.sql` holds a query for each table,
the column's names as they stand in the file; `_TABLES` their types. pyarrow is imported here and nowhere else.
"""

from __future__ import annotations

import importlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.errors import UsageError
from holdfast.ids import uuid7
from holdfast.journal.blobs import sync_directory
from holdfast.store.statements import statements
from holdfast.store.workspaces import Moves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import apsw

_GROUP_ROWS = 20_000
_TIME, _COUNT, _TEXT, _FLAG, _MONEY = "time", "count", "text", "flag", "money"
_SESSION = {"session_source": _TEXT, "session": _TEXT}
_TOKENS = dict.fromkeys(
    ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"),
    _COUNT,
)
_TABLES: dict[str, dict[str, str]] = {
    "sessions": {
        **_SESSION,
        "title": _TEXT,
        "workspace": _TEXT,
        "git_branch": _TEXT,
        "tool_version": _TEXT,
        "entrypoint": _TEXT,
        "started_at": _TIME,
        "last_activity_at": _TIME,
        "reported_cost_usd": _MONEY,
        "forked_from": _TEXT,
    },
    "agents": {
        **_SESSION,
        "agent": _TEXT,
        "agent_type": _TEXT,
        "name": _TEXT,
        "description": _TEXT,
        "parent_tool_call": _TEXT,
        "parent_agent": _TEXT,
        "depth": _COUNT,
        "model": _TEXT,
        "background": _FLAG,
        "started_at": _TIME,
        "last_activity_at": _TIME,
        "status": _TEXT,
        "reason": _TEXT,
    },
    "spans": {
        **_SESSION,
        "id": _TEXT,
        "kind": _TEXT,
        "agent": _TEXT,
        "name": _TEXT,
        "parent": _TEXT,
        "started_at": _TIME,
        "ended_at": _TIME,
        "status": _TEXT,
        "input": _TEXT,
        "output": _TEXT,
        "path": _TEXT,
        "operation": _TEXT,
        "error_type": _TEXT,
        "exit_code": _COUNT,
        "duration_ms": _COUNT,
        "lines_added": _COUNT,
        "lines_removed": _COUNT,
        "position": _COUNT,
        "inherited": _FLAG,
    },
    "llm_calls": {
        **_SESSION,
        "id": _TEXT,
        "agent": _TEXT,
        "model": _TEXT,
        "started_at": _TIME,
        "ended_at": _TIME,
        "stop_reason": _TEXT,
        "output_reliable": _FLAG,
        **_TOKENS,
        "cost_pico_usd": _COUNT,
        "position": _COUNT,
        "inherited": _FLAG,
    },
    "events": {
        **_SESSION,
        "id": _TEXT,
        "kind": _TEXT,
        "agent": _TEXT,
        "span": _TEXT,
        "at": _TIME,
        "data": _TEXT,
        "position": _COUNT,
        "inherited": _FLAG,
    },
}


@dataclass(slots=True)
class Progress:
    """How much is written."""

    records: int = 0
    size_bytes: int = 0


def write(
    db: apsw.Connection,
    target: Path,
    sessions: list[int] | None = None,
    report: Callable[[Progress], None] | None = None,
) -> dict[str, int]:
    """Write every table into the new directory `target`; it appears when all of them are complete and on disk.

    Args:
        db: the store.
        target: a directory that does not exist, or is empty.
        sessions: the store's ids of those wanted; None: all.
        report: told about progress after each group of rows.

    Raises:
        UsageError: pyarrow is not installed, or the target is no empty place.
    """
    arrow, parquet = _pyarrow()
    _check(target)
    temporary = target.with_name(f".{target.name}.{uuid7()}.part")
    temporary.mkdir(mode=0o700)
    progress = Progress()
    try:
        counts = {}
        for name, columns in _TABLES.items():
            schema = arrow.schema([(column, _type(arrow, kind)) for column, kind in columns.items()])
            path = temporary / f"{name}.parquet"
            with parquet.ParquetWriter(path, schema, compression="zstd") as out:
                counts[name] = 0
                for group in _groups(db, name, sessions):
                    out.write_table(arrow.table(_columns(columns, group), schema=schema))
                    counts[name] += len(group)
                    progress.records += len(group)
                    progress.size_bytes = path.stat().st_size
                    if report:
                        report(progress)
            path.chmod(0o600)
            with path.open("rb") as written:
                os.fsync(written.fileno())
        sync_directory(temporary)
        temporary.rename(target)  # over an empty directory too, never over one with something in it
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_directory(target.parent)
    return counts


def _pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as exc:
        raise UsageError(
            f"writing Parquet needs pyarrow, which cannot be loaded: {exc}",
            hint="pip install 'holdfast[parquet]'",
        ) from exc


def _check(target: Path) -> None:
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent} is no directory", hint="make it first")
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise UsageError(f"{target} exists", hint="name a directory that does not exist yet")


def _type(arrow: Any, kind: str) -> Any:  # noqa: ANN401 - pyarrow has no types
    return {
        _TIME: arrow.timestamp("us", tz="UTC"),
        _COUNT: arrow.int64(),
        _TEXT: arrow.string(),
        _FLAG: arrow.bool_(),
        _MONEY: arrow.float64(),
    }[kind]


def _groups(db: apsw.Connection, name: str, sessions: list[int] | None) -> Iterator[list[tuple[Any, ...]]]:
    wanted = None if sessions is None else msgspec.json.encode(sessions).decode()
    found = db.execute(statements("tables")[name], {"sessions": wanted})
    moves = Moves.of(db) if name == "sessions" else None
    group: list[tuple[Any, ...]] = []
    for row in found:
        group.append(row if moves is None else _led(moves, row))
        if len(group) >= _GROUP_ROWS:
            yield group
            group = []
    if group:
        yield group


def _led(moves: Moves, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A session's row with its workspace where it lies today; the last value of the row is the time it was told."""
    *values, told_us = row
    at = list(_TABLES["sessions"]).index("workspace")
    values[at] = moves.now(values[at], told_us)
    return tuple(values)


def _columns(columns: dict[str, str], group: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
    made = dict(zip(columns, map(list, zip(*group, strict=True)), strict=True))
    for name, kind in columns.items():
        if kind == _FLAG:
            made[name] = [None if value is None else bool(value) for value in made[name]]
    return made
