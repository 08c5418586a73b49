"""Two variants in turn, and what the difference of a pair is: medians and spread."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FEWEST = 5
MOST = 60
"""Pairs that are enough."""
_SURE = 1.96
"""Standard deviations on either side that hold 95 % of a normal distribution."""


@dataclass(frozen=True)
class Pairs:
    """Seconds of both variants, a pair of neighbours in each place."""

    buggy: tuple[float, ...]
    fixed: tuple[float, ...]

    @property
    def saved(self) -> list[float]:
        """The differences, sorted."""
        return sorted(one - other for one, other in zip(self.buggy, self.fixed, strict=True))

    @property
    def bounds(self) -> tuple[float, float]:
        """Where the median difference lies with 95 % confidence, by the ranks of the differences.

        Nothing is assumed of how they are distributed. Of few pairs all are within.
        """
        found = self.saved
        rank = max(0, int((len(found) - _SURE * len(found) ** 0.5) / 2))
        return found[rank], found[-1 - rank]

    def row(self) -> dict[str, Any]:
        """Give medians and spread in microseconds."""
        saved = self.saved
        quarters = statistics.quantiles(saved, n=4, method="inclusive") if saved[1:] else saved
        return {
            "pairs": len(self.buggy),
            "buggy_us": micro(statistics.median(self.buggy)),
            "fixed_us": micro(statistics.median(self.fixed)),
            "saved_us": micro(statistics.median(self.saved)),
            "between_us": [micro(bound) for bound in self.bounds],
            "quarters_us": [micro(quarters[0]), micro(quarters[-1])],
        }


def micro(seconds: float) -> float:
    """Give microseconds, to the nanosecond."""
    return round(seconds * 1e6, 3)


def in_turn(buggy: Callable[[], float], fixed: Callable[[], float], until: float) -> Pairs:
    """Run both, each first in every other pair, until a time; the collector is kept out.

    Args:
        buggy: runs one variant, and gives its seconds.
        fixed: runs the other.
        until: ``time.monotonic`` at which no more pairs are begun, once there are a few.
    """
    ones: list[float] = []
    others: list[float] = []
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        while len(ones) < MOST and (len(ones) < FEWEST or time.monotonic() < until):
            if len(ones) % 2:
                others.append(fixed())
                ones.append(buggy())
            else:
                ones.append(buggy())
                others.append(fixed())
            gc.collect()
    finally:
        gc.enable()
        gc.unfreeze()
    return Pairs(tuple(ones), tuple(others))
