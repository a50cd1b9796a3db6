"""A checkpoint as a commit: what its message says, and how it is read back.

    Checkpoint of <root>: <what for>

    {"holdfast": 1, "root": …, "base": …, …}        one line of JSON

`base` is the commit that the worktree stood at, null in a repository without one; `branch` is null where the head is detached. Names are
as they can be shown; in `modes` they are percent-encoded, because they have to be found again.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias
from urllib.parse import quote_from_bytes

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.checkpoint.kept import Known
    from holdfast.checkpoint.looking import LeftOut

VERSION: Final = 1
_MOST_MODES: Final = 5_000
_MOST_TIME_DIGITS: Final = 15
_SAFE: Final = "/ !#$&'()*+,:;=?@[]"


class Modes(msgspec.Struct, omit_defaults=True):
    """Permissions of plain files as the system has them, in octal: those of most that git calls executable or not, and all others."""

    file: str = "644"
    executable: str = "755"
    other: dict[str, str] = {}


_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Left(msgspec.Struct):
    """Files that are not in: why, how many, and the first of them."""

    reason: str
    count: _Count
    first: list[str]


class Told(msgspec.Struct, kw_only=True):
    """What a checkpoint says of itself.

    Attributes:
        root: the worktree's, as it can be shown.
        base, branch: the commit and the branch that it stood at.
        operation: what was begun in it and not ended, "" if nothing was.
        trigger: "asked" or "timed".
        message: of a person, if one was given.
        files, size_bytes: of all that is in.
        left_out, unsteady: see `looking.Look`; by reason, those that there were.
        ignored, secrets: whether files are in that are left out unless asked for.
        notes: what else there is to know.
        modes: permissions.
    """

    holdfast: int = VERSION
    root: str = ""
    base: str | None = None
    branch: str | None = None
    operation: str = ""
    trigger: str = "asked"
    message: str | None = None
    files: _Count = 0
    size_bytes: _Count = 0
    left_out: list[Left] = []
    unsteady: list[str] = []
    ignored: bool = False
    secrets: bool = False
    notes: list[str] = []
    modes: Modes = msgspec.field(default_factory=Modes)


class Read(msgspec.Struct, frozen=True):
    """A commit: `told` is None where its message is none of ours."""

    oid: str
    tree: str
    parent: str | None
    time_s: int
    told: Told | None


def text(told: Told) -> str:
    """The message of a commit."""
    about = " ".join((told.message or told.trigger).split())[:100]
    root = " ".join(told.root.split())
    return f"Checkpoint of {root}: {about}\n\n{msgspec.json.encode(told).decode()}\n"


def read(oid: str, content: bytes) -> Read | None:
    """A commit as `git cat-file` gives it; None: it is not understood."""
    head, _, message = content.partition(b"\n\n")
    lines = [line.partition(b" ")[::2] for line in head.split(b"\n")]
    tree = next((value.decode() for key, value in lines if key == b"tree"), None)
    parent = next((value.decode() for key, value in lines if key == b"parent"), None)
    when = next((value.split() for key, value in lines if key == b"committer"), [])
    if tree is None or len(when) < 2 or not when[-2].isdigit():
        return None
    time_s = int(when[-2]) if len(when[-2]) <= _MOST_TIME_DIGITS else 0  # as git has it
    return Read(oid, tree, parent, time_s, _told(message))


def _told(message: bytes) -> Told | None:
    try:
        found = msgspec.json.decode(message.partition(b"\n\n")[2], type=Told)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if found.holdfast == VERSION else None


def left_out(found: Mapping[str, LeftOut]) -> list[Left]:
    """What was left out, by reason."""
    return [Left(reason, one.count, one.first) for reason, one in found.items() if one.count]


def modes(files: Mapping[bytes, Known]) -> tuple[Modes, int]:
    """Permissions as they are told, and of how many files they are not: there are too many of their own."""
    counted = Counter([file.bits for file in files.values()]).most_common()
    common = {
        executable: next((bits for bits, _ in counted if bool(bits & 0o100) == executable), usual)
        for executable, usual in ((False, 0o644), (True, 0o755))
    }
    others = []
    if any(bits not in common.values() for bits, _ in counted):
        told = set(common.values())
        others = sorted((path, file.bits) for path, file in files.items() if file.bits not in told)
    named = {quote_from_bytes(path, _SAFE): f"{bits:o}" for path, bits in others[:_MOST_MODES]}
    return Modes(f"{common[False]:o}", f"{common[True]:o}", named), len(others) - len(named)


def bits_of(told: Modes, path: bytes, *, executable: bool) -> int:
    """The permissions of a file."""
    said = told.other.get(quote_from_bytes(path, _SAFE)) or (told.executable if executable else told.file)
    try:
        return int(said, 8) & 0o777
    except ValueError:
        return 0o755 if executable else 0o644
