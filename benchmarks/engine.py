"""How fast launches are checked: PyTorch's CUDA sanitizer (CSAN) against both engines, in one run.

All are given the same ops: a launch reads two tensors and writes one, and every ten launches an
event is recorded on one stream and waited for on the next. CSAN does its work at each call; streamsan
is timed from the columns of a ready Trace to the pairs, everything included, and the time that the
columns take to make from op values is told apart. Needs torch (a CPU build will do) and numba.

    python benchmarks/engine.py [--launches 1000000] [--csan 100000] [--repeat 3]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

STREAMS = (2, 8, 32)
EVERY = 10
"""Launches to a record and a wait."""
DEEP = 25
"""Frames of a user's program above a launch, in the figure with a realistic stack."""


class Step(NamedTuple):
    """One launch: its stream, what it reads and writes, and the stream that then waits, or -1."""

    stream: int
    reads: tuple[int, int]
    write: int
    waiter: int


def steps(launches: int, streams: int, racy: bool = False) -> Iterator[Step]:
    """Give a program: weights that all streams read, and an output of each stream's own.

    In the racy one the stream that waits reads the output of the one that records, as it should,
    and at every 1000th time another stream reads it too, which waits for nothing.
    """
    weights, outputs = 7 * streams, 1000
    for i in range(launches):
        stream = i % streams
        reads = (stream * 7 + i % 7, weights)
        if racy and i % 1000 == 999:
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


def run_csan(program: list[Step]) -> tuple[float, int]:
    """Give seconds and errors of CSAN's own event handler, called as its dispatch mode calls it."""
    from torch.cuda._sanitizer import EventHandler

    handler, errors = EventHandler(), 0
    launch, record = handler._handle_kernel_launch, handler._handle_event_record  # noqa: SLF001
    wait = handler._handle_event_wait  # noqa: SLF001
    none: set[int] = set()
    # Its callers make these sets for each launch; here they are ready, in its favour.
    ready = [
        (s.stream + 1, set(s.reads), {s.write}, {t: ["x"] for t in (*s.reads, s.write)}, s.waiter)
        for s in program
    ]
    started = time.perf_counter()
    for stream, reads, writes, aliases, waiter in ready:
        errors += len(launch(stream, reads, writes, none, "aten::op", aliases))
        if waiter >= 0:
            record(stream, stream)
            wait(stream, waiter + 1)
    return time.perf_counter() - started, errors


def no_stacks() -> Any:
    """Take the capture of stacks away from CSAN: no walk, and one list for all launches."""
    patch = mock.patch.multiple(traceback, walk_stack=lambda _: (), StackSummary=_NoStack)
    return patch


class _NoStack(list[Any]):
    constant: list[Any] = []  # noqa: RUF012

    @classmethod
    def extract(cls, *_args: Any, **_options: Any) -> list[Any]:
        return cls.constant


def at_depth(depth: int, function: Callable[[], Any]) -> Any:
    """Call a function as deep in the stack as a user's program is."""
    return function() if depth <= 0 else at_depth(depth - 1, function)


def run_streamsan(trace: Any, engine: Any) -> tuple[float, int]:
    """Give seconds and pairs, from columns alone: whatever the trace has kept is dropped first."""
    from streamsan.traces.order.happens_before import HappensBefore

    for kept in ("streams", "buffers", "access_op"):
        trace.__dict__.pop(kept, None)
    started = time.perf_counter()
    pairs = HappensBefore(trace, engine=engine).pairs
    return time.perf_counter() - started, len(pairs)


# --- in processes of their own


def child(kind: str, launches: int, streams: int, cache: str) -> dict[str, float]:
    """Run one measurement in a fresh process; ``cache`` is the folder of compiled kernels."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    arguments = [sys.executable, __file__, "--child", kind, str(launches), str(streams)]
    output = subprocess.run(arguments, env=environment, check=True, stdout=subprocess.PIPE).stdout  # noqa: S603
    found: dict[str, float] = json.loads(output)
    return found


def child_first(launches: int, streams: int) -> dict[str, float]:
    """Time the first analysis of a process: import of numba, compiling or loading included."""
    trace = build(op_values(steps(launches, streams)))
    first, pairs = run_streamsan(trace, "compiled")
    return {"seconds": first, "pairs": pairs}


def child_memory(side: str, launches: int) -> dict[str, float]:
    """Tell by how much a process grows over many reads of one tensor by two streams."""
    if side == "csan":
        from torch.cuda._sanitizer import EventHandler

        handler = EventHandler()
        none: set[int] = set()
        before = _resident()
        for i in range(launches):
            handler._handle_kernel_launch(1 + i % 2, {7}, none, none, "aten::op", {7: ["x"]})  # noqa: SLF001
        return {"grown": _resident() - before}
    from streamsan.traces import ops as o
    from streamsan.traces.order.happens_before import HappensBefore

    reader = [o.Launch(stream=f"s{i}", reads=("t",)) for i in range(2)]
    trace = build([reader[i % 2] for i in range(launches)])
    order = HappensBefore(trace, engine="compiled" if side == "compiled" else "python")
    assert len(order.placed) == launches  # noqa: S101
    return {"grown": _scan_memory(order)}


def _scan_memory(order: Any) -> float:
    """Measure what the detector keeps while it runs: the arrays of state, not the trace itself."""
    import tracemalloc

    from streamsan.traces.order.atoms import find_atoms
    from streamsan.traces.order.compiled import compiled_scan
    from streamsan.traces.order.scan import scan

    atoms = find_atoms(order.placed.places)
    del atoms, scan, compiled_scan
    before = _resident()
    tracemalloc.start()
    pairs = order.pairs
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del pairs, peak
    return _resident() - before


def _resident() -> float:
    """Give the peak of resident memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
