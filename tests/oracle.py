"""What the order must say, found by brute force.

Nothing here uses the clocks, the atoms or the scan: order is reachability in the explicit graph
(networkx), overlap is the intersection of sets of bytes, and reuse of memory is decided from the
ops alone (trace-format.md, detail 5; cuda-ordering.md, section 7, point 4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import networkx as nx

from streamsan.traces.ops import Kind, StridedRange

if TYPE_CHECKING:
    from streamsan.traces.model import Op, Trace
    from streamsan.traces.order import HappensBefore

Byte = tuple[Any, int]
"""A byte: what its memory is called, and where it lies in it."""
UNKNOWN = 64
"""How many bytes stand for a buffer of unknown size; every range in the tests is shorter."""


class Touch(NamedTuple):
    """One access that happens."""

    op: int
    source: int
    """The access's index into the trace's accesses."""
    node: int
    buffer: int
    bytes: frozenset[Byte]
    write: bool


class Tenant(NamedTuple):
    """One allocation, or the private memory of a name that was never allocated."""

    name: str
    malloc: int
    memory: tuple[str, Any]
    start: int
    size: int


class Oracle:
    """The verdicts about one trace."""

    def __init__(self, order: HappensBefore) -> None:
        """Find what comes before what, and what each access touches."""
        self.order, self.trace = order, order.trace
        self.graph = order.to_networkx()
        self.after = closure(self.graph)
        self.tenants, self.tenant_of = find_tenants(self.trace)
        self._measure()
        self.free_of = self._frees()
        self.touches = self._touches()

    # --- order

    def before(self, x: int, y: int) -> bool:
        """Whether a path leads from one node to another."""
        return bool(self.after[x] >> y & 1)

    def nodes(self, op: int) -> set[int]:
        """Give the nodes of an op: where its accesses happen."""
        start, stop = (int(n) for n in self.trace.access_start[op : op + 2])
        moved = self.order.graph.access_node
        return {
            int(self.order.graph.op_node[op]),
            *(moved[a] for a in range(start, stop) if a in moved),
        }

    def ordered(self, a: int, b: int) -> bool:
        """Whether every node of ``a`` comes before every node of ``b``, or before its call."""
        call = self._call(b)
        return all(
            self.before(x, y) or (call >= 0 and (x == call or self.before(x, call)))
            for x in self.nodes(a)
            for y in self.nodes(b)
        )

    def _call(self, op: int) -> int:
        """Give the last host node before a call whose order the op does not pass on."""
        kind = self.trace.kind[op]
        unbound = kind == Kind.STREAM_WAIT_EVENT and self.order.graph.binding[op] < 0
        if kind != Kind.EVENT_RECORD and not unbound:
            return -1
        thread, found = self.trace[op].thread, -1
        for node, data in self.graph.nodes(data=True):
            if data["line"] == "thread" and data["lane"] == f"host:{thread}":
                # a thread that was started late begins with a node of the start: first all the same
                start = self.trace[data["op"]]
                begins = found < 0 and start.kind == Kind.THREAD_START and start.obj == thread
                found = node if data["op"] < op or begins else found
        return found

    # --- accesses

    def _frees(self) -> dict[int, int]:
        """Give each buffer's first free."""
        found: dict[int, int] = {}
        for op in self.trace:
            if op.kind in (Kind.FREE, Kind.FREE_ASYNC):
                found.setdefault(self.tenant_of(str(op.obj), op.id), op.id)
        return found

    def _touches(self) -> list[Touch]:
        found = []
        captures: dict[str, Op] = {}
        for op in self.trace:
            if op.kind == Kind.GRAPH_CAPTURE:
                captures[str(op.obj)] = op
                continue
            shown = op
            if op.kind == Kind.GRAPH_LAUNCH and not op.fields().keys() & {"reads", "writes"}:
                shown = captures.get(str(op.obj), op)
            start = int(self.trace.access_start[shown.id])
            for k, access in enumerate(shown.accesses):
                if access.mode > 1:
                    continue
                node = self.order.graph.access_node.get(start + k, -1)
                if node < 0:
                    node = int(self.order.graph.op_node[op.id])
                buffer, touched = self._bytes(shown.id, access.range)
                found.append(Touch(op.id, start + k, node, buffer, touched, access.mode == 1))
        return found

    def _measure(self) -> None:
        """Give buffers of unknown size at an address the extent that their accesses show."""
        for op in self.trace:
            for access in op.accesses:
                index = access.range
                buffer = self.tenant_of(self._name(index), op.id)
                tenant = self.tenants[buffer]
                if tenant.malloc < 0 or self.trace[tenant.malloc].number is not None:
                    continue
                if tenant.memory[0] != "private":
                    size = max(tenant.size, self._end(index))
                    self.tenants[buffer] = tenant._replace(size=size)

    def _name(self, index: int) -> str:
        return self.trace.names[int(self.trace.ranges.name[index])]

    def _end(self, index: int) -> int:
        """Give the byte after the last of a range; a whole buffer shows one byte."""
        ranges = self.trace.ranges
        view = int(ranges.strided[index])
        if view >= 0:
            view_of = ranges.views[view]
            return max(view_bytes(view_of), default=view_of.offset - 1) + 1
        length = int(ranges.length[index])
        return 1 if length < 0 else int(ranges.offset[index]) + length

    def _bytes(self, op: int, index: int) -> tuple[int, frozenset[Byte]]:
        ranges = self.trace.ranges
        buffer = self.tenant_of(self._name(index), op)
        tenant = self.tenants[buffer]
        view = int(ranges.strided[index])
        if view >= 0:
            offsets = view_bytes(ranges.views[view])
        elif ranges.length[index] < 0:
            offsets = set(range(tenant.size))
        else:
            low = int(ranges.offset[index])
            offsets = set(range(low, low + int(ranges.length[index])))
        return buffer, frozenset((tenant.memory, tenant.start + b) for b in offsets)

    # --- races

    def races(self) -> set[tuple[frozenset[tuple[int, int]], tuple[int, int], str]]:
        """Give every race: its two accesses, its ops in issue order, its kind."""
        found = set()
        for i, one in enumerate(self.touches):
            for two in self.touches[i + 1 :]:
                if self.race(one, two):
                    found.add(self._told(one, two))
        return found

    def _told(
        self, one: Touch, two: Touch
    ) -> tuple[frozenset[tuple[int, int]], tuple[int, int], str]:
        kinds = {(True, True): "WAW", (True, False): "RAW", (False, True): "WAR"}
        first, last = sorted((one, two), key=lambda t: t.op)
        pair = frozenset(((one.op, one.source), (two.op, two.source)))
        kinds[first.write, last.write]
        return pair, (first.op, last.op), kinds[first.write, last.write]

    def race(self, one: Touch, two: Touch) -> bool:
        """Whether two accesses conflict and nothing orders them, the proof of reuse included."""
        if not (one.write or two.write) or not one.bytes & two.bytes:
            return False
        if one.node == two.node or self.before(one.node, two.node):
            return False
        if self.before(two.node, one.node):
            return False
        return not (self.reused(one, two) or self.reused(two, one))

    def reused(self, former: Touch, later: Touch) -> bool:
        """Whether an allocation at a freed address proves that the former tenant's access is over.

        The buffer of ``later`` was allocated after the free of the buffer of ``former``, and what
        the allocator waits for at that free covers the access.
        """
        free = self.free_of.get(former.buffer, -1)
        if former.buffer == later.buffer or not 0 <= free < self.tenants[later.buffer].malloc:
            return False
        return any(
            former.node == n or self.before(former.node, n) for n in self._guards(former, free)
        )

    def _guards(self, former: Touch, free: int) -> set[int]:
        """Give the nodes that are over once the block is handed out again (R29, R37, R38)."""
        op = self.trace[free]
        if op.kind == Kind.FREE_ASYNC:
            return {int(self.order.graph.op_node[free])}
        malloc = self.trace[self.tenants[former.buffer].malloc]
        allocator = malloc.bit("allocator") if malloc.kind == Kind.MALLOC else None
        if allocator == "caching":
            noted = [
                o.id
                for o in self.trace
                if o.kind == Kind.RECORD_STREAM
                and self.tenant_of(str(o.obj), o.id) == former.buffer
                and o.id < free
            ]
        elif allocator == "caching_host":
            noted = [o.id for o in self.trace if o.id < free and self._notes(o, former.buffer)]
        else:
            return set()
        streams = {int(self.trace.streams.of_op[n]) for n in noted}
        return {n for s in streams for n in self._held(s, free)}

    def _notes(self, op: Op, buffer: int) -> bool:
        """Whether torch's host allocator notes the stream of a copy on a block (R38)."""
        if op.kind != Kind.MEMCPY or op.bit("async_") is False or op.via == "raw":
            return False
        start = int(self.trace.access_start[op.id])
        src, dst = (self._bytes(op.id, int(self.trace.access_range[start + k]))[0] for k in (0, 1))
        kind = op.bit("kind") or self._direction(src, dst)
        return (kind == "H2D" and src == buffer) or (kind == "D2H" and dst == buffer)

    def _direction(self, src: int, dst: int) -> str:
        host = [self.space(b) in ("pinned", "pageable") for b in (src, dst)]
        return {(True, True): "H2H", (True, False): "H2D", (False, True): "D2H"}.get(
            (host[0], host[1]), "D2D"
        )

    def space(self, buffer: int) -> str:
        """Give the space of a buffer; one that was never allocated is device memory."""
        malloc = self.tenants[buffer].malloc
        return "device" if malloc < 0 else str(self.trace[malloc].bit("space") or "device")

    def _held(self, stream: int, op: int) -> list[int]:
        """Give the last nodes that a stream, and what it synchronises with, held at an op."""
        streams = self.trace.streams
        wanted = {stream}
        for other in range(len(streams)):
            same = streams.device[other] == streams.device[stream]
            pair = streams.legacy[stream] != streams.legacy[other]
            if same and pair and streams.blocking[stream] and streams.blocking[other]:
                wanted.add(other)
        graph = self.order.graph
        lanes = enumerate(graph.node_lane.tolist())  # the lanes of streams come first
        last = {lane: n for n, lane in lanes if lane in wanted and graph.node_op[n] < op}
        return list(last.values())


def closure(graph: nx.DiGraph[int]) -> dict[int, int]:
    """Give, for each node, the set of nodes that a path leads to, as bits."""
    found: dict[int, int] = {}
    for node in reversed(list(nx.topological_sort(graph))):
        found[node] = 0
        for target in graph.successors(node):
            found[node] |= found[target] | 1 << target
    return found


def view_bytes(view: StridedRange) -> set[int]:
    """Give the bytes of a strided view, one by one."""
    starts = {view.offset}
    for count, stride in zip(view.shape, view.strides, strict=True):
        starts = {s + i * stride for s in starts for i in range(count)}
    return {s + i for s in starts for i in range(view.itemsize)}


class _Namer:
    """Whose a name is at an op."""

    def __init__(self, births: dict[str, list[tuple[int, int]]]) -> None:
        self.births = births

    def __call__(self, name: str, op: int) -> int:
        return max((birth, index) for birth, index in self.births[name] if birth <= op)[1]


def find_tenants(trace: Trace) -> tuple[list[Tenant], _Namer]:
    """Give every tenant, and a function that tells whose a name is at an op."""
    tenants: list[Tenant] = []
    births: dict[str, list[tuple[int, int]]] = {}
    for name in trace.names:  # before its first allocation a name has private memory
        births[name] = [(-1, len(tenants))]
        tenants.append(Tenant(name, -1, ("private", len(tenants)), 0, UNKNOWN))
    for op in trace:
        if op.kind not in (Kind.MALLOC, Kind.MALLOC_ASYNC):
            continue
        address, offset = op.extras.get("address"), op.extras.get("offset", 0)
        index = len(tenants)
        births[str(op.obj)].append((op.id, index))
        unknown = UNKNOWN if address is None else 1
        size = unknown if op.number is None else op.number
        memory: tuple[str, Any]
        if address is None:
            memory, start = ("private", index), 0
        elif isinstance(address, int):
            memory, start = ("addresses", None), address + offset
        else:
            memory, start = ("base", address), offset
        tenants.append(Tenant(str(op.obj), op.id, memory, start, size))
    return tenants, _Namer(births)
