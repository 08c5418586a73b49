"""A graph is launched after memory that it uses was freed.

What it does:
    Finds the first launch of a graph that comes, in issue order, after the free of a buffer that
    its nodes use, host sources of captured copies included. Later launches raise the count.

Why it is wrong:
    A graph holds addresses, not tensors (R33). After the free they are somebody else's.

Bad:
    malloc a device 64
    s: graph_capture g w=a
    free a
    s: graph_launch g

Good:
    malloc a device 64
    s: graph_capture g w=a
    s: graph_launch g
    stream_sync s
    free a

Fix:
    Keep the buffer as long as the graph lives, or retire the graph with it and capture again.

Limits:
    Refilling a captured host source between two launches is legal; while a launch may still read
    it, that is SO112.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace
from streamsan.traces.ops import Kind


def check(trace: Trace, evidence: Evidence) -> Iterator[Finding]:
    """Report launches of graphs that use freed memory."""
    found: dict[tuple[int, int], Finding] = {}
    for launch, buffer in _uses(trace):
        freed = int(trace.buffers.free[buffer])
        if not 0 <= freed < launch:
            continue
        key = (freed, int(trace.obj[launch]))
        if key in found:
            found[key] = replace(found[key], count=found[key].count + 1)
            continue
        name = evidence.buffer_name(buffer)
        message = (
            f"{evidence.call(launch)} runs a graph that uses {name}, which "
            f"{evidence.call(freed)} freed"
        )
        hint = f"keep {name} alive as long as graph {trace[launch].obj} is launched"
        found[key] = evidence.make(
            *RULE.head, "use-after-free", (freed, launch), message, hint, buffer=name
        )
    yield from found.values()


def _uses(trace: Trace) -> Iterator[tuple[int, int]]:
    """Give (launch, buffer) for what each launch touches: its own sets and those captured."""
    captures: dict[int, int] = {}
    kinds = (trace.kind == Kind.GRAPH_CAPTURE) | (trace.kind == Kind.GRAPH_LAUNCH)
    for op in np.flatnonzero(kinds).tolist():
        graph = int(trace.obj[op])
        if trace.kind[op] == Kind.GRAPH_CAPTURE:
            captures[graph] = op
            continue
        buffers: dict[int, None] = {}
        for source in (captures.get(graph), op):
            if source is not None:
                buffers.update((access.buffer, None) for access in trace[source].accesses)
        for buffer in buffers:
            yield op, buffer


RULE = Rule("SO204", "captured-pointer-lifetime", "error", ("accesses", "sync", "memory"), check)
