"""What came of runs, by the text that they ran with. Pure: runs go in, figures with their intervals come out.

Intervals hold the true value in 95 of 100 such histories. Of shares it is Wilson's (J. Am. Stat. Assoc. 22, 1927, 209), which also holds for few runs
and near 0 and 1 (Brown, Cai, DasGupta, Statist. Sci. 16, 2001, 101); of the difference of two shares Newcombe's, made of theirs (Stat. Med. 17,
1998, 873, method 10), and of two medians the same made of theirs (Zou, Donner, Stat. Med. 27, 2008, 1693); of a median the two values of the sample between which it lies by the binomial distribution, whatever the values' own
distribution is (Conover, Practical Nonparametric Statistics, 3.2). Nothing is drawn at random, so the same runs give the same figures.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ENOUGH_RUNS: Final = 20  # of one text; of fewer no share and no median is shown
LEVEL: Final = 0.95
METHODS: Final = {
    "share": "Wilson score interval",
    "median": "order statistics of the sample (binomial)",
    "difference": "Newcombe's interval, method 10",
    "median_difference": "recovered from the intervals of both (Zou and Donner)",
}
_Z: Final = 1.959963984540054  # of the normal distribution, for 95 of 100
_TAIL_OF: Final = 40  # 1/40 on either side
COMPLETED: Final = "completed"
ENDED: Final = frozenset({COMPLETED, "failed", "cancelled", "interrupted", "lost"})


@dataclass(frozen=True, slots=True)
class Run:
    """One agent's run. None: not known.

    Attributes:
        text: SHA-256 of what it ran with.
        status: as executions have it.
        retries: how often its work, or a part of it, was tried again.
        blocked: whether a call of it was denied, or a judgement says that it was blocked.
        model: that it ran on; several are joined.
    """

    text: str
    status: str
    started_us: int | None = None
    retries: int = 0
    blocked: bool = False
    tokens: int | None = None
    cost_pico: int | None = None
    duration_ms: int | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """`k` of `n`, and between what the true share lies; `low` and `high` are None where there are too few."""

    k: int
    n: int
    low: float | None
    high: float | None

    @property
    def value(self) -> float | None:
        """The share; None: there are too few."""
        return None if self.low is None else self.k / self.n


@dataclass(frozen=True, slots=True)
class Median:
    """The median of `n` values, and between what the true one lies; None where there are too few."""

    n: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the runs with one text.

    Attributes:
        runs: all of them; `ended` of those have an end that is known, and only of these shares are taken.
        success: that completed. `retried`: of which something was tried again. `blocked`: as of a run.
        tokens, cost_pico, duration_ms: of those that completed; what failed at once took little, and is no better for it.
        models: how many ran on which.
    """

    text: str
    runs: int
    ended: int
    first_us: int | None
    last_us: int | None
    success: Share
    retried: Share
    blocked: Share
    retries: int
    tokens: Median
    cost_pico: Median
    duration_ms: Median
    models: dict[str | None, int]

    @property
    def is_enough(self) -> bool:
        """Whether there are runs enough for a comparison."""
        return self.ended >= ENOUGH_RUNS


@dataclass(frozen=True, slots=True)
class Difference:
    """How much larger a share or a median is with the later text; None where either has too few runs."""

    value: float | None
    low: float | None
    high: float | None

    @property
    def word(self) -> str:
        """`insufficient data`, `higher`, `lower`, or `not told apart`."""
        if self.low is None or self.high is None:
            return "insufficient data"
        return "higher" if self.low > 0 else "lower" if self.high < 0 else "not told apart"


def outcomes(runs: Iterable[Run]) -> list[Outcome]:
    """What came of each text, in the order in which they were used first."""
    by_text: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_text[run.text].append(run)
    out = [_outcome(text, found) for text, found in by_text.items()]
    return sorted(out, key=lambda one: (one.first_us is None, one.first_us or 0, one.text))


def _outcome(text: str, runs: list[Run]) -> Outcome:
    ended = [run for run in runs if run.status in ENDED]
    completed = [run for run in ended if run.status == COMPLETED]
    times = [run.started_us for run in runs if run.started_us is not None]
    return Outcome(
        text=text,
        runs=len(runs),
        ended=len(ended),
        first_us=min(times, default=None),
        last_us=max(times, default=None),
        success=share(len(completed), len(ended)),
        retried=share(sum(run.retries > 0 for run in ended), len(ended)),
        blocked=share(sum(run.blocked for run in ended), len(ended)),
        retries=sum(run.retries for run in ended),
        tokens=median([run.tokens for run in completed]),
        cost_pico=median([run.cost_pico for run in completed]),
        duration_ms=median([run.duration_ms for run in completed]),
        models=dict(Counter(run.model for run in runs).most_common()),
    )


def share(k: int, n: int) -> Share:
    """A share with its interval."""
    return Share(k, n, *(wilson(k, n) if n >= ENOUGH_RUNS else (None, None)))


def wilson(k: int, n: int) -> tuple[float, float]:
    """Between what the share lies of which `k` of `n` were seen; `n` is at least 1."""
    z2 = _Z * _Z
    middle, half = k + z2 / 2, _Z * math.sqrt(k * (n - k) / n + z2 / 4)
    low, high = (middle - half) / (n + z2), (middle + half) / (n + z2)
    return (0.0 if k == 0 else low), (1.0 if k == n else high)  # exact there, where rounding is not


def median(values: Sequence[float | None]) -> Median:
    """The median of the values that are known, with its interval."""
    known = sorted(value for value in values if value is not None)
    n = len(known)
    if n < ENOUGH_RUNS:
        return Median(n, None, None, None)
    place = _place(n)
    middle = known[n // 2] if n % 2 else (known[n // 2 - 1] + known[n // 2]) / 2
    return Median(n, middle, known[place], known[n - 1 - place])


def _place(n: int) -> int:
    """How many of `n` values in order lie below the interval of the median on either side, from 0."""
    whole, term = 1 << n, 1  # of 2^n ways to lie about the median, those with exactly `place` below it
    below = place = 0  # and those with fewer
    while (below + term) * _TAIL_OF <= whole:
        below += term
        term = term * (n - place) // (place + 1)
        place += 1
    return max(0, place - 1)


def difference(before: Share | Median, after: Share | Median) -> Difference:
    """How much larger what came after is than the same of before."""
    first, second = before.value, after.value
    if first is None or before.low is None or before.high is None:
        return Difference(None, None, None)
    if second is None or after.low is None or after.high is None:
        return Difference(None, None, None)
    down = math.hypot(second - after.low, before.high - first)
    up = math.hypot(after.high - second, first - before.low)
    return Difference(second - first, second - first - down, second - first + up)
