"""The autograd engine: backward runs each node on the stream of its forward.

On CUDA the engine itself does that, and orders the streams where gradients cross from one to
another; its C++ half sees no streams here. So each thread notes at which autograd sequence
number it changed its streams, and where it did, hooks on the graph do the engine's part: the
waits, and ``record_stream`` on gradients that cross.

The nodes that ``create_graph`` makes are made in the engine's threads, which number them from 0
on by themselves: such a node is told its stream when it is made (``nodes``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd import graph

from streamsan.sim.device.hosts import Host
from streamsan.sim.device.nodes import made_on, node_of, reach, tell
from streamsan.sim.device.queues import Queue
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.streams import note_stream
from streamsan.sim.device.tensor import SimTensor
from streamsan.sim.device.waits import Capture

_CREATE_GRAPH = 2
"""Where the engine's function takes ``create_graph``, after the outputs."""


def follow_streams() -> None:
    """Wrap the one function through which every backward goes."""
    wrapped = _wrap(graph._engine_run_backward)  # noqa: SLF001
    for owner in (graph, torch.autograd):
        setattr(owner, "_engine_run_backward", wrapped)  # noqa: B010 - a name of torch's


def _wrap(plain: Callable[..., Any]) -> Callable[..., Any]:
    def run(t_outputs: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        host = RT.hosts.here()
        before = host.site, dict(host.current), host.device
        host.site = RT.site(host)
        RT.hosts.backward.append(host)
        create = bool(args[_CREATE_GRAPH])
        walk = _Walk(host, t_outputs, args[0], create) if create or RT.hosts.history() else None
        try:
            found = plain(t_outputs, *args, **kwargs)
        finally:
            RT.hosts.backward.pop()
            host.site, host.current, host.device = before
            if walk is not None:
                walk.finish()
                note_stream(host)  # nodes of the host's own were carried out in its thread
        return found

    return run


class _Walk:
    """One backward over a graph whose forward used several streams, or that makes a graph."""

    def __init__(
        self, host: Host, outputs: Sequence[Any], grads: Sequence[Any], made: bool
    ) -> None:
        self._host = host
        self._caller = RT.current()
        self._makes_graph = made
        self._queues: dict[Any, Queue] = {}
        self._feeds: dict[Any, list[Any]] = {}
        self._done: dict[Any, tuple[str, Capture]] = {}
        self._handles: list[Any] = []
        roots = [node_of(each) for each in outputs]
        self._roots = {node for node in roots if node is not None}
        nodes = reach(self._roots)
        self._known = {*nodes, *reach([each.grad_fn for each in grads if each is not None], nodes)}
        """Nodes that were there before."""
        find = made_on()
        for node in nodes:
            if (queue := find(node)) is not None:
                self._queues[node] = queue
            for following, _ in node.next_functions:
                if following is not None:
                    self._feeds.setdefault(following, []).append(node)
            self._handles.append(node.register_prehook(self._before(node)))
            self._handles.append(node.register_hook(self._after(node)))
        elsewhere = any(self._queue(node) is not self._caller for node in self._roots)
        self._start = [_capture(self._caller)] if elsewhere else []

    def _queue(self, node: Any) -> Queue:
        """Give a node's stream; gathering nodes run where their gradient was made."""
        found = self._queues.get(node)
        if found is None:
            feeds = self._feeds.get(node)
            found = self._queues[node] = self._queue(feeds[0]) if feeds else self._caller
        return found

    def _before(self, node: Any) -> Callable[..., None]:
        def hook(grads: Any) -> None:
            queue = self._queue(node)
            self._tell(grads)
            for grad in grads:
                if isinstance(grad, SimTensor) and grad.block and grad.block.queue is not queue:
                    RT.record_stream(grad.block, queue)
            self._host.current[queue.device] = queue
            self._host.device = queue.device
            note_stream(self._host)
            captures = [
                self._done[each] for each in self._feeds.get(node, ()) if each in self._done
            ]
            for name, capture in [*self._start, *captures] if node in self._roots else captures:
                if capture.place.queue is not queue:
                    RT.wait_event(name, capture, queue)

        return hook

    def _after(self, node: Any) -> Callable[..., None]:
        def hook(given: Any, taken: Any) -> None:
            del taken
            queue = self._queue(node)
            self._tell(given)
            if any(
                following is not None and self._queue(following) is not queue
                for following, _ in node.next_functions
            ):
                self._done[node] = _capture(queue)

        return hook

    def _tell(self, grads: Sequence[Any]) -> None:
        """Tell nodes that were made since the last hook the stream that they were made on."""
        if not self._makes_graph:
            return
        made = reach((each.grad_fn for each in grads if each is not None), self._known)
        self._known.update(made)
        for each in made:
            tell(each, RT.current(self._host.device))

    def finish(self) -> None:
        """Let the caller's stream wait for the others that worked."""
        for handle in self._handles:
            handle.remove()
        for queue in dict.fromkeys(self._queues.values()):
            if queue is not self._caller:
                name, capture = _capture(queue)
                RT.wait_event(name, capture, self._caller)


def _capture(queue: Queue) -> tuple[str, Capture]:
    """Record an event of the engine's own."""
    name = RT.name("e")
    return name, RT.record_event(name, queue)
