"""``torch.cuda`` on the simulated device: the names of ``torch.simcuda``, and what programs ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from streamsan.sim.device import module
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.streams import Event, Stream, StreamContext, index_of
from streamsan.sim.device.tensor import NAME, SimTensor

_HOMES = ("memory", "random", "streams", "_utils")
"""Modules of torch.cuda that have some of its names, too."""
_TENSORS = ("Byte", "Char", "Short", "Int", "Long", "Half", "Float", "Double", "Bool", "BFloat16")
_OWN = frozenset({"Generator", "amp", "get_amp_supported_dtype"})
"""Names of torch.simcuda that torch.cuda lacks, or has in a working form."""


@dataclass(frozen=True)
class DeviceProperties:
    """What ``get_device_properties`` gives. The figures are made up: there is no hardware."""

    name: str
    total_memory: int
    major: int = 0
    minor: int = 0
    multi_processor_count: int = 16
    warp_size: int = 32
    max_threads_per_multi_processor: int = 2048
    regs_per_multiprocessor: int = 65536
    shared_memory_per_block: int = 48 << 10
    L2_cache_size: int = 32 << 20
    is_integrated: int = 0
    is_multi_gpu_board: int = 0
    gcnArchName: str = ""  # noqa: N815 - the name that torch gives it
    uuid: str = "00000000-0000-0000-0000-000000000000"


def replace_all() -> None:
    """Replace the names in torch.cuda and in the modules that it takes them from."""
    names: dict[str, Any] = {
        name: getattr(module, name) for name in module.__all__ if name not in _OWN
    }
    names |= {name: globals()[name] for name in _EXTRA}
    names |= {"Event": Event, "Stream": Stream, "StreamContext": StreamContext}
    names |= {name: getattr(module, name) for name in _PRIVATE}
    names["max_memory_cached"], names["memory_cached"] = (
        module.max_memory_reserved, module.memory_reserved,
    )  # fmt: skip
    homes: list[Any] = [torch.cuda, *(getattr(torch.cuda, home) for home in _HOMES)]
    for name, value in names.items():
        for home in homes:
            if home is torch.cuda or hasattr(home, name):
                setattr(home, name, value)
    for kind in _TENSORS:
        setattr(torch.cuda, f"{kind}Tensor", _tensor_kind(f"{kind}Tensor"))
    _silence(torch.cuda.nvtx, ("mark", "range_push", "range_pop", "range_start", "range_end"))
    _silence(torch.cuda.profiler, ("init", "start", "stop"))


_PRIVATE = (
    "_exchange_device", "_is_in_bad_fork", "_lazy_init", "_maybe_exchange_device", "_sleep",
)  # fmt: skip
_EXTRA = (
    "_get_device_index", "can_device_access_peer", "get_arch_list",
    "get_device_properties", "get_rng_state_all", "get_sync_debug_mode",
    "host_memory_stats", "is_current_stream_capturing", "is_tf32_supported",
    "list_gpu_processes", "memory_summary", "reset_accumulated_memory_stats",
    "reset_max_memory_allocated", "reset_max_memory_cached", "set_per_process_memory_fraction",
    "set_rng_state_all", "set_sync_debug_mode",
)  # fmt: skip


def get_device_properties(device: Any = None) -> DeviceProperties:
    """Give properties that no program should tune itself by."""
    return DeviceProperties(module.get_device_name(device), RT.config.memory)


def _get_device_index(device: Any, optional: bool = False, allow_cpu: bool = False) -> int:
    del optional
    named = device is not None and not isinstance(device, int)
    if allow_cpu and named and torch.device(device).type == "cpu":
        return -1
    return index_of(device)


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """Say yes: copies between devices are simulated."""
    return index_of(device) != index_of(peer_device)


def get_arch_list() -> list[str]:
    """Say that nothing was compiled for any GPU."""
    return []


def get_rng_state_all() -> list[torch.Tensor]:
    """Give seed and offset of each device."""
    return [module.get_rng_state(index) for index in range(module.device_count())]


def set_rng_state_all(new_states: Any) -> None:
    """Take seed and offset of each device back."""
    for index, state in enumerate(new_states):
        module.set_rng_state(state, index)


def host_memory_stats() -> dict[str, Any]:
    """Count nothing."""
    return {}


def is_current_stream_capturing() -> bool:
    """Say no: there are no graphs."""
    return False


def is_tf32_supported() -> bool:
    """Say no: the CPU computes in float32."""
    return False


def list_gpu_processes(device: Any = None) -> str:
    """Name no process."""
    return f"GPU:{index_of(device)}\nno processes are running"


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """Give what is counted here, in one line."""
    del abbreviated
    return (
        f"{module.get_device_name(device)}: {module.memory_allocated(device)} bytes allocated, "
        f"{module.memory_reserved(device)} reserved"
    )


def reset_accumulated_memory_stats(device: Any = None) -> None:
    """Check the device; nothing is accumulated."""
    index_of(device)


reset_max_memory_allocated = module.reset_peak_memory_stats
reset_max_memory_cached = module.reset_peak_memory_stats


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Check the device; there is one process."""
    del fraction
    index_of(device)


_sync_debug_mode = [0]


def set_sync_debug_mode(debug_mode: int | str) -> None:
    """Keep the mode. The linter's SO4 rules name waits that this would warn of."""
    modes = {"default": 0, "warn": 1, "error": 2}
    _sync_debug_mode[0] = modes[debug_mode] if isinstance(debug_mode, str) else debug_mode


def get_sync_debug_mode() -> int:
    """Give the mode that was set."""
    return _sync_debug_mode[0]


def _silence(owner: Any, names: tuple[str, ...]) -> None:
    """Let calls that only annotate do nothing."""
    for name in names:
        if hasattr(owner, name):
            setattr(owner, name, _annotated)


def _annotated(*args: Any, **kwargs: Any) -> int:
    del args, kwargs
    return 0


def _tensor_kind(name: str) -> type:
    """Make ``torch.cuda.FloatTensor`` and its like: makes tensors, and tells its own."""
    plain: Any = getattr(torch, name)

    class Kind(type):
        legacy = f"torch.cuda.{name}"
        dtype: torch.dtype = plain.dtype

        def __call__(cls, *args: Any, **kwargs: Any) -> torch.Tensor:
            made: torch.Tensor = plain(*args, **kwargs)
            return made.to(torch.device(NAME))

        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, SimTensor) and value.dtype is plain.dtype

    return Kind(name, (), {"__module__": "torch.cuda"})
