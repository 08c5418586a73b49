"""A device without a device: CPU tensors count as those of a GPU, streams are numbers.

What a real platform is told by callbacks, the functions here call: ``Fake.stream`` makes another
stream current, ``Event`` records and waits. Memory is watched through the storages.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch

from streamsan.traces import ops as o
from streamsan.traces.recorder.live.platform import Callbacks, StreamFacts
from streamsan.traces.recorder.live.session import Session
from streamsan.traces.recorder.record import Recording

_storage = torch._C.TensorBase.untyped_storage
_pinned: set[int] = set()


class Fake:
    """CPU tensors as device tensors, but those made by ``pinned`` and ``pageable``."""

    source = "fake"
    tells_memory = False
    pickles = False
    current: int = 0
    stream_types = ()
    event_types = ()
    graph_types: tuple[type, ...] = ()

    def __init__(self, everything: bool = True) -> None:
        self.host: set[int] = set()
        self.pinned_at: set[int] = set()
        self.now = 0
        self.device = 0
        self.callbacks: Any = None
        self.tensor_types = (torch.Tensor,)
        self.current_stream = lambda _: self.now
        self.current_device = lambda: self.device
        self.device_of = lambda _: 0
        self.pointer = torch._C.TensorBase.data_ptr
        self.on_device: Any = attrgetter("is_cpu") if everything else self._on_device

    def _on_device(self, tensor: torch.Tensor) -> bool:
        return _storage(tensor).data_ptr() not in self.host

    def is_pinned(self, tensor: torch.Tensor) -> bool:
        return _storage(tensor).data_ptr() in self.pinned_at

    def host_pointer(self, tensor: torch.Tensor) -> int:
        return _storage(tensor).data_ptr()

    def storage_bytes(self, tensor: torch.Tensor) -> int:
        return _storage(tensor).nbytes()

    def stream_facts(self, device: int, handle: int) -> StreamFacts:
        del device, handle
        return StreamFacts("nonblocking", 0)

    def live_blocks(self) -> Mapping[int, tuple[int, int]]:
        return {}

    def listen(self, callbacks: Callbacks) -> Callable[[], None]:
        self.callbacks = callbacks
        return lambda: setattr(self, "callbacks", None)

    def on_death(self, tensor: torch.Tensor, then: Callable[[], object]) -> None:
        weakref.finalize(_storage(tensor), then).atexit = False

    def header(self) -> o.Header:
        return o.Header(source=self.source)

    def extras(self, observer: Any) -> None:
        del observer

    # -- what tests do on the device

    @contextmanager
    def stream(self, handle: int) -> Iterator[None]:
        before, self.now = self.now, handle
        try:
            yield
        finally:
            self.now = before

    def pinned(self, *shape: int) -> torch.Tensor:
        made = torch.empty(shape)
        self._on_host(made, self.pinned_at)
        return made

    def pageable(self, *shape: int) -> torch.Tensor:
        made = torch.empty(shape)
        self._on_host(made, set())
        return made

    def _on_host(self, tensor: torch.Tensor, more: set[int]) -> None:
        at = _storage(tensor).data_ptr()
        for places in (self.host, more):
            places.add(at)
            weakref.finalize(_storage(tensor), places.discard, at)


def recording(path: Path, platform: Any, stacks: int = 24, ring: int | None = None) -> Recording:
    """Record on a platform of a test."""
    return Recording(path, Session(platform, stacks), ring)
