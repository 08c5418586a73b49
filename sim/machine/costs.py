"""What ops take: as measured where the trace has it, else by a stated model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from streamsan.traces.model import NONE, Op
from streamsan.traces.ops import Kind

_COMPUTE = (Kind.LAUNCH, Kind.MEMSET, Kind.GRAPH_LAUNCH, Kind.COLLECTIVE)
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


def engine_of(op: Op) -> Engine | None:
    """Give what an op runs on; None for what is no device work."""
    if op.kind in _COMPUTE:
        return Engine.COMPUTE
    if op.kind != Kind.MEMCPY:
        return None
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
    begin, end = int(op.trace.begin[op.id]), int(op.trace.end[op.id])
    if NONE not in (begin, end):
        return max(end - begin, 0)
    if op.kind == Kind.MEMCPY:
        spaces = [op.trace.buffers.space[each.buffer] for each in op.accesses[:2]]
        rate = costs.staging if "pageable" in spaces else costs.link
        rate = costs.on_device if direction(op) == "D2D" else rate
        return costs.copy + round(size_of(op) / rate)
    return costs.kernel if op.kind in _COMPUTE or op.kind == Kind.HOST_FUNC else 0


def size_of(op: Op) -> int:
    """Give the bytes that a copy moves; 0 where the trace does not say."""
    trace, access = op.trace, op.accesses[0]
    length = int(trace.ranges.length[access.range])
    if length >= 0:
        return length
    known = int(trace.buffers.extent[access.buffer])
    return known if 0 <= known < 1 << 48 else 0
