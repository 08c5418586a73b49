"""Which waits a piece of order hangs on: those without which it would fail.

Between a place on a lane and a node that comes after it, every path leads through some edges
between lanes. A wait is **indispensable** where all of them lead through edges that it adds.
"""

from __future__ import annotations

from collections.abc import Sequence

from streamsan.checkers.facts.lanes import Lanes

MOST_EDGES = 400
"""Edges looked at for a way round a wait. Where that is not enough the wait is held to be needed:
then a finding may be missed, and no wait is called useless that is not."""


class Paths:
    """Looks for ways round a wait. Positions are those of ``Lanes``."""

    def __init__(self, lanes: Lanes) -> None:
        """Keep the lanes."""
        self.lanes = lanes

    def path(self, lane: int, position: int, to: Sequence[int]) -> list[int]:
        """Give the waits on one path from a position to one of some nodes; none are on none."""
        lanes = self.lanes
        node = next((n for n in to if lanes.known(n, lane) >= position), -1)
        waits: list[int] = []
        while node >= 0 and lanes.lane[node] != lane:
            here, at = lanes.lane[node], lanes.position[node]
            first = lanes.first_knowing(here, lane, position)
            edge = next(
                (
                    e
                    for e in lanes.entries(here, first - 1, min(first, at))
                    if lanes.known(lanes.source[e], lane) >= position
                ),
                -1,
            )
            if edge < 0:
                return []
            if lanes.goes_with[edge] >= 0:
                waits.append(lanes.goes_with[edge])
            node = lanes.source[edge]
        return waits

    def avoids(self, lane: int, position: int, to: Sequence[int], wait: int) -> bool:
        """Whether some path from a position to one of some nodes needs no edge of a wait.

        Nor one that no document promises.
        """
        lanes, budget = self.lanes, MOST_EDGES
        seen: dict[int, int] = {}
        todo = [n for n in to if lanes.known(n, lane) >= position]
        while todo:
            node = todo.pop()
            here, at = lanes.lane[node], lanes.position[node]
            if here == lane:
                return True
            low = max(seen.get(here, 0), lanes.first_knowing(here, lane, position) - 1)
            seen[here] = max(seen.get(here, 0), at)
            for edge in lanes.entries(here, low, at):
                budget -= 1
                if budget < 0:
                    return False
                source = lanes.source[edge]
                is_way = lanes.goes_with[edge] != wait and not lanes.unpromised[edge]
                is_new = lanes.position[source] > seen.get(lanes.lane[source], 0)
                if is_way and is_new and lanes.known(source, lane) >= position:
                    todo.append(source)
        return False
