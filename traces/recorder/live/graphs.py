"""CUDA graphs: what is captured becomes the nodes of a graph, and runs where it is replayed.

During a capture device work is no op of the trace. Which node follows which is told by the
streams: a node follows the last one of its stream, and what its stream waited for.

What is allocated meanwhile is from a pool of the graph's own. Tensors that are gone leave it there
for the next replay, so that such memory has no free before the graph has its end; and as nobody
but the graph can get it, it has no owner stream.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import msgspec

from streamsan.traces import ops as o
from streamsan.traces.recorder.light import Free, light

if TYPE_CHECKING:
    from streamsan.traces.recorder.live.blocks import Block
    from streamsan.traces.recorder.live.observer import Observer

_GraphCapture = light(o.GraphCapture)
_GraphLaunch = light(o.GraphLaunch)
_NODES = (o.Launch, o.Memcpy, o.Memset, o.Collective)
_BASE = {"site", "stream", "thread", "t", "t_end", "device"}


class _Capture:
    """A capture in progress."""

    def __init__(self, graph: str, stream: str, device: int) -> None:
        self.graph = graph
        self.stream = stream
        self.device = device
        self.nodes: list[dict[str, Any]] = []
        self.memory: list[Block] = []
        self.frontier: dict[str, set[int]] = {stream: set()}
        self.events: dict[str, set[int]] = {}

    def take(self, given_op: o.OpBase) -> bool:
        """Make an op part of the graph, if it is; False for what the host does."""
        op: Any = given_op
        kind = type(given_op)
        if issubclass(kind, o.EventRecord) and op.stream in self.frontier:
            self.events[op.event] = set(self.frontier[op.stream])
        elif issubclass(kind, o.StreamWaitEvent) and op.event in self.events:
            self.frontier.setdefault(op.stream, set()).update(self.events[op.event])
        elif issubclass(kind, _NODES) and op.stream in self.frontier:
            given = msgspec.to_builtins(op)
            node = {key: value for key, value in given.items() if key not in _BASE}
            self.nodes.append(node | {"after": sorted(self.frontier[op.stream])})
            self.frontier[op.stream] = {len(self.nodes) - 1}
        else:
            return False
        return True


class Graphs:
    """Captures and replays."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._names: dict[int, str] = {}
        self._capture: _Capture | None = None
        self._memory: dict[str, list[Block]] = {}
        """What was allocated in captures: it is in use as long as the graph is, freed or not."""

    def begin(self) -> None:
        """Begin a capture on the calling thread's current stream."""
        observer = self._observer
        stream, device = observer.here()
        self._capture = _Capture(observer.names.fresh("g"), stream, device)
        observer.put = self._put

    def _put(self, op: o.OpBase) -> None:
        """Take an op: into the graph, or into the trace."""
        capture = self._capture
        if capture is None or not capture.take(op):
            self._observer.journal_put(op)

    def is_captured(self, stream: str) -> bool:
        """Whether a stream is captured, so that allocations on it are from the graph's pool."""
        return self._capture is not None and stream in self._capture.frontier

    def hold(self, block: Block) -> None:
        """Hold memory of the pool for the graph that is captured."""
        if self._capture is not None:
            block.held = True
            self._capture.memory.append(block)

    def abandon(self) -> None:
        """End a capture that failed."""
        capture = self._stop()
        if capture is not None:
            self._release(capture.memory)

    def _stop(self) -> _Capture | None:
        capture, self._capture = self._capture, None
        self._observer.put = self._observer.journal_put
        return capture

    def _release(self, memory: list[Block]) -> None:
        """Hold memory no longer, and tell of the frees that were kept back."""
        for block in memory:
            block.held = False
            if block.freed and block.name:
                self._observer.emit(Free(buffer=block.name))

    def end(self, graph: object) -> None:
        """End the capture: what was captured is the graph."""
        capture = self._stop()
        if capture is None:
            return
        self._names[id(graph)] = capture.graph
        self._memory[capture.graph] = capture.memory
        weakref.finalize(graph, self._forget, id(graph), capture.graph).atexit = False
        self._observer.emit(
            _GraphCapture(
                graph=capture.graph, stream=capture.stream, nodes=tuple(capture.nodes),
                device=capture.device,
            )
        )  # fmt: skip

    def replay(self, graph: object) -> None:
        """Record a launch of a graph on the calling thread's current stream."""
        observer = self._observer
        stream, device = observer.here()
        name = self._names.get(id(graph))
        if name is None:  # it was captured before the recording began
            name = self._names[id(graph)] = observer.names.fresh("g")
            observer.gap("accesses", "a graph that was captured before the recording began")
        observer.emit(_GraphLaunch(graph=name, stream=stream, device=device))

    def forget(self, graph: object) -> None:
        """End a graph's name: the object may be another graph from here on."""
        self._forget(id(graph), self._names.get(id(graph)))

    def _forget(self, at: int, name: str | None) -> None:
        if name is not None and self._names.get(at) == name:
            del self._names[at]
            self._release(self._memory.pop(name, []))
