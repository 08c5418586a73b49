"""What the format demands beyond the types of single keys.

Every function raises ``OpError`` for the first op that contradicts the format; readers turn the
op into a line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from streamsan.traces import ops as o
from streamsan.traces.graph_nodes import parse_node
from streamsan.traces.instances import is_kind
from streamsan.traces.intern import Names, RangeTable
from streamsan.traces.words import in_words

if TYPE_CHECKING:
    from streamsan.traces.model import Trace

MAX_DEPTH = 100
"""How deep values of free form (tags, unknown keys) may nest: later code reads them recursively."""


class OpError(Exception):
    """Raised where an op contradicts the format; readers add the line."""

    def __init__(self, op: int, reason: str) -> None:
        """Keep the op's id and what is wrong with it."""
        self.op = op
        self.reason = reason
        super().__init__(f"op {op}: {reason}")


def check_ranges(trace: Trace) -> None:
    """Raise OpError for the first access that lies outside its buffer."""
    if not len(trace.access_range):
        return
    if not (is_kind(trace.kind, o.Kind.MALLOC, o.Kind.MALLOC_ASYNC) & (trace.number >= 0)).any():
        return
    ranges = trace.ranges
    end = np.where(ranges.length < 0, 0, ranges.offset + ranges.length)
    sizes = np.where(trace.buffers.size < 0, np.iinfo(np.int64).max, trace.buffers.size)
    outside = np.flatnonzero(end[trace.access_range] > sizes[trace.buffers.of_access])
    if len(outside):
        a = int(outside[0])
        buffer = trace.buffers.of_access[a]
        name = trace.names[trace.buffers.name[buffer]]
        r = int(trace.access_range[a])
        raise OpError(
            int(trace.access_op[a]),
            f"range [{int(ranges.offset[r])}, {int(ranges.length[r])}] is outside buffer "
            f"{name[:80]!r} of {int(sizes[buffer])} bytes",
        )


def check_sites(trace: Trace) -> None:
    """Raise OpError for the first op whose ``site`` is no index into the header's ``sites``."""
    count = len(trace.header.sites)
    outside = np.flatnonzero(trace.site >= count)
    if len(outside):
        op = int(outside[0])
        raise OpError(op, f"site {int(trace.site[op])} is not in the header's {count} sites")


def is_deep(value: object, limit: int = MAX_DEPTH) -> bool:
    """Tell whether lists and objects nest deeper than ``limit``, without recursion."""
    level: list[object] = [value]
    for _ in range(limit + 1):
        inner: list[object] = []
        for item in level:
            if isinstance(item, Mapping):
                inner.extend(item.values())
            elif isinstance(item, list | tuple):
                inner.extend(item)
        if not inner:
            return False
        level = inner
    return True


def check_nodes(nodes: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError where a captured graph's node is no op, or ``after`` names no other node."""
    for i, node in enumerate(nodes):
        try:
            _check_node(node, i, len(nodes))
        except ValueError as error:
            raise ValueError(f"nodes[{i}]: {error}") from None
    _check_circle([node.get("after") or () for node in nodes])


def _check_node(node: Mapping[str, Any], index: int, count: int) -> None:
    after = node.get("after") or ()
    if not isinstance(after, list | tuple) or any(
        type(a) is not int or not 0 <= a < count or a == index for a in after
    ):
        raise ValueError("'after' must be a list of the indices of other nodes")
    try:
        accesses = parse_node(node).accesses
    except msgspec.ValidationError as error:
        raise ValueError(in_words(error)) from None
    table = RangeTable(Names())
    for _, spec in accesses:
        table[spec]


def _check_circle(after: Sequence[Sequence[int]]) -> None:
    """Raise ValueError where nodes come after each other in a circle."""
    waiting = [len(set(before)) for before in after]
    followers: list[list[int]] = [[] for _ in after]
    for node, before in enumerate(after):
        for earlier in set(before):
            followers[earlier].append(node)
    ready = [node for node, count in enumerate(waiting) if not count]
    done = 0
    while ready:
        done += 1
        for node in followers[ready.pop()]:
            waiting[node] -= 1
            if not waiting[node]:
                ready.append(node)
    if done < len(after):
        raise ValueError("nodes come after each other in a circle")
