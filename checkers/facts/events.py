"""Events: their generations, and what waited for which."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cached_property
from typing import NamedTuple

import numpy as np

from streamsan.traces.ops import Kind
from streamsan.traces.order import HappensBefore

NEAREST = 32
"""Waits looked at for what was meant: a bound, so that many hazards stay cheap."""
_WAITS = (Kind.STREAM_WAIT_EVENT, Kind.EVENT_SYNCHRONIZE, Kind.EVENT_QUERY)


class Generation(NamedTuple):
    """One record of an event, the waits bound to it, and the next wait of the event after it."""

    record: int
    waits: tuple[int, ...]


class Waits:
    """Every event of a trace; a ``life`` ends where the event is destroyed or created again."""

    def __init__(self, order: HappensBefore) -> None:
        """Walk the ops on events in issue order."""
        self.order = order
        trace = order.trace
        kinds = (Kind.EVENT_RECORD, Kind.EVENT_CREATE, Kind.EVENT_DESTROY, *_WAITS)
        self.lives: list[list[Generation]] = []
        self.unrecorded: list[int] = []
        self.bound: list[tuple[int, int]] = []
        """(wait, record) for every wait with a record."""
        self.destroyed: set[int] = set()
        """Waits for an event that was destroyed and not made again (SO305)."""
        self._records: dict[int, list[int]] = {}
        self._dead: set[int] = set()
        current: dict[int, list[Generation]] = {}
        for op in np.flatnonzero(np.isin(trace.kind, kinds)).tolist():
            event, kind = int(trace.obj[op]), int(trace.kind[op])
            if kind in (Kind.EVENT_CREATE, Kind.EVENT_DESTROY):
                self.lives.append(current.pop(event, []))
                (self._dead.add if kind == Kind.EVENT_DESTROY else self._dead.discard)(event)
            elif kind == Kind.EVENT_RECORD:
                self._dead.discard(event)
                self._records.setdefault(event, []).append(op)
                current.setdefault(event, []).append(Generation(op, ()))
            elif kind != Kind.EVENT_QUERY or trace[op].bit("result") == "success":
                self._wait(op, current.get(event))
        self.lives.extend(current.values())

    def _wait(self, op: int, life: list[Generation] | None) -> None:
        if life:
            life[-1] = Generation(life[-1].record, (*life[-1].waits, op))
            self.bound.append((op, life[-1].record))
        elif self.order.trace.kind[op] != Kind.EVENT_QUERY:
            self.unrecorded.append(op)
            if int(self.order.trace.obj[op]) in self._dead:
                self.destroyed.add(op)

    @cached_property
    def _by_line(self) -> dict[int, list[tuple[int, int]]]:
        found: dict[int, list[tuple[int, int]]] = {}
        graph = self.order.graph
        for wait, record in self.bound:
            lane = int(graph.node_lane[graph.op_node[wait]])
            found.setdefault(lane, []).append((wait, record))
        return found

    def before_on_line(self, lane: int, op: int) -> list[tuple[int, int]]:
        """Give (wait, record) of the nearest waits that a lane makes before an op, latest first."""
        mine = self._by_line.get(lane, [])
        stop = bisect_right(mine, (op, len(self.order.trace)))
        return mine[max(0, stop - NEAREST) : stop][::-1]

    def records_before(self, wait: int) -> list[int]:
        """Give every earlier record of the event that an op waits for."""
        records = self._records.get(int(self.order.trace.obj[wait]), [])
        return records[: bisect_left(records, wait)]
