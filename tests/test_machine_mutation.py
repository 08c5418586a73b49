"""A wrong order is noticed, rule by rule: edges that a rule gives, lost; edges of none, added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from strategies import random_trace
from test_litmus import PROGRAMS, raced, trace_of

from streamsan.sim.machine import compile_trace, explore, races
from streamsan.traces import ops as o
from streamsan.traces.build import from_ops
from streamsan.traces.model import Op
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.edges import TEXT, Reason
from streamsan.traces.order.semantics import Lowering
from streamsan.traces.order.semantics.events import Events
from streamsan.traces.order.semantics.walk import Walk

if TYPE_CHECKING:
    from streamsan.traces import Trace

STATES = 3000
Judged = list[tuple["Trace", set[tuple[int, ...]]]]
"""Programs, with the races that the machine sees in them."""
IMPLICIT = {Reason.PROGRAM, Reason.STREAM, Reason.VALUE}
"""Lanes and value waits are no edges of the walk."""


@pytest.fixture(scope="module")
def machine_races() -> Judged:
    traces = [trace_of(program) for program in PROGRAMS.values()]
    traces += [random_trace(seed, 12) for seed in range(400)]
    found: Judged = []
    for trace in traces:
        seen = explore(compile_trace(trace, halves=False), max_states=STATES)
        if seen.complete and not any(each.outcome.stuck for each in seen.found):
            found.append((trace, set(races(seen.orders))))
    return found


@dataclass(frozen=True)
class Edge:
    """An edge on its way into the order, with the ops of its ends."""

    walk: Walk
    source: int
    target: int
    reason: int

    @property
    def op(self) -> Op:
        """The op that the edge leads to."""
        return self.walk.trace[self.walk.node_op[self.target]]

    @property
    def origin(self) -> Op:
        """The op that the edge comes from."""
        return self.walk.trace[self.walk.node_op[self.source]]

    @property
    def spaces(self) -> list[str]:
        """The spaces of the target's buffers; registered memory is told as pageable here."""
        return [self.walk.trace.buffers.space[a.buffer] for a in self.op.accesses]

    def is_(self, *reasons: Reason) -> bool:
        """Whether it is there for one of some reasons."""
        return self.reason in reasons

    def is_copy(self, *, blocks: bool) -> bool:
        """Whether it leads to a copy that blocks, or does not."""
        return self.op.word == "memcpy" and (self.op.bit("async_") is False) is blocks

    def on(self, word: str) -> bool:
        """Whether one of its ends is on a stream whose label begins so."""
        labels = self.walk.trace.streams.label
        lanes = (self.walk.node_lane[self.source], self.walk.node_lane[self.target])
        return any(lane < len(labels) and labels[lane].startswith(word) for lane in lanes)


R = Reason
LOST: dict[str, Callable[[Edge], bool]] = {
    "R2": lambda e: e.is_(R.ISSUE),
    "R6": lambda e: e.is_(R.EVENT_WAIT),
    "R7": lambda e: e.is_(R.EVENT_SYNC),
    "R8": lambda e: e.is_(R.QUERY),
    "R9": lambda e: e.is_(R.STREAM_SYNC),
    "R10": lambda e: e.is_(R.DEVICE_SYNC),
    "R11": lambda e: e.is_(R.LEGACY),
    "R13": lambda e: (
        e.is_(R.STREAM_SYNC, R.QUERY) and e.on("0") is False and e.op.stream in ("0", None)
    ),
    "R14": lambda e: e.is_(R.LEGACY) and e.on("ptds"),
    "R16": lambda e: e.is_(R.LEGACY) and "memcpy" in (e.op.word, e.origin.word),
    "R17": lambda e: e.is_(R.COPY_DRAINS) and e.spaces[1:] == ["device"],
    "R18": lambda e: e.is_(R.COPY_RETURNS) and e.spaces == ["pinned", "device"],
    "R19": lambda e: e.is_(R.COPY_RETURNS) and e.is_copy(blocks=True) and e.spaces[0] == "device",
    "R21": lambda e: e.is_(R.COPY_DRAINS) and "device" not in e.spaces,
    "R22": lambda e: e.is_(R.COPY_RETURNS) and e.is_copy(blocks=False),
    "R24": lambda e: e.is_(R.COPY_RETURNS) and "managed" in e.spaces,
    "R25": lambda e: e.is_(R.MEMSET_RETURNS),
    "R27": lambda e: e.is_(R.FREE_DRAINS),
    "R33": lambda e: e.is_(R.GRAPH),
    "R39": lambda e: e.is_(R.COPY_RETURNS) and e.is_copy(blocks=True) and not e.on("0"),
    "R46": lambda e: e.is_(R.COPY_READS),
    "R48": lambda e: e.is_(R.AGENT),
    "R49 task": lambda e: e.is_(R.TASK),
    "R49 done": lambda e: e.is_(R.TASK_DONE),
    "R50 token": lambda e: e.is_(R.TOKEN),
    "R50 start": lambda e: e.is_(R.THREAD_START),
    "R50 join": lambda e: e.is_(R.THREAD_JOIN),
    "R51": lambda e: e.is_(R.COLLECTIVE),
}
"""By rule: which edges it gives. R3, R4, R12, R23 say which edges there are not; see WRONG."""


def disagree(judged: Judged) -> bool:
    """Whether the order names other races than the machine has seen, for some program."""
    return any(raced(HappensBefore(trace, engine="python")) != found for trace, found in judged)


def test_as_it_is_the_order_agrees(machine_races: Judged) -> None:
    assert not disagree(machine_races)


@pytest.mark.parametrize("rule", LOST)
def test_an_edge_of_a_rule_that_the_order_loses_is_noticed(
    rule: str,
    machine_races: Judged,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, lost = Walk.edge, 0

    def without(self: Walk, source: int, target: int, why: int, via: int = -1) -> None:
        nonlocal lost
        if source >= 0 and LOST[rule](Edge(self, source, target, why)):
            lost += 1
        else:
            whole(self, source, target, why, via)

    monkeypatch.setattr(Walk, "edge", without)

    assert disagree(machine_races)
    assert lost > 0


def test_every_reason_is_in_the_table() -> None:
    # PROGRAM, STREAM and VALUE are no edges of the walk: the next test is about them
    named = {TEXT[reason].rule for reason in set(Reason) - IMPLICIT}

    assert named <= {rule.split()[0] for rule in LOST}


def _apart(op: Op) -> dict[str, Any]:
    """R1: give each kernel a stream of its own."""
    return {"stream": f"{op.stream}#{op.id}"} if op.word == "launch" else {}


def _threads(op: Op) -> dict[str, Any]:
    """R2: give each host access a thread of its own."""
    return {"thread": f"T#{op.id}"} if op.word in ("host_read", "host_write") else {}


def _met(op: Op) -> dict[str, Any]:
    """R45: let each wait for a value be met from the beginning."""
    return {"value": 0} if op.word == "stream_wait_value" else {}


@pytest.mark.parametrize("change", [_apart, _threads, _met])
def test_a_line_or_a_value_wait_that_the_order_loses_is_noticed(
    change: Callable[[Op], dict[str, Any]], machine_races: Judged
) -> None:
    changed: Judged = []
    for trace, found in machine_races:
        structs = [o.OPS[op.kind](**{**_known(op), **change(op)}) for op in trace]
        changed.append((from_ops(structs, trace.header), found))

    assert disagree(changed)


def _known(op: Op) -> dict[str, Any]:
    known = o.OPS[op.kind].__struct_fields__
    return {key: value for key, value in op.fields().items() if key in known}


def _drain(self: Lowering, op: int) -> None:
    """Take an op for one that waits for everything."""
    self.join(op, [self.tail[s] for s in range(len(self.trace.streams))], Reason.DEVICE_SYNC)


def _nothing(*_: object, **__: object) -> None:
    """Do nothing."""


def _issue_only(self: Lowering, op: int) -> None:
    """Take a free in stream order for one that hands nothing back."""
    self.issue(op)


def _keep_the_first(self: Lowering, op: int) -> None:
    """Let a second record of an event be none."""
    event = str(self.trace[op].obj)
    if any(self.trace[e].word == "event_record" and self.trace[e].obj == event for e in range(op)):
        self.issue(op, carries_call=False)
    else:
        Events.on_event_record(self, op)


def _capture_later(self: Lowering, op: int) -> None:
    """Take a record for one that also waits for what its thread has done: its call."""
    whole = self.issue
    self.issue = lambda op, **_: whole(op)  # type: ignore[method-assign]
    Events.on_event_record(self, op)
    self.issue = whole  # type: ignore[method-assign]


def _all_streams(self: Lowering, stream: int) -> list[int]:
    """Let the legacy stream and every other stream wait for each other."""
    streams = self.trace.streams
    wanted = not streams.legacy[stream]
    return [self.tail[s] for s in range(len(streams)) if streams.legacy[s] == wanted]


def _always(*_: object, **__: object) -> bool:
    return True


def _wait_for_all(self: Lowering, op: int) -> None:
    """Take a wait for an event that was never recorded for one that waits for everything."""
    Events.on_stream_wait_event(self, op)
    if self.binding[op] < 0:
        for stream in range(len(self.trace.streams)):
            self.edge(self.tail[stream], self.op_node[op], Reason.EVENT_WAIT)


@pytest.mark.parametrize(
    ("rule", "method", "wrong"),
    [
        ("R3", "on_event_record", _capture_later),
        ("R4", "on_event_record", _keep_the_first),
        ("R5", "on_stream_wait_event", _wait_for_all),
        ("R12", "legacy_sources", _all_streams),
        ("R20", "_copy_returns", _always),
        ("R23", "_copy_returns", _always),
        ("R26", "on_malloc", _drain),
        ("R29", "on_free_async", _issue_only),
        ("R31", "on_stream_destroy", _drain),
        ("R32", "on_graph_capture", _drain),
        ("R37", "on_record_stream", _nothing),
        ("R38", "_note", _nothing),
        ("R53", "on_mark", _drain),
    ],
)
def test_a_wrong_reading_of_a_rule_is_noticed(
    rule: str,
    method: str,
    wrong: Any,
    machine_races: Judged,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Lowering, method, wrong, raising=False)

    assert disagree(machine_races), rule
