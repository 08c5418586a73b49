"""Unordered conflicts between ops, classed by the lines they stand on.

``order.pairs`` has pairs of accesses, one per cause. Here the accesses of one pair of ops on one
buffer become one Conflict, named by the strongest of its kinds: RAW beats WAR beats WAW.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from streamsan.checkers.finding import Confidence
from streamsan.traces.order import HappensBefore, kind_of
from streamsan.traces.order.edges import Line

Side = Literal["device", "host", "agent", "task"]
_STRENGTH = {"RAW": 0, "WAR": 1, "WAW": 2}
_SIDES: dict[Line, Side] = {
    Line.STREAM: "device",
    Line.SIDE: "device",
    Line.THREAD: "host",
    Line.AGENT: "agent",
    Line.TASK: "task",
}


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two ops in issue order whose accesses conflict and that nothing orders.

    ``first`` and ``second`` are indices into ``order.placed``; ``buffer`` and ``former`` are
    buffers, different where a block changed its tenant in between.
    """

    ops: tuple[int, int]
    kind: Literal["RAW", "WAR", "WAW"]
    first: int
    second: int
    sides: tuple[Side, Side]
    former: int
    buffer: int
    confidence: Confidence = "certain"
    owned: bool = True
    """Whether the owner of ``buffer``'s block is known."""
    count: int = 1
    """How many conflicts of the same pair of sites on the same buffer it stands for."""

    @property
    def named(self) -> int:
        """The buffer that a finding names: the new tenant, or the former of a block unowned."""
        return self.buffer if self.owned else self.former

    @property
    def changes_tenant(self) -> bool:
        """Whether the two ops name two buffers in one memory."""
        return self.former != self.buffer

    @property
    def on_device(self) -> bool:
        """Whether both ops are device work on one buffer."""
        return self.sides == ("device", "device") and not self.changes_tenant

    @property
    def is_host_read(self) -> bool:
        """Whether host code reads what device work writes."""
        return not self.changes_tenant and (
            (self.sides == ("device", "host") and self.kind == "RAW")
            or (self.sides == ("host", "device") and self.kind == "WAR")
        )

    @property
    def is_host_write(self) -> bool:
        """Whether host code writes what device work reads or writes."""
        return not self.changes_tenant and (
            (self.sides == ("device", "host") and self.kind != "RAW")
            or (self.sides == ("host", "device") and self.kind != "WAR")
        )


def find_conflicts(order: HappensBefore, *, every: bool = False) -> list[Conflict]:
    """Give the conflicts of a trace, in issue order of their later op.

    Repeats of a pair of sites on one buffer become one, with a count, unless ``every``.
    """
    best: dict[tuple[int, int, int, int], Conflict] = {}
    for first, second in order.pairs.tolist():
        _keep(best, _conflict(order, first, second, "certain"))
    for first, second in _escapes(order):
        _keep(best, _conflict(order, first, second, "possible"))
    found = sorted(best.values(), key=lambda c: (c.ops[1], c.ops[0], c.buffer))
    return found if every else _merge(order, found)


def _merge(order: HappensBefore, conflicts: list[Conflict]) -> list[Conflict]:
    """Merge before evidence is made, which is dear. An op without a site merges with nothing."""
    site = order.trace.site.tolist()
    name = order.trace.buffers.name
    kept: dict[object, Conflict] = {}
    for conflict in conflicts:
        one, two = (site[op] for op in conflict.ops)
        key: object = conflict.ops
        if one >= 0 and two >= 0:
            key = (one, two)
        key = (
            key, conflict.kind, conflict.sides, conflict.confidence,
            int(name[conflict.former]), int(name[conflict.buffer]),
        )  # fmt: skip
        first = kept.get(key)
        kept[key] = conflict if first is None else replace(first, count=first.count + 1)
    return list(kept.values())


def _keep(best: dict[tuple[int, int, int, int], Conflict], found: Conflict) -> None:
    key = (*found.ops, found.former, found.buffer)
    if key not in best or _STRENGTH[found.kind] < _STRENGTH[best[key].kind]:
        best[key] = found


def _conflict(order: HappensBefore, first: int, second: int, confidence: Confidence) -> Conflict:
    placed = order.placed
    if (placed.op[first], first) > (placed.op[second], second):
        first, second = second, first
    sides = (side_of(order, int(placed.node[first])), side_of(order, int(placed.node[second])))
    one, two = (bool(placed.write[i] or placed.escape[i]) for i in (first, second))
    if placed.escape[first]:
        one = not two  # the host's unseen access is the one that makes the stronger conflict
    if placed.escape[second]:
        two = not one
    return Conflict(
        (int(placed.op[first]), int(placed.op[second])),
        kind_of(one, two),
        first,
        second,
        sides,
        int(placed.buffer[first]),
        int(placed.buffer[second]),
        confidence,
        bool(order.trace.buffers.owner[int(placed.buffer[second])] >= 0),
    )


def side_of(order: HappensBefore, node: int) -> Side:
    """Tell on what kind of line a node stands."""
    return _SIDES[order.graph.lane_line[int(order.graph.node_lane[node])]]


def _escapes(order: HappensBefore) -> list[tuple[int, int]]:
    """Give (escape, access) for device work that may meet the host's unseen accesses.

    From a ``host_escape`` to the buffer's free the host may touch the range at any time
    (trace-format.md, detail 14); the nearest access of each stream stands for the others.
    """
    placed, clocks = order.placed, order.clocks
    found: list[tuple[int, int]] = []
    for escape in np.flatnonzero(placed.escape).tolist():
        node, place = int(placed.node[escape]), int(placed.place[escape])
        base = placed.places.base
        same = np.flatnonzero((base[placed.place] == base[place]) & ~placed.escape)
        seen: set[tuple[int, bool]] = set()
        for access in same.tolist():
            other = int(placed.node[access])
            lane = int(clocks.lane[other])
            key = (lane, bool(placed.write[access]))
            if key in seen or side_of(order, other) != "device" or clocks.is_before(other, node):
                continue
            if int(placed.buffer[access]) != int(placed.buffer[escape]):
                continue
            if placed.places.overlap(place, int(placed.place[access])) is not None:
                seen.add(key)
                found.append((escape, access))
    return found
