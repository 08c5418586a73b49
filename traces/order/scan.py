"""Conflicting pairs that nothing orders, one pair per cause: FastTrack over atoms.

For each new access: the last write of the same bytes, and for a write the last read since then of
each lane (rules.md, section 1). One pass, state per atom; a single epoch stands for the reads as
long as they are ordered, so memory does not grow with the number of reads.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.order.atoms import Atoms
from streamsan.traces.order.clocks import Clocks
from streamsan.traces.order.placed import Placed

Pairs = NDArray[np.int32]


class Covered:
    """Whether an allocator's own waits put a former tenant's access before a reuse (R29, R37)."""

    def __init__(self, clocks: Clocks, releases: dict[int, tuple[int, ...]]) -> None:
        """Keep, by buffer, the nodes that are over once its memory is handed out again."""
        self._clocks = clocks
        self._releases = releases

    def __call__(self, buffer: int, node: int) -> bool:
        """Whether ``node``, an access of ``buffer``, is over at the reuse of its memory."""
        return any(
            node == n or self._clocks.is_before(node, n) for n in self._releases.get(buffer, ())
        )


def scan(  # noqa: C901, PLR0912 - one pass, inlined: a call a step would double its cost
    clocks: Clocks, placed: Placed, atoms: Atoms, covered: Covered
) -> Pairs:
    """Give pairs of accesses (indices into ``placed``), shape (pairs, 2), each pair once."""
    lane, position = clocks.lane.tolist(), clocks.position.tolist()
    row_of, rows = clocks.row.tolist(), clocks.rows.tolist()
    node_of, place_of = placed.node.tolist(), placed.place.tolist()
    writes, escapes = placed.write.tolist(), placed.escape.tolist()
    buffer_of = placed.places.buffer.tolist()
    start = atoms.start.tolist()
    spans = [atoms.atom[a:b].tolist() for a, b in pairwise(start)]
    last_write = [-1] * atoms.count
    reads: list[int | dict[int, int]] = [-1] * atoms.count
    found: dict[tuple[int, int], None] = {}

    def check(earlier: int, access: int) -> None:
        one, two = node_of[earlier], node_of[access]
        from_buffer = buffer_of[place_of[earlier]]
        if one != two and not (
            from_buffer != buffer_of[place_of[access]] and covered(from_buffer, one)
        ):
            found[earlier, access] = None

    for access, node in enumerate(node_of):
        if escapes[access]:
            continue  # an escape lasts; see escapes.py
        mine = lane[node]
        clock = rows[row_of[node]]
        write = writes[access]
        for atom in spans[place_of[access]]:
            earlier = last_write[atom]
            if earlier >= 0:
                other = node_of[earlier]
                if lane[other] != mine and clock[lane[other]] < position[other]:
                    check(earlier, access)
            since = reads[atom]
            if write:
                if since.__class__ is dict:
                    for earlier in since.values():
                        other = node_of[earlier]
                        if lane[other] != mine and clock[lane[other]] < position[other]:
                            check(earlier, access)
                elif since >= 0:
                    other = node_of[since]
                    if lane[other] != mine and clock[lane[other]] < position[other]:
                        check(since, access)
            if write:
                last_write[atom] = access
                reads[atom] = -1
            elif since.__class__ is dict:
                since[mine] = access
            elif since < 0:
                reads[atom] = access
            else:
                other = node_of[since]
                if lane[other] == mine or clock[lane[other]] >= position[other]:
                    reads[atom] = access
                else:
                    reads[atom] = {lane[other]: since, mine: access}
    return np.array(list(found), np.int32).reshape(-1, 2)
