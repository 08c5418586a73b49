"""Which ops name a buffer that is not live, in issue order (SO206; SO902 if recorded late)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from streamsan.traces import Trace
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
    if not len(suspects):
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


def _suspects(trace: Trace) -> np.ndarray:
    """Give the names that are freed, or allocated more than once: no other can be dead."""
    frees = trace.obj[np.isin(trace.kind, _FREES)]
    mallocs = trace.obj[np.isin(trace.kind, _MALLOCS)]
    return np.union1d(frees, mallocs)


def _mentions(trace: Trace, suspects: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Give (op, name, kind) of what names a suspect, in issue order, each op and name once."""
    marked = np.zeros(len(trace.names), dtype=bool)
    marked[suspects] = True
    objects = np.flatnonzero(np.isin(trace.kind, _NAMING))
    objects = objects[marked[trace.obj[objects]]]
    names = trace.ranges.name[trace.access_range]
    runs = ~np.isin(trace.kind, (Kind.GRAPH_LAUNCH, Kind.GRAPH_CAPTURE))
    used = np.flatnonzero(marked[names] & (trace.access_mode != MENTION) & runs[trace.access_op])
    pairs = np.concatenate(
        [
            np.stack([objects, trace.obj[objects]], axis=1),
            np.stack([trace.access_op[used], names[used]], axis=1),
        ]
    )
    for op, name in np.unique(pairs, axis=0).tolist():
        yield op, name, int(trace.kind[op])
