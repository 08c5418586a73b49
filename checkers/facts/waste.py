"""Waits that wait for more than anything after them needs (SO404)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cached_property
from typing import NamedTuple

import numpy as np

from streamsan.checkers.facts.lanes import WORK, Lanes
from streamsan.checkers.facts.needs import Need, Needs
from streamsan.checkers.facts.paths import Paths
from streamsan.traces.ops import Kind
from streamsan.traces.order.edges import Line

HOST_WAITS = (Kind.EVENT_SYNCHRONIZE, Kind.STREAM_SYNCHRONIZE, Kind.DEVICE_SYNCHRONIZE)
ISSUED = (*WORK, Kind.MALLOC_ASYNC, Kind.FREE_ASYNC, Kind.STREAM_WRITE_VALUE)
DONE_BY_HOST = (
    *ISSUED,
    Kind.HOST_READ,
    Kind.HOST_WRITE,
    Kind.HOST_ESCAPE,
    Kind.HOST_TASK_SUBMIT,
    Kind.SIGNAL,
    Kind.THREAD_START,
)
"""What a thread may wait for something to do. Frees are not among them: programs end with those."""


class Share(NamedTuple):
    """What a wait waits for without need on one stream: its first and last op, and how many."""

    stream: str
    first: int
    last: int
    ops: int


class Waste(NamedTuple):
    """A wait that could be narrower.

    ``needed`` are the last ops that it has to wait for, none of them before another; ``user`` is
    the first op that needs them, where all that do are on one stream. ``implied``: its waiter was
    after all of it already, by what came before.
    """

    wait: int
    shares: tuple[Share, ...]
    needed: tuple[int, ...]
    user: int | None
    implied: bool

    @property
    def last(self) -> int:
        """The last op that is waited for without need."""
        return max(share.last for share in self.shares)


class Wastes:
    """Looks at every wait of a trace."""

    def __init__(self, lanes: Lanes, pairs: set[int]) -> None:
        """Keep the lanes, and the synchronises that are part of a copy."""
        self.lanes = lanes
        self.trace = lanes.trace
        self._of_copies = pairs
        self._paths = Paths(lanes)
        self._bound = set(lanes.order.graph.binding.values())

    @cached_property
    def found(self) -> list[Waste]:
        """The waits that could be narrower, in issue order. None where the program hangs."""
        if self.lanes.order.clocks.stuck:
            return []
        kinds = (*HOST_WAITS, Kind.STREAM_WAIT_EVENT)
        waits = np.flatnonzero(np.isin(self.trace.kind, kinds)).tolist()
        found = (self._judge(op) for op in waits if op not in self._of_copies)
        return [waste for waste in found if waste is not None]

    @cached_property
    def by_wait(self) -> dict[int, Waste]:
        """The same, by the op of the wait."""
        return {waste.wait: waste for waste in self.found}

    @cached_property
    def _needs(self) -> dict[int, Need]:
        return Needs(self.lanes).by_wait

    @cached_property
    def _guards(self) -> dict[int, Need]:
        return Needs(self.lanes, whole=True).by_wait

    def _judge(self, op: int) -> Waste | None:  # noqa: PLR0911 - one question after another
        lanes, node = self.lanes, int(self.lanes.order.graph.op_node[op])
        here, at = lanes.lane[node], lanes.position[node]
        by_wait: list[int] = []
        others: list[int] = []
        for edge in lanes.entries(here, at - 1, at):
            (by_wait if lanes.waits[edge] == op else others).append(lanes.source[edge])
        if not by_wait or self._is_itself(op, here, by_wait):
            return None
        later = self._until_used(op, node)
        if later is None:
            return None
        if at > 1:
            others.append(lanes.nodes[here][at - 2])
        before, after = self._join(others), self._join(by_wait)
        need = self._needs.get(op)
        if need is None and self._nothing_new(before, after):
            return self._implied(op, others, after)
        if need is None and here not in lanes.thread_lanes and op in self._guards:
            return None  # both sides work in one memory: which bytes meet, another run may change
        closed = self._close(need, by_wait)
        if closed is None:
            return None
        reach, points = closed
        shares = self._shares(list(map(max, before, reach, self._join(later))), after)
        if not shares:
            return None
        return Waste(op, shares, points, self._user(need, here), implied=False)

    def _implied(self, op: int, others: list[int], after: list[int]) -> Waste | None:
        """Give a wait for what its waiter is after anyhow, by what the documents promise."""
        shares = self._shares([0] * len(after), after)
        op_node = self.lanes.order.graph.op_node
        for share in shares:
            last = int(op_node[share.last])
            lane, position = self.lanes.lane[last], self.lanes.position[last]
            if not self._paths.avoids(lane, position, others, op):
                return None
        return Waste(op, shares, (), None, implied=True) if shares else None

    def _is_itself(self, op: int, here: int, sources: list[int]) -> bool:
        """A wait of a stream for itself is SO303; one on the legacy stream is a barrier by itself.

        Taking the latter away would take away what R11 orders, too.
        """
        stream = int(self.trace.streams.of_op[op])
        by_stream = self.trace.kind[op] == Kind.STREAM_WAIT_EVENT
        if by_stream and self.trace.streams.legacy[stream]:
            return True
        return any(self.lanes.lane[source] == here for source in sources)

    def _until_used(self, op: int, node: int) -> list[int] | None:
        """Give what the waiter comes to know of besides before it next does something.

        None where it does nothing more.
        """
        lanes = self.lanes
        here, start = lanes.lane[node], lanes.position[node]
        if lanes.line[here] is Line.THREAD:
            used = self._next(self._done_by[int(self.trace.thread[op])], op)
            mine = lanes.nodes[here]
            stop = bisect_left(mine, used, key=lanes.op.__getitem__) if used is not None else None
        else:
            stop = self._next(self._issued_to[here], start)
        if stop is None:
            return None
        found = [lanes.source[e] for e in lanes.entries(here, start, stop)]
        return [n for n in found if lanes.known(n, here) < start]

    @staticmethod
    def _next(places: list[int], after: int) -> int | None:
        at = bisect_right(places, after)
        return places[at] if at < len(places) else None

    @cached_property
    def _done_by(self) -> dict[int, list[int]]:
        """By thread: the ops that a wait before them may be for."""
        kind = self.trace.kind
        matters = np.isin(kind, DONE_BY_HOST)
        return {
            thread: [op for op in ops if matters[op]]
            for thread, ops in self.lanes.ops_of_thread.items()
        }

    @cached_property
    def _issued_to(self) -> list[list[int]]:
        """By lane: the positions of what a wait before them may be for."""
        kind, lanes = self.trace.kind, self.lanes
        matters = np.isin(kind, ISSUED)
        matters[[op for op in self._bound if op >= 0 and kind[op] == Kind.EVENT_RECORD]] = True
        return [
            [place for place, node in enumerate(nodes, 1) if matters[lanes.op[node]]]
            for nodes in lanes.nodes
        ]

    def _join(self, nodes: list[int]) -> list[int]:
        width = len(self.lanes.line)
        if not nodes:
            return [0] * width
        return [max(known) for known in zip(*map(self.lanes.through, nodes), strict=True)]

    def _nothing_new(self, before: list[int], after: list[int]) -> bool:
        return all(
            b >= a or not len(self.lanes.work_between(lane, b, a))
            for lane, (b, a) in enumerate(zip(before, after, strict=True))
            if lane in self.lanes.work
        )

    def _shares(self, after: list[int], to: list[int]) -> tuple[Share, ...]:
        found = []
        for lane in self.lanes.work:
            ops = self.lanes.work_between(lane, after[lane], to[lane])
            if len(ops):
                label = self.lanes.order.graph.lane_label[lane]
                found.append(Share(label, int(ops[0]), int(ops[-1]), len(ops)))
        return tuple(found)

    def _close(
        self, need: Need | None, sources: list[int]
    ) -> tuple[list[int], tuple[int, ...]] | None:
        """Give how far a wait has to reach on each lane, and the last ops that it has to reach.

        Waiting for an op is waiting for all before it. What is needed of a lane that no event can
        be recorded on stands on a stream that is waited for; where it does not, what is needed is
        the call of the wait and not the wait: None.
        """
        lanes = self.lanes
        points: dict[int, int] = {}
        for lane, position in need.reach.items() if need else ():
            on, at = lane, position
            if lane not in lanes.work:
                knowing = [n for n in sources if lanes.known(n, lane) >= position]
                if not knowing:
                    return None
                on = lanes.lane[knowing[0]]
                at = lanes.first_knowing(on, lane, position)
            points[on] = max(points.get(on, 0), at)
        nodes = [lanes.nodes[lane][position - 1] for lane, position in points.items()]
        reach = [max(known) for known in zip(*map(lanes.through, nodes), strict=True)]
        last = [
            lanes.op[node]
            for node in nodes
            if not any(
                lanes.known(other, lanes.lane[node]) >= lanes.position[node]
                for other in nodes
                if other != node
            )
        ]
        return reach or [0] * len(lanes.line), tuple(sorted(last))

    def _user(self, need: Need | None, here: int) -> int | None:
        """Give the first op that needs a wait by the host, where one stream holds all that do."""
        if need is None or here not in self.lanes.thread_lanes or len(need.users) != 1:
            return None
        ((lane, op),) = need.users.items()
        return op if self.lanes.line[lane] is Line.STREAM else None
