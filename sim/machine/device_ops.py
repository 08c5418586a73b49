"""Device work: launches, graphs, copies, fills, collectives, values (R1, R16 to R25, R33, R45)."""

from __future__ import annotations

from streamsan.sim.machine.draft import Draft, DraftAction
from streamsan.sim.machine.program import Guard, LineKind
from streamsan.traces.graph_nodes import parse_node
from streamsan.traces.model import range_spec
from streamsan.traces.ops import Kind

_HOST = ("pinned", "pageable")


def launch(draft: Draft, op: int) -> None:
    """R1, R2: in stream order, after the call; what it names of host memory too (R47)."""
    draft.touch(draft.on_stream(op), op)


def graph_capture(draft: Draft, op: int) -> None:
    """R32: nothing runs."""
    draft.captures[str(draft.trace[op].obj)] = op


def graph_launch(draft: Draft, op: int) -> None:
    """R33: one op of its stream, after every earlier launch of the same graph."""
    view = draft.trace[op]
    graph = str(view.obj)
    action = draft.on_stream(op)
    if graph in draft.launched:
        action.guards.append(draft.launched[graph])
    own = view.accesses or view.extras.keys() & {"reads", "writes"}
    capture = op if own else draft.captures.get(graph, op)
    nodes = _nodes(draft, capture)
    if nodes is None:
        draft.touch(action, capture)
    else:
        action = _launch_nodes(draft, action, capture, nodes)
    draft.launched[graph] = action.done


def _nodes(draft: Draft, capture: int) -> list[tuple[tuple[int, ...], list[int]]] | None:
    """Give what is before each node and its accesses; None where they are not those captured."""
    view = draft.trace[capture]
    given = view.extras.get("nodes")
    if not given:
        return None
    number = {(a.mode, range_spec(draft.trace, a.range)): k for k, a in enumerate(view.accesses)}
    nodes = [parse_node(node) for node in given]
    if {access for node in nodes for access in node.accesses} != number.keys():
        return None
    return [(node.after, [number[access] for access in node.accesses]) for node in nodes]


def _launch_nodes(
    draft: Draft,
    begin: DraftAction,
    capture: int,
    nodes: list[tuple[tuple[int, ...], list[int]]],
) -> DraftAction:
    """Run the nodes of a launch by their own order, between its begin and its end."""
    done: list[Guard] = []
    for turn, (after, accesses) in enumerate(nodes):
        line = draft.add_line(f"node {turn} of {begin.op}", LineKind.NODE)
        guards = [begin.done, *(done[k] for k in after if k < turn)]
        action = draft.act(line, begin.op, guards)
        action.node = turn
        draft.touch(action, capture, accesses)
        done.append(action.done)
    return draft.act(begin.line, begin.op, done)


def collective(draft: Draft, op: int) -> None:
    """R51: it starts once every rank of the trace that takes part has reached it."""
    view = draft.trace[op]
    rank = str(view.extras.get("rank", draft.trace.header.rank))
    key = (str(view.obj), view.number)
    turn = draft.arrivals.get((*key, rank), 0)
    draft.arrivals[(*key, rank)] = turn + 1
    draft.meetings.setdefault((*key, turn), []).append(draft.on_stream(op))
    draft.touch(draft.act(int(draft.trace.streams.of_op[op]), op, ()), op)


def write_value(draft: Draft, op: int) -> None:
    """R45: a write in stream order, or a store by the thread."""
    on_stream = int(draft.trace.streams.of_op[op]) >= 0
    action = draft.on_stream(op) if on_stream else draft.on_thread(op)
    action.store = (draft.address(op), draft.trace[op].number or 0)


def wait_value(draft: Draft, op: int) -> None:
    """R45: met once the value is at least the wanted one; 0 stands there from the beginning."""
    action = draft.on_stream(op)
    value = draft.trace[op].number or 0
    if value > 0:
        action.want = (draft.address(op), value)


def memset(draft: Draft, op: int) -> None:
    """R25: asynchronous, but for pinned (and, by a switch, managed) memory where it says sync."""
    action = draft.on_stream(op)
    draft.touch(action, op)
    space = draft.space(int(draft.trace.buffers.of_access[draft.trace.access_start[op]]))
    waits = space == "pinned" or (space == "managed" and draft.semantics.managed_memset_blocks)
    if draft.trace[op].bit("async_") is False and waits:
        draft.on_thread(op, [action.done])


def memcpy(draft: Draft, op: int) -> None:
    """R16 to R24, R39 to R41, R46: section 3 of cuda-ordering.md, column by column."""
    trace, view = draft.trace, draft.trace[op]
    first = int(trace.access_start[op])
    ends = [int(b) for b in trace.buffers.of_access[first : first + 2]]
    src, dst = (draft.space(buffer) for buffer in ends)
    kind = view.bit("kind") or _direction(src, dst)
    if kind == "H2H":  # R21: joins the stream, then reads and writes as host code; the stream,
        # which runs in issue order whoever issues (R1), goes on after that
        draft.touch(draft.on_thread(op, draft.held(int(trace.streams.of_op[op]))), op)
        draft.on_stream(op)
        return
    blocks = view.bit("async_") is False
    on_zero = trace.streams.legacy[int(trace.streams.of_op[op])]
    legacy = blocks and (view.bit("wait") or ("legacy" if on_zero else "stream")) == "legacy"
    source = _source(draft, op, src, legacy=legacy) if kind == "H2D" else None
    action = draft.on_stream(op)
    if source is not None:
        action.guards.append(source.done)
    draft.touch(action, op, (0, 1) if source is None else (1,))
    _note(draft, op, kind, ends)
    if _returns_when_done(draft, kind, (src, dst), blocks=blocks, legacy=legacy):
        draft.on_thread(op, [action.done])


def _direction(src: str, dst: str) -> str:
    words = {(True, True): "H2H", (True, False): "H2D", (False, True): "D2H"}
    return words.get((src in _HOST, dst in _HOST), "D2D")


def _source(draft: Draft, op: int, space: str, *, legacy: bool) -> DraftAction | None:
    """Place the read of an upload's source apart from the copy; None where it is part of it."""
    when = draft.trace[op].bit("src_access")
    if when is None and space == "pageable":
        # cudaMemcpy stages whatever the switch says (R17); the switch is about R22
        when = "call" if legacy or draft.semantics.pageable_h2d_stages else "any"
    if when == "call":
        stream = int(draft.trace.streams.of_op[op])
        action = draft.on_thread(op, draft.held(stream) if legacy else ())
    elif when == "any":
        side = draft.add_line(f"read of {op}", LineKind.SIDE)
        action = draft.act(side, op, [draft.tail(draft.thread(op))])
    else:
        return None
    draft.touch(action, op, (0,))
    return action


def _returns_when_done(
    draft: Draft, kind: str, spaces: tuple[str, str], *, blocks: bool, legacy: bool
) -> bool:
    """Whether the host is after the copy when the call returns."""
    if "managed" in spaces and draft.semantics.managed_copies_block:  # R24
        return True
    if kind == "H2D":  # R17: only cudaMemcpy from pageable memory may return before its bytes
        return blocks and not (legacy and spaces[0] == "pageable")
    if kind == "D2H":  # R19, R22
        return blocks or (spaces[1] == "pageable" and draft.semantics.pageable_d2h_async_blocks)
    return False  # R20


def _note(draft: Draft, op: int, kind: str, ends: list[int]) -> None:
    """R38: torch notes the stream of a non_blocking copy on the block of host memory."""
    view = draft.trace[op]
    if view.bit("async_") is False or view.via == "raw" or kind not in ("H2D", "D2H"):
        return
    block = ends[0] if kind == "H2D" else ends[1]
    draft.noted.setdefault(block, []).append(int(draft.trace.streams.of_op[op]))


TABLE = {
    Kind.LAUNCH: launch, Kind.GRAPH_CAPTURE: graph_capture, Kind.GRAPH_LAUNCH: graph_launch,
    Kind.COLLECTIVE: collective, Kind.STREAM_WRITE_VALUE: write_value,
    Kind.STREAM_WAIT_VALUE: wait_value, Kind.MEMSET: memset, Kind.MEMCPY: memcpy,
}  # fmt: skip
