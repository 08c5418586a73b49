"""The synchronisation that almost ordered two ops, and what it lacks.

A race is seldom a forgotten wait; more often a wait is there and misses: it was bound to another
record, recorded too early, placed too late, or made on another line. Candidates are the waits
near the two ops in the file; the nearest of the most telling kind is given.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from streamsan.traces.instances import is_kind
from streamsan.traces.ops import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from streamsan.traces.order.happens_before import HappensBefore, Ref

NEAR_WAITS = 256
"""How many waits, nearest first, are looked at on either side."""
EVENT_WAITS = (Kind.STREAM_WAIT_EVENT, Kind.EVENT_SYNCHRONIZE, Kind.EVENT_QUERY)
STREAM_WAITS = (Kind.STREAM_SYNCHRONIZE, Kind.STREAM_QUERY)
WAITS = (
    *EVENT_WAITS, *STREAM_WAITS, Kind.DEVICE_SYNCHRONIZE, Kind.AWAIT, Kind.THREAD_JOIN,
    Kind.HOST_TASK_DONE, Kind.STREAM_WAIT_VALUE,
)  # fmt: skip
NearKind = Literal[
    "wrong generation",
    "unrecorded",
    "recorded too early",
    "too late",
    "waited for elsewhere",
    "wrong stream",
]


class Near(NamedTuple):
    """The wait that almost did it. Op ids; None where there is none."""

    kind: NearKind
    wait: int
    record: int | None
    """The record that the wait is bound to."""
    words: str
    covering: int | None = None
    """The record that would have covered the first op."""


class _Found(NamedTuple):
    """A candidate; of several the one with the lowest (rank, distance) is given."""

    rank: int
    distance: int
    near: Near


def nearly(order: HappensBefore, a: Ref, b: Ref) -> Near | None:
    """Give the wait that almost ordered ``a`` before ``b``.

    Kinds, the most telling first: ``wrong generation`` (bound to one record of the event while
    another covers ``a``), ``unrecorded`` (a wait before any record), ``recorded too early`` (the
    record is on the line of ``a``, but before it), ``too late`` (a wait that covers ``a`` stands
    on the line of ``b``, after it), ``waited for elsewhere`` (a wait that covers ``a``, on another
    line than that of ``b``), ``wrong stream`` (the line of ``b`` waits for another stream).

    Returns None where they are ordered, or where no wait is near.
    """
    if a == b or order.ordered(a, b):
        return None
    found = list(_Search(order, a, b).candidates())
    return min(found, key=lambda one: one[:2]).near if found else None


class _Search:
    """The two nodes and what stands around them."""

    def __init__(self, order: HappensBefore, a: Ref, b: Ref) -> None:
        self.order, self.trace, self.graph = order, order.trace, order.graph
        self.first, self.last = order.main_node(a), order.main_node(b)
        lane_of_node = self.graph.node_lane
        self.a, self.b = int(self.graph.node_op[self.first]), int(self.graph.node_op[self.last])
        self.lane_a = int(lane_of_node[self.first])
        self.lane_b = int(lane_of_node[self.last])
        self.thread_b = order.thread_lanes[self.trace[self.b].thread]
        waits = np.flatnonzero(is_kind(self.trace.kind, *WAITS))
        here = int(np.searchsorted(waits, self.b))
        self.before = waits[max(0, here - NEAR_WAITS) : here][::-1].tolist()
        self.after = [w for w in waits[here : here + NEAR_WAITS].tolist() if w != self.b]

    @cached_property
    def records(self) -> NDArray[np.intp]:
        """Every record."""
        return np.flatnonzero(is_kind(self.trace.kind, Kind.EVENT_RECORD))

    def candidates(self) -> Iterator[_Found]:
        for wait in self.before:
            yield from self._by_event(wait)
            yield from self._elsewhere(wait)
            yield from self._wrong_stream(wait)
        yield from self._too_late()

    def covers(self, op: int) -> bool:
        """Whether an op comes after ``a``."""
        return self.order.clocks.is_before(self.first, int(self.graph.op_node[op]))

    def lane(self, op: int) -> int:
        """Give the lane of an op's main node."""
        return int(self.graph.node_lane[self.graph.op_node[op]])

    def on_line(self, op: int) -> bool:
        """Whether an op stands on the line of ``b`` or on that of the thread that issued it."""
        return self.lane(op) in (self.lane_b, self.thread_b)

    def say(self, op: int) -> str:
        """Name an op and its line."""
        return op_text(self.order, op)

    def far(self, op: int) -> int:
        """Rank a wait issued before ``a`` behind all others: it was hardly meant for it."""
        return 10 if op < self.a else 0

    def _by_event(self, wait: int) -> Iterator[_Found]:
        """Waits for events that ``b`` comes after, or that stand on its line, and miss ``a``."""
        bound = self.graph.binding.get(wait)
        if self.trace.kind[wait] not in EVENT_WAITS or bound is None or self.covers(wait):
            return
        node = int(self.graph.op_node[wait])
        if not (self.on_line(wait) or self.order.clocks.is_before(node, self.last)):
            return
        distance, far = self.b - wait, self.far(wait)
        event = printable(str(self.trace[wait].obj))
        better = self._covering(wait)
        if bound < 0:
            later = "" if better is None else f"; op {better} records it only later"
            yield _Found(2 + far if better is None else 1, distance, Near(
                "unrecorded", wait, None,
                f"{self.say(wait)} comes before any record of {event}, so it waits for "
                f"nothing{later}", better,
            ))  # fmt: skip
            return
        early = self.lane(bound) == self.lane_a and bound < self.a
        if better is not None and (better < wait or not early):
            how = "had been replaced by then" if better < bound else "was made only later"
            yield _Found(0, distance, Near(
                "wrong generation", wait, bound,
                f"{self.say(wait)} waits for the record of {event} at op {bound}; the one at op "
                f"{better}, which covers op {self.a}, {how}", better,
            ))  # fmt: skip
        elif early:
            yield _Found(2 + far, distance, Near(
                "recorded too early", wait, bound,
                f"{self.say(wait)} waits for {event}, but op {bound} recorded it before op {self.a}"
                " was issued", better,
            ))  # fmt: skip

    def _covering(self, wait: int) -> int | None:
        """Give a record of the wait's event that covers ``a``: the nearest to the wait."""
        mine = self.records[self.trace.obj[self.records] == self.trace.obj[wait]]
        near = mine[np.argsort(np.abs(mine - wait), kind="stable")][:NEAR_WAITS].tolist()
        return next((r for r in near if self.covers(r)), None)

    def _elsewhere(self, wait: int) -> Iterator[_Found]:
        """Waits that cover ``a`` on a line that ``b`` does not follow."""
        if wait < self.a or self.on_line(wait) or not self.covers(wait):
            return
        bound = self.graph.binding.get(wait, -1)
        node = int(self.graph.op_node[wait])
        line = printable(self.graph.lane_label[self.graph.node_lane[node]])
        yield _Found(5, self.b - wait, Near(
            "waited for elsewhere", wait, bound if bound >= 0 else None,
            f"{self.say(wait)} waits for op {self.a}, but only {line} does: op {self.b} does not "
            "come after it",
        ))  # fmt: skip

    def _wrong_stream(self, wait: int) -> Iterator[_Found]:
        """Waits on the line of ``b``, issued after ``a``, for something that is not on its line."""
        if wait < self.a or not self.on_line(wait) or self.covers(wait):
            return
        bound = self.graph.binding.get(wait, -1)
        kind = int(self.trace.kind[wait])
        if bound >= 0 and kind in EVENT_WAITS:
            lane = self.lane(bound)
        elif kind in STREAM_WAITS and self.trace[wait].bit("result") != "not_ready":
            lane = int(self.trace.streams.of_op[wait])
        elif kind == Kind.DEVICE_SYNCHRONIZE:
            lane = -1
        else:
            return
        if lane == self.lane_a:
            return
        labels = self.graph.lane_label
        what = f"device {self.trace[wait].device}" if lane < 0 else printable(labels[lane])
        yield _Found(6, self.b - wait, Near(
            "wrong stream", wait, bound if bound >= 0 else None,
            f"{self.say(wait)} waits for {what}, but op {self.a} is on "
            f"{printable(labels[self.lane_a])}",
        ))  # fmt: skip

    def _too_late(self) -> Iterator[_Found]:
        """Waits on the line of ``b`` that cover ``a`` and stand after ``b``."""
        for wait in self.after:
            if not (self.on_line(wait) and self.covers(wait)):
                continue
            bound = self.graph.binding.get(wait, -1)
            # a synchronise that ends the program covers everything: it tells little
            own = self.lane(wait) == self.lane_b and self.trace.kind[wait] in WAITS[:5]
            yield _Found(4 if own else 7, wait - self.b, Near(
                "too late", wait, bound if bound >= 0 else None,
                f"{self.say(wait)} waits for op {self.a}, but it stands after op {self.b}",
            ))  # fmt: skip
            return


def op_text(order: HappensBefore, op: int, node: int | None = None) -> str:
    """Name an op by its id, word and name, and the line that it (or one node of it) is on."""
    graph = order.graph
    at = int(graph.op_node[op]) if node is None else node
    view = order.trace[op]
    name = "" if view.name == view.word else f" {printable(view.name)}"
    return f"op {op} {view.word}{name} on {printable(graph.lane_label[graph.node_lane[at]])}"


def printable(name: str) -> str:
    """Give a name as it stands, or escaped where it holds characters that a terminal obeys."""
    return name if name.isprintable() else json.dumps(name)
