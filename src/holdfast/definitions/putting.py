"""Put contents into files of definitions so that whatever is killed when, each file is old or new and the record agrees.

    1  the content that is there, and the one that comes, are kept and forced to the disk
    2  what is about to be done is written down (`Held.intend`)
    3  the new content is written beside the file, with its rights, and forced
    4  the two change places; if what came out is not what was kept, they change back, and nothing was done
    5  the directory is forced, and the file read again
    6  the changes are recorded (`Held.done`)

Whoever takes the lock after a kill asks each file whether step 4 was reached (`Held.end_pending`). Exchanging leaves no moment in which a change of
somebody else's could be lost; where the system cannot exchange, the file is looked at once more right before it is replaced.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import secrets
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holdfast.definitions import reading
from holdfast.failpoints import failpoint
from holdfast.journal.blobs import sync_directory, write_all

if TYPE_CHECKING:
    from holdfast.definitions.ledger import Held, Step

_AT_CWD: Final = -100  # AT_FDCWD
_EXCHANGE: Final = 2  # RENAME_EXCHANGE
_NO_EXCHANGE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})


class ChangedMeanwhile(Exception):
    """A file is not as it was looked at last. Nothing was done; look again."""


@dataclass(frozen=True, slots=True)
class Put:
    """A content that is to be put into a file.

    Attributes:
        path: of the file, without links.
        content: what it gets.
        expected: the SHA-256 of what it has by the index; None: there is no file.
        step: what is recorded, with `only_if` the SHA-256 of `content`.
        time_ns: the file's time afterwards, as `step` says it.
    """

    path: bytes
    content: bytes
    expected: str | None
    step: Step
    time_ns: int


def put(held: Held, puts: list[Put]) -> list[str]:
    """Put contents into files, and record it; the ids of the events, in the order given.

    Raises:
        ChangedMeanwhile: a file is not as expected; of the others, those that were put before it are recorded.
        OSError: the system refused; likewise.
        AppendFailed: it is done, and could not be recorded; whoever holds the lock next records it.
    """
    modes = [_kept(held, one) for one in puts]
    temporaries = [_beside(one.path) for one in puts]
    held.intend([one.step for one in puts], temporaries)
    try:
        for one, temporary, mode in zip(puts, temporaries, modes, strict=True):
            _write(temporary, one, mode)
        failpoint("definition.written")
        for one, temporary in zip(puts, temporaries, strict=True):
            _replace(one, temporary)
            failpoint("definition.replaced")
    except BaseException:
        held.end_pending()  # what was done is recorded, what was not is taken away
        raise
    return held.done([one.step for one in puts])


def _kept(held: Held, one: Put) -> os.stat_result | None:
    """Keep both contents for good; what the system says of the file (None: there is none). Raises ChangedMeanwhile."""
    try:
        before = reading.content(os.fsdecode(one.path))
        about = os.stat(one.path)  # noqa: PTH116 - any bytes
    except FileNotFoundError:
        before, about = None, None
    found = None if before is None else hashlib.sha256(before).hexdigest()
    if found != one.expected:
        raise ChangedMeanwhile
    if before is not None:
        held.texts.keep(before, sync=True)
    held.texts.keep(one.content, sync=True)
    return about


def _beside(path: bytes) -> bytes:
    """A name in the same directory that is no definition's: none ends so."""
    directory, name = os.path.split(path)
    return os.path.join(directory, b"." + name[:100] + b"." + secrets.token_hex(16).encode())  # noqa: PTH118


def _write(temporary: bytes, one: Put, about: os.stat_result | None) -> None:
    os.makedirs(os.path.dirname(temporary), exist_ok=True)  # noqa: PTH103, PTH120
    mode = 0o666 if about is None else 0o600  # of a new file as the user's umask has it
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        write_all(fd, one.content)
        if about is not None:
            with contextlib.suppress(OSError):  # somebody else's file in a directory of ours becomes ours
                os.fchown(fd, about.st_uid, about.st_gid)
            os.fchmod(fd, stat.S_IMODE(about.st_mode))
        os.utime(fd, ns=(one.time_ns, one.time_ns))
        os.fsync(fd)
    finally:
        os.close(fd)


def _replace(one: Put, temporary: bytes) -> None:
    """Have the new content in the file's place, and see that it is there. Raises ChangedMeanwhile, OSError."""
    if one.expected is None:
        _place(one.path, temporary)
    elif not _exchanged(one, temporary):
        if _sha256(one.path) != one.expected:
            raise ChangedMeanwhile
        os.replace(temporary, one.path)  # noqa: PTH105
    sync_directory(Path(os.fsdecode(one.path)).parent)
    if _sha256(one.path) != hashlib.sha256(one.content).hexdigest():
        raise OSError(errno.EIO, "what was written is not what is there", os.fsdecode(one.path))


def _place(path: bytes, temporary: bytes) -> None:
    """Where no file was. Raises ChangedMeanwhile if there is one now."""
    try:
        os.link(temporary, path, follow_symlinks=False)
    except FileExistsError:
        raise ChangedMeanwhile from None
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise ChangedMeanwhile from None
        os.replace(temporary, path)  # noqa: PTH105
        return
    os.unlink(temporary)  # noqa: PTH108


def _exchanged(one: Put, temporary: bytes) -> bool:
    """Have both change places, and see what came out; False: the system cannot. Raises ChangedMeanwhile, OSError."""
    if not _exchange(temporary, one.path):
        return False
    if _sha256(temporary) != one.expected:
        _exchange(temporary, one.path)
        raise ChangedMeanwhile
    os.unlink(temporary)  # noqa: PTH108
    return True


def _exchange(one: bytes, other: bytes) -> bool:
    """renameat2(2) of Linux. Raises OSError."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_CWD, one, _AT_CWD, other, _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    if code == errno.ENOENT:
        raise ChangedMeanwhile
    raise OSError(code, os.strerror(code), os.fsdecode(other))


def _sha256(path: bytes) -> str | None:
    """The SHA-256 of a file; None: it is not there, or cannot be read."""
    try:
        return hashlib.sha256(reading.content(os.fsdecode(path))).hexdigest()
    except OSError:
        return None
