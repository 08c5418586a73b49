"""The recorder of a real device, run over simulated CUDA: what both record must be the same.

The platform asks the simulated machine what a real one would be asked by handles and pointers,
and wraps its methods to call back as torch's GPU trace does: no sizes, no query results, no
copies, no kernels.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from streamsan.sim.device import streams
from streamsan.sim.device.hostmem import HostBlock
from streamsan.sim.device.pinned import Pinned
from streamsan.sim.device.queues import Queue
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.tensor import SimTensor, queue_of
from streamsan.traces import ops as o
from streamsan.traces.recorder.live.observer import Observer
from streamsan.traces.recorder.live.patches import Patches
from streamsan.traces.recorder.live.platform import Callbacks, StreamFacts

_storage = torch._C.TensorBase.untyped_storage
_STRIDE = 1 << 20


def handle_of(queue: Queue) -> int:
    """A number as a CUDA stream's handle is one: told by device and index, 0 for the default."""
    return 0 if not queue.index else _STRIDE * (queue.device + 1) + queue.index


class SimCuda:
    """The simulated device as a CUDA device would be seen from outside."""

    source = "simulated"
    tells_memory = True
    pickles = True
    graph_types = ()

    def __init__(self) -> None:
        self.on_device = lambda t: type(t) is SimTensor or isinstance(t, SimTensor)
        self.pointer = lambda t: t.data_ptr()
        self.device_of = lambda t: t.ordinal
        self.current_stream = lambda device: handle_of(RT.current(device))
        self.current_device = lambda: RT.hosts.here().device
        self.stream_types = (streams.Stream,)
        self.event_types = (streams.Event,)
        self.tensor_types = (torch.Tensor, SimTensor, Pinned)

    def is_pinned(self, tensor: torch.Tensor) -> bool:
        return isinstance(tensor, Pinned)

    def host_pointer(self, tensor: torch.Tensor) -> int:
        if isinstance(tensor, Pinned):
            return tensor.block.address
        return _storage(tensor).data_ptr()

    def storage_bytes(self, tensor: torch.Tensor) -> int:
        block = getattr(tensor, "block", None)
        return int(_storage(tensor).nbytes() if block is None else block.nbytes)

    def stream_facts(self, device: int, handle: int) -> StreamFacts:
        queue = RT.queue_at(device, handle % _STRIDE)
        return StreamFacts("nonblocking", queue.priority)

    def live_blocks(self) -> Mapping[int, tuple[int, int]]:
        return {}

    def on_death(self, tensor: torch.Tensor, then: Callable[[], object]) -> None:
        block: Any = tensor.block if isinstance(tensor, SimTensor | Pinned) else _storage(tensor)
        weakref.finalize(block, then).atexit = False

    def header(self) -> o.Header:
        return o.Header(source=self.source)

    def extras(self, observer: Observer) -> Callable[[], None]:
        """Watch what reaches a real dispatcher, and is a method of Python here."""
        patches = Patches()
        patches.wrap(SimTensor, "record_stream", lambda plain: _recording(observer, plain))
        return patches.undo

    def listen(self, callbacks: Callbacks) -> Callable[[], None]:
        patches = Patches()
        wrap = patches.wrap
        events = _Events(callbacks)
        wrap(RT, "malloc", events.malloc)
        wrap(RT, "_free", events.free)
        wrap(RT, "record_event", events.record)
        wrap(RT, "wait_event", events.wait)
        wrap(RT, "synchronize_event", events.join)
        wrap(RT, "synchronize", events.drain)
        wrap(RT, "synchronize_device", events.drain_device)
        return patches.undo


class _Events:
    """Wrapped methods of the machine: the callback, then the call, as in torch."""

    def __init__(self, callbacks: Callbacks) -> None:
        self.to = callbacks
        self.handles: dict[str, int] = {}

    def handle(self, name: str) -> int:
        for event in streams.living.values():
            if event.name == name:
                return event.cuda_event
        return self.handles.setdefault(name, 1 << 40 | len(self.handles))

    def malloc(self, plain: Any) -> Any:
        def call(nbytes: int, queue: Queue) -> Any:
            block = plain(nbytes, queue)
            with _guard(queue.device):  # torch's allocator is called on the device of the memory
                self.to.memory_allocation(block.address)
            return block

        return call

    def free(self, plain: Any) -> Any:
        def call(block: Any, host: Any, site: Any) -> None:
            if not isinstance(block, HostBlock):
                self.to.memory_deallocation(block.address)
            plain(block, host, site)

        return call

    def record(self, plain: Any) -> Any:
        def call(event: str, queue: Queue) -> Any:
            self.to.event_record(self.handle(event), handle_of(queue))
            return plain(event, queue)

        return call

    def wait(self, plain: Any) -> Any:
        def call(event: str, capture: Any, queue: Queue) -> None:
            self.to.event_wait(self.handle(event), handle_of(queue))
            plain(event, capture, queue)

        return call

    def join(self, plain: Any) -> Any:
        def call(event: str, capture: Any) -> None:
            self.to.event_synchronization(self.handle(event))
            plain(event, capture)

        return call

    def drain(self, plain: Any) -> Any:
        def call(queue: Queue) -> None:
            self.to.stream_synchronization(handle_of(queue))
            plain(queue)

        return call

    def drain_device(self, plain: Any) -> Any:
        def call(device: int) -> None:
            with _guard(device):
                self.to.device_synchronization()
            plain(device)

        return call


@contextmanager
def _guard(device: int) -> Iterator[None]:
    """Make a device current, as torch does around its calls of CUDA."""
    host = RT.hosts.here()
    before, host.device = host.device, device
    try:
        yield
    finally:
        host.device = before


class _Stream:
    def __init__(self, queue: Queue) -> None:
        self.cuda_stream = handle_of(queue)
        self.device_index = queue.device


def _recording(observer: Observer, plain: Any) -> Any:
    def record_stream(self: SimTensor, stream: Any) -> None:
        plain(self, stream)
        observer.events.record_stream(self, _Stream(queue_of(stream)))

    return record_stream
