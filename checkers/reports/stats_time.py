"""Spans of time: unions, intersections, gaps. All times are ns; spans are half open."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Longs = NDArray[np.int64]


class Spans(NamedTuple):
    """Spans that do not touch each other, in the order of time."""

    begin: Longs
    end: Longs

    @property
    def total(self) -> int:
        """Their length together."""
        return int((self.end - self.begin).sum())


def union(begin: Longs, end: Longs) -> Spans:
    """Give what is covered by at least one span; empty ones cover nothing."""
    real = end > begin
    begin, end = begin[real], end[real]
    if not len(begin):
        return Spans(begin, end)
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], np.maximum.accumulate(end[order])
    fresh = np.flatnonzero(begin[1:] > end[:-1]) + 1
    starts = np.concatenate([[0], fresh])
    return Spans(begin[starts], end[np.concatenate([fresh, [len(end)]]) - 1])


def covered(spans: Spans, begin: int, end: int) -> int:
    """Give how much of one span is covered."""
    low = int(np.searchsorted(spans.end, begin, side="right"))
    high = int(np.searchsorted(spans.begin, end, side="left"))
    if low >= high:
        return 0
    starts, stops = spans.begin[low:high].clip(min=begin), spans.end[low:high].clip(max=end)
    return int((stops - starts).sum())


def common(one: Spans, other: Spans) -> int:
    """Give for how long both cover."""
    both = union(np.concatenate([one.begin, other.begin]), np.concatenate([one.end, other.end]))
    return one.total + other.total - both.total


def gaps(spans: Spans, least: int) -> Spans:
    """Give what lies between spans and is longer than ``least``."""
    begin, end = spans.end[:-1], spans.begin[1:]
    long = end - begin > least
    return Spans(begin[long], end[long])
