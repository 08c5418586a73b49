"""Where each field of each op stands in the columns of a Trace.

Packing (ops to columns) and unpacking (columns to ops) both read this table, so they cannot
disagree. A field stands in exactly one of these places:

- the base columns that every op has (``name``, ``device``, ``thread``, ``site``, times, ``tag``);
- ``stream``; ``obj``, the one name an op may carry (event, graph, slot, token, ..., buffer);
- ``number``, one 64-bit integer; ``via``, a name;
- ``bits``: up to four fields of few values, four bits each, 0 for a field left out;
- the accesses: ranges with a mode;
- ``extras``: everything rare, kept as it was given.
"""

from __future__ import annotations

from typing import NamedTuple

from streamsan.traces import ops as o

READ, WRITE, ESCAPE, MENTION = 0, 1, 2, 3
"""Modes of an access. A MENTION (a slot's range) touches nothing."""


class Layout(NamedTuple):
    """The places of one op's own fields."""

    stream: bool = False
    obj: str | None = None
    number: str | None = None
    via: bool = False
    bits: tuple[tuple[str, tuple[object, ...]], ...] = ()
    ranges: tuple[tuple[str, int], ...] = ()
    rare: tuple[str, ...] = ()


_ASYNC = ("async_", (True, False))
_RESULT = ("result", ("success", "not_ready"))
_SPACE = ("space", ("device", "pinned", "pageable", "managed"))
_KIND = ("kind", ("H2D", "D2H", "D2D", "P2P", "H2H"))
_ALLOCATOR = ("allocator", ("plain", "caching", "caching_host", "mapped", "stream_ordered"))
_SETS = (("reads", READ), ("writes", WRITE))

LAYOUTS: dict[type[o.OpBase], Layout] = {
    o.Launch: Layout(stream=True, ranges=_SETS),
    o.EventRecord: Layout(stream=True, obj="event"),
    o.StreamWaitEvent: Layout(stream=True, obj="event"),
    o.Memcpy: Layout(
        stream=True,
        via=True,
        bits=(
            _ASYNC,
            ("wait", ("legacy", "stream")),
            _KIND,
            ("src_access", ("call", "stream", "any")),
        ),
        ranges=(("src", READ), ("dst", WRITE)),
        rare=("digest",),
    ),
    o.Memset: Layout(stream=True, bits=(_ASYNC,), ranges=(("dst", WRITE),)),
    o.EventSynchronize: Layout(obj="event"),
    o.StreamSynchronize: Layout(stream=True),
    o.HostRead: Layout(via=True, ranges=(("buffer", READ),), rare=("agent",)),
    o.HostWrite: Layout(via=True, ranges=(("buffer", WRITE),), rare=("agent",)),
    o.Malloc: Layout(
        stream=True,
        obj="buffer",
        number="bytes",
        bits=(_SPACE, _ALLOCATOR),
        rare=("address", "offset"),
    ),
    o.Free: Layout(obj="buffer"),
    o.Mark: Layout(),
    o.RegionBegin: Layout(),
    o.RegionEnd: Layout(),
    o.StreamCreate: Layout(
        stream=True, number="priority", bits=(("flags", ("nonblocking", "blocking")),)
    ),
    o.StreamDestroy: Layout(stream=True),
    o.EventCreate: Layout(obj="event", rare=("flags",)),
    o.EventDestroy: Layout(obj="event"),
    o.EventQuery: Layout(obj="event", bits=(_RESULT,)),
    o.StreamQuery: Layout(stream=True, bits=(_RESULT,)),
    o.DeviceSynchronize: Layout(),
    o.HostEscape: Layout(via=True, ranges=(("buffer", ESCAPE),)),
    o.HostFunc: Layout(stream=True, ranges=_SETS, rare=("signals", "awaits")),
    o.HostTaskSubmit: Layout(obj="task", ranges=_SETS),
    o.HostTaskDone: Layout(obj="task"),
    o.MallocAsync: Layout(
        stream=True, obj="buffer", number="bytes", bits=(_SPACE,), rare=("address", "offset")
    ),
    o.FreeAsync: Layout(stream=True, obj="buffer"),
    o.RecordStream: Layout(stream=True, obj="buffer"),
    o.HostRegister: Layout(obj="buffer"),
    o.HostUnregister: Layout(obj="buffer"),
    o.GraphCapture: Layout(stream=True, obj="graph", ranges=_SETS, rare=("nodes",)),
    o.GraphLaunch: Layout(stream=True, obj="graph", ranges=_SETS),
    o.StreamWriteValue: Layout(stream=True, obj="addr", number="value"),
    o.StreamWaitValue: Layout(stream=True, obj="addr", number="value"),
    o.Collective: Layout(
        stream=True, obj="group", number="seq", ranges=_SETS, rare=("ranks", "rank")
    ),
    o.ThreadStart: Layout(obj="target"),
    o.ThreadJoin: Layout(obj="target"),
    o.Signal: Layout(obj="token"),
    o.Await: Layout(obj="token"),
    o.SlotDefer: Layout(obj="slot", ranges=(("source", MENTION),)),
    o.SlotResolve: Layout(obj="slot", number="version", ranges=(("value", MENTION),)),
    o.SlotRead: Layout(obj="slot", number="expects_version"),
    o.SlotConsume: Layout(obj="slot"),
}

SINGLE_RANGES = frozenset({"src", "dst", "buffer", "source", "value"})
"""Fields that hold one range, not a list of them."""

LAYOUT_OF_KIND: tuple[Layout, ...] = tuple(LAYOUTS[cls] for cls in o.OPS)


def bits_of(cls: type[o.OpBase], field: str, value: object) -> int:
    """The ``bits`` column's part for ``field`` holding ``value`` (0 for None)."""
    for place, (name, choices) in enumerate(LAYOUTS[cls].bits):
        if name == field:
            return 0 if value is None else (choices.index(value) + 1) << (4 * place)
    raise KeyError(field)
