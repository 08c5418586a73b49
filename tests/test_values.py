"""Value waits against every execution: what the order says is what all of them have in common.

Small programs of launches, events and values are run in every way that streams and host allow. An
op comes before another exactly where no reachable state has the second done and the first not.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from streamsan.traces import ops as o
from streamsan.traces.build import from_ops
from streamsan.traces.order import HappensBefore
from streamsan.traces.text import format_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamsan.traces import Trace

STREAMS = ("a", "b", "c")
ADDRESSES = ("x", "y")


class State(NamedTuple):
    """How far the host and each stream are, and the highest value written to each address."""

    host: int
    done: frozenset[int]
    values: tuple[int, ...]


def program(rng: random.Random, ops: int) -> list[o.OpBase]:
    """Make a small program by one thread."""
    found: list[o.OpBase] = []
    for _ in range(ops):
        stream, addr = rng.choice(STREAMS), rng.choice(ADDRESSES)
        word = rng.randrange(9)
        if word < 3:
            found.append(o.StreamWaitValue(stream=stream, addr=addr, value=rng.choice((1, 1, 2))))
        elif word < 6:
            found.append(o.StreamWriteValue(stream=stream, addr=addr, value=rng.choice((1, 2, 2))))
        elif word == 6:
            found.append(o.StreamWriteValue(addr=addr, value=1))
        elif word == 7:
            found.append(o.EventRecord(event="e", stream=stream))
        else:
            found.append(o.StreamWaitEvent(event="e", stream=stream))
    return found


def steps(ops: list[o.OpBase], state: State) -> Iterator[State]:
    """Give the states that one step leads to: the host's next op, or a stream's."""
    if state.host < len(ops):
        op = ops[state.host]
        if getattr(op, "stream", None) is None:
            yield _store(op, state.host, state)._replace(host=state.host + 1)
        else:
            yield state._replace(host=state.host + 1)
    for stream in STREAMS:
        mine = [i for i in range(state.host) if getattr(ops[i], "stream", None) == stream]
        ahead = [i for i in mine if i not in state.done]
        if ahead and _may_run(ops, ahead[0], state):
            yield _store(ops[ahead[0]], ahead[0], state)


def _store(op: o.OpBase, index: int, state: State) -> State:
    values = list(state.values)
    if isinstance(op, o.StreamWriteValue):
        at = ADDRESSES.index(str(op.addr))
        values[at] = max(values[at], op.value)
    return State(state.host, state.done | {index}, tuple(values))


def _may_run(ops: list[o.OpBase], index: int, state: State) -> bool:
    op = ops[index]
    if isinstance(op, o.StreamWaitValue):
        return state.values[ADDRESSES.index(str(op.addr))] >= op.value
    if isinstance(op, o.StreamWaitEvent):
        records = [i for i in range(index) if isinstance(ops[i], o.EventRecord)]
        return not records or records[-1] in state.done
    return True


def truth(ops: list[o.OpBase]) -> tuple[set[tuple[int, int]], frozenset[int]]:
    """Give the pairs that are ordered in every execution, and the ops that end in any."""
    seen: set[State] = set()
    todo = [State(0, frozenset(), (0,) * len(ADDRESSES))]
    late: set[tuple[int, int]] = set()
    ended: frozenset[int] = frozenset()
    while todo:
        state = todo.pop()
        if state in seen:
            continue
        seen.add(state)
        ended |= state.done
        late |= {(i, j) for j in state.done for i in range(len(ops)) if i not in state.done}
        todo.extend(steps(ops, state))
    return {(i, j) for i in ended for j in ended if i != j and (i, j) not in late}, ended


def compare(trace: Trace, ops: list[o.OpBase]) -> tuple[int, int, int]:
    """Check one program; give how many pairs are ordered, are not, and were not seen to be."""
    order = HappensBefore(trace, engine="python")
    always, ended = truth(ops)
    ordered = free = unseen = 0
    for i in ended:
        for j in ended:
            if i == j:
                continue
            if order.ordered(i, j):
                assert (i, j) in always, f"{i} before {j}?\n{format_trace(trace)}"
                ordered += 1
            elif (i, j) in always:
                unseen += 1
            else:
                free += 1
    return ordered, free, unseen


@pytest.mark.parametrize("batch", range(4))
def test_the_order_is_what_all_executions_share(batch: int) -> None:
    rng = random.Random(batch)  # noqa: S311
    total = [0, 0, 0]
    for _ in range(300):
        ops = program(rng, rng.randrange(4, 10))
        found = compare(from_ops(ops), ops)
        total = [a + b for a, b in zip(total, found, strict=True)]

    ordered, free, unseen = total
    assert min(ordered, free) > 500
    # the meet of clocks is exact but for circles of waits
    assert unseen <= ordered // 100
