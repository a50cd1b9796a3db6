"""Python's cycle collector, held back while an answer is built.

It runs by the number of objects made: an answer of ten thousand nodes sets it off again and again, a fifth of the time, and none of
what is made then has a cycle.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def paused() -> Iterator[None]:
    """Do not look for cycles during the block; usable as a decorator."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
