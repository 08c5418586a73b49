"""Events, waits and stream memory, as callbacks and wrapped calls tell of them.

The pinned allocator records events of its own pool when a block is freed whose transfers it has
noted (R38). They pass the same callback as the program's, and stand for ``caching_host``: they are
told apart by where they come from. A record made by no call of torch's Python API, within no op
and no backward, on a stream that the freed block's transfers were noted on, is such a one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from streamsan.traces import ops as o
from streamsan.traces.recorder.light import (
    NO_EVENT,
    EventDestroy,
    EventRecord,
    StreamWaitEvent,
    light,
)

if TYPE_CHECKING:
    from streamsan.traces.recorder.live.observer import Observer

_RecordStream = light(o.RecordStream)
_DeviceSynchronize = light(o.DeviceSynchronize)
_StreamSynchronize = light(o.StreamSynchronize)
_EventSynchronize = light(o.EventSynchronize)
_EventQuery = light(o.EventQuery)
_StreamQuery = light(o.StreamQuery)
_TENTATIVE = 8
"""Records of unknown origin that are remembered in a thread."""


class Events:
    """Takes the callbacks of a platform, and the calls that no callback tells of."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    # -- callbacks

    def event_creation(self, event: int) -> None:
        """Name an event: torch asks for its handle when it is first recorded."""
        self._observer.names.event(event, self._observer.local.naming)

    def event_deletion(self, event: int) -> None:
        """End an event's name."""
        name = self._observer.names.forget_event(event)
        if name is not None:
            self._observer.emit(EventDestroy(event=name))

    def event_record(self, event: int, stream: int) -> None:
        """Record that an event captures what a stream holds (R3)."""
        observer, local = self._observer, self._observer.local
        name, device = observer.names.stream(stream)
        unknown = not (local.calls or local.depth or observer.hosts.backward)
        if unknown and name in local.expected:
            local.expected.remove(name)
            return
        op = EventRecord(event=observer.names.event(event), stream=name, device=device)
        if unknown:
            local.tentative = [*local.tentative[1 - _TENTATIVE :], op]
        observer.emit(op)

    def pinned_freed(self, streams: set[str]) -> None:
        """A pinned block was freed: events on its streams, just now or next, are the pool's."""
        local = self._observer.local
        for stream in sorted(streams):
            for op in reversed(local.tentative):
                if op.stream == stream:
                    op.event = NO_EVENT
                    local.tentative.remove(op)
                    break
            else:
                local.expected.append(stream)

    def event_wait(self, event: int, stream: int) -> None:
        """Record that a stream waits for an event (R6)."""
        observer = self._observer
        name, device = observer.names.stream(stream)
        observer.emit(
            StreamWaitEvent(event=observer.names.event(event), stream=name, device=device)
        )
        if not observer.local.own_name and observer.hosts.backward:
            observer.blocks.guard(name, device)

    def memory_allocation(self, pointer: int) -> None:
        """Take note of an allocation."""
        self._observer.blocks.allocated(pointer)

    def memory_deallocation(self, pointer: int) -> None:
        """Take note of a free."""
        self._observer.blocks.freed(pointer)

    def stream_creation(self, stream: int) -> None:
        """Do nothing: a stream is told of at its first use, and most of the pool never are."""

    def device_synchronization(self) -> None:
        """Record that the host waits for a device (R10)."""
        self._observer.emit(_DeviceSynchronize(device=self._observer.platform.current_device()))

    def stream_synchronization(self, stream: int) -> None:
        """Record that the host waits for a stream (R9); within an op, it is part of it."""
        name, device = self._observer.names.stream(stream)
        op = _StreamSynchronize(stream=name, device=device)
        local = self._observer.local
        if local.depth or local.moving:
            local.syncs.append(op)
        else:
            self._observer.emit(op)

    def event_synchronization(self, event: int) -> None:
        """Record that the host waits for an event (R7)."""
        self._observer.emit(_EventSynchronize(event=self._observer.names.event(event)))

    # -- calls that no callback tells of

    def event_query(self, event: Any, done: bool) -> None:
        """Record what a query said (R8). An event that was never recorded has no handle."""
        handle = event.cuda_event
        if handle:
            name = self._observer.names.event(handle)
            self._observer.emit(_EventQuery(event=name, result=_result(done)))

    def stream_query(self, stream: Any, done: bool) -> None:
        """Record what a query said (R8)."""
        name, device = self._observer.names.stream(stream.cuda_stream, stream.device_index)
        self._observer.emit(_StreamQuery(stream=name, result=_result(done), device=device))

    def record_stream(self, tensor: torch.Tensor, stream: Any) -> None:
        """Record that the allocator holds a tensor's block for a stream (R37)."""
        observer = self._observer
        handle = getattr(stream, "cuda_stream", None)
        if handle is None:
            kind: Any = torch.cuda.Stream
            handle = kind(
                stream_id=stream.stream_id, device_index=stream.device_index,
                device_type=stream.device_type,
            ).cuda_stream  # fmt: skip
        name, device = observer.names.stream(handle, stream.device_index)
        span = observer.blocks.span(tensor)
        if span is not None:
            observer.emit(_RecordStream(buffer=_buffer(span), stream=name, device=device))


def _result(done: bool) -> Any:
    return "success" if done else "not_ready"


def _buffer(span: o.RangeSpec) -> str:
    if isinstance(span, str):
        return span
    return span.buffer if isinstance(span, o.StridedRange) else span[0]
