"""A Trace: what one process did to its streams, events and memory, in issue order.

Everything stands in columns, one entry an op (or an access); ``trace[i]`` gives a light view.
Names are interned: a name column holds indices into ``trace.names``, -1 where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamsan.traces import ops as o
from streamsan.traces.graph_nodes import node_sets
from streamsan.traces.instances import Buffers, Streams, find_buffers, find_streams
from streamsan.traces.layout import LAYOUT_OF_KIND, SINGLE_RANGES
from streamsan.traces.ops import Header, Kind

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Bytes = NDArray[np.uint8]

NONE = -(2**63)
"""An entry of a 64-bit column that was left out."""
WHOLE = -1
"""The length of a range that is its whole buffer."""


class Damage(NamedTuple):
    """What a reader could not use of a damaged container (rule SO901)."""

    reason: str
    kept: int
    lost: int | None
    line: int | None


class Gap(NamedTuple):
    """Facts that a whole file does not hold (rule SO902): one kind of gap, how often, first op."""

    reason: str
    times: int
    op: int | None


class Access(NamedTuple):
    """One access of an op; ``range`` is an index into ``trace.ranges``."""

    mode: int
    range: int
    buffer: int


@dataclass(frozen=True, eq=False)
class Ranges:
    """The distinct ranges of a trace.

    ``offset`` and ``length`` in bytes; ``length`` is ``WHOLE`` for a whole buffer. For a strided
    view (``strided`` >= 0, an index into ``views``) they are its bounding box.
    """

    name: Ints
    offset: Longs
    length: Longs
    strided: Ints
    views: tuple[o.StridedRange, ...]

    def __len__(self) -> int:
        """Count the ranges."""
        return len(self.name)


@dataclass(frozen=True, eq=False)
class Trace:
    """Columns of one trace; see ``traces/layout.py`` for where each field of an op stands.

    The accesses of op ``i`` are entries ``access_start[i]`` to ``access_start[i + 1]``.
    """

    header: Header
    names: tuple[str, ...]
    kind: Bytes
    bits: NDArray[np.uint16]
    stream_name: Ints
    thread: Ints
    device: Ints
    obj: Ints
    name: Ints
    via: Ints
    site: Ints
    tag: Ints
    number: Longs
    t: Longs
    t_end: Longs
    begin: Longs
    end: Longs
    tags: tuple[bytes, ...]
    extras: Mapping[int, dict[str, Any]]
    access_start: Longs
    access_range: Ints
    access_mode: Bytes
    ranges: Ranges
    path: str = "-"
    header_extras: Mapping[str, Any] = field(default_factory=dict)
    damage: Damage | None = None
    gaps: tuple[Gap, ...] = ()

    def __len__(self) -> int:
        """Count the ops."""
        return len(self.kind)

    def __getitem__(self, index: int) -> Op:
        """Give a view of op ``index``."""
        if not 0 <= index < len(self.kind):
            raise IndexError(index)
        return Op(self, index)

    def __iter__(self) -> Iterator[Op]:
        """Go through the ops in issue order."""
        return (Op(self, i) for i in range(len(self)))

    @cached_property
    def access_op(self) -> Ints:
        """The op of each access."""
        ops = np.arange(len(self), dtype=np.int32)
        found: Ints = np.repeat(ops, np.diff(self.access_start))
        return found

    @cached_property
    def streams(self) -> Streams:
        """The streams, told apart as the format says (``"0"`` and ``"ptds"`` per device)."""
        return find_streams(self)

    @cached_property
    def buffers(self) -> Buffers:
        """The buffers: a name allocated again after its free is another buffer."""
        return find_buffers(self)


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """A view of one op. Indices refer to the trace's tables; names come as strings."""

    trace: Trace
    id: int

    @property
    def kind(self) -> int:
        """The op's code, one of ``Kind``."""
        return int(self.trace.kind[self.id])

    @property
    def word(self) -> str:
        """The op's word in the file."""
        return o.WORDS[self.kind]

    @property
    def name(self) -> str:
        """The op's name; its own word where it has none."""
        index = int(self.trace.name[self.id])
        return self.word if index < 0 else self.trace.names[index]

    @property
    def stream(self) -> str | None:
        """The name of its stream."""
        index = self.trace.stream_name[self.id]
        return None if index < 0 else self.trace.names[index]

    @property
    def thread(self) -> str:
        """The host thread that issued it."""
        return self.trace.names[int(self.trace.thread[self.id])]

    @property
    def device(self) -> int:
        """The ordinal of its device."""
        return int(self.trace.device[self.id])

    @property
    def obj(self) -> str | None:
        """The event, graph, slot, token, task, target, group, address or buffer it names."""
        index = self.trace.obj[self.id]
        return None if index < 0 else self.trace.names[index]

    @property
    def via(self) -> str | None:
        """What the program wrote, such as ``item``."""
        index = self.trace.via[self.id]
        return None if index < 0 else self.trace.names[index]

    @property
    def number(self) -> int | None:
        """Its value, version, sequence number, bytes or priority."""
        value = int(self.trace.number[self.id])
        return None if value == NONE else value

    @property
    def stack(self) -> tuple[str, ...]:
        """Its stack, innermost frame first; empty where unknown."""
        site = int(self.trace.site[self.id])
        sites = self.trace.header.sites
        return sites[site] if 0 <= site < len(sites) else ()

    @property
    def extras(self) -> Mapping[str, Any]:
        """Its rare and its unknown keys."""
        return self.trace.extras.get(self.id, {})

    @property
    def accesses(self) -> list[Access]:
        """Its ranges, in the order of the file's keys."""
        trace = self.trace
        span = range(int(trace.access_start[self.id]), int(trace.access_start[self.id + 1]))
        buffer = trace.buffers.of_access
        return [
            Access(int(trace.access_mode[a]), int(trace.access_range[a]), int(buffer[a]))
            for a in span
        ]

    def bit(self, field_name: str) -> Any:
        """Give a field of few values (``async_``, ``space``, ...); None where left out."""
        value = int(self.trace.bits[self.id])
        for place, (name, choices) in enumerate(LAYOUT_OF_KIND[self.kind].bits):
            if name == field_name:
                code = (value >> (4 * place)) & 15
                return None if code == 0 else choices[code - 1]
        return None

    def fields(self) -> dict[str, Any]:
        """Give the op's fields that were set, by their names in ``traces/ops.py``."""
        trace, i = self.trace, self.id
        layout = LAYOUT_OF_KIND[self.kind]
        found: dict[str, Any] = {}
        _set_names(found, trace, i, layout.stream, layout.obj)
        if layout.number is not None and trace.number[i] != NONE:
            found[layout.number] = int(trace.number[i])
        for name, _ in layout.bits:
            value = self.bit(name)
            if value is not None:
                found[name] = value
        for mode_field, mode in layout.ranges:
            given = [range_spec(trace, a.range) for a in self.accesses if a.mode == mode]
            if mode_field in SINGLE_RANGES:
                if given:
                    found[mode_field] = given[0]
            elif given:
                found[mode_field] = tuple(given)
        _set_base(found, trace, i)
        found.update(trace.extras.get(i, {}))
        if "nodes" in found and self.kind == Kind.GRAPH_CAPTURE:
            sets = (found.get("reads", ()), found.get("writes", ()))
            if sets == node_sets(found["nodes"]):  # made from the nodes, and made again from them
                found.pop("reads", None)
                found.pop("writes", None)
        return found


def _set_names(
    found: dict[str, Any], trace: Trace, i: int, has_stream: bool, obj: str | None
) -> None:
    if has_stream and trace.stream_name[i] >= 0:
        found["stream"] = trace.names[trace.stream_name[i]]
    if obj is not None:
        found[obj] = trace.names[trace.obj[i]]


def _set_base(found: dict[str, Any], trace: Trace, i: int) -> None:
    for key in ("name", "via"):
        index = int(getattr(trace, key)[i])
        if index >= 0:
            found[key] = trace.names[index]
    thread = trace.names[trace.thread[i]]
    if thread != "main":
        found["thread"] = thread
    if trace.device[i]:
        found["device"] = int(trace.device[i])
    if trace.site[i] >= 0:
        found["site"] = int(trace.site[i])
    for key in ("t", "t_end", "begin", "end"):
        value = int(getattr(trace, key)[i])
        if value != NONE:
            found[key] = value
    if trace.tag[i] >= 0:
        import msgspec  # only views of tagged ops pay for it

        found["tag"] = msgspec.json.decode(trace.tags[trace.tag[i]])


def range_spec(trace: Trace, index: int) -> o.RangeSpec:
    """Give range ``index`` as the file writes it."""
    ranges = trace.ranges
    strided = int(ranges.strided[index])
    if strided >= 0:
        return ranges.views[strided]
    name = trace.names[ranges.name[index]]
    length = int(ranges.length[index])
    return name if length == WHOLE else (name, int(ranges.offset[index]), length)


__all__ = ["NONE", "WHOLE", "Access", "Damage", "Gap", "Kind", "Op", "Ranges", "Trace"]
