"""Which bytes a range touches, exactly.

A strided view touches ``itemsize`` bytes at each index of its shape: two interleaved column views
of one buffer share no byte though their bounding boxes overlap (R43). ``intervals`` spells a view
out as sorted disjoint intervals; everything else is made from that.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.ops import StridedRange

MAX_INTERVALS = 4_000_000
"""A view of more separate pieces is refused: no verdict about it could be exact."""


def bounding_box(view: StridedRange) -> tuple[int, int]:
    """Give the first byte of a view and the byte after its last; (offset, offset) if empty.

    Raises:
        ValueError: shape and strides differ in length, or bytes lie before the buffer.
    """
    if len(view.shape) != len(view.strides):
        raise ValueError("a strided range needs as many strides as it has dimensions")
    if 0 in view.shape:
        return view.offset, view.offset
    reach = [(n - 1) * s for n, s in zip(view.shape, view.strides, strict=True)]
    low = view.offset + sum(r for r in reach if r < 0)
    high = view.offset + sum(r for r in reach if r > 0) + view.itemsize
    if low < 0:
        raise ValueError(f"a strided range of {view.buffer[:80]!r} begins before its buffer")
    if high > 2**60:
        raise ValueError(f"a strided range of {view.buffer[:80]!r} is too large")
    if pieces(view) > MAX_INTERVALS:
        raise ValueError(f"a strided range of {view.buffer[:80]!r} has too many pieces")
    return low, high


def _dimensions(view: StridedRange) -> tuple[int, list[tuple[int, int]]]:
    """Give the run of contiguous bytes and the (stride, count) of the dimensions left."""
    run = view.itemsize
    rest = sorted(
        (abs(s), n) for n, s in zip(view.shape, view.strides, strict=True) if n > 1 and s != 0
    )
    left: list[tuple[int, int]] = []
    for stride, count in rest:
        if not left and stride <= run:
            run = stride * (count - 1) + run
        else:
            left.append((stride, count))
    return run, left


def pieces(view: StridedRange) -> int:
    """Give an upper bound of the number of intervals of a view."""
    if 0 in view.shape:
        return 0
    return math.prod(count for _, count in _dimensions(view)[1])


def intervals(view: StridedRange) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the first and the past-the-last byte of each piece of a view, sorted, merged."""
    low, high = bounding_box(view)
    if low == high:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    run, left = _dimensions(view)
    starts = np.array([low], dtype=np.int64)
    for stride, count in left:
        starts = (starts[:, None] + stride * np.arange(count, dtype=np.int64)).ravel()
    return merge(starts, starts + run)


def merge(
    start: NDArray[np.int64], stop: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort intervals and join those that touch or overlap."""
    if not len(start):
        return start, stop
    order = np.argsort(start, kind="stable")
    start, stop = start[order], np.maximum.accumulate(stop[order])
    fresh = np.ones(len(start), dtype=bool)
    fresh[1:] = start[1:] > stop[:-1]
    last = np.append(np.flatnonzero(fresh)[1:] - 1, len(start) - 1)
    return start[fresh], stop[last]


def intersection(
    one: tuple[NDArray[np.int64], NDArray[np.int64]],
    other: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> tuple[int, int] | None:
    """Give the smallest span of the bytes that two lists of intervals share; None if none."""
    (a, b), (c, d) = one, other
    if not len(a) or not len(c):
        return None
    left = np.searchsorted(d, a, side="right")
    right = np.searchsorted(c, b, side="left") - 1
    hit = np.flatnonzero(left <= right)
    if not len(hit):
        return None
    first, last = hit[0], hit[-1]
    low = max(int(a[first]), int(c[left[first]]))
    high = min(int(b[last]), int(d[right[last]]))
    return low, high
