"""How much of what can be repeated is repeated: a part in the suite, all of it with HOLDFAST_TEST_THOROUGH=1 (`make thorough`)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

THOROUGH = os.environ.get("HOLDFAST_TEST_THOROUGH", "") not in {"", "0"}
T = TypeVar("T")


def some(every: Iterable[T], number: int) -> list[T]:
    """So many of them, spread evenly; thoroughly: all. The number of a count's rounds is `len(some(range(all), some))`."""
    found = list(every)
    if THOROUGH or number >= len(found):
        return found
    return [found[place * len(found) // number] for place in range(number)]
