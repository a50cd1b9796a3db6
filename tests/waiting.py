"""Waiting for what another process does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 60
T = TypeVar("T")


def until(what: Callable[[], T], of: str = "it", limit_s: float = LIMIT_S) -> T:
    """Wait for something that another process does; what came. Raises AssertionError when it does not come."""
    deadline_s = time.monotonic() + limit_s
    while not (found := what()):
        assert time.monotonic() < deadline_s, f"waited in vain for {of}"
        time.sleep(0.01)
    return found
