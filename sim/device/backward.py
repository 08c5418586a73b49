"""The autograd engine: backward runs each node on the stream of its forward.

On CUDA the engine itself does that, and orders the streams where gradients cross from one to
another; its C++ half sees no streams here. So each thread notes at which autograd sequence
number it changed its streams, and where it did, hooks on the graph do the engine's part: the
waits, and ``record_stream`` on gradients that cross.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.autograd import graph

from streamsan.sim.device.hosts import Host
from streamsan.sim.device.queues import Queue
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.tensor import SimTensor
from streamsan.sim.device.waits import Capture

_ENDLESS = 1 << 62
"""Sequence numbers above belong to nodes that gather gradients, which have no forward."""


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
        walk = _Walk(host, t_outputs) if host.history else None
        try:
            found = plain(t_outputs, *args, **kwargs)
        finally:
            RT.hosts.backward.pop()
            host.site, host.current, host.device = before
            if walk is not None:
                walk.finish()
        return found

    return run


class _Walk:
    """One backward over a graph whose forward used several streams."""

    def __init__(self, host: Host, outputs: Sequence[Any]) -> None:
        self._host = host
        self._caller = RT.current()
        self._queues: dict[Any, Queue] = {}
        self._feeds: dict[Any, list[Any]] = {}
        self._done: dict[Any, tuple[str, Capture]] = {}
        self._handles: list[Any] = []
        roots = [_node_of(each) for each in outputs]
        self._roots = {node for node in roots if node is not None}
        self._start = _capture(self._caller)
        for node in self._nodes():
            self._handles.append(node.register_prehook(self._before(node)))
            self._handles.append(node.register_hook(self._after(node)))

    def _nodes(self) -> Iterator[Any]:
        """Give the graph's nodes; on the way note who feeds whom, and who runs where."""
        waiting, seen = list(self._roots), set(self._roots)
        while waiting:
            node = waiting.pop()
            if node._sequence_nr() < _ENDLESS:  # noqa: SLF001
                self._queues[node] = self._host.queue_at(node._sequence_nr(), self._caller)  # noqa: SLF001
            for following, _ in node.next_functions:
                if following is None:
                    continue
                self._feeds.setdefault(following, []).append(node)
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
            yield node

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
            for grad in grads:
                if isinstance(grad, SimTensor) and grad.block and grad.block.queue is not queue:
                    RT.record_stream(grad.block, queue)
            self._host.current[queue.device] = queue
            self._host.device = queue.device
            captures = [
                self._done[each] for each in self._feeds.get(node, ()) if each in self._done
            ]
            for name, capture in [self._start, *captures] if node in self._roots else captures:
                if capture.place.queue is not queue:
                    RT.wait_event(name, capture, queue)

        return hook

    def _after(self, node: Any) -> Callable[..., None]:
        def hook(given: Any, taken: Any) -> None:
            del given, taken
            queue = self._queue(node)
            if any(
                following is not None and self._queue(following) is not queue
                for following, _ in node.next_functions
            ):
                self._done[node] = _capture(queue)

        return hook

    def finish(self) -> None:
        """Let the caller's stream wait for the others that worked."""
        for handle in self._handles:
            handle.remove()
        for queue in dict.fromkeys(self._queues.values()):
            if queue is not self._caller:
                name, capture = _capture(queue)
                RT.wait_event(name, capture, self._caller)


def _node_of(output: Any) -> Any:
    if isinstance(output, torch.Tensor):
        if output.grad_fn is not None or not output.requires_grad:
            return output.grad_fn
        return graph.get_gradient_edge(output).node
    return getattr(output, "node", None)


def _capture(queue: Queue) -> tuple[str, Capture]:
    """Record an event of the engine's own."""
    name = RT.name("e")
    return name, RT.record_event(name, queue)
