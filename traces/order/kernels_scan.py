"""The kernel of ``scan``: FastTrack over atoms, in machine code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.order.kernels import Indices, Ints, kernel

Flags = NDArray[np.bool_]

# The state of an atom: one epoch for its last write, one for its reads.
# An epoch is an access, and the lane and the position of its node.
WIDTH = 6
W_ACCESS, W_LANE, W_POSITION, R_ACCESS, R_LANE, R_POSITION = range(WIDTH)


@kernel
def scan_accesses(  # noqa: C901, PLR0912, PLR0915, PLR0917
    access: int,
    skip: int,
    lane: Indices,
    position: Ints,
    row: Indices,
    rows: NDArray[np.int32],
    node_of: Indices,
    place_of: Indices,
    writes: Flags,
    escapes: Flags,
    atom_start: Indices,
    atoms: Indices,
    state: Ints,
    seen: Ints,
    pool: Ints,
    free: Ints,
    free_count: int,
    pairs: Ints,
    count: int,
) -> tuple[int, int, int, int]:
    """Scan from ``access`` on, without its first ``skip`` atoms; pairs go to ``pairs``.

    Concurrent reads of one atom stand in a slot of the pool: how many lanes read, those lanes in
    the order of their first read, and the last read of each lane. A write gives the slot back.
    ``seen``: zeros, one an access; the later access of the last pair that it is the earlier of.

    Stops where pool or pairs are full. Gives the place to go on from (access, atoms to skip) and
    how many slots are free and how many pairs there are.
    """
    lanes = rows.shape[1]
    width = 2 * lanes + 1
    while access < len(node_of):
        if escapes[access]:
            access += 1
            continue
        node, place, write = node_of[access], place_of[access], writes[access]
        mine, here, clock = lane[node], position[node], row[node]
        for k in range(atom_start[place] + skip, atom_start[place + 1]):
            if free_count == 0 or 2 * (count + lanes + 1) > len(pairs):
                return access, int(k - atom_start[place]), free_count, count
            at = atoms[k] * WIDTH
            earlier, other = state[at + W_ACCESS], state[at + W_LANE]
            if earlier >= 0 and other != mine and rows[clock, other] < state[at + W_POSITION]:
                count = _check(earlier, access, seen, pairs, count, node_of)
            since, other = state[at + R_ACCESS], state[at + R_LANE]
            unordered = other != mine and rows[clock, other] < state[at + R_POSITION]
            if write:
                if since >= 0 and unordered:
                    count = _check(since, access, seen, pairs, count, node_of)
                elif since < -1:
                    slot = (-2 - since) * width
                    for i in range(pool[slot]):
                        other = pool[slot + 1 + i]
                        earlier = pool[slot + 1 + lanes + other]
                        if other != mine and rows[clock, other] < position[node_of[earlier]]:
                            count = _check(earlier, access, seen, pairs, count, node_of)
                    free[free_count] = -2 - since
                    free_count += 1
                state[at + W_ACCESS] = access
                state[at + W_LANE] = mine
                state[at + W_POSITION] = here
                state[at + R_ACCESS] = -1
            elif since < -1:
                slot = (-2 - since) * width
                if pool[slot + 1 + lanes + mine] < 0:
                    pool[slot] += 1
                    pool[slot + pool[slot]] = mine
                pool[slot + 1 + lanes + mine] = access
            elif since >= 0 and unordered:
                free_count -= 1
                slot = free[free_count] * width
                for i in range(slot + 1 + lanes, slot + width):
                    pool[i] = -1
                pool[slot] = 2
                pool[slot + 1] = other
                pool[slot + 2] = mine
                pool[slot + 1 + lanes + other] = since
                pool[slot + 1 + lanes + mine] = access
                state[at + R_ACCESS] = -2 - free[free_count]
            else:
                state[at + R_ACCESS] = access
                state[at + R_LANE] = mine
                state[at + R_POSITION] = here
        skip = 0
        access += 1
    return access, 0, free_count, count


@kernel
def _check(  # noqa: PLR0917
    earlier: int, access: int, seen: Ints, pairs: Ints, count: int, node_of: Indices
) -> int:
    """Add a pair, unless it is one op's own or this access has it already."""
    if node_of[earlier] == node_of[access] or seen[earlier] == access:
        return count
    seen[earlier] = access
    pairs[2 * count] = earlier
    pairs[2 * count + 1] = access
    return count + 1
