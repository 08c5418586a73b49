"""Calls of torch's Python API that no callback tells enough of: queries, graphs, backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import graph
from torch.utils import _device

from streamsan.traces.recorder.annotate import current_name
from streamsan.traces.recorder.light import HostWrite
from streamsan.traces.recorder.live.observer import Observer
from streamsan.traces.recorder.live.patches import Patches
from streamsan.traces.recorder.live.unseen import transferring

_CALLED = "_streamsan_name"


def watch(observer: Observer, patches: Patches) -> None:
    """Wrap what the platform's classes, and torch's own, have."""
    platform, events, graphs = observer.platform, observer.events, observer.graphs
    for kind in platform.event_types:
        patches.wrap(kind, "query", _after(events.event_query))
        for name in ("wait", "synchronize"):
            patches.wrap(kind, name, _within(observer))
        patches.wrap(kind, "record", _recording(observer))
        patches.wrap(kind, "__new__", _calling)
    for kind in platform.stream_types:
        patches.wrap(kind, "query", _after(events.stream_query))
        for name in ("record_event", "wait_event", "wait_stream"):
            patches.wrap(kind, name, _within(observer))
        patches.wrap(kind, "__new__", _naming(observer))
    for kind in platform.graph_types:
        patches.wrap(kind, "capture_begin", _capturing(observer))
        patches.wrap(kind, "capture_end", _captured(observer))
        patches.wrap(kind, "replay", _replaying(observer))
        patches.wrap(kind, "reset", _after(lambda made, _: graphs.forget(made)))
    _device._device_constructors()  # noqa: SLF001 - remembers names before they are wrapped
    for owner, name in (
        (torch, "tensor"), (torch, "as_tensor"), (torch, "asarray"),
        (torch.Tensor, "new_tensor"),
    ):  # fmt: skip
        patches.wrap(owner, name, _uploading(observer))
    for owner in (graph, torch.autograd):
        patches.wrap(owner, "_engine_run_backward", _backward(observer))


def _after(then: Callable[[Any, Any], None]) -> Callable[[Callable[..., Any]], Any]:
    """Call with the object and the result, once a method has done its work."""

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            made = plain(self, *args, **kwargs)
            then(self, made)
            return made

        return method

    return make


def elapsed(observer: Observer) -> Callable[[Callable[..., Any]], Any]:
    """Record what a time tells: both events are done, or there would be an error (R8)."""

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def elapsed_time(self: Any, end_event: Any) -> Any:
            made = plain(self, end_event)
            for event in (self, end_event):
                observer.events.event_query(event, True)
            return made

        return elapsed_time

    return make


def _capturing(observer: Observer) -> Callable[[Callable[..., Any]], Any]:
    """Begin a capture; torch fills the generators' own tensors first."""

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def capture_begin(self: Any, *args: Any, **kwargs: Any) -> Any:
            with observer.local.quietly():
                made = plain(self, *args, **kwargs)
            observer.graphs.begin()
            return made

        return capture_begin

    return make


def _captured(observer: Observer) -> Callable[[Callable[..., Any]], Any]:
    """End a capture; if it failed, nothing of it will ever run."""

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def capture_end(self: Any) -> Any:
            try:
                made = plain(self)
            except BaseException:
                observer.graphs.abandon()
                raise
            observer.graphs.end(self)
            return made

        return capture_end

    return make


def _replaying(observer: Observer) -> Callable[[Callable[..., Any]], Any]:
    """Record a launch of a graph. What torch does for the generators before it is part of it."""

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def replay(self: Any) -> Any:
            with observer.ranged():
                with observer.local.quietly():
                    made = plain(self)
                observer.graphs.replay(self)
            return made

        return replay

    return make


def _within(observer: Observer) -> Callable[[Callable[..., Any]], Any]:
    """Note that what is recorded meanwhile is the program's own, not the pinned allocator's."""

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            local = observer.local
            observer.unwinding.end()
            local.calls += 1
            try:
                return plain(self, *args, **kwargs)
            finally:
                local.calls -= 1

        return method

    return make


def _calling(plain: Callable[..., Any]) -> Any:
    """Keep the name that the program gives an event: its handle is made when it is recorded."""

    def new(cls: Any, *args: Any, **kwargs: Any) -> Any:
        made = plain(cls, *args, **kwargs)
        made.__dict__[_CALLED] = current_name()
        return made

    return new


def _recording(observer: Observer) -> Callable[[Callable[..., Any]], Any]:
    """Let an event that is recorded for the first time bear its name."""

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def record(self: Any, *args: Any, **kwargs: Any) -> Any:
            local = observer.local
            outer, local.naming = local.naming, self.__dict__.get(_CALLED)
            try:
                return plain(self, *args, **kwargs)
            finally:
                local.naming = outer

        within: Callable[..., Any] = _within(observer)(record)
        return within

    return make


def listening(observer: Observer) -> Callable[[Callable[..., Any]], Any]:
    """Let the platform tell of a call, though an op has failed before it."""

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            observer.unwinding.end()
            return plain(*args, **kwargs)

        return call

    return make


def _naming(observer: Observer) -> Callable[[Callable[..., Any]], Any]:
    """Let a new stream bear the name that the program gives it."""

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def new(cls: Any, *args: Any, **kwargs: Any) -> Any:
            made = plain(cls, *args, **kwargs)
            if current_name() is not None:
                observer.names.want(made.cuda_stream)
            return made

        return new

    return make


def _uploading(observer: Observer) -> Callable[[Callable[..., Any]], Any]:
    """Record what a constructor does with Python values, where no dispatcher saw it.

    On the device a blocking upload; in pinned memory a write of the host.
    """

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def method(*args: Any, **kwargs: Any) -> Any:
            local = observer.local
            if local.quiet or local.depth:
                return plain(*args, **kwargs)

            def told(made: Any) -> bool:
                return not any(made is each for each in args) and _uploaded(observer, made)

            made = transferring(observer, plain, told, *args, **kwargs)
            if kwargs.get("pin_memory") and not observer.platform.on_device(made):
                observer.host.note(made, HostWrite, "pin_memory")
            return made

        return method

    return make


def _uploaded(observer: Observer, made: Any) -> bool:
    """Record the upload of a new tensor; False where there is none."""
    if not observer.platform.on_device(made) or (span := observer.blocks.span(made)) is None:
        return False
    source = observer.host.temporary(made.numel() * made.itemsize)
    observer.copy(observer.stream_of(made), source, span, "H2D", "to", blocking=True)
    observer.settle(observer.local)
    return True


def _backward(observer: Observer) -> Callable[[Callable[..., Any]], Any]:
    """Let the engine's threads go by the name of the one that waits for them.

    ``backward`` returns when they are done, so their work is the caller's own, in order. Two
    threads that are in a backward pass at once cannot be told apart there.
    """

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            backward = observer.hosts.backward
            mine = observer.local.name, observer.stacks.here()
            backward.append(mine)
            if any(name != mine[0] for name, _ in backward):
                observer.gap("sync", "backward passes of several threads at once")
            try:
                return plain(*args, **kwargs)
            finally:
                backward.remove(mine)
                if not backward:
                    observer.blocks.gradients.clear()

        return run

    return make
