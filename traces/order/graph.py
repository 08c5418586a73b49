"""The explicit graph: nodes on lanes, and labelled edges between lanes.

A **lane** is totally ordered: a host thread, a stream, an outside agent, the tasks of a library.
A **node** is one step on a lane; most ops have one, some have two or three (a pageable upload
reads its source on the host's lane and writes on the stream's). Order along a lane is implied;
everything else is an edge with its reason. This graph IS the semantics: ``lowering.py`` makes it
from a Trace, ``clocks.py`` closes it, ``export.py`` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.order.edges import Line

Ints = NDArray[np.int32]


class ValueWait(NamedTuple):
    """A wait on a value, and the writes that can meet it, as nodes (R45)."""

    node: int
    writes: tuple[int, ...]


class Release(NamedTuple):
    """What the allocator itself has waited for once a freed block is handed out again.

    ``nodes``: everything before or at these nodes is over at a reuse of the block (R29, R37, R38).
    """

    free: int
    nodes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes and edges of one trace.

    Edges from a higher to a lower node exist only in traces with value waits, awaits, collectives
    or late thread starts: then ``forward_only`` is false and the nodes must be sorted first.
    """

    lane_label: tuple[str, ...]
    lane_line: tuple[Line, ...]
    node_lane: Ints
    node_op: Ints
    edge_source: Ints
    edge_target: Ints
    edge_reason: NDArray[np.uint8]
    edge_via: Ints
    """The op that stands between, such as the record of a wait; -1 for none."""
    op_node: Ints
    """The node at which an op's accesses happen by default."""
    access_node: Mapping[int, int]
    """Accesses that happen elsewhere, by index into the trace's accesses."""
    captured: Mapping[int, int]
    """Graph launches that run what was captured: the op of the capture, by launch (R33)."""
    binding: Mapping[int, int]
    """What each wait binds to: the op of the record, signal or submit; -1 for nothing."""
    releases: Mapping[int, Release]
    """By buffer."""
    owner_tail: Mapping[int, tuple[int, ...]]
    """By free op: the last nodes that work issued to the owner then would come after (SO201)."""
    value_waits: tuple[ValueWait, ...] = ()
    unsettled: frozenset[int] = field(default_factory=frozenset)
    """Edges (by index) that may point backwards: the wait side of SO601 to SO603."""

    @cached_property
    def forward_only(self) -> bool:
        """Whether node order is already an order of execution."""
        return not self.value_waits and bool(np.all(self.edge_source < self.edge_target))

    @cached_property
    def incoming(self) -> tuple[Ints, Ints]:
        """Edges sorted by target: (start of each node's edges, edge indices)."""
        order = np.argsort(self.edge_target, kind="stable").astype(np.int32)
        start = np.searchsorted(self.edge_target[order], np.arange(len(self.node_lane) + 1))
        return start.astype(np.int32), order

    @cached_property
    def previous(self) -> Ints:
        """The node before each node on its lane, -1 for the first."""
        found = np.full(len(self.node_lane), -1, dtype=np.int32)
        order = np.argsort(self.node_lane, kind="stable")
        same = self.node_lane[order][1:] == self.node_lane[order][:-1]
        found[order[1:][same]] = order[:-1][same]
        return found

    @cached_property
    def nodes_of_op(self) -> tuple[Ints, Ints]:
        """Nodes by op: (start of each op's nodes, node indices)."""
        order = np.argsort(self.node_op, kind="stable").astype(np.int32)
        start = np.searchsorted(self.node_op[order], np.arange(len(self.op_node) + 1))
        return start.astype(np.int32), order
