"""Downloads whose bytes nobody reads, or hardly any (SO501)."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, NamedTuple

from streamsan.checkers.facts.history import History, Move
from streamsan.checkers.facts.lanes import Lanes
from streamsan.traces.ops import Kind

READ_BY_ITSELF = frozenset(
    {"item", "tolist", "bool", "nonzero", "mask_index", "unique", "repeat_interleave"}
)
"""What the program wrote reads the value as part of the same call."""
PART = 4
"""A copy is hardly read where not even one byte in so many is."""
WORTH = 4096
"""Fewer unread bytes of a copy that is read cost nothing: the copy takes as long without them."""
_QUIET = (
    Kind.MARK,
    Kind.REGION_BEGIN,
    Kind.REGION_END,
    Kind.STREAM_DESTROY,
    Kind.EVENT_DESTROY,
)

End = Literal["overwritten", "freed", "left"]


class Dead(NamedTuple):
    """A download with unread bytes: how they end, how many, and which where only part is dead.

    ``by`` is the op that overwrites or frees them, or after which the program went on.
    """

    move: Move
    end: End
    by: int
    size: int | None
    dead: int | None
    parts: list[list[int]]


class Downloads:
    """Looks at what becomes of every download."""

    def __init__(self, lanes: Lanes, history: History) -> None:
        """Keep the lanes and the history."""
        self.lanes = lanes
        self.history = history
        self.trace = lanes.trace

    @cached_property
    def dead(self) -> list[Dead]:
        """The downloads that are not read, in issue order."""
        moves = [m for m in self.history.moves if m.kind == "D2H"]
        found = (self._judge(m) for m in moves if self.trace[m.op].via not in READ_BY_ITSELF)
        return [dead for dead in found if dead is not None]

    def _judge(self, move: Move) -> Dead | None:
        placed, buffers = self.lanes.order.placed, self.trace.buffers
        place, buffer = int(placed.place[move.target]), int(placed.buffer[move.target])
        if self.history.escaped[place]:
            return None
        free = int(buffers.free[buffer])
        live: set[int] = set()
        ends: set[tuple[End, int]] = set()
        for use in self.history.next_uses(move.target, place):
            op = int(placed.op[use]) if use >= 0 else -1
            if use < 0 or 0 <= free < op:
                ends.add(("freed", free) if free >= 0 else ("left", -1))
            elif placed.write[use]:
                ends.add(("overwritten", op))
            else:
                live.add(int(placed.place[use]))
        if ("left", -1) in ends:
            gone_on = self._gone_on(move)
            if gone_on is None:
                return None
            ends.discard(("left", -1))
            ends.add(("left", gone_on))
        return self._weigh(move, place, live, ends) if ends else None

    def _weigh(
        self, move: Move, place: int, live: set[int], ends: set[tuple[End, int]]
    ) -> Dead | None:
        size = self.history.size(place)
        if size == 0:
            return None
        end, by = min(ends, key=lambda e: e[1])
        if not live:
            return Dead(move, end, by, size, size, [])
        if size is None:
            return None
        parts = self.history.bytes_left(place, live)
        dead = sum(length for _, length in parts)
        if dead < WORTH or (size - dead) * PART > size:
            return None
        return Dead(move, end, by, size, dead, parts)

    def _gone_on(self, move: Move) -> int | None:
        """Give the op by which a thread that has waited for a download has gone on.

        A download that nothing waited for is not judged: a pipelined program reads it later.
        """
        lanes = self.lanes
        node = int(self.lanes.order.placed.node[move.target])
        lane, position = lanes.lane[node], lanes.position[node]
        for thread in lanes.thread_lanes:
            place = lanes.first_knowing(thread, lane, position)
            if place > len(lanes.nodes[thread]):
                continue
            op = lanes.op[lanes.nodes[thread][place - 1]]
            name = int(self.trace.thread[op])
            later = (o for o in lanes.thread_after(op, name) if self.trace.kind[o] not in _QUIET)
            found = next(later, None)
            if found is not None:
                return found
        return None
