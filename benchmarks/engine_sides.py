"""What ``engine.py`` measures: one program, and how each side is given it."""

from __future__ import annotations

from time import process_time as clock
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVERY = 10
"""Launches to a record and a wait."""
SELDOM = 1001
"""Launches to one that goes wrong, in the racy variant."""


class Step(NamedTuple):
    """One launch: its stream, what it reads and writes, and the stream that then waits, or -1."""

    stream: int
    reads: tuple[int, int]
    write: int
    waiter: int


def steps(launches: int, streams: int, racy: bool = False) -> Iterator[Step]:
    """Give a program: weights that all streams read, and an output of each stream's own.

    In the racy one the stream that waits reads the output of the one that records, as it should,
    and now and then a stream reads an output that it has not waited for.
    """
    weights, outputs = 7 * streams, 1000
    for i in range(launches):
        stream = i % streams
        reads = (stream * 7 + i % 7, weights)
        if racy and i % SELDOM == 0:
            reads = (outputs + (stream + streams // 2) % streams, weights)
        waiter = (stream + 1) % streams if i % EVERY == EVERY - 1 else -1
        yield Step(stream, reads, outputs + stream, waiter)


def op_values(program: Iterator[Step]) -> list[Any]:
    """Give a program as streamsan's ops."""
    from streamsan.traces import ops as o

    found: list[Any] = []
    for stream, reads, write, waiter in program:
        name, event = f"s{stream}", f"e{stream}"
        sets = (f"t{reads[0]}", f"t{reads[1]}"), (f"t{write}",)
        found.append(o.Launch(stream=name, reads=sets[0], writes=sets[1]))
        if waiter >= 0:
            found.append(o.EventRecord(event=event, stream=name))
            found.append(o.StreamWaitEvent(event=event, stream=f"s{waiter}"))
    return found


def build(values: list[Any]) -> Any:
    """Make the columns."""
    from streamsan.traces import ops as o
    from streamsan.traces.build import TraceBuilder

    builder = TraceBuilder()
    builder.add(values)
    return builder.finish(o.Header())


# --- the two sides


def run_csan(program: list[Step], *, makes_sets: bool = False) -> tuple[float, int]:
    """Give seconds and errors of CSAN's own event handler, called as its dispatch mode calls it.

    Its callers make the sets of tensors for each launch; they are ready here, in its favour, unless
    ``makes_sets``.
    """
    from torch.cuda._sanitizer import EventHandler

    handler, errors = EventHandler(), 0
    launch, record = handler._handle_kernel_launch, handler._handle_event_record  # noqa: SLF001
    wait = handler._handle_event_wait  # noqa: SLF001
    none: set[int] = set()
    given = (
        (s.stream + 1, set(s.reads), {s.write}, {t: ["x"] for t in (*s.reads, s.write)}, s.waiter)
        for s in program
    )
    calls = given if makes_sets else list(given)
    started = clock()
    for stream, reads, writes, aliases, waiter in calls:
        errors += len(launch(stream, reads, writes, none, "aten::op", aliases))
        if waiter >= 0:
            record(stream, stream)
            wait(stream, waiter + 1)
    return clock() - started, errors


def no_stacks() -> Any:
    """Take the capture of stacks away from CSAN: no walk, and one list for all launches."""
    from torch.cuda import _sanitizer

    constant: list[Any] = []
    summary = SimpleNamespace(extract=lambda *_args, **_options: constant)
    fake = SimpleNamespace(walk_stack=lambda _: (), StackSummary=summary)
    return mock.patch.object(_sanitizer, "traceback", fake)


def at_depth(depth: int, function: Callable[[], Any]) -> Any:
    """Call a function as deep in the stack as a user's program is."""
    return function() if depth <= 0 else at_depth(depth - 1, function)


def run_streamsan(trace: Any, engine: Any) -> tuple[float, int]:
    """Give seconds and pairs, from columns alone: whatever the trace has kept is dropped first."""
    from streamsan.traces.order.happens_before import HappensBefore

    for kept in ("streams", "buffers", "access_op"):
        trace.__dict__.pop(kept, None)
    started = clock()
    pairs = HappensBefore(trace, engine=engine).pairs
    return clock() - started, len(pairs)
