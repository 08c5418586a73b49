"""What a cost costs: bytes, and times where the trace has them. Times never decide anything."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from streamsan.checkers.facts.blocking import Blocking, Copy
from streamsan.checkers.facts.history import History, Move
from streamsan.checkers.facts.iterations import Iterations
from streamsan.checkers.facts.lanes import Lanes
from streamsan.checkers.facts.waste import HOST_WAITS
from streamsan.traces.model import NONE

SOON = 64
"""Later waits of a thread among which the next payer is looked for."""


class Prices:
    """Prices waits and copies. What is not known is left out."""

    def __init__(self, lanes: Lanes, blocking: Blocking, history: History) -> None:
        """Keep what the prices are made from."""
        self.lanes = lanes
        self.trace = lanes.trace
        self.blocking = blocking
        self.history = history

    def time(self, column: str, op: int) -> int | None:
        """Give a time of an op: ``t``, ``t_end``, ``begin`` or ``end``."""
        value = int(getattr(self.trace, column)[op])
        return None if value == NONE else value

    def span(self, first: str, last: str, op: int) -> int | None:
        """Give the time between two times of an op."""
        start, stop = self.time(first, op), self.time(last, op)
        return None if start is None or stop is None else max(0, stop - start)

    def _end(self, ops: Iterable[int]) -> int | None:
        ends = [self.time("end", op) for op in ops]
        known = [end for end in ends if end is not None]
        return max(known, default=0) if len(known) == len(ends) else None

    # --- copies

    def blocking_copy(self, copy: Copy) -> dict[str, Any]:
        """Price a copy at which the host waits, and say who waits next if it does not."""
        found: dict[str, Any] = {"drained": copy.drained, **self.moved(copy.op)}
        last, op = copy.last, copy.op if copy.pair is None else copy.pair
        payer = None if last is None else self.next_payer(op, last)
        if payer is not None:
            found["next_payer"] = payer
        start, stop = self.time("t", copy.op), self.time("t_end", op)
        if start is None or stop is None or last is None:
            return found
        found["wait_ns"] = wait = max(0, stop - start)
        end, then = self._end([last]), None if payer is None else self.time("t", payer)
        if payer is None:
            found["avoidable_ns"] = wait
        elif end is not None and then is not None:
            moves = min(wait, max(0, end - (then - wait)))
            found["avoidable_ns"], found["moves_ns"] = wait - moves, moves
        return found

    def moved(self, op: int) -> dict[str, Any]:
        """Give the bytes of a copy, its time on the link, and in what iteration it stands."""
        move = self.history.move_of.get(op)
        size = None if move is None else self._bytes(move)
        link = self.span("begin", "end", op)
        given = {"bytes": size, "link_ns": link, **self.iteration(op)}
        return {key: value for key, value in given.items() if value is not None}

    @cached_property
    def _iterations(self) -> Iterations:
        return Iterations(self.trace)

    def iteration(self, op: int) -> dict[str, Any]:
        """Name the repeated region in which an op stands, and say how often it is entered."""
        found = self._iterations.of(op)
        return {} if found is None else {"iteration": found.name, "iterations": found.times}

    def _bytes(self, move: Move) -> int | None:
        """Give the bytes of a copy. A profiler knows their number, and no buffer."""
        given = self.trace.extras.get(move.op, {}).get("bytes")
        if isinstance(given, int):
            return given
        placed = self.lanes.order.placed
        sizes = [self.history.size(int(placed.place[a])) for a in (move.source, move.target)]
        return next((size for size in sizes if size is not None), None)

    def per_second(self, size: int) -> dict[str, int]:
        """Give a number of bytes over the time that the trace spans."""
        known = [c[c != NONE] for c in (self.trace.t, self.trace.begin, self.trace.end)]
        low = min((int(c.min()) for c in known if len(c)), default=0)
        high = max((int(c.max()) for c in known if len(c)), default=0)
        return {"bytes_per_second": size * 10**9 // (high - low)} if high > low else {}

    # --- waits

    @cached_property
    def _payers(self) -> dict[int, list[int]]:
        """By thread: the ops at which it waits."""
        waits = set(np.flatnonzero(np.isin(self.trace.kind, HOST_WAITS)).tolist())
        waits.update(
            copy.op
            for copy in self.blocking.copies
            if copy.waits or (copy.kind == "D2H" and copy.staged)
        )
        found: dict[int, list[int]] = {}
        for op in sorted(waits):
            found.setdefault(int(self.trace.thread[op]), []).append(op)
        return found

    def next_payer(self, op: int, work: int) -> int | None:
        """Give the next op at which a thread would wait for some work if ``op`` did not."""
        lanes, op_node = self.lanes, self.lanes.order.graph.op_node
        node = int(op_node[work])
        mine = self._payers.get(int(self.trace.thread[op]), [])
        at = int(np.searchsorted(mine, op, side="right"))
        for later in mine[at : at + SOON]:
            known = lanes.known(int(op_node[later]), lanes.lane[node])
            if known >= lanes.position[node]:
                return later
        return None

    def host_wait(self, op: int, needed: Iterable[int] | None) -> dict[str, Any]:
        """Price a wait of the host: how long, and how much of it after what is needed was done.

        ``needed`` are the ops that have to be waited for, None where that is not known.
        """
        start, stop = self.time("t", op), self.time("t_end", op)
        if start is None or stop is None:
            return {}
        found = {"wait_ns": max(0, stop - start)}
        end = None if needed is None else self._end(needed)
        if end is not None:
            found["avoidable_ns"] = max(0, stop - max(start, end))
        return found

    def stream_wait(self, op: int, needed: Iterable[int]) -> dict[str, Any]:
        """Price a wait of a stream: how much earlier its next work could have begun."""
        lanes = self.lanes
        node = int(lanes.order.graph.op_node[op])
        lane, at = lanes.lane[node], lanes.position[node]
        if lane not in lanes.work:
            return {}
        positions, ops = lanes.work[lane]
        place = int(np.searchsorted(positions, at))
        if place == len(ops):
            return {}
        first = int(ops[place])
        begin, call, end = self.time("begin", first), self.time("t", first), self._end(needed)
        before = self._end([int(ops[place - 1])]) if place else 0
        if begin is None or end is None or before is None:
            return {}
        return {"avoidable_ns": max(0, begin - max(end, before, call or 0))}
