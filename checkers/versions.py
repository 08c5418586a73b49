"""Which of several copies into the same bytes a host read waited for."""

from __future__ import annotations

import numpy as np

from streamsan.checkers.conflicts import Conflict, is_copy
from streamsan.traces.order import HappensBefore


def waited_version(order: HappensBefore, conflict: Conflict) -> int | None:
    """Give the earlier copy into the bytes of ``conflict``'s copy that the host's read comes after.

    That makes the read ambiguous (SO116) instead of early (SO111): copy k was waited for, copy k+1
    into the same bytes is under way. None where no earlier copy was waited for.
    """
    if conflict.sides != ("device", "host") or conflict.kind != "RAW":
        return None
    copy, read = conflict.ops
    if not is_copy(order, copy):
        return None
    placed, clocks = order.placed, order.clocks
    place, node = int(placed.place[conflict.first]), int(placed.node[conflict.second])
    base = placed.places.base
    candidates = np.flatnonzero(
        placed.write & (placed.op < copy) & (base[placed.place] == base[place])
    )
    for access in candidates[::-1].tolist():
        earlier = int(placed.node[access])
        if (
            is_copy(order, int(placed.op[access]))
            and clocks.is_before(earlier, node)
            and placed.places.overlap(int(placed.place[access]), place) is not None
        ):
            return int(placed.op[access])
    return None

