"""CUDA graphs: what is captured becomes the nodes of a graph, and runs where it is replayed.

During a capture device work is no op of the trace. Which node follows which is told by the
streams: a node follows the last one of its stream, and what its stream waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from streamsan.traces import ops as o
from streamsan.traces.recorder.light import light

if TYPE_CHECKING:
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

    def end(self, graph: object) -> None:
        """End the capture: what was captured is the graph."""
        observer, capture = self._observer, self._capture
        self._capture, observer.put = None, observer.journal_put
        if capture is None:
            return
        self._names[id(graph)] = capture.graph
        observer.emit(
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
        self._names.pop(id(graph), None)
