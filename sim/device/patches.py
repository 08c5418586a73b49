"""Names of torch that are replaced, because their C++ halves cannot be backed from Python."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch.utils import _device as torch_device

from streamsan.sim.device import module
from streamsan.sim.device.draws import SimGenerator
from streamsan.sim.device.pinned import empty_pinned, pin
from streamsan.sim.device.streams import Event, Stream
from streamsan.sim.device.tensor import NAME

_FACTORIES = (
    "empty", "zeros", "ones", "full", "tensor", "arange", "range", "linspace", "logspace", "eye",
    "rand", "randn", "randint", "randperm", "empty_strided", "empty_like", "zeros_like",
    "ones_like", "full_like", "rand_like", "randn_like", "randint_like", "tril_indices",
    "triu_indices", "normal", "scalar_tensor", "hann_window", "hamming_window",
    "bartlett_window", "blackman_window", "kaiser_window", "empty_permuted",
)  # fmt: skip
_METHODS = ("new_empty", "new_zeros", "new_ones", "new_full", "new_tensor", "new_empty_strided")
_BARE = frozenset(
    {
        "empty",
        "empty_strided",
        "empty_like",
        "new_empty",
        "new_empty_strided",
        "empty_permuted",
    }
)


def replace_all() -> None:
    """Replace every name. The caller makes sure that it happens once."""
    torch_device._device_constructors()  # noqa: SLF001 - keeps torch.device(...) contexts working
    for name in _FACTORIES:
        setattr(torch, name, _pinning(name, getattr(torch, name)))
    for name in _METHODS:
        setattr(torch.Tensor, name, _pinning(name, getattr(torch.Tensor, name)))
    _replace(torch.Tensor, "pin_memory", _pin_memory)
    _replace(torch.Tensor, "is_pinned", _is_pinned)
    _replace(torch, "Stream", Stream)
    _replace(torch, "Event", Event)
    _replace(torch, "Generator", _generator_class())
    _replace(torch, "compile", _compile)
    _replace_accelerator()


def _replace(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)


def _pinning(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    """Let a factory answer ``pin_memory=True`` with a Pinned."""

    @functools.wraps(plain)
    def factory(*args: Any, **kwargs: Any) -> Any:
        if not kwargs.get("pin_memory"):
            return plain(*args, **kwargs)
        kwargs.pop("pin_memory")
        if torch.device(kwargs.get("device") or "cpu").type != "cpu":
            raise RuntimeError("Only dense CPU tensors can be pinned")
        kwargs["device"] = "cpu"
        grad = bool(kwargs.pop("requires_grad", False))
        made = plain(*args, **kwargs)
        if name in _BARE:
            pinned = empty_pinned(tuple(made.shape), made.stride(), made.dtype)
        else:
            pinned = pin(made)
        return pinned.requires_grad_() if grad else pinned

    return factory


def _pin_memory(self: torch.Tensor, device: Any = None) -> torch.Tensor:
    """Copy a CPU tensor into pinned memory."""
    del device
    if self.device.type != "cpu" or self.layout is not torch.strided:
        raise RuntimeError(f"cannot pin '{self.type()}' only dense CPU tensors can be pinned")
    return pin(self)


def _is_pinned(self: torch.Tensor, device: Any = None) -> bool:
    """Say whether memory is pinned: that of a Pinned is, which has a method of its own."""
    del self, device
    return False


def _compile(model: Any = None, **kwargs: Any) -> Any:
    """Give the model back as it is: compiled code would bypass the simulated device."""
    warnings.warn(
        "torch.compile is off on the simulated device: the code runs as it is written",
        stacklevel=2,
    )
    if model is None:
        return lambda given: given
    del kwargs
    return model


def _generator_class() -> Any:
    """Make ``torch.Generator`` give ours for our device; the name stays a class."""
    plain = torch.Generator

    class Kind(type(plain)):  # type: ignore[misc]
        def __call__(cls, device: Any = "cpu") -> Any:
            if torch.device(device).type == NAME:
                return SimGenerator(device)
            return plain(device)

        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, plain)

    return Kind("Generator", (), {"__doc__": plain.__doc__})


def _replace_accelerator() -> None:
    """Back ``torch.accelerator`` by the simulated device."""
    acc = torch.accelerator
    new: dict[str, Callable[..., Any]] = {
        "device_count": module.device_count,
        "is_available": module.is_available,
        "current_accelerator": _current_accelerator,
        "current_device_index": module.current_device,
        "current_device_idx": module.current_device,
        "set_device_index": module.set_device,
        "set_device_idx": module.set_device,
        "current_stream": module.current_stream,
        "set_stream": _set_stream_and_device,
        "synchronize": module.synchronize,
        "device_index": _DeviceIndex,
        "memory_allocated": module.memory_allocated,
        "max_memory_allocated": module.max_memory_allocated,
        "memory_reserved": module.memory_reserved,
        "max_memory_reserved": module.max_memory_reserved,
        "memory_stats": module.memory_stats,
        "get_memory_info": module.mem_get_info,
        "empty_cache": module.empty_cache,
        "reset_peak_memory_stats": module.reset_peak_memory_stats,
    }
    for name, value in new.items():
        if hasattr(acc, name):
            setattr(acc, name, value)


def _current_accelerator(check_available: bool = False) -> torch.device:
    """Name the device."""
    del check_available
    return torch.device(NAME)


def _set_stream_and_device(stream: Any) -> None:
    """Make a stream and its device current, as ``torch.accelerator`` does."""
    module.set_stream(stream)
    module.set_device(stream.device_index)


class _DeviceIndex(module.device):
    """``torch.accelerator.device_index``; None changes nothing."""
