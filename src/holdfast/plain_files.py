"""Read a plain file whatever stands where it should: at once, or not at all. A pipe is never waited for."""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

MOST_BYTES: Final = 256 << 20  # of a file that is read into memory, where nothing less is known to be enough
_NO_FILE: Final = "it is no plain file"


def content_of(path: str | os.PathLike[str], most_bytes: int = MOST_BYTES, *, follow: bool = True) -> bytes:
    """All that stands in a plain file.

    Args:
        path: of the file.
        most_bytes: a larger one is refused, not cut: its beginning may say what the whole does not.
        follow: whether a link to a file will do.

    Raises:
        OSError: it cannot be read, is larger, or is no plain file; `strerror` is the reason, for people.
    """
    with os.fdopen(opened(path, follow=follow), "rb") as file:
        found = file.read(most_bytes + 1)
    if len(found) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes:,} bytes", os.fspath(path))
    return found


def opened(path: str | os.PathLike[str], *, follow: bool = True) -> int:
    """A plain file, open for reading; the descriptor is the caller's to close. Raises OSError as `content_of`."""
    named = os.fspath(path)
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        fd = os.open(named, flags)
    except ValueError as exc:
        raise OSError(errno.EINVAL, "no file can have this name", named) from exc
    except OSError as exc:
        if exc.errno == errno.ENXIO or (exc.errno == errno.ELOOP and not follow):  # a socket; a link
            raise OSError(exc.errno, _NO_FILE, named) from exc
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, _NO_FILE, named)
    return fd
