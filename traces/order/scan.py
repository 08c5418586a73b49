"""Conflicting pairs that nothing orders, one pair per cause: FastTrack over atoms.

For each new access: the last write of the same bytes, and for a write the last read since then of
each lane (rules.md, section 1). One pass, state per atom; a single epoch stands for the reads as
long as they are ordered, so memory does not grow with the number of reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.order.atoms import Atoms
from streamsan.traces.order.clocks import Clocks
from streamsan.traces.order.graph import Release
from streamsan.traces.order.placed import Placed

Ints = NDArray[np.int32]
Pairs = NDArray[np.int32]


class Covered:
    """Whether an allocator's own waits put a former tenant's access before a reuse (R29, R37)."""

    def __init__(self, clocks: Clocks, releases: Mapping[int, Release], malloc: Ints) -> None:
        """Keep, by buffer, what is over once its memory is handed out, and when that is."""
        self._clocks = clocks
        self._releases = releases
        self._malloc = malloc

    def __call__(self, former: int, later: int, node: int) -> bool:
        """Whether ``node``, an access of buffer ``former``, is over when ``later`` is allocated.

        The allocation of ``later`` proves it only if it comes after the free of ``former``.
        """
        release = self._releases.get(former)
        if release is None or self._malloc[later] <= release.free:
            return False
        return any(node == n or self._clocks.is_before(node, n) for n in release.nodes)


def drop_covered(pairs: Pairs, placed: Placed, covered: Covered) -> Pairs:
    """Leave out the pairs of two tenants that the reuse of their memory itself orders."""
    buffer, node = placed.places.buffer[placed.place[pairs]], placed.node[pairs]
    keep = buffer[:, 0] == buffer[:, 1]
    for i in np.flatnonzero(~keep).tolist():
        (one, two), (a, b) = buffer[i].tolist(), node[i].tolist()
        keep[i] = not (covered(one, two, a) or covered(two, one, b))
    found: Pairs = pairs[keep]
    return found


def scan(  # noqa: C901, PLR0912 - one pass, inlined: a call a step would double its cost
    clocks: Clocks, placed: Placed, atoms: Atoms
) -> Pairs:
    """Give pairs of accesses (indices into ``placed``), shape (pairs, 2), each pair once.

    Pairs of two tenants of one memory are among them: see ``drop_covered``.
    """
    lane, position = clocks.lane.tolist(), clocks.position.tolist()
    row_of, rows = clocks.row.tolist(), clocks.rows.tolist()
    node_of, place_of = placed.node.tolist(), placed.place.tolist()
    writes, escapes = placed.write.tolist(), placed.escape.tolist()
    start = atoms.start.tolist()
    spans = [atoms.atom[a:b].tolist() for a, b in pairwise(start)]
    last_write = [-1] * atoms.count
    reads: list[int | dict[int, int]] = [-1] * atoms.count
    found: dict[tuple[int, int], None] = {}

    def check(earlier: int, access: int) -> None:
        if node_of[earlier] != node_of[access]:
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
