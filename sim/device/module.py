"""``torch.simcuda``: what ``torch.get_device_module`` gives, with the names of ``torch.cuda``."""

from __future__ import annotations

from collections import OrderedDict
from types import TracebackType
from typing import Any

import torch

from streamsan.sim.device.draws import SimGenerator
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.streams import Event, Stream, StreamContext, index_of, note_stream
from streamsan.sim.device.tensor import NAME, queue_of

__all__ = [
    "Event", "Generator", "Stream", "StreamContext", "current_device", "current_stream",
    "default_stream", "device", "device_count", "device_of", "empty_cache",
    "get_amp_supported_dtype", "get_device_capability", "get_device_name", "get_rng_state",
    "init", "initial_seed", "ipc_collect", "is_available", "is_bf16_supported", "is_initialized",
    "manual_seed", "manual_seed_all", "max_memory_allocated", "max_memory_reserved",
    "mem_get_info", "memory_allocated", "memory_reserved", "memory_stats",
    "reset_peak_memory_stats", "seed", "seed_all", "set_device", "set_rng_state", "set_stream",
    "stream", "synchronize",
]  # fmt: skip

Generator = SimGenerator


def is_available() -> bool:
    """Say yes: the simulated device needs no hardware."""
    return True


def is_initialized() -> bool:
    """Say yes."""
    return True


def init() -> None:
    """Do nothing: ``install`` has done it."""


def _lazy_init() -> None:
    """Do nothing: ``install`` has done it."""


def _is_in_bad_fork() -> bool:
    return False


def device_count() -> int:
    """Give the number of simulated devices."""
    return RT.config.devices


def current_device() -> int:
    """Give the calling thread's device."""
    return RT.hosts.here().device


def set_device(device: Any) -> None:
    """Make a device current for the calling thread."""
    host = RT.hosts.here()
    host.device = index_of(device)
    if RT.hosts.history():
        note_stream(host)


def _exchange_device(index: int) -> int:
    before = current_device()
    if index >= 0:
        set_device(index)
    return before


def _maybe_exchange_device(index: int) -> int:
    return _exchange_device(index)


class device:  # noqa: N801 - the name that torch.cuda gives it
    """Makes a device current within a ``with``."""

    def __init__(self, device: Any) -> None:
        self.idx = index_of(device)
        self.prev_idx = -1

    def __enter__(self) -> None:
        self.prev_idx = _exchange_device(self.idx)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        set_device(self.prev_idx)


class device_of(device):  # noqa: N801
    """Makes the device of a tensor current within a ``with``."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.device if obj.device.type == NAME else None)


def _stream(device_index: int, stream_id: int) -> Stream:
    return Stream(stream_id=stream_id, device_index=device_index)


def current_stream(device: Any = None) -> Stream:
    """Give the calling thread's stream on a device."""
    queue = RT.current(index_of(device))
    return _stream(queue.device, queue.index)


def default_stream(device: Any = None) -> Stream:
    """Give a device's default stream."""
    return _stream(index_of(device), 0)


def set_stream(stream: Any) -> None:
    """Make a stream current for the calling thread; its device does not change with it."""
    if stream is not None:
        queue = queue_of(stream)
        host = RT.hosts.here()
        host.current[queue.device] = queue
        note_stream(host)


def stream(stream: Any) -> StreamContext:
    """Make a stream current within a ``with``."""
    return StreamContext(stream)


def synchronize(device: Any = None) -> None:
    """Wait on the host for all streams of a device."""
    RT.synchronize_device(index_of(device))


def _sleep(cycles: int) -> None:
    """Keep the current stream busy for a while: one cycle is taken as 1 ns of simulated time."""
    with RT.lock:
        RT.launch(RT.current(), "sleep", _nothing, (), (), cost=max(int(cycles), 0))


def _nothing() -> None:
    """Compute nothing."""


def manual_seed(seed: int) -> None:
    """Seed the current device."""
    _seed(current_device(), seed)


def manual_seed_all(seed: int) -> None:
    """Seed all devices."""
    for index in range(device_count()):
        _seed(index, seed)


def _seed(index: int, seed: int) -> None:
    with RT.lock:
        RT.seeds[index] = int(seed)
        RT.draws[index] = 0


def seed() -> None:
    """Seed the current device from the host's generator."""
    manual_seed(torch.initial_seed())


def seed_all() -> None:
    """Seed all devices from the host's generator."""
    manual_seed_all(torch.initial_seed())


def initial_seed() -> int:
    """Give the current device's seed."""
    return RT.seeds[current_device()]


def get_rng_state(device: Any = None) -> torch.Tensor:
    """Give seed and offset, as bytes."""
    index = index_of(device)
    return torch.tensor([RT.seeds[index], RT.draws[index]]).view(torch.uint8)


def set_rng_state(new_state: torch.Tensor, device: Any = None) -> None:
    """Take seed and offset back."""
    index = index_of(device)
    RT.seeds[index], RT.draws[index] = new_state.view(torch.int64).tolist()


def memory_allocated(device: Any = None) -> int:
    """Give the bytes that tensors hold, rounded as the allocator rounds them."""
    RT.flush()
    return RT.arenas[index_of(device)].allocated


def max_memory_allocated(device: Any = None) -> int:
    """Give the most that tensors held at once."""
    RT.flush()
    return RT.arenas[index_of(device)].peak


def memory_reserved(device: Any = None) -> int:
    """Give the bytes of all segments."""
    RT.flush()
    return RT.arenas[index_of(device)].reserved


max_memory_reserved = memory_reserved


def reset_peak_memory_stats(device: Any = None) -> None:
    """Begin the peak anew."""
    RT.flush()
    arena = RT.arenas[index_of(device)]
    arena.peak = arena.allocated


def memory_stats(device: Any = None) -> OrderedDict[str, Any]:
    """Give what is counted here, under torch's names; nothing else is."""
    return OrderedDict(
        {
            "allocated_bytes.all.current": memory_allocated(device),
            "allocated_bytes.all.peak": max_memory_allocated(device),
            "reserved_bytes.all.current": memory_reserved(device),
        }
    )


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Give the free and the total bytes."""
    total = RT.config.memory
    return total - memory_reserved(device), total


def empty_cache() -> None:
    """Give unused segments of all devices back; the host waits for a device that has some."""
    for index in range(device_count()):
        RT.empty_cache(index)


def ipc_collect() -> None:
    """Do nothing: there is one process."""


def get_device_name(device: Any = None) -> str:
    """Give the name of the simulation."""
    return f"simcuda {index_of(device)} (simulated by streamsan)"


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """Say 0.0: code that looks for hardware features finds none."""
    index_of(device)
    return (0, 0)


def is_bf16_supported() -> bool:
    """Say yes: the CPU computes it."""
    return True


def get_amp_supported_dtype() -> list[torch.dtype]:
    """Give the types that autocast may use."""
    return [torch.float16, torch.bfloat16]
