"""Streams and events of the simulated device, as ``torch.cuda`` has them.

Subclasses of torch's own types, whose C++ halves do nothing: all that happens, happens here.
"""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Any, Self

import torch

from streamsan.sim.device.errors import UnsupportedError
from streamsan.sim.device.hosts import Host
from streamsan.sim.device.internals import sequence_number
from streamsan.sim.device.queues import Queue
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.tensor import NAME, queue_of
from streamsan.sim.device.waits import Capture
from streamsan.traces import ops as o

_TYPE = 20  # c10::DeviceType::PrivateUse1


def index_of(device: Any) -> int:
    """Give a device's number: of an int, a string, a torch.device, or None for the current one.

    Raises:
        ValueError: it is no device of ours.
    """
    if device is None:
        return RT.hosts.here().device
    if not isinstance(device, int):
        device = torch.device(device)
        if device.type != NAME:
            raise ValueError(f"expected a {NAME} device, got {device}")
        device = RT.hosts.here().device if device.index is None else device.index
    if not 0 <= device < RT.config.devices:
        raise ValueError(f"there is no device {NAME}:{device}: {RT.config.devices} are simulated")
    return int(device)


class Stream(torch.Stream):
    """A stream. ``Stream()`` hands out those of a pool of 32 in turn, as torch does."""

    def __new__(
        cls,
        device: Any = None,
        priority: int = 0,
        *,
        stream_id: int | None = None,
        device_index: int | None = None,
        device_type: int = _TYPE,
    ) -> Self:
        """Take the next stream of the pool, or the one with the ids given."""
        if device_type != _TYPE:
            raise UnsupportedError("streams of another device type", f"use {NAME}")
        if stream_id is None:
            queue = RT.new_queue(index_of(device), priority)
        else:
            queue = RT.queue_at(device_index or 0, stream_id)
        return super().__new__(
            cls, stream_id=queue.index, device_index=queue.device, device_type=_TYPE
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Accept what ``__new__`` takes."""

    @property
    def queue(self) -> Queue:
        """The queue behind the stream."""
        return RT.queue_at(self.device_index, self.stream_id)

    @property
    def priority(self) -> int:
        """The priority: -1 or 0."""
        return self.queue.priority

    def synchronize(self) -> None:
        """Wait on the host for all work of the stream."""
        RT.synchronize(self.queue)
        self.__dict__["_polls"] = 0

    def query(self) -> bool:
        """Ask whether all work is done: no as long as is legal, and yes after some asking."""
        polls = self.__dict__.get("_polls", 0)
        done = RT.query(self.queue, polls)
        self.__dict__["_polls"] = 0 if done else polls + 1
        return done

    def wait_event(self, event: Any) -> None:
        """Let later work wait for an event."""
        event.wait(self)

    def wait_stream(self, stream: Any) -> None:
        """Let later work wait for what another stream holds now."""
        self.wait_event(stream.record_event())

    def record_event(self, event: Any = None) -> Any:
        """Record an event, a new one if none is given."""
        event = Event() if event is None else event
        event.record(self)
        return event

    @property
    def cuda_stream(self) -> int:
        """The handle: 0 for the default stream."""
        return self.stream_id

    def __enter__(self) -> Self:
        self.__dict__.setdefault("_entered", []).append(StreamContext(self).__enter__())
        return self

    def __exit__(self, *args: object) -> None:
        self.__dict__["_entered"].pop().leave()

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, torch.Stream)
            and (self.device_index, self.stream_id) == (other.device_index, other.stream_id)
            and other.device_type == _TYPE
        )

    def __hash__(self) -> int:
        return hash((self.device_index, self.stream_id))

    def __repr__(self) -> str:
        return f"<torch.{NAME}.Stream device={NAME}:{self.device_index} id={self.stream_id}>"


def note_stream(host: Host) -> None:
    """Note which stream is current from the next autograd node on: its backward runs there."""
    queue = host.current.get(host.device)
    queue = RT.queue_at(host.device, 0) if queue is None else queue
    RT.hosts.history().note(sequence_number(), queue)


class StreamContext:
    """Makes a stream, and its device, current for the calling thread."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> Self:
        host = RT.hosts.here()
        self._host = host
        self._device = host.device
        if self.stream is None:
            return self
        queue = queue_of(self.stream)
        self._before = queue.device, host.current.get(queue.device)
        host.current[queue.device] = queue
        host.device = queue.device
        note_stream(host)
        return self

    def leave(self) -> None:
        """Make current again what was so before."""
        if self.stream is not None:
            device, queue = self._before
            if queue is None:
                self._host.current.pop(device, None)
            else:
                self._host.current[device] = queue
        self._host.device = self._device
        note_stream(self._host)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()


class Event(torch.Event):
    """An event. Time is that of the simulation, the same under every schedule."""

    def __new__(
        cls,
        enable_timing: Any = False,
        blocking: bool = False,  # noqa: ARG004
        interprocess: bool = False,
        *,
        device: Any = None,  # noqa: ARG004
        external: bool = False,  # noqa: ARG004
    ) -> Self:
        """Make an event without a record."""
        if interprocess:
            raise UnsupportedError("events shared between processes", "use one process")
        return super().__new__(cls, device=NAME, enable_timing=bool(enable_timing))

    def __init__(self, enable_timing: Any = False, *_: Any, **kwargs: Any) -> None:
        """Keep whether time is taken. ``torch.Event`` takes the device in the first place."""
        self.timed = enable_timing is True
        if isinstance(kwargs.get("device"), str | torch.device):
            index_of(kwargs["device"])
        self.name = RT.name("e")
        self.capture: Capture | None = None
        self.order = next_order()
        living[self.order] = self

    def record(self, stream: Any = None) -> None:
        """Capture what a stream holds now; the current one if none is given."""
        queue = RT.current() if stream is None else queue_of(stream)
        self.capture = RT.record_event(self.name, queue)

    def wait(self, stream: Any = None) -> None:
        """Let later work of a stream wait for the capture."""
        queue = RT.current() if stream is None else queue_of(stream)
        RT.wait_event(self.name, self.capture, queue)

    def synchronize(self) -> None:
        """Wait on the host for the capture."""
        RT.synchronize_event(self.name, self.capture)

    def query(self) -> bool:
        """Ask whether the capture is done: no as long as is legal, and yes after some asking."""
        return RT.query_event(self.name, self.capture)

    def elapsed_time(self, end_event: Any) -> float:
        """Give the simulated milliseconds between two records.

        Raises:
            ValueError: an event was not recorded, or takes no time.
            RuntimeError: an event is not done yet.
        """
        if not (self.timed and end_event.timed):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        start, end = self.capture, end_event.capture
        if start is None or end is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        if not (start.place.done and end.place.done):
            raise RuntimeError(
                "Both events must be completed before calculating elapsed time: synchronize first."
            )
        for event in (self, end_event):
            event.query()  # the answer proves that both are done, as on a GPU (R8)
        return float(end.time - start.time) / 1e6

    @property
    def cuda_event(self) -> int:
        """A handle that is the event's own."""
        return self.order

    @property
    def event_id(self) -> int:  # type: ignore[override]
        """A number that is the event's own."""
        return self.order

    def ipc_handle(self) -> bytes:
        """Refuse: there is one process."""
        raise UnsupportedError("Event.ipc_handle", "use one process")

    def __repr__(self) -> str:
        state = "uninitialized" if self.capture is None else self.name
        return f"<torch.{NAME}.Event {state}>"


living: weakref.WeakValueDictionary[int, Event] = weakref.WeakValueDictionary()
"""Every event that is alive, by the order of their making."""
_orders = [0]


def next_order() -> int:
    """Give each event a number."""
    _orders[0] += 1
    return _orders[0]


def adopt_events() -> None:
    """Make events of an earlier run known to the new record: all that they captured is done."""
    for order in sorted(living):
        event = living.get(order)
        if event is None:
            continue
        event.name = RT.name("e")
        if event.capture is not None:
            RT.recorder.add(o.EventRecord(event=event.name, stream=_EARLIER))
            event.capture = Capture(RT.queue_at(0, 0).place, 0)


_EARLIER = "earlier"
"""The stream of work that was done before the run began."""
RT.listeners.append(adopt_events)
