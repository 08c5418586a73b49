"""HappensBefore: the partial order of one trace, and what it says about two ops.

hb(x, y) means that in every legal execution x has completed before y can start. Two accesses race
where they touch a common byte, one of them writes, and neither comes before the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from streamsan.traces.errors import UsageError
from streamsan.traces.model import Trace
from streamsan.traces.ops import Kind, Semantics
from streamsan.traces.order.atoms import find_atoms
from streamsan.traces.order.clocks import Clocks, close
from streamsan.traces.order.edges import Line
from streamsan.traces.order.graph import Graph
from streamsan.traces.order.placed import Placed, place_accesses
from streamsan.traces.order.scan import Covered, Pairs, drop_covered, scan
from streamsan.traces.order.semantics import Lowering
from streamsan.traces.order.settle import settle

if TYPE_CHECKING:
    import networkx as nx

    from streamsan.traces.order.explain import Near, Step

Engine = Literal["auto", "python", "compiled"]
Ref = int | tuple[int, int]
"""An op, or one access of an op: ``(op, index into op.accesses)``."""

COMPILED_FROM = 200_000
"""Ops from which ``auto`` takes the compiled engine: below, loading it costs more than it saves."""


class Race(NamedTuple):
    """Two accesses that conflict and that nothing orders; indices into ``order.placed``."""

    first: int
    second: int
    ops: tuple[int, int]
    """In issue order."""
    kind: Literal["RAW", "WAR", "WAW"]


class HappensBefore:
    """The order of a trace.

    Args:
        trace: the trace.
        semantics: switches; those of the trace's header by default.
        engine: ``python`` is the reference; ``compiled`` needs the extra ``fast`` and gives the
            same results; ``auto`` takes the compiled one for large traces where it is installed.

    Raises:
        UsageError: the compiled engine was asked for and numba is not installed.
    """

    def __init__(
        self, trace: Trace, semantics: Semantics | None = None, engine: Engine = "auto"
    ) -> None:
        """Build the graph and close it."""
        self.trace = trace
        self.semantics = trace.header.semantics if semantics is None else semantics
        self.engine = _choose(engine, len(trace))
        if self.engine == "compiled":
            from streamsan.traces.order.compiled import CompiledLowering, compiled_close

            graph = CompiledLowering(trace, self.semantics).run()
            close_graph = compiled_close
        else:
            graph = Lowering(trace, self.semantics).run()
            close_graph = close
        if graph.forward_only:
            self.graph: Graph = graph
            self.clocks: Clocks = close_graph(graph)
        else:
            self.graph, self.clocks = settle(graph)

    # --- the order

    def nodes(self, ref: Ref) -> list[int]:
        """Give the nodes at which the accesses of an op happen, or the one node of an access.

        Nodes that only mark a call's return or a thread's beginning are none of them.
        """
        op = ref[0] if isinstance(ref, tuple) else ref
        start, stop = int(self.trace.access_start[op]), int(self.trace.access_start[op + 1])
        main, moved = int(self.graph.op_node[op]), self.graph.access_node
        if isinstance(ref, tuple):
            if not 0 <= ref[1] < stop - start:
                raise IndexError(ref)
            return [moved.get(start + ref[1], main)]
        return sorted({main, *(moved[a] for a in range(start, stop) if a in moved)})

    def main_node(self, ref: Ref) -> int:
        """Give the node of an access, or the node at which an op's accesses happen by default."""
        return self.nodes(ref)[0] if isinstance(ref, tuple) else int(self.graph.op_node[ref])

    def ordered(self, a: Ref, b: Ref) -> bool:
        """Whether ``a`` has completed before ``b`` can start.

        Given op ids: every node of ``a`` before every node of ``b``. Given ``(op, access)``: that
        access alone, which matters where an op has two (a pageable upload).
        """
        return all(
            self.clocks.is_before(x, y) or self._before_call(x, b)
            for x in self.nodes(a)
            for y in self.nodes(b)
        )

    def _before_call(self, node: int, b: Ref) -> bool:
        """A record starts after its own call too, though it does not pass that on (point 5)."""
        op = b[0] if isinstance(b, tuple) else b
        issuer = self.issuers.get(op, -1)
        return issuer >= 0 and (node == issuer or self.clocks.is_before(node, issuer))

    @cached_property
    def thread_lanes(self) -> dict[str, int]:
        """The lane of each host thread, by the thread's name."""
        return {
            label.removeprefix("host:"): lane
            for lane, label in enumerate(self.graph.lane_label)
            if self.graph.lane_line[lane] is Line.THREAD
        }

    @cached_property
    def issuers(self) -> dict[int, int]:
        """For ops that carry no order of their call: the last host node before the call."""
        trace, graph = self.trace, self.graph
        waits = (trace.kind == Kind.STREAM_WAIT_EVENT).nonzero()[0]
        unbound = [int(i) for i in waits if graph.binding.get(int(i), -1) < 0]
        quiet = sorted([*np.flatnonzero(trace.kind == Kind.EVENT_RECORD).tolist(), *unbound])
        found: dict[int, int] = {}
        by_lane: dict[int, Any] = {}
        for op in quiet:
            lane = self.thread_lanes[trace[op].thread]
            if lane not in by_lane:
                by_lane[lane] = np.flatnonzero(graph.node_lane == lane)
            mine = by_lane[lane]
            place = int(np.searchsorted(mine, graph.op_node[op])) - 1
            found[op] = int(mine[place]) if place >= 0 else -1
        return found

    def concurrent(self, a: Ref, b: Ref) -> bool:
        """Whether neither comes before the other."""
        return a != b and not self.ordered(a, b) and not self.ordered(b, a)

    # --- accesses

    @cached_property
    def placed(self) -> Placed:
        """Every access that happens, in an order of execution."""
        return place_accesses(self.trace, self.graph, self.clocks)

    @cached_property
    def covered(self) -> Covered:
        """What the allocators' own waits prove about reused memory."""
        return Covered(self.clocks, self.graph.releases, self.trace.buffers.malloc)

    @cached_property
    def pairs(self) -> Pairs:
        """Unordered conflicting pairs, one per cause, shape (pairs, 2): see ``scan``."""
        atoms = find_atoms(self.placed.places)
        if self.engine == "compiled":
            from streamsan.traces.order.compiled import compiled_scan

            pairs = compiled_scan(self.clocks, self.placed, atoms)
        else:
            pairs = scan(self.clocks, self.placed, atoms)
        return drop_covered(pairs, self.placed, self.covered)

    def unordered(self, first: int, second: int) -> bool:
        """Whether two placed accesses are unordered, the proof of reused memory included."""
        placed, clocks = self.placed, self.clocks
        one, two = int(placed.node[first]), int(placed.node[second])
        if one == two or clocks.is_before(one, two) or clocks.is_before(two, one):
            return False
        mine, theirs = int(placed.buffer[first]), int(placed.buffer[second])
        if mine == theirs:
            return True
        return not (self.covered(mine, theirs, one) or self.covered(theirs, mine, two))

    def races(self) -> list[Race]:
        """Give every unordered conflicting pair of accesses, before any reduction.

        Quadratic in the accesses of each memory: for small traces.
        """
        return sorted(self._races(), key=lambda race: (race.ops, race.first, race.second))

    def _races(self) -> Iterator[Race]:
        placed = self.placed
        base = placed.places.base[placed.place] if len(placed) else placed.place
        for memory in np.unique(base):
            mine = np.flatnonzero((base == memory) & ~placed.escape).tolist()
            for i, first in enumerate(mine):
                for second in mine[i + 1 :]:
                    race = self._race(first, second)
                    if race is not None:
                        yield race

    def _race(self, first: int, second: int) -> Race | None:
        placed = self.placed
        if not (placed.write[first] or placed.write[second]):
            return None
        if not self.unordered(first, second):
            return None
        if placed.places.overlap(int(placed.place[first]), int(placed.place[second])) is None:
            return None
        if (placed.op[first], first) > (placed.op[second], second):
            first, second = second, first
        return Race(
            first,
            second,
            (int(placed.op[first]), int(placed.op[second])),
            kind_of(bool(placed.write[first]), bool(placed.write[second])),
        )

    # --- explanations

    def why(self, a: Ref, b: Ref) -> list[Step]:
        """Give a chain of edges from ``a`` to ``b``, each with its reason; empty if unordered."""
        from streamsan.traces.order.explain import why

        return why(self, a, b)

    def nearly(self, a: Ref, b: Ref) -> Near | None:
        """Give the wait that almost ordered ``a`` before ``b``, and what it lacks."""
        from streamsan.traces.order.explain import nearly

        return nearly(self, a, b)

    def to_networkx(self) -> nx.DiGraph[int]:
        """Give the explicit graph: a node per step, edges labelled with their reasons."""
        from streamsan.traces.order.export import to_networkx

        return to_networkx(self)


def kind_of(first_writes: bool, second_writes: bool) -> Literal["RAW", "WAR", "WAW"]:
    """Name a conflict by what its accesses do, in issue order."""
    if first_writes:
        return "WAW" if second_writes else "RAW"
    return "WAR"


def _choose(engine: Engine, ops: int) -> Literal["python", "compiled"]:
    if engine == "python" or (engine == "auto" and ops < COMPILED_FROM):
        return "python"
    from importlib.util import find_spec

    if find_spec("numba") is not None:
        return "compiled"
    if engine == "auto":
        return "python"
    raise UsageError("the compiled engine needs numba: install streamsan[fast]")
