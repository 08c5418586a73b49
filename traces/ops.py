"""The ops of the trace, version 1: one msgspec type for each.

These types ARE the contract of ``trace-format.md``: the JSON reader decodes into them and the
published JSON Schema is made from them. Field names are the keys of the file. A default is the
default that the format gives the key; ``None`` means that the key was left out.

To add an op: write its type here, append it to ``OPS`` (the position is its code in the ``kind``
column, so never reorder), and say in ``traces/order/semantics`` what it orders.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Name = str
StreamName = Name | int
Natural = Annotated[int, Meta(ge=0)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Id = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Size = Annotated[int, Meta(ge=0, le=2**53)]
Time = Annotated[int, Meta(ge=-(2**62), le=2**62)]
Address = Name | Annotated[int, Meta(ge=0, le=2**62)]
Space = Literal["device", "pinned", "pageable", "managed"]
Allocator = Literal["plain", "caching", "caching_host", "mapped", "stream_ordered"]


class StridedRange(Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes of a strided view: ``itemsize`` bytes at each index of ``shape``; strides in bytes."""

    buffer: Name
    shape: Annotated[tuple[Size, ...], Meta(max_length=64)]
    strides: Annotated[tuple[Int64, ...], Meta(max_length=64)]
    itemsize: Annotated[int, Meta(ge=1, le=2**53)]
    offset: Size = 0


RangeSpec = Name | tuple[Name, int, int] | StridedRange
"""A whole buffer, ``[buffer, offset, length]`` in bytes, or a strided view.

The bounds of offset and length are checked by the builder: constrained members of a fixed tuple
inside a union crash msgspec 0.22.
"""


class OpBase(Struct, tag_field="op", forbid_unknown_fields=True, gc=False, kw_only=True):
    """What every op may carry. Times are ns, evidence for costs; they never order anything."""

    name: Name | None = None
    device: Id = 0
    thread: StreamName = "main"
    site: Id | None = None
    t: Time | None = None
    t_end: Time | None = None
    begin: Time | None = None
    end: Time | None = None
    tag: dict[str, Any] | None = None


class StreamCreate(OpBase, tag="stream_create"):
    """A stream comes to be; ``blocking`` streams synchronise with the legacy stream (R12)."""

    stream: StreamName
    flags: Literal["nonblocking", "blocking"] = "nonblocking"
    priority: Int64 | None = None


class StreamDestroy(OpBase, tag="stream_destroy"):
    """A stream's name goes; pending work completes, nothing is ordered (R31)."""

    stream: StreamName


class EventCreate(OpBase, tag="event_create"):
    """An event comes to be, without a generation (R5)."""

    event: StreamName
    flags: Any = None


class EventDestroy(OpBase, tag="event_destroy"):
    """An event goes; waits already enqueued keep their capture (R31)."""

    event: StreamName


class EventRecord(OpBase, tag="event_record"):
    """Captures the work issued to ``stream`` so far (R3); replaces the record for later waits."""

    event: StreamName
    stream: StreamName


class StreamWaitEvent(OpBase, tag="stream_wait_event"):
    """Later work of ``stream`` starts after what the latest record captured (R6)."""

    stream: StreamName
    event: StreamName


class EventSynchronize(OpBase, tag="event_synchronize"):
    """The thread waits for the event (R7)."""

    event: StreamName


class EventQuery(OpBase, tag="event_query"):
    """Success orders the thread, not_ready nothing (R8)."""

    event: StreamName
    result: Literal["success", "not_ready"] | None = None


class StreamSynchronize(OpBase, tag="stream_synchronize"):
    """The thread waits for all work of the stream so far (R9)."""

    stream: StreamName


class StreamQuery(OpBase, tag="stream_query"):
    """As ``event_query``, for a stream."""

    stream: StreamName
    result: Literal["success", "not_ready"] | None = None


class DeviceSynchronize(OpBase, tag="device_synchronize"):
    """The thread waits for all streams of ``device`` (R10)."""


class Launch(OpBase, tag="launch"):
    """A kernel, or any device work given by its accesses."""

    stream: StreamName
    reads: tuple[RangeSpec, ...] = ()
    writes: tuple[RangeSpec, ...] = ()


class Memcpy(OpBase, tag="memcpy", rename={"async_": "async"}):
    """A copy; whether the host waits follows from ``async``, direction and spaces (R16 to R24)."""

    stream: StreamName
    src: RangeSpec
    dst: RangeSpec
    async_: bool = True
    wait: Literal["legacy", "stream"] | None = None
    kind: Literal["H2D", "D2H", "D2D", "P2P", "H2H"] | None = None
    via: Name | None = None
    src_access: Literal["call", "stream", "any"] | None = None
    digest: Name | None = None


class Memset(OpBase, tag="memset", rename={"async_": "async"}):
    """A fill (R25)."""

    stream: StreamName
    dst: RangeSpec
    async_: bool = True


class HostRead(OpBase, tag="host_read"):
    """Host code, or another ``agent`` of the host's memory, reads."""

    buffer: RangeSpec
    via: Name | None = None
    agent: Name | None = None


class HostWrite(OpBase, tag="host_write"):
    """Host code, or another ``agent``, writes."""

    buffer: RangeSpec
    via: Name | None = None
    agent: Name | None = None


class HostEscape(OpBase, tag="host_escape"):
    """From here to its free the host may touch the range unseen."""

    buffer: RangeSpec
    via: Name | None = None


class HostFunc(OpBase, tag="host_func"):
    """Host work in stream order (R30); awaits its tokens first and signals the others last."""

    stream: StreamName
    reads: tuple[RangeSpec, ...] = ()
    writes: tuple[RangeSpec, ...] = ()
    signals: tuple[StreamName, ...] = ()
    awaits: tuple[StreamName, ...] = ()


class HostTaskSubmit(OpBase, tag="host_task_submit"):
    """Work of another thread or library, which runs after this (R49)."""

    task: StreamName
    reads: tuple[RangeSpec, ...] = ()
    writes: tuple[RangeSpec, ...] = ()


class HostTaskDone(OpBase, tag="host_task_done"):
    """The thread has seen the task done (R49)."""

    task: StreamName


class Malloc(OpBase, tag="malloc"):
    """Gives a buffer its bytes. ``stream`` is the owner; a missing owner is unknown."""

    buffer: Name
    space: Space = "device"
    bytes: Size | None = None
    address: Address | None = None
    offset: Size = 0
    stream: StreamName | None = None
    allocator: Allocator = "plain"


class Free(OpBase, tag="free"):
    """The buffer's end (R27, R36 to R38, R54)."""

    buffer: Name


class MallocAsync(OpBase, tag="malloc_async"):
    """Stream-ordered allocation (R28, R29)."""

    buffer: Name
    stream: StreamName
    space: Space = "device"
    bytes: Size | None = None
    address: Address | None = None
    offset: Size = 0


class FreeAsync(OpBase, tag="free_async"):
    """Stream-ordered free (R28, R29)."""

    buffer: Name
    stream: StreamName


class RecordStream(OpBase, tag="record_stream"):
    """The caching allocator holds the block until ``stream``'s work at the free is done (R37)."""

    buffer: Name
    stream: StreamName


class HostRegister(OpBase, tag="host_register"):
    """Pageable memory becomes pinned."""

    buffer: Name


class HostUnregister(OpBase, tag="host_unregister"):
    """Registered memory becomes pageable again."""

    buffer: Name


class GraphCapture(OpBase, tag="graph_capture"):
    """Nothing runs (R32). ``nodes`` are ops with ``after``: indices of the nodes before them."""

    graph: StreamName
    stream: StreamName
    reads: tuple[RangeSpec, ...] = ()
    writes: tuple[RangeSpec, ...] = ()
    nodes: tuple[dict[str, Any], ...] | None = None


class GraphLaunch(OpBase, tag="graph_launch"):
    """Runs a graph, after every earlier launch of the same one (R33)."""

    graph: StreamName
    stream: StreamName
    reads: tuple[RangeSpec, ...] | None = None
    writes: tuple[RangeSpec, ...] | None = None


class StreamWriteValue(OpBase, tag="stream_write_value"):
    """Writes a value in stream order, or by the thread where ``stream`` is left out (R45)."""

    addr: StreamName
    value: Int64
    stream: StreamName | None = None


class StreamWaitValue(OpBase, tag="stream_wait_value"):
    """Holds the stream until the value at ``addr`` is at least ``value`` (R45)."""

    stream: StreamName
    addr: StreamName
    value: Int64


class Collective(OpBase, tag="collective"):
    """Starts on no rank's stream before every rank's stream has reached it (R51)."""

    stream: StreamName
    group: StreamName
    ranks: tuple[StreamName, ...] | None = None
    seq: Int64 | None = None
    rank: StreamName | None = None
    reads: tuple[RangeSpec, ...] = ()
    writes: tuple[RangeSpec, ...] = ()


class ThreadStart(OpBase, tag="thread_start"):
    """``thread`` starts ``target`` (R50)."""

    target: StreamName


class ThreadJoin(OpBase, tag="thread_join"):
    """``thread`` waits for the end of ``target`` (R50)."""

    target: StreamName


class Signal(OpBase, tag="signal"):
    """What follows an await of ``token`` comes after what precedes this (R50)."""

    token: StreamName


class Await(OpBase, tag="await"):
    """Binds to the latest earlier signal in the file; with none, to the first later one (R50)."""

    token: StreamName


class SlotDefer(OpBase, tag="slot_defer"):
    """A field now holds no value; it is to be made from ``source``."""

    slot: StreamName
    source: RangeSpec | None = None


class SlotResolve(OpBase, tag="slot_resolve"):
    """The field holds a value."""

    slot: StreamName
    value: RangeSpec | None = None
    version: Int64 | None = None


class SlotRead(OpBase, tag="slot_read"):
    """A consumer takes the field's value."""

    slot: StreamName
    expects_version: Int64 | None = None


class SlotConsume(OpBase, tag="slot_consume"):
    """A use-once value is taken."""

    slot: StreamName


class RegionBegin(OpBase, tag="region_begin"):
    """Names a stretch of the thread's work."""


class RegionEnd(OpBase, tag="region_end"):
    """Ends the stretch of that name."""


class Mark(OpBase, tag="mark"):
    """A remark; orders nothing, and no verdict depends on it."""


OPS: tuple[type[OpBase], ...] = (
    Launch, EventRecord, StreamWaitEvent, Memcpy, Memset, EventSynchronize, StreamSynchronize,
    HostRead, HostWrite, Malloc, Free, Mark, RegionBegin, RegionEnd, StreamCreate, StreamDestroy,
    EventCreate, EventDestroy, EventQuery, StreamQuery, DeviceSynchronize, HostEscape, HostFunc,
    HostTaskSubmit, HostTaskDone, MallocAsync, FreeAsync, RecordStream, HostRegister,
    HostUnregister, GraphCapture, GraphLaunch, StreamWriteValue, StreamWaitValue, Collective,
    ThreadStart, ThreadJoin, Signal, Await, SlotDefer, SlotResolve, SlotRead, SlotConsume,
)  # fmt: skip
"""Every op; the position is its code in the ``kind`` column."""

AnyOp = (
    Launch | EventRecord | StreamWaitEvent | Memcpy | Memset | EventSynchronize | StreamSynchronize
    | HostRead | HostWrite | Malloc | Free | Mark | RegionBegin | RegionEnd | StreamCreate
    | StreamDestroy | EventCreate | EventDestroy | EventQuery | StreamQuery | DeviceSynchronize
    | HostEscape | HostFunc | HostTaskSubmit | HostTaskDone | MallocAsync | FreeAsync
    | RecordStream | HostRegister | HostUnregister | GraphCapture | GraphLaunch | StreamWriteValue
    | StreamWaitValue | Collective | ThreadStart | ThreadJoin | Signal | Await | SlotDefer
    | SlotResolve | SlotRead | SlotConsume
)  # fmt: skip

KIND_OF: dict[type[OpBase], int] = {cls: code for code, cls in enumerate(OPS)}
WORDS: tuple[str, ...] = tuple(str(cls.__struct_config__.tag) for cls in OPS)
"""The word of each kind, as it stands in the file."""


class Kind(IntEnum):
    """Codes of the ``kind`` column: an op's position in ``OPS``."""

    LAUNCH = 0
    EVENT_RECORD = 1
    STREAM_WAIT_EVENT = 2
    MEMCPY = 3
    MEMSET = 4
    EVENT_SYNCHRONIZE = 5
    STREAM_SYNCHRONIZE = 6
    HOST_READ = 7
    HOST_WRITE = 8
    MALLOC = 9
    FREE = 10
    MARK = 11
    REGION_BEGIN = 12
    REGION_END = 13
    STREAM_CREATE = 14
    STREAM_DESTROY = 15
    EVENT_CREATE = 16
    EVENT_DESTROY = 17
    EVENT_QUERY = 18
    STREAM_QUERY = 19
    DEVICE_SYNCHRONIZE = 20
    HOST_ESCAPE = 21
    HOST_FUNC = 22
    HOST_TASK_SUBMIT = 23
    HOST_TASK_DONE = 24
    MALLOC_ASYNC = 25
    FREE_ASYNC = 26
    RECORD_STREAM = 27
    HOST_REGISTER = 28
    HOST_UNREGISTER = 29
    GRAPH_CAPTURE = 30
    GRAPH_LAUNCH = 31
    STREAM_WRITE_VALUE = 32
    STREAM_WAIT_VALUE = 33
    COLLECTIVE = 34
    THREAD_START = 35
    THREAD_JOIN = 36
    SIGNAL = 37
    AWAIT = 38
    SLOT_DEFER = 39
    SLOT_RESOLVE = 40
    SLOT_READ = 41
    SLOT_CONSUME = 42


class Complete(Struct, frozen=True):
    """Which facts were all seen. Left out means true."""

    accesses: bool = True
    host: bool = True
    sync: bool = True
    memory: bool = True


class Semantics(Struct, frozen=True):
    """Switches where CUDA's own documents changed (cuda-ordering.md, section 4)."""

    managed_memset_blocks: bool = False
    cuda_free_synchronizes: bool = True
    managed_copies_block: bool = False
    pageable_h2d_stages: bool = True
    pageable_d2h_async_blocks: bool = True


LEAST_PROMISE = Semantics(
    managed_memset_blocks=False,
    cuda_free_synchronizes=False,
    managed_copies_block=False,
    pageable_h2d_stages=False,
    pageable_d2h_async_blocks=False,
)
"""The reading of the documents that promises least: the second reading of ``strict``."""


class Header(Struct, kw_only=True):
    """Line 1 of a trace. ``sites`` are stacks of ``"file:line function"``, innermost first."""

    format: Literal["streamsan-trace"] = "streamsan-trace"
    version: Literal[1] = 1
    name: str | None = None
    source: str | None = None
    complete: Complete = Complete()
    devices: tuple[dict[str, Any], ...] = ()
    rank: StreamName | None = None
    world_size: Natural | None = None
    versions: dict[str, Any] = {}
    semantics: Semantics = Semantics()
    sites: tuple[tuple[str, ...], ...] = ()
