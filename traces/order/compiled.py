"""The compiled engine (extra ``fast``): the same results as the reference, in machine code.

Runs of frequent kinds of ops go through a kernel; the rest goes through the methods of
``Lowering``, on the same arrays. ``tests/test_engines.py`` holds both engines against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from streamsan.traces.order import kernels, kernels_scan
from streamsan.traces.order.clocks import Clocks
from streamsan.traces.order.compiled_actions import Action, choose_actions, quiet_frees
from streamsan.traces.order.compiled_columns import GrowingColumn, IndexMap, Ints
from streamsan.traces.order.graph import Release
from streamsan.traces.order.semantics import Lowering

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from streamsan.traces.model import Trace
    from streamsan.traces.ops import Semantics
    from streamsan.traces.order.atoms import Atoms
    from streamsan.traces.order.graph import Graph
    from streamsan.traces.order.placed import Placed
    from streamsan.traces.order.scan import Pairs

CHUNK = 1 << 16
"""Ops in one call of the kernel: room for their edges is made beforehand."""
SHORT_RUN = 32
"""Fewer ops than this between two rare ones are not worth a call of the kernel."""


class CompiledLowering(Lowering):
    """``Lowering`` on arrays; ``run`` gives the very same graph."""

    tail: GrowingColumn
    issued: GrowingColumn
    stream_of: GrowingColumn
    thread_of: GrowingColumn
    obj: GrowingColumn
    node_lane: GrowingColumn
    node_op: GrowingColumn
    source: GrowingColumn
    target: GrowingColumn
    reason: GrowingColumn
    via: GrowingColumn
    op_node: GrowingColumn

    def __init__(self, trace: Trace, semantics: Semantics) -> None:
        """Find the legacy domains."""
        super().__init__(trace, semantics)
        self._domains()

    def mapping(self, size: int) -> IndexMap:
        """Give an empty mapping that the kernel can write."""
        return IndexMap(size)

    def column(self, values: Ints) -> GrowingColumn:
        """Give the walk's own copy of a column."""
        return GrowingColumn(values)

    def _domains(self) -> None:
        """Spell out ``legacy_sources`` by stream: whose tails an action first waits for (R11)."""
        streams = self.trace.streams
        found: list[list[int]] = []
        for s, device in enumerate(streams.device):
            if streams.legacy[s]:
                found.append(self.blocking.get(device, []))
            elif streams.blocking[s] and device in self.legacy:
                found.append([self.legacy[device]])
            else:
                found.append([])
        self._domain_start, self._domain = _rows(found)
        self._legacy = np.array(streams.legacy, np.uint8)
        self._most = 3 + max(map(len, found), default=0)

    def walk(self, begin: int, stop: int) -> None:
        """Lower the ops ``begin`` to ``stop``: kernel runs, and between them Python."""
        kind = self.trace.kind
        action = choose_actions(self.trace, self.semantics)
        alone = self._domain_start[1:] == self._domain_start[:-1]
        self._frees = quiet_frees(self.trace, self.semantics, alone)
        action[self._frees] = Action.HOST
        pending = self.late_threads()
        for lane in pending:
            action[np.flatnonzero(self.thread_of.data == lane)[:1]] = Action.PYTHON
        self._action, methods, at = action, self.actions(), begin
        for first, last in _clusters(begin + np.flatnonzero(action[begin:stop] == Action.PYTHON)):
            self._run(at, first)
            for op in range(first, last):
                if pending and self.thread_of[op] in pending:
                    self.begin_thread(op, pending)
                methods[kind[op]](op)
            at = last
        self._run(at, stop)

    def _run(self, begin: int, stop: int) -> None:
        for first in range(begin, stop, CHUNK):
            self._run_chunk(first, min(first + CHUNK, stop))

    def _run_chunk(self, begin: int, stop: int) -> None:
        given = (self.stream_of.data, self.thread_of.data, self.obj.data)
        nodes, edges = (self.node_lane, self.node_op), (
            self.source, self.target, self.reason, self.via,
        )  # fmt: skip
        for column in nodes:
            column.reserve(column.count + 2 * (stop - begin))
        for column in edges:
            column.reserve(column.count + self._most * (stop - begin))
        node_count, edge_count = kernels.lower_ops(
            begin, stop, self._action, *map(_index, given),
            self.tail.data, self.issued.data, cast("IndexMap", self.record).data,
            cast("IndexMap", self.binding).data,
            self.op_node.data, _index(self._domain_start), _index(self._domain), self._legacy,
            *(column.data for column in nodes), nodes[0].count,
            *(column.data for column in edges), edges[0].count,
        )  # fmt: skip
        for column in nodes:
            column.count = node_count
        for column in edges:
            column.count = edge_count

    def finish(self) -> Graph:
        """Say of the frees that the kernel took what ``on_free`` says, and freeze."""
        buffers, frees = self.trace.buffers, self._frees
        buffer, node = buffers.of_op[frees], self.op_node.data[frees]
        owner, before = buffers.owner[buffer], np.full(len(frees), -1, np.int32)
        lanes = self.node_lane.data[: self.node_lane.count]
        for lane in np.unique(owner[owner >= 0]):
            mine, on_lane = np.flatnonzero(owner == lane), np.flatnonzero(lanes == lane)
            place = np.searchsorted(on_lane, node[mine])
            before[mine] = np.append(-1, on_lane)[place]
        for op, b, own, last, n in zip(
            *(column.tolist() for column in (frees, buffer, owner, before, node)), strict=True
        ):
            if own >= 0:
                self.owner_tail[op] = (last, n) if last >= 0 else (n,)
            if buffers.allocator[b] in ("caching", "caching_host"):
                self.releases[b] = Release(op, ())
        return super().finish()


def _clusters(rare: NDArray[np.intp]) -> list[tuple[int, int]]:
    """Give (first, past the last) of each group of ops that stand close together."""
    if not len(rare):
        return []
    gaps = np.flatnonzero(np.diff(rare) > SHORT_RUN)
    first, last = np.append(rare[:1], rare[gaps + 1]), np.append(rare[gaps], rare[-1:])
    return list(zip(first.tolist(), (last + 1).tolist(), strict=True))


def _rows(lists: Iterable[Iterable[int]]) -> tuple[Ints, Ints]:
    """Give lists as (start of each, all of them one after another)."""
    given = [list(values) for values in lists]
    start = np.zeros(len(given) + 1, np.int32)
    np.cumsum([len(values) for values in given], out=start[1:])
    return start, np.array([value for values in given for value in values], np.int32)


def compiled_close(graph: Graph) -> Clocks:
    """Close a graph whose node order is an order of execution."""
    source, target = graph.edge_source, graph.edge_target
    if bool(np.any(target[1:] < target[:-1])):
        order = graph.incoming[1]
        source, target = source[order], target[order]
    lanes, nodes = len(graph.lane_label), len(graph.node_lane)
    position, row = np.empty(nodes, np.int32), np.empty(nodes, np.int32)
    lane_row, lane_count = np.zeros(lanes, np.int32), np.zeros(lanes, np.int32)
    rows, count = np.zeros((256, lanes), np.int32), 1
    node = edge = 0
    while node < nodes:
        node, edge, count = kernels.close_nodes(
            node, edge, _index(graph.node_lane), _index(source), _index(target), position,
            _index(row), _index(lane_row), lane_count, rows, count,
        )  # fmt: skip
        if node < nodes:
            rows = longer_table(rows)
    return Clocks(lane=graph.node_lane, position=position, row=row, rows=rows[:count], rank=None)


def compiled_scan(clocks: Clocks, placed: Placed, atoms: Atoms) -> Pairs:
    """Give the pairs of ``scan``, in the same order."""
    lanes = clocks.rows.shape[1]
    fixed = (
        _index(clocks.lane), clocks.position, _index(clocks.row), clocks.rows,
        _index(placed.node), _index(placed.place), placed.write, placed.escape,
        _index(atoms.start), _index(atoms.atom),
        np.full(atoms.count * kernels_scan.WIDTH, -1, np.int32),
        np.zeros(len(placed), np.int32),  # pages of zeros that are never written are never taken
    )  # fmt: skip
    pool, pairs = np.empty((16, 2 * lanes + 1), np.int32), np.empty((64 + lanes, 2), np.int32)
    free = np.arange(16, dtype=np.int32)
    access = skip = count = 0
    left = len(free)
    while access < len(placed):
        access, skip, left, count = kernels_scan.scan_accesses(
            access, skip, *fixed, pool.ravel(), free, left, pairs.ravel(), count
        )
        if access < len(placed) and not left:
            left, pool = len(pool), longer_table(pool)
            free = np.arange(left, 2 * left + left, dtype=np.int32)
        elif access < len(placed):
            pairs = longer_table(pairs)
    found: Pairs = pairs[:count].copy()
    return found


def _index(values: Ints) -> NDArray[np.uint32]:
    """Give the same numbers as the kernels want indices."""
    return values.view(np.uint32)


def longer_table(table: Ints) -> Ints:
    """Give a table of twice as many rows; what is new is not set."""
    found = np.empty((2 * len(table), *table.shape[1:]), np.int32)
    found[: len(table)] = table
    return found
