"""Checkpoints of workspaces, as they were recorded. What of them is still there, their repository says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast import clock
from holdfast.store.statements import statements

if TYPE_CHECKING:
    import apsw

Json = dict[str, Any]


def last(db: apsw.Connection) -> list[Json]:
    """The newest checkpoint of each workspace, the newest first, and how many there were."""
    names = (
        "workspace", "repository", "commit", "at", "trigger", "message", "files", "size_bytes", "checkpoints",
    )  # fmt: skip
    found = [
        dict(zip(names, row, strict=True)) for row in db.execute(statements("queries")["checkpoints_last"])
    ]
    return [row | {"at": clock.iso(row["at"])} for row in found]


def last_of(db: apsw.Connection, workspace: str | None) -> str | None:
    """The newest checkpoint of one workspace; None: none was taken, or it is not known which workspace."""
    return next((row["commit"] for row in last(db) if row["workspace"] == workspace), None)


def untold(db: apsw.Connection) -> list[Json]:
    """Checkpoints that were about to be written, and of which nothing is recorded since."""
    names = ("workspace", "repository", "commit", "at")
    found = [
        dict(zip(names, row, strict=True)) for row in db.execute(statements("queries")["checkpoints_untold"])
    ]
    return [row | {"at": clock.iso(row["at"])} for row in found]


def repositories(db: apsw.Connection) -> list[str]:
    """Every repository in which a checkpoint was taken, or about to be."""
    return [repository for (repository,) in db.execute(statements("queries")["checkpoints_repositories"])]


def named(db: apsw.Connection, begins: str) -> list[tuple[str, str]]:
    """The checkpoints whose name begins so, and the repository of each."""
    rows = db.execute(statements("queries")["checkpoints_named"], {"begins": begins})
    return [(commit, repository) for commit, repository, _ in rows]
