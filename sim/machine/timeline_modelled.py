"""How long the steps of a timeline take by a stated model; work as measured, where it was.

Every call takes the same, and waits for what it has to; work begins once its call is over and its
engine is free. A device has one compute queue and a copy engine each way.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from streamsan.sim.machine.timeline import WORK, Timeline
from streamsan.sim.machine.timeline_recorded import Timed, Usual
from streamsan.traces.model import NONE, Op, Trace
from streamsan.traces.ops import Kind

_HOST = ("pinned", "pageable")


class Engine(Enum):
    """What device work runs on; each runs one thing at a time."""

    COMPUTE = "compute"
    COPY_IN = "copy in"
    COPY_OUT = "copy out"


@dataclass(frozen=True)
class Costs:
    """The model, for ops without measured times. Times in ns, rates in bytes a ns (GB/s)."""

    kernel: int = 10_000
    launch: int = 4_000
    """What a call of the host takes, beside what it waits for."""
    copy: int = 2_000
    """What a copy takes before its first byte."""
    link: float = 50.0
    on_device: float = 1_500.0
    staging: float = 10.0
    """Pageable memory goes through the driver's staging buffer."""


def model(line: Timeline, costs: Costs) -> Timed:
    """Time every step of a timeline in which all work, and every call, takes time."""
    moments, trace = line.moments, line.trace
    calls = set(line.call)
    for moment, first in enumerate(moments.first):
        moments.lag[moment] = costs.launch if first in calls else 0
    names = engines_of(trace)
    for op, begin in enumerate(line.begin):
        takes = duration(trace[op], costs) * _nodes(line, op)
        if begin < 0 and trace.kind[op] == Kind.MEMCPY:  # by the host: within its memory
            moments.lag[line.back[op]], moments.gap[line.back[op]] = costs.launch + takes, takes
        elif begin >= 0 and line.end[op] != begin:
            moments.lag[line.end[op]] = takes
    engines = {line.begin[op]: name for op, name in names.items() if line.begin[op] >= 0}
    return Timed(line, [0] * len(moments), Usual(costs.launch, 0, costs.launch), engines)


def _nodes(line: Timeline, op: int) -> int:
    """Count the kernels of a graph's launch that was not measured; 1 for anything else."""
    nodes = line.trace.extras.get(line.graph.captured.get(op, op), {}).get("nodes")
    return len(nodes) if nodes and not is_measured(line.trace[op]) else 1


def engines_of(trace: Trace) -> dict[int, str]:
    """Name the engine of each op that has one; where several devices work, with its device."""
    engines = {op.id: engine for op in trace if (engine := engine_of(op)) is not None}
    device = {op: int(trace.device[op]) for op in engines}
    several = len(set(device.values())) > 1
    return {
        op: f"{engine.value} of device {device[op]}" if several else engine.value
        for op, engine in engines.items()
    }


def is_measured(op: Op) -> bool:
    """Whether a trace says when an op's work began and ended."""
    return NONE not in (int(op.trace.begin[op.id]), int(op.trace.end[op.id]))


def engine_of(op: Op) -> Engine | None:
    """Give what an op runs on; None for what is no device work."""
    if op.kind not in WORK:
        return None
    if op.kind != Kind.MEMCPY:
        return Engine.COMPUTE
    return {"H2D": Engine.COPY_IN, "D2H": Engine.COPY_OUT, "H2H": None}.get(
        direction(op), Engine.COMPUTE
    )


def direction(op: Op) -> str:
    """Give the direction of a copy: the one that the trace names, else told from the spaces."""
    given = op.bit("kind")
    if given:
        return str(given)
    src, dst = (op.trace.buffers.space[each.buffer] in _HOST for each in op.accesses[:2])
    words = {(True, True): "H2H", (True, False): "H2D", (False, True): "D2H"}
    return words.get((src, dst), "D2D")


def duration(op: Op, costs: Costs) -> int:
    """Give what an op takes on the device."""
    if is_measured(op):
        return max(int(op.trace.end[op.id]) - int(op.trace.begin[op.id]), 0)
    if op.kind == Kind.MEMCPY:
        spaces = [op.trace.buffers.space[each.buffer] for each in op.accesses[:2]]
        rate = costs.staging if "pageable" in spaces else costs.link
        rate = costs.on_device if direction(op) == "D2D" else rate
        return costs.copy + round(size_of(op) / rate)
    return costs.kernel if op.kind in WORK or op.kind == Kind.HOST_FUNC else 0


def size_of(op: Op) -> int:
    """Give the bytes that a copy moves; 0 where the trace does not say."""
    trace, access = op.trace, op.accesses[0]
    length = int(trace.ranges.length[access.range])
    if length >= 0:
        return length
    known = int(trace.buffers.extent[access.buffer])
    return known if 0 <= known < 1 << 48 else 0
