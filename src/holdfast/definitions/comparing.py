"""Two contents → what `diff -u` says of them.

The `diff` of the system is asked, so that the answer is the one that people know and `patch` takes. Where there is none, the standard library finds
the differences: the same contents come out of applying them, though lines may be matched in another way.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTHING: Final = "/dev/null"
_LIMIT_S: Final = 20
_NO_END: Final = b"\n\\ No newline at end of file\n"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: where it lies, what else is said in the heading, and its bytes (None: there is no file)."""

    path: str
    label: str
    content: bytes | None

    @property
    def sha256(self) -> str | None:
        return None if self.content is None else hashlib.sha256(self.content).hexdigest()

    @property
    def heading(self) -> str:
        """Behind `---` and `+++`."""
        return NOTHING if self.content is None else f"{visible(self.path)}\t{visible(self.label)}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs.

    Attributes:
        text: as `diff -u` writes it; empty: nothing differs; None: one of them is no text (UTF-8).
    """

    text: bytes | None
    equal: bool

    def count(self, sign: bytes) -> int | None:
        """Lines that were added (`+`) or removed (`-`)."""
        if self.text is None:
            return None
        body = self.text.split(b"\n")[2:]
        return sum(line.startswith(sign) for line in body)


def compare(before: Side, after: Side) -> Difference:
    """Compare two contents."""
    a, b = before.content or b"", after.content or b""
    if a == b and (before.content is None) == (after.content is None):
        return Difference(b"", equal=True)
    if not (_is_text(a) and _is_text(b)):
        return Difference(None, equal=False)
    text = _asked(before, after)
    return Difference(_without(before, after) if text is None else text, equal=False)


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in content


def _asked(before: Side, after: Side) -> bytes | None:
    """What the system's `diff` says; None: it cannot be asked. It reads both from pipes: nothing is written to a disk."""
    program = shutil.which("diff")
    if program is None or not os.path.isdir("/dev/fd"):  # noqa: PTH112
        return None
    reads, writes = os.pipe()
    words = ["-u", "-L", before.heading, "-L", after.heading, f"/dev/fd/{reads}", "-"]
    try:
        with subprocess.Popen(
            [program, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(reads,),
            env={"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)},
        ) as process:
            os.close(reads)
            reads = -1
            feeder = threading.Thread(target=_feed, args=(writes, before.content or b""), daemon=True)
            feeder.start()
            writes = -1
            try:
                said, _ = process.communicate(after.content or b"", timeout=_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                return None
            return said if process.returncode == 1 else None
    except OSError:
        return None
    finally:
        for fd in (reads, writes):
            if fd >= 0:
                os.close(fd)


def _feed(fd: int, content: bytes) -> None:
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
    except BrokenPipeError:  # it found out without the rest
        pass


def _without(before: Side, after: Side) -> bytes:
    return b"".join(_lines(before, after))


def _lines(before: Side, after: Side) -> Iterator[bytes]:
    a, b = (_split(side.content or b"") for side in (before, after))
    lines = difflib.diff_bytes(difflib.unified_diff, a, b, before.heading.encode(), after.heading.encode())
    for line in lines:
        yield line if line.endswith(b"\n") else line + _NO_END


def _split(content: bytes) -> list[bytes]:
    """Lines with their ends; a line end is one LF, and nothing else."""
    lines = content.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
