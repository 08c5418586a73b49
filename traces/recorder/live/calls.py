"""Calls of torch's Python API that no callback tells enough of: queries, graphs, backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import graph
from torch.utils import _device

from streamsan.traces.recorder.light import HostWrite
from streamsan.traces.recorder.live.observer import Observer
from streamsan.traces.recorder.live.patches import Patches


def watch(observer: Observer, patches: Patches) -> None:
    """Wrap what the platform's classes, and torch's own, have."""
    platform, events, graphs = observer.platform, observer.events, observer.graphs
    for kind in platform.event_types:
        patches.wrap(kind, "query", _after(events.event_query))
        for name in ("record", "wait", "synchronize"):
            patches.wrap(kind, name, _within(observer))
    for kind in platform.stream_types:
        patches.wrap(kind, "query", _after(events.stream_query))
        for name in ("record_event", "wait_event", "wait_stream"):
            patches.wrap(kind, name, _within(observer))
        patches.wrap(kind, "__new__", _naming(observer))
    for kind in platform.graph_types:
        patches.wrap(kind, "capture_begin", _after(lambda _, __: graphs.begin()))
        patches.wrap(kind, "capture_end", _after(lambda made, _: graphs.end(made)))
        patches.wrap(kind, "replay", _replaying(observer))
        patches.wrap(kind, "reset", _after(lambda made, _: graphs.forget(made)))
    _device._device_constructors()  # noqa: SLF001 - remembers names before they are wrapped
    for owner, name in (
        (torch, "tensor"), (torch, "as_tensor"), (torch.Tensor, "new_tensor"),
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


def _replaying(observer: Observer) -> Callable[[Callable[..., Any]], Any]:
    """Record a launch of a graph."""

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def replay(self: Any) -> Any:
            with observer.ranged():
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
            local.calls += 1
            try:
                return plain(self, *args, **kwargs)
            finally:
                local.calls -= 1

        return method

    return make


def _naming(observer: Observer) -> Callable[[Callable[..., Any]], Any]:
    """Let a new stream bear the name that the program gives it."""

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def new(cls: Any, *args: Any, **kwargs: Any) -> Any:
            made = plain(cls, *args, **kwargs)
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
            before = local.copies
            made = plain(*args, **kwargs)
            if local.quiet or local.depth or any(made is each for each in args):
                return made
            if observer.platform.on_device(made):
                if local.copies == before and (span := observer.blocks.span(made)) is not None:
                    source = observer.host.temporary(made.numel() * made.itemsize)
                    where = observer.stream_of(made)
                    observer.copy(where, source, span, "H2D", "to", blocking=True)
                    observer.settle(local)
            elif kwargs.get("pin_memory"):
                observer.host.note(made, HostWrite, "pin_memory")
            return made

        return method

    return make


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

        return run

    return make
