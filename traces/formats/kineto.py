"""PyTorch profiler (Kineto) JSON, of CUDA and ROCm, of every generation since torch 1.8.

The facts are those of the page on trace sources, sections 2 to 5. The file has no addresses, so
no conflict can be proved from it: the header says that nothing is complete, copies touch empty
ranges, and each kind of missing fact is counted in ``Trace.gaps``.
"""

from __future__ import annotations

import gc
from typing import BinaryIO

from streamsan.traces.build import TraceBuilder
from streamsan.traces.formats import Format
from streamsan.traces.formats.execution_trace import Execution
from streamsan.traces.formats.kineto_events import EventReader
from streamsan.traces.formats.kineto_facts import Facts
from streamsan.traces.formats.kineto_header import open_events, sniff, surroundings
from streamsan.traces.formats.kineto_ops import write_ops
from streamsan.traces.model import Damage, Trace


def read(stream: BinaryIO, path: str, execution: Execution | None = None) -> Trace:
    """Make a Trace of the decompressed content of a PyTorch profiler file.

    Args:
        stream: the content.
        path: for messages.
        execution: an execution trace of the same run, which knows reads and writes.

    Raises:
        TraceError: it is JSON of another kind, or no JSON; or the execution trace is of another
            run.
    """
    collecting = gc.isenabled()
    gc.disable()  # it would walk hundreds of thousands of live events, again and again
    try:
        return _read(stream, path, execution)
    finally:
        if collecting:
            gc.enable()


def _read(stream: BinaryIO, path: str, execution: Execution | None) -> Trace:
    opening = open_events(stream, path)
    reader = EventReader(stream, opening.data, opening.offset, path)
    facts = Facts(functions=execution is not None)
    for events in reader.batches():
        facts.take(events)
    around = surroundings(opening, reader.tail, closed=reader.closed)
    sink = write_ops(facts, around.base, hip=around.hip, execution=execution)
    builder = TraceBuilder()
    builder.add(sink.ops, sink.keys)
    damage = _damage(reader, around.problem, stream)
    return builder.finish(around.header, path, damage=damage, gaps=sink.gaps)


def _damage(reader: EventReader, problem: str | None, stream: BinaryIO) -> Damage | None:
    """Say what was wrong with the container, None if nothing was."""
    reasons = []
    if reader.repaired or reader.lost:
        reasons.append(
            f"{reader.repaired + reader.lost} events are broken JSON, {reader.lost} of them lost"
        )
    if reader.odd:
        reasons.append(reader.odd)
    if not reader.closed:
        reasons.append("the file ends before its events do")
    if problem:
        reasons.append(problem)
    if not reasons:
        return None
    return Damage("; ".join(reasons), reader.kept, reader.lost, _line(stream, reader.broken_at))


def _line(stream: BinaryIO, offset: int | None) -> int | None:
    """Count the lines before an offset, where the content can be read again."""
    if offset is None or not stream.seekable():
        return None
    stream.seek(0)
    line = 1
    while offset > 0 and (data := stream.read(min(offset, 1 << 20))):
        line += data.count(b"\n")
        offset -= len(data)
    return line


FORMAT = Format("kineto", (), sniff, read, None)
