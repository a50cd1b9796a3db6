"""Show what an agent writes: byte for byte where a program reads it, harmless where a person sees it."""

from __future__ import annotations

import codecs
import os
import select
import sys
from typing import TYPE_CHECKING

from holdfast.visible import visible

if TYPE_CHECKING:
    from holdfast.supervise.output import Output


class Shown:
    """Copies output to a stream of this process. At a terminal, what would command it is made visible, unless `raw`."""

    def __init__(self, output: Output, *, raw: bool = False, to_errors: bool = False) -> None:
        stream = sys.stderr if to_errors else sys.stdout
        self._output = output
        self._fd = stream.fileno()
        self._decoder = (
            None if raw or not stream.isatty() else codecs.getincrementaldecoder("utf-8")("backslashreplace")
        )
        stream.flush()

    def copy(self) -> bool:
        """Show what is new; whether anything was."""
        any_new = False
        for part in self._output.parts():
            found = part
            any_new = True
            if self._decoder is not None:
                found = visible(self._decoder.decode(found), keep="\n\t").encode("utf-8", "replace")
            _write(self._fd, found)
        return any_new


def _write(fd: int, content: bytes) -> None:
    """Write all of it, whether or not whoever else has the stream made it one that does not wait."""
    while content:
        try:
            content = content[os.write(fd, content) :]
        except BlockingIOError:
            select.select([], [fd], [])
