"""Which ops name a buffer that is not live, in issue order (SO206; SO902 if recorded late)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamsan.traces import Trace
from streamsan.traces.instances import is_kind
from streamsan.traces.layout import MENTION
from streamsan.traces.ops import Kind

_MALLOCS = (Kind.MALLOC, Kind.MALLOC_ASYNC)
_FREES = (Kind.FREE, Kind.FREE_ASYNC)
_NAMING = (*_MALLOCS, *_FREES, Kind.RECORD_STREAM, Kind.HOST_REGISTER, Kind.HOST_UNREGISTER)


class DeadUse(NamedTuple):
    """An op on a name that is not live (or a malloc of one that is); ``free`` came before it."""

    op: int
    free: int | None
    name: int
    what: Literal["use", "free", "unknown-free", "malloc"]


def dead_uses(trace: Trace) -> Iterator[DeadUse]:
    """Go through the names that are freed or allocated twice, and give each cause once."""
    suspects = _suspects(trace)
    if not suspects.any():
        return
    live: dict[int, bool] = {}
    freed: dict[int, int] = {}
    told: set[int] = set()
    allocated: set[int] = set()
    for op, name, kind in _mentions(trace, suspects):
        if kind in _MALLOCS:
            if live.get(name, False):
                yield DeadUse(op, None, name, "malloc")
            live[name] = True
            allocated.add(name)
            freed.pop(name, None)
        elif name in freed:
            is_free = kind in _FREES
            if is_free or freed[name] not in told:
                told.add(freed[name])
                yield DeadUse(op, freed[name], name, "free" if is_free else "use")
        elif kind in _FREES:
            if name not in allocated:
                yield DeadUse(op, None, name, "unknown-free")
            live[name] = False
            freed[name] = op
        else:
            live[name] = True


def _suspects(trace: Trace) -> NDArray[np.bool_]:
    """Mark the names that are freed or allocated: no other can be dead."""
    marked = np.zeros(len(trace.names), dtype=bool)
    marked[trace.obj[is_kind(trace.kind, *_MALLOCS, *_FREES)]] = True
    return marked


def _mentions(trace: Trace, marked: NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Give (op, name, kind) of what names a suspect, in issue order, each op and name once."""
    objects = np.flatnonzero(is_kind(trace.kind, *_NAMING))
    objects = objects[marked[trace.obj[objects]]]
    names = trace.ranges.name[trace.access_range]
    runs = ~is_kind(trace.kind, Kind.GRAPH_LAUNCH, Kind.GRAPH_CAPTURE)
    used = np.flatnonzero(marked[names] & (trace.access_mode != MENTION) & runs[trace.access_op])
    pairs = dict.fromkeys(zip(objects.tolist(), trace.obj[objects].tolist(), strict=True))
    pairs |= dict.fromkeys(zip(trace.access_op[used].tolist(), names[used].tolist(), strict=True))
    for op, name in sorted(pairs):
        yield op, name, int(trace.kind[op])
