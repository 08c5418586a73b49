"""All that differs between devices: a real GPU, and stand-ins for it in tests.

The observer asks a platform for facts, and a platform tells it of events by callbacks, as torch's
GPU trace does: handles and pointers, in the thread that made the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import torch

from streamsan.traces import ops as o


class StreamFacts(NamedTuple):
    """What a stream can be asked for."""

    flags: Literal["nonblocking", "blocking"]
    priority: int | None


class Callbacks(Protocol):
    """What a platform tells: torch's ten GPU trace callbacks, with their arguments."""

    event_creation: Callable[[int], None]
    event_deletion: Callable[[int], None]
    event_record: Callable[[int, int], None]
    event_wait: Callable[[int, int], None]
    memory_allocation: Callable[[int], None]
    memory_deallocation: Callable[[int], None]
    stream_creation: Callable[[int], None]
    device_synchronization: Callable[[], None]
    stream_synchronization: Callable[[int], None]
    event_synchronization: Callable[[int], None]


class Platform(Protocol):
    """A kind of device.

    ``on_device`` and ``pointer`` are called for every tensor of every op: they should be C.
    """

    source: str
    """The header's ``source``."""
    on_device: Callable[[torch.Tensor], bool]
    """Whether a tensor's bytes are on the device."""
    pointer: Callable[[torch.Tensor], int]
    """The address of a tensor's first byte."""
    device_of: Callable[[torch.Tensor], int]
    """The ordinal of a tensor's device."""
    current_stream: Callable[[int], int]
    """The handle of the calling thread's current stream on a device."""
    current_device: Callable[[], int]
    """The ordinal of the calling thread's device."""
    tells_memory: bool
    """Whether callbacks tell of device memory; else it is watched through the storages."""
    pickles: bool
    """Whether pickling a tensor of the device downloads it at once, past the dispatcher."""
    stream_types: Sequence[Any]
    """Classes of streams: with ``query``, and ``cuda_stream`` and ``device_index``."""
    event_types: Sequence[Any]
    """Classes of events: with ``query``, ``record`` and ``cuda_event``."""
    graph_types: Sequence[Any]
    """Classes of graphs: with ``capture_begin``, ``capture_end``, ``replay``, ``reset``."""
    tensor_types: Sequence[Any]
    """Classes of tensors whose methods are watched."""

    def is_pinned(self, tensor: torch.Tensor) -> bool:
        """Whether a CPU tensor's memory is pinned."""
        ...

    def host_pointer(self, tensor: torch.Tensor) -> int:
        """Give the address of a CPU tensor's storage."""
        ...

    def storage_bytes(self, tensor: torch.Tensor) -> int:
        """Give the size of a tensor's storage."""
        ...

    def stream_facts(self, device: int, handle: int) -> StreamFacts:
        """Ask a stream what it is."""
        ...

    def live_blocks(self) -> Mapping[int, tuple[int, int]]:
        """Give size and owner stream of the device memory in use, by its address."""
        ...

    def listen(self, callbacks: Callbacks) -> Callable[[], None]:
        """Call these from now on; what is returned ends it."""
        ...

    def on_death(self, tensor: torch.Tensor, then: Callable[[], object]) -> None:
        """Call when the storage of a tensor is gone."""

    def header(self) -> o.Header:
        """Give what the header says of the machine."""
        ...

    def extras(self, observer: Any) -> Callable[[], None] | None:
        """Watch what only this platform has, such as compiled kernels."""
