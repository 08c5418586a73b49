"""Which bytes a range touches, against counting them one by one."""

from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamsan.traces.ops import StridedRange
from streamsan.traces.ranges import bounding_box, intersection, intervals, merge, pieces

VIEWS = st.builds(
    lambda dims, itemsize: StridedRange(
        "a", tuple(n for n, _ in dims), tuple(s for _, s in dims), itemsize, 400
    ),
    st.lists(st.tuples(st.integers(0, 5), st.integers(-25, 25)), max_size=4),
    st.integers(1, 9),
)
SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=8)


def touched(view: StridedRange) -> set[int]:
    """Give the bytes of a view by going through every index."""
    found: set[int] = set()
    for index in product(*map(range, view.shape)):
        first = view.offset + sum(i * s for i, s in zip(index, view.strides, strict=True))
        found.update(range(first, first + view.itemsize))
    return found


def spelled(pair: tuple[np.ndarray, np.ndarray]) -> set[int]:
    starts, stops = pair
    return {b for a, z in zip(starts.tolist(), stops.tolist(), strict=True) for b in range(a, z)}


@given(VIEWS)
@example(StridedRange("a", (3,), (0,), 4, 0))  # one element again and again
@example(StridedRange("a", (3,), (2,), 4, 0))  # elements that overlap
@example(StridedRange("a", (2, 3), (-12, 4), 4, 12))  # backwards, in one piece
@example(StridedRange("a", (2, 2), (8, 12), 4, 0))  # rows that interleave
def test_intervals_are_exactly_the_bytes_touched(view: StridedRange) -> None:
    found = intervals(view)

    assert spelled(found) == touched(view)
    assert (found[0][1:] > found[1][:-1]).all()  # sorted, apart
    assert len(found[0]) <= pieces(view)


@given(VIEWS)
def test_the_bounding_box_is_tight(view: StridedRange) -> None:
    low, high = bounding_box(view)
    bytes_ = touched(view)

    assert (low, high) == ((min(bytes_), max(bytes_) + 1) if bytes_ else (400, 400))


@given(VIEWS, VIEWS)
def test_the_intersection_is_the_smallest_span_of_shared_bytes(
    one: StridedRange, other: StridedRange
) -> None:
    shared = touched(one) & touched(other)
    span = (min(shared), max(shared) + 1) if shared else None

    assert intersection(intervals(one), intervals(other)) == span


@given(SPANS)
def test_merging_keeps_every_byte_and_joins_what_touches(spans: list[tuple[int, int]]) -> None:
    start = np.array([a for a, _ in spans], np.int64)
    stop = np.array([a + n for a, n in spans], np.int64)

    merged = merge(start, stop)

    assert spelled(merged) == spelled((start, stop))
    assert (merged[0][1:] > merged[1][:-1]).all()


def test_two_column_views_of_one_matrix_share_nothing() -> None:
    left = StridedRange("a", (4, 1), (8, 4), 4, 0)
    right = StridedRange("a", (4, 1), (8, 4), 4, 4)

    assert bounding_box(left)[1] > bounding_box(right)[0]
    assert intersection(intervals(left), intervals(right)) is None


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (StridedRange("a", (2,), (4, 4), 4), "as many strides"),
        (StridedRange("a", (2,), (-4,), 4), "before its buffer"),
        (StridedRange("a", (2**31,), (2**62,), 4), "too large"),
        (StridedRange("a", (10_000, 10_000), (8, 10**7), 4), "too many pieces"),
    ],
)
def test_a_view_that_no_verdict_could_be_about_is_refused(view: StridedRange, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        bounding_box(view)
