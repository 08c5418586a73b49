"""The part of a trace that a finding is about: for the picture, and as text for an issue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from streamsan.checkers.finding import Finding
from streamsan.traces import ops as o
from streamsan.traces.build import OpError, from_ops
from streamsan.traces.errors import TraceError
from streamsan.traces.model import Trace
from streamsan.traces.ops import Kind
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.explain import last_common, nearly, why
from streamsan.traces.text import format_trace
from streamsan.traces.words import printable

AROUND = 8
"""Other accesses of the same memory that are shown, nearest first."""
MOST = 48
ROUNDS = 4
PAIR = 2
_TAKES = (Kind.SLOT_READ, Kind.SLOT_CONSUME)
_NAMED = ("bound", "record", "by", "next_payer", "wait", "covering")
"""Details of findings that are ops."""
_LEFT_OUT = ("t", "t_end", "begin", "end", "site", "tag")
"""Keys that decide no verdict on a slice."""


class Slice(NamedTuple):
    """The ops to draw, what each is (``common``, ``near wait``, ...), and the text."""

    ops: tuple[int, ...]
    roles: dict[str, int]
    text: str


def slice_of(order: HappensBefore, finding: Finding) -> Slice:
    """Choose the ops without which a finding cannot be understood."""
    roles = roles_of(order, finding)
    ops = {*finding.ops, *roles.values()}
    for op in finding.ops:
        common = roles.get("common")
        if common is not None:
            ops |= _chain(order, common, op)
        ops |= set(_neighbours(order, op))
    ops |= set(_users(order.trace, finding))
    if len(ops) > MOST:
        ops = _nearest(ops, {*finding.ops, *roles.values()}, finding.ops)
    return Slice(tuple(sorted(ops)), roles, _text(order, finding, ops))


def roles_of(order: HappensBefore, finding: Finding) -> dict[str, int]:
    """Name the ops that play a part besides the finding's own."""
    details = finding.details
    found = {
        key: details[key]
        for key in _NAMED
        if isinstance(details.get(key), int) and 0 <= details[key] < len(order.trace)
    }
    if isinstance(reuse := details.get("reuse"), dict):
        found |= {f"reuse {k}": v for k in ("free", "malloc") if isinstance(v := reuse.get(k), int)}
    witness = finding.witness or {}
    if isinstance(reader := witness.get("reader"), int):
        found["reader"] = reader
    if len(finding.ops) == PAIR and finding.ops[0] != finding.ops[1] and "missing" in details:
        found |= _order_roles(order, *finding.ops)
    return {role: op for role, op in found.items() if 0 <= op < len(order.trace)}


def _order_roles(order: HappensBefore, one: int, two: int) -> dict[str, int]:
    common, near = last_common(order, one, two), nearly(order, one, two)
    found = {} if common is None else {"common": common}
    if near is not None:
        places = {"near wait": near.wait, "near record": near.record,
                  "near covering": near.covering}  # fmt: skip
        found |= {role: op for role, op in places.items() if op is not None}
    return found


def _chain(order: HappensBefore, one: int, two: int) -> set[int]:
    steps = why(order, one, two)
    ops = {op for step in steps for op in (step.source_op, step.target_op)}
    return ops | {step.via for step in steps if step.via is not None}


def _neighbours(order: HappensBefore, op: int) -> Iterator[int]:
    """Give the ops right before and after an op on its line."""
    graph = order.graph
    lane = np.flatnonzero(graph.node_lane == graph.node_lane[graph.op_node[op]])
    place = int(np.searchsorted(lane, graph.op_node[op]))
    for near in (place - 1, place + 1):
        if 0 <= near < len(lane):
            yield int(graph.node_op[lane[near]])


def _users(trace: Trace, finding: Finding) -> Iterator[int]:
    """Give who else touched, made or freed the memory in question."""
    if finding.buffer is None or not finding.ops:
        return
    buffers = trace.buffers
    for number in _buffers(trace, finding):
        yield from (int(b[number]) for b in (buffers.malloc, buffers.free) if b[number] >= 0)
        users = np.unique(trace.access_op[buffers.of_access == number])
        low, high = min(finding.ops), max(finding.ops)
        distance = np.maximum(np.maximum(low - users, users - high), 0)
        yield from users[np.argsort(distance, kind="stable")][:AROUND].tolist()


def _buffers(trace: Trace, finding: Finding) -> list[int]:
    """Give the instances of the finding's buffer that its ops touch or name."""
    buffers = trace.buffers
    found = {int(buffers.of_op[op]) for op in finding.ops}
    for op in finding.ops:
        found |= {access.buffer for access in trace[op].accesses}
    return sorted(b for b in found if b >= 0 and trace.names[buffers.name[b]] == finding.buffer)


def _nearest(ops: set[int], needed: set[int], centre: tuple[int, ...]) -> set[int]:
    low, high = min(centre), max(centre)
    rest = sorted(ops - needed, key=lambda op: max(low - op, op - high, 0))
    return needed | set(rest[: max(0, MOST - len(needed))])


# --- the text


def _text(order: HappensBefore, finding: Finding, ops: set[int]) -> str:
    """Write a slice in the mini-language: a trace of its own, which lint reads."""
    try:
        kept, part = _part(order, ops)
    except (OpError, TraceError):
        return ""
    lines = format_trace(part).splitlines()
    heading = [f"# {finding.rule} {finding.name}: {printable(finding.message)}"]
    head, body = lines[: len(lines) - len(kept)], lines[len(lines) - len(kept) :]
    letters = dict(zip(finding.ops, "AB", strict=False))
    told = [
        f"{line}  # op {op}{f': {letters[op]}' if op in letters else ''}"
        for line, op in zip(body, kept, strict=True)
    ]
    return "".join(f"{line}\n" for line in (*heading, *head, *told))


def _part(order: HappensBefore, ops: set[int]) -> tuple[list[int], Trace]:
    """Give a slice as a trace, and the ops it is made of.

    What orders its ops in the whole trace comes along where they would race without it.
    """
    wanted = set(ops)
    kept, part = _whole(order, wanted)
    for _ in range(ROUNDS):
        more: set[int] = set()
        for race in HappensBefore(part, engine="python").races():
            one, two = (kept[op] for op in race.ops)
            more |= _chain(order, one, two) or _chain(order, two, one)
        if more <= wanted:
            break
        wanted |= more
        kept, part = _whole(order, wanted)
    return kept, part


def _whole(order: HappensBefore, wanted: set[int]) -> tuple[list[int], Trace]:
    kept = sorted(wanted | set(_needed(order, wanted)))
    return kept, from_ops([_value(order.trace, op) for op in kept], _header(order.trace))


def _needed(order: HappensBefore, ops: Iterable[int]) -> Iterator[int]:
    """Give what ops do not go without: allocations, captures, streams with flags, signals."""
    trace, graph = order.trace, order.graph
    streams = set()
    for op in ops:
        yield from (
            int(trace.buffers.malloc[access.buffer])
            for access in trace[op].accesses
            if trace.buffers.malloc[access.buffer] >= 0
        )
        tied = (graph.captured.get(op, -1), graph.binding.get(op, -1))
        yield from (other for other in tied if other >= 0)
        streams.add(int(trace.streams.of_op[op]))
        if trace.kind[op] in _TAKES:
            yield from _resolve(trace, op)
    for made in np.flatnonzero(trace.kind == Kind.STREAM_CREATE).tolist():
        if int(trace.streams.of_op[made]) in streams:
            yield made


def _resolve(trace: Trace, op: int) -> Iterator[int]:
    """Give what last gave a slot the value that an op takes."""
    mine = (trace.kind[:op] == Kind.SLOT_RESOLVE) & (trace.obj[:op] == trace.obj[op])
    yield from np.flatnonzero(mine)[-1:].tolist()


def _value(trace: Trace, op: int) -> o.OpBase:
    view = trace[op]
    fields = {k: v for k, v in view.fields().items() if k not in _LEFT_OUT}
    cls = o.OPS[view.kind]
    return cls(**{k: v for k, v in fields.items() if k in cls.__struct_fields__})


def _header(trace: Trace) -> o.Header:
    header = trace.header
    return o.Header(complete=header.complete, semantics=header.semantics)
