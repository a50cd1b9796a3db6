"""Files change at once or not at all, and what somebody else wrote meanwhile is put back, never lost.

An editor knows nothing of our lock, so looking at a file and then renaming over it may take away what was saved in between. Therefore what is there is not written
over: it changes places with the new content (renameat2(2), RENAME_EXCHANGE), or is moved aside where it is to go, and is looked at where it came out.
If it is not what it was to be, it goes back. Where the system cannot exchange (not Linux, some network file systems), the file is looked at directly before the rename, which
leaves some microseconds.

Beside the file lies `.holdfast-<id>.part` while a content is written, and `.holdfast-<id>` once it is whole; after the exchange that is what was there before. What they
hold tells, after a kill at any moment, what was done (`settle`). No tool takes such names for definitions.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from holdfast.definitions.parse import MOST_BYTES
from holdfast.errors import BlobDamaged
from holdfast.ids import uuid7
from holdfast.journal.blobs import write_all
from holdfast.plain_files import content_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

NOTHING: Final = ""  # in place of a SHA-256: there is no file
_OTHER: Final = "?"  # there is something that no definition can be
_PART = b".part"
_EXCHANGE, _NOREPLACE = 2, 1  # linux/fs.h
_AT_FDCWD = -100
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_CANNOT_LINK = _CANNOT | {errno.EPERM, errno.EMLINK}
_NO_DEFINITION = {errno.EINVAL, errno.ELOOP, errno.ENXIO, errno.EFBIG}


class Action(msgspec.Struct, array_like=True, frozen=True):
    """One file that is to change.

    Attributes:
        path: of the file itself, never of a link to it.
        before: the SHA-256 of what has to lie there; NOTHING: no file.
        after: the SHA-256 of what is to lie there; NOTHING: no file.
        temporary: a name beside it.
    """

    path: bytes
    before: str
    after: str
    temporary: bytes


class Overtaken(Exception):
    """Somebody else changed a file. It is as they left it."""

    def __init__(self, path: bytes) -> None:
        super().__init__(os.fsdecode(path))
        self.path = path


def action(path: bytes, before: str, after: str) -> Action:
    """What is to be done to a file; `before` and `after` as in Action, and not the same."""
    assert before != after
    return Action(path, before, after, os.path.join(os.path.dirname(path), b".holdfast-" + uuid7().encode()))  # noqa: PTH118, PTH120 - any bytes


def digest(path: bytes) -> str:
    """The SHA-256 of what lies somewhere; NOTHING, or what no content has. Raises OSError: it cannot be read."""
    try:
        return hashlib.sha256(_content(path)).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return NOTHING
    except OSError as exc:
        if exc.errno in _NO_DEFINITION:
            return _OTHER
        raise


def _content(path: bytes) -> bytes:
    return content_of(os.fsdecode(path), MOST_BYTES, follow=False)


# ── doing ──


class Rights(NamedTuple):
    """Who may do what with a file, and what else the system keeps with it.

    Attributes:
        mode: the bits of chmod(2).
        attributes: extended ones (xattr(7)), an access control list among them.
    """

    user: int
    group: int
    mode: int
    attributes: dict[str, bytes]


def rights_of(path: str | bytes) -> Rights:
    """Those of a file. Raises OSError."""
    about = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - any bytes
    attributes = {}
    if hasattr(os, "listxattr"):  # Linux
        with contextlib.suppress(OSError):  # what cannot be read cannot be copied
            for name in os.listxattr(path, follow_symlinks=False):
                attributes[name] = os.getxattr(path, name, follow_symlinks=False)
    return Rights(about.st_uid, about.st_gid, stat.S_IMODE(about.st_mode), attributes)


def _give(fd: int, rights: Rights) -> None:
    """Give a file rights, as far as the system allows. Raises OSError: not even the mode."""
    made = os.fstat(fd)
    if (made.st_uid, made.st_gid) != (rights.user, rights.group):
        with contextlib.suppress(PermissionError):
            os.fchown(fd, rights.user, rights.group)
    os.fchmod(fd, rights.mode)
    for name, value in rights.attributes.items():
        with contextlib.suppress(OSError):
            os.setxattr(fd, name, value)


def prepare(one: Action, content: bytes, like: Rights | None, time_ns: int | None = None) -> None:
    """Write the new content beside the file.

    Args:
        one: whose `after` it is.
        content: the bytes.
        like: what it gets, as far as the system allows; None: the usual rights of a new file.
        time_ns: its time afterwards; None: now.

    Raises:
        OSError.
    """
    part = one.temporary + _PART
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(part, flags, 0o666 if like is None else 0o600)
    try:
        write_all(fd, content)
        if like is not None:
            _give(fd, like)
        if time_ns is not None:
            os.utime(fd, ns=(time_ns, time_ns))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(part, one.temporary)  # noqa: PTH104 - any bytes


def apply(one: Action) -> None:
    """Do what was prepared.

    Raises:
        Overtaken: something else lies there than was to; it still does.
        OSError: nothing was done.
    """
    try:
        if one.before == NOTHING:
            _place(one.temporary, one.path)
            return
        if one.after == NOTHING:
            os.rename(one.path, one.temporary)  # noqa: PTH104
        elif not _exchange(one.temporary, one.path):
            if digest(one.path) != one.before:
                raise Overtaken(one.path)
            os.rename(one.temporary, one.path)  # noqa: PTH104
            return
    except (FileExistsError, FileNotFoundError) as exc:
        raise Overtaken(one.path) from exc
    try:
        came_out = digest(one.temporary)
    except OSError:
        _put_back(one)
        raise
    if came_out != one.before:
        _put_back(one)
        raise Overtaken(one.path)


def _put_back(one: Action) -> None:
    """Give what came out its name again, unless there is something newer by then."""
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        if one.after == NOTHING:
            _place(one.temporary, one.path)
        else:
            _exchange(one.temporary, one.path)


def _place(temporary: bytes, path: bytes) -> None:
    """Give a file a name that nothing has. Raises FileExistsError, OSError."""
    if _rename(temporary, path, _NOREPLACE):
        return
    try:
        os.link(temporary, path)
    except OSError as exc:
        if exc.errno not in _CANNOT_LINK:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from exc
        os.rename(temporary, path)  # noqa: PTH104
    else:
        os.unlink(temporary)  # noqa: PTH108


def _exchange(one: bytes, other: bytes) -> bool:
    """Have two files change places; False: the system cannot. Raises OSError."""
    return _rename(one, other, _EXCHANGE)


def _rename(old: bytes, new: bytes, flags: int) -> bool:
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    if library.renameat2(_AT_FDCWD, old, _AT_FDCWD, new, flags) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), os.fsdecode(new))


def sync_around(some: Iterable[Action]) -> None:
    """Have names in the directories of files survive a loss of power. Raises OSError."""
    for directory in sorted({os.path.dirname(one.path) for one in some}):  # noqa: PTH120
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


# ── undoing ──


def settle(some: Sequence[Action], keep: Callable[[bytes], object], text: Callable[[str], bytes]) -> bool:
    """Find out what was done by whoever began it and did not end: all of it stays, or all is undone.

    Args:
        some: what was begun, in its order.
        keep: a content of somebody else's that came out and cannot go back, because there is something newer.
        text: the content of a SHA-256.

    Returns:
        Whether all of it was done.

    Raises:
        OSError: the system refused; `settle` can be called again.
    """
    done = [
        _is_done(one) for one in some
    ]  # each is asked, because it puts back what was taken for another one
    if all(done):
        return True
    undo(some, keep, text)
    return False


def _is_done(one: Action) -> bool:
    """Whether an action was carried out, also if its file was changed again since. What was taken for another one goes back."""
    now, out = digest(one.path), digest(one.temporary)
    if one.before == NOTHING:
        return now == one.after and (out == NOTHING or os.path.samefile(one.path, one.temporary))  # noqa: PTH121
    if out == one.before:
        return True
    if one.after == NOTHING:
        if out != NOTHING:
            _put_back(one)
        return False
    if now == one.after and out not in {NOTHING, one.after}:
        _put_back(one)
        return False
    return now == one.after and out == NOTHING


def undo(some: Sequence[Action], keep: Callable[[bytes], object], text: Callable[[str], bytes]) -> None:
    """Undo what was done of it, the last first; what somebody else changed since stays as they left it. Arguments and errors as for `settle`."""
    for one in reversed(some):
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            if _is_done(one):
                _undo(one, text)
    for one in some:
        clear(one, keep)


def _undo(one: Action, text: Callable[[str], bytes]) -> None:
    if one.after == NOTHING:
        _place(one.temporary, one.path)
        return
    if digest(one.path) != one.after:
        return
    back = Action(one.path, one.after, one.before, one.temporary)
    if one.before != NOTHING and digest(one.temporary) != one.before:
        try:
            content = text(one.before)
        except BlobDamaged:  # then what is there stays, and is found by looking
            return
        prepare(back, content, rights_of(one.path))
    with contextlib.suppress(Overtaken):
        apply(back)


def clear(one: Action, keep: Callable[[bytes], object] | None = None) -> None:
    """Remove what lies beside a file.

    Args:
        one: the file.
        keep: what lies there may be somebody else's.

    Raises:
        OSError.
    """
    if keep is not None and digest(one.temporary) not in {NOTHING, _OTHER, one.before, one.after}:
        keep(_content(one.temporary))
    for path in (one.temporary, one.temporary + _PART):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - any bytes
