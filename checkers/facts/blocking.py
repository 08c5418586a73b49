"""Copies at which the host waits, and the work in flight that they have to drain."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from streamsan.checkers.facts.lanes import Lanes
from streamsan.traces.ops import Kind
from streamsan.traces.order.semantics import copy_kind
from streamsan.traces.ranges import pieces


class Copy(NamedTuple):
    """A copy between host and device; ``buffers`` are its source and its destination.

    ``waits``: the host waits for it, by ``async`` or by a synchronise of its stream that is part
    of it (``pair``). ``pageable``: its host side is pageable, ``strided``: it is in pieces.
    ``first`` and ``last`` are the first and the last op in flight that must end before it can,
    None where there is none, and ``drained`` counts them.
    """

    op: int
    kind: str
    buffers: tuple[int, int]
    waits: bool
    pageable: bool
    strided: bool
    pair: int | None
    first: int | None
    last: int | None
    drained: int

    @property
    def staged(self) -> bool:
        """Whether the driver, or the framework, has to stage it."""
        return self.pageable or self.strided


class Drained(NamedTuple):
    """Work of one stream that a thread did not know to be done: first and last op, how many."""

    first: int
    last: int
    ops: int


class Blocking:
    """Looks at every copy of a trace."""

    def __init__(self, lanes: Lanes) -> None:
        """Keep the lanes."""
        self.lanes = lanes
        self.order = lanes.order

    @cached_property
    def copies(self) -> list[Copy]:
        """Every copy between host and device, in issue order."""
        trace = self.order.trace
        found = []
        for op in np.flatnonzero(trace.kind == Kind.MEMCPY).tolist():
            copy = self._copy(op)
            if copy is not None:
                found.append(copy)
        return found

    @cached_property
    def pairs(self) -> set[int]:
        """The synchronises that are part of a copy."""
        return {copy.pair for copy in self.copies if copy.pair is not None}

    def _copy(self, op: int) -> Copy | None:
        trace = self.order.trace
        view, buffers = trace[op], trace.buffers
        first = int(trace.access_start[op])
        ends = (int(buffers.of_access[first]), int(buffers.of_access[first + 1]))
        spaces = [buffers.space[end] for end in ends]
        kind = copy_kind(view.bit("kind"), *spaces)
        if kind not in ("H2D", "D2H"):
            return None
        pair = self._pair(op)
        blocks = view.bit("async_") is False or pair is not None
        side = 0 if kind == "H2D" else 1
        pageable = spaces[side] == "pageable"
        strided = view.via != "raw" and not blocks and self._in_pieces(first + side)
        drained = self._newly_known(op) if blocks or pageable or strided else []
        return Copy(
            op, kind, ends, blocks, pageable, strided, pair,
            min((d.first for d in drained), default=None),
            max((d.last for d in drained), default=None), sum(d.ops for d in drained),
        )  # fmt: skip

    def _in_pieces(self, access: int) -> bool:
        """Whether a range is a view whose bytes do not stand next to each other."""
        ranges = self.order.trace.ranges
        view = int(ranges.strided[self.order.trace.access_range[access]])
        return view >= 0 and pieces(ranges.views[view]) > 1

    def _pair(self, op: int) -> int | None:
        """The older form of a blocking copy: the thread's next op synchronises its stream.

        Both at one site (trace-format.md, detail 1); a profile without sites shows it by the calls
        alone.
        """
        trace = self.order.trace
        later = next(self.lanes.thread_after(op), None)
        if later is None or trace.kind[later] != Kind.STREAM_SYNCHRONIZE:
            return None
        if trace.streams.of_op[later] != trace.streams.of_op[op]:
            return None
        same_site = trace.site[op] >= 0 and trace.site[op] == trace.site[later]
        return later if same_site or not trace.header.complete.accesses else None

    def drained_by_host(self, op: int) -> list[Drained]:
        """Give, for each stream with work in flight, what a host wait drains."""
        return self._newly_known(op)

    def _newly_known(self, op: int) -> list[Drained]:
        """Give, by stream, the work before an op that its thread did not know of.

        Work of other streams counts where the op's stream has inherited a wait for it.
        """
        lanes = self.lanes
        node = int(self.order.graph.op_node[op])
        caller = lanes.host_before(op)
        before = lanes.clock(node).copy()
        before[lanes.lane[node]] = lanes.position[node] - 1
        known = lanes.clock(caller) if caller >= 0 else [0] * len(before)
        found = []
        for lane in lanes.work:
            ops = lanes.work_between(lane, known[lane], before[lane])
            if len(ops):
                found.append(Drained(int(ops[0]), int(ops[-1]), len(ops)))
        return found
