"""Slots: fields that may hold no value for a while, are made later, or may be taken once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streamsan.traces import Trace
from streamsan.traces.ops import Kind

_KINDS = (Kind.SLOT_DEFER, Kind.SLOT_RESOLVE, Kind.SLOT_READ, Kind.SLOT_CONSUME)


class SlotUse(NamedTuple):
    """A read or a consume, and the state of its slot then: ops, None where there was none."""

    op: int
    deferred: int | None
    resolved: int | None
    """The latest resolve, whenever it was."""
    empty: bool
    """Whether the field held no value."""
    consumed: int | None
    """An earlier consume with no defer since."""


def slot_uses(trace: Trace) -> list[SlotUse]:
    """Walk the slots of a trace in issue order."""
    state: dict[int, SlotUse] = {}
    found: list[SlotUse] = []
    blank = SlotUse(-1, None, None, empty=False, consumed=None)
    for op in np.flatnonzero(np.isin(trace.kind, _KINDS)).tolist():
        slot, kind = int(trace.obj[op]), trace.kind[op]
        now = state.get(slot, blank)
        if kind == Kind.SLOT_DEFER:
            now = now._replace(deferred=op, empty=True, consumed=None)
        elif kind == Kind.SLOT_RESOLVE:
            now = now._replace(resolved=op, empty=False)
        else:
            found.append(now._replace(op=op))
            if kind == Kind.SLOT_CONSUME and not now.empty:
                now = now._replace(consumed=op)
        state[slot] = now
    return found
