"""Streams, events, memory and host accesses, as functions of a device and of being synchronised.

On the CPU a row runs with streams and events that do nothing, and gives the values to compare
with; with ``synced`` false it leaves out the one wait that it is about.
"""

from __future__ import annotations

import contextlib
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch

Device = str
Row = Callable[[Device, bool], Any]
Order = Callable[[Any, Any, Any], object]


class Nothing:
    """A stream, and an event, of the CPU: all work is done at once."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def query(self) -> bool:
        return True

    def elapsed_time(self, _: Nothing) -> float:
        return 1.0

    def record_event(self) -> Nothing:
        return Nothing()

    def nothing(self, *_: Any) -> None:
        pass

    wait = record = wait_event = wait_stream = synchronize = __exit__ = __enter__ = nothing


class Plain:
    """The module of a device without streams."""

    Stream = Event = Nothing
    set_stream = synchronize = empty_cache = staticmethod(lambda *_: None)
    current_stream = default_stream = staticmethod(lambda *_: Nothing())
    stream = device = staticmethod(lambda _: contextlib.nullcontext())


def module(device: Device) -> Any:
    return Plain if device == "cpu" else torch.get_device_module(device)


def pinned(device: Device, *values: float) -> torch.Tensor:
    return torch.tensor(values, pin_memory=device != "cpu")


def keep(tensor: torch.Tensor, stream: Any) -> None:
    if tensor.device.type != "cpu":
        tensor.record_stream(stream)


def ramp(device: Device) -> torch.Tensor:
    """Give 0, 1, 2 on the device; the host has waited for it."""
    made = torch.arange(3.0, device=device)
    module(device).synchronize()
    return made


# -- what orders two streams


def crossing(order: Order, **stream: Any) -> Row:
    """A buffer is written on the current stream and read on another."""

    def row(device: Device, synced: bool) -> Any:
        m = module(device)
        main, side = m.current_stream(), m.Stream(**stream)
        buffer = ramp(device)
        buffer.add_(2)
        if synced:
            order(m, main, side)
        with m.stream(side):
            found = (buffer * 3).cpu()
        m.synchronize()
        return found

    return row


def by_event(m: Any, main: Any, side: Any) -> None:
    event = m.Event()
    event.record(main)
    side.wait_event(event)


def by_waiting_event(m: Any, main: Any, side: Any) -> None:
    event = m.Event()
    event.record(main)
    event.wait(side)


def by_current(m: Any, _: Any, side: Any) -> None:
    event = m.Event()
    event.record()
    with m.stream(side):
        event.wait()


def by_host(m: Any, main: Any, _: Any) -> None:
    event = m.Event(blocking=True)
    event.record(main)
    event.synchronize()


def by_polls(_: Any, main: Any, __: Any) -> None:
    event = main.record_event()
    while not event.query():
        pass


def by_stream_polls(_: Any, main: Any, __: Any) -> None:
    while not main.query():
        pass


def by_third(m: Any, main: Any, side: Any) -> None:
    third = m.Stream()
    third.wait_stream(main)
    side.wait_stream(third)


def by_second_record(m: Any, main: Any, side: Any) -> None:
    event = m.Event()
    event.record(side)
    event.record(main)
    side.wait_event(event)


def by_another_thread(m: Any, main: Any, _: Any) -> None:
    thread = threading.Thread(target=main.synchronize)
    thread.start()
    thread.join()
    del m


# -- what makes a stream current


@contextlib.contextmanager
def set_and_reset(m: Any, side: Any) -> Iterator[None]:
    before = m.current_stream()
    m.set_stream(side)
    yield
    m.set_stream(before)


@contextlib.contextmanager
def nested(m: Any, side: Any) -> Iterator[None]:
    with m.stream(m.Stream()), m.stream(side):
        yield


@contextlib.contextmanager
def on_device(m: Any, side: Any) -> Iterator[None]:
    with m.device(0), m.stream(side), m.stream(None):
        yield


def becoming(enter: Callable[[Any, Any], Any]) -> Row:
    """A result made on a stream that is current in some way is read on the default stream."""

    def row(device: Device, synced: bool) -> Any:
        m = module(device)
        side = m.Stream()
        given = ramp(device)
        with enter(m, side):
            made = given * 5
        if synced:
            m.default_stream().wait_stream(side)
        keep(made, m.default_stream())
        found = made.cpu()
        m.synchronize()
        return found

    return row


# -- more than one buffer, stream or device


def fan_in(device: Device, synced: bool) -> Any:
    m = module(device)
    streams = [m.Stream() for _ in range(3)]
    given, parts = ramp(device), []
    for number, stream in enumerate(streams):
        with m.stream(stream):
            parts.append(given + number)
    for stream, part in zip(streams, parts, strict=True):
        if synced or stream is not streams[1]:
            m.current_stream().wait_stream(stream)
        keep(part, m.current_stream())
    return torch.stack(parts).cpu()


def event_moved_on(device: Device, synced: bool) -> Any:
    """An event that is recorded again stands for the later work."""
    m = module(device)
    side, event, buffer = m.Stream(), m.Event(), ramp(device)
    buffer.add_(1)
    event.record()
    buffer.mul_(2)
    if synced:
        event.record()
    side.wait_event(event)
    with m.stream(side):
        found = buffer.neg().cpu()
    m.synchronize()
    return found


def overwritten(device: Device, synced: bool) -> Any:
    m = module(device)
    side, buffer = m.Stream(), ramp(device)
    with m.stream(side):
        made = buffer * 2
    if synced:
        m.current_stream().wait_stream(side)
    buffer.fill_(-1)
    m.synchronize()
    return [made.cpu(), buffer.cpu()]


def written_twice(device: Device, synced: bool) -> Any:
    m = module(device)
    side, buffer = m.Stream(), ramp(device)
    buffer.fill_(4)
    if synced:
        side.wait_stream(m.current_stream())
    with m.stream(side):
        buffer.fill_(6)
    m.synchronize()
    return buffer.cpu()


def freed_in_use(device: Device, synced: bool) -> Any:
    m = module(device)
    side, out, block = m.Stream(), ramp(device), ramp(device)
    with m.stream(side):
        out.copy_(block * 2)
    if synced:
        keep(block, side)
    del block
    other = torch.full((3,), -2.0, device=device)
    m.synchronize()
    return [out.cpu(), other.cpu()]


def cache_emptied(device: Device, synced: bool) -> Any:
    m = module(device)
    side = m.Stream()
    for step in range(2):
        block = ramp(device) + step
        m.empty_cache()
    if synced:
        side.wait_stream(m.current_stream())
    with m.stream(side):
        found = (block + 1).cpu()
    m.synchronize()
    return found


def half_of_a_buffer(device: Device, synced: bool) -> Any:
    """Two streams share a buffer by halves; only the whole needs both."""
    m = module(device)
    side, whole = m.Stream(), torch.zeros(4, device=device)
    m.synchronize()
    whole[:2].fill_(1)
    with m.stream(side):
        whole[2:].fill_(2)
    if synced:
        m.current_stream().wait_stream(side)
    found = whole.cpu()
    m.synchronize()
    return found


def other_device(device: Device, synced: bool) -> Any:
    m = module(device)
    there = device if device == "cpu" else f"{device}:1"
    side, given = m.Stream(), ramp(device)
    with m.stream(side):
        made = given * 2
    if synced:
        m.current_stream().wait_stream(side)
    keep(made, m.current_stream())
    found = made.to(there).add(1).cpu()
    m.synchronize()
    return found


def backward_elsewhere(device: Device, synced: bool) -> Any:
    m = module(device)
    side = m.Stream()
    weight = ramp(device).requires_grad_()
    with m.stream(side):
        (grad,) = torch.autograd.grad((weight * weight).sum(), weight)
    if synced:
        m.current_stream().wait_stream(side)
    keep(grad, m.current_stream())
    found = grad.cpu()
    m.synchronize()
    return found


def timed(device: Device, synced: bool) -> Any:
    m = module(device)
    side, buffer = m.Stream(), ramp(device)
    start, end = m.Event(enable_timing=True), m.Event(enable_timing=True)
    start.record()
    buffer.add_(1)
    end.record()
    if synced:
        side.wait_event(end)
    with m.stream(side):
        found = (buffer * 2).cpu()
    end.synchronize()
    return [found, start.elapsed_time(end) > 0]


def two_uploads(device: Device, synced: bool) -> Any:
    """An upload on a copy stream is used on the default stream."""
    m = module(device)
    copies, target, host = m.Stream(), ramp(device), pinned(device, 7.0, 8.0, 9.0)
    with m.stream(copies):
        target.copy_(host, non_blocking=True)
    if synced:
        m.current_stream().wait_stream(copies)
    found = (target + 1).cpu()
    m.synchronize()
    return found


STREAMS: dict[str, Row] = {
    "wait_stream": crossing(lambda _, main, side: side.wait_stream(main)),
    "wait_event": crossing(by_event),
    "event_wait": crossing(by_waiting_event),
    "event_wait_current": crossing(by_current),
    "record_event": crossing(lambda _, main, side: side.wait_event(main.record_event())),
    "event_synchronize": crossing(by_host),
    "stream_synchronize": crossing(lambda _, main, __: main.synchronize()),
    "device_synchronize": crossing(lambda m, _, __: m.synchronize()),
    "event_query": crossing(by_polls),
    "stream_query": crossing(by_stream_polls),
    "third_stream": crossing(by_third),
    "event_recorded_twice": crossing(by_second_record),
    "synchronize_in_a_thread": crossing(by_another_thread),
    "urgent_stream": crossing(lambda _, main, side: side.wait_stream(main), priority=-1),
    "stream_context": becoming(lambda m, side: m.stream(side)),
    "stream_as_context": becoming(lambda _, side: side),
    "set_stream": becoming(set_and_reset),
    "nested_streams": becoming(nested),
    "no_stream_context": becoming(on_device),
    "fan_in": fan_in,
    "event_moved_on": event_moved_on,
    "elapsed_time": timed,
    "overwritten": overwritten,
    "written_twice": written_twice,
    "record_stream": freed_in_use,
    "empty_cache": cache_emptied,
    "half_of_a_buffer": half_of_a_buffer,
    "peer_copy": other_device,
    "backward_elsewhere": backward_elsewhere,
    "upload_elsewhere": two_uploads,
}


# -- accesses of the host


def reading(read: Callable[[torch.Tensor], Any]) -> Row:
    """The host reads what an asynchronous download writes."""

    def row(device: Device, synced: bool) -> Any:
        m = module(device)
        host = pinned(device, -1.0, -1.0, -1.0)
        given = ramp(device) * 2 + 1
        host.copy_(given, non_blocking=True)
        event = m.Event()
        event.record()
        if synced:
            event.synchronize()
        found = read(host)
        m.synchronize()
        return found

    return row


def writing(write: Callable[[torch.Tensor], Any]) -> Row:
    """The host writes what an asynchronous upload reads."""

    def row(device: Device, synced: bool) -> Any:
        m = module(device)
        host = pinned(device, 4.0, 5.0, 6.0)
        made = host.to(device, non_blocking=True, copy=True)
        if synced:
            m.current_stream().synchronize()
        write(host)
        return made.cpu()

    return row


def to_cpu(device: Device, synced: bool) -> Any:
    made = (ramp(device) + 3).to("cpu", non_blocking=True)
    if synced:
        module(device).synchronize()
    found = made.tolist()
    module(device).synchronize()
    return found


def written_below(device: Device, synced: bool) -> Any:
    """The host writes where an asynchronous download will write."""
    m = module(device)
    host = pinned(device, 0.0, 0.0, 0.0)
    host.copy_(ramp(device), non_blocking=True)
    if synced:
        m.synchronize()
    host.fill_(8.0)
    m.synchronize()
    return host.tolist()


def array_copy(host: torch.Tensor) -> Any:
    copied: Any = host.__array__(copy=True) if host.is_pinned() else host.numpy().copy()
    return copied.tolist()


def set_first(host: torch.Tensor) -> None:
    host[0] = 9.0


HOST: dict[str, Row] = {
    "host_item": reading(lambda h: h[1].item()),
    "host_float": reading(lambda h: float(h[0])),
    "host_bool": reading(lambda h: bool(h[0] > 0)),
    "host_tolist": reading(lambda h: h.tolist()),
    "host_repr": reading(repr),
    "host_format": reading(lambda h: f"{h[2]:.1f}"),
    "host_iterate": reading(lambda h: [float(value) for value in h]),
    "host_add": reading(lambda h: h + 1),
    "host_sum": reading(lambda h: h.sum()),
    "host_stack": reading(lambda h: torch.stack([h, h])),
    "host_clone": reading(lambda h: h.clone()),
    "host_mask": reading(lambda h: h[h > 1]),
    "host_equal": reading(lambda h: torch.equal(h, torch.tensor([1.0, 3.0, 5.0]))),
    "host_array": reading(array_copy),
    "host_pickle": reading(lambda h: pickle.loads(pickle.dumps(h))),  # noqa: S301
    "host_view": reading(lambda h: h[1:].view(2, 1).t().tolist()),
    "host_to_cpu": to_cpu,
    "host_fill": writing(lambda h: h.fill_(0.0)),
    "host_add_": writing(lambda h: h.add_(1.0)),
    "host_set": writing(set_first),
    "host_copy": writing(lambda h: h.copy_(torch.ones(3))),
    "host_out": writing(lambda h: torch.neg(torch.ones(3), out=h)),
    "host_below": written_below,
}
