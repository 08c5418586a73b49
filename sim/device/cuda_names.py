"""Programs that say ``cuda``: every name by which torch takes a device leads to simcuda."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.amp import autocast_mode, grad_scaler

from streamsan.sim.device import cuda_module, cuda_refused
from streamsan.sim.device.cuda_devices import located, replace_device, translated
from streamsan.sim.device.errors import SimulationError
from streamsan.sim.device.install import is_installed
from streamsan.sim.device.patches import _FACTORIES, _METHODS
from streamsan.sim.device.tensor import NAME, SimTensor

_MORE = (
    "as_tensor", "asarray", "empty_quantized", "sparse_coo_tensor", "sparse_csr_tensor",
    "sparse_csc_tensor", "sparse_bsr_tensor", "sparse_bsc_tensor", "sparse_compressed_tensor",
)  # fmt: skip
_AUTOCAST = (
    "is_autocast_enabled", "set_autocast_enabled", "get_autocast_dtype", "set_autocast_dtype",
)  # fmt: skip
_LEGACY = "torch.cuda."
_done: list[bool] = []


def redirect_cuda() -> None:
    """Let ``"cuda"``, ``torch.cuda`` and ``.cuda()`` mean simcuda, for the life of the process.

    Raises:
        SimulationError: the device is not installed.
    """
    if not is_installed():
        raise SimulationError("call streamsan.sim.install() first")
    if _done:
        return
    _done.append(True)
    replace_device()
    _redirect_factories()
    _redirect_tensors()
    _redirect_amp()
    cuda_module.replace_all()
    cuda_refused.refuse_all()


def _redirect_factories() -> None:
    for name in (*_FACTORIES, *_MORE):
        _wrap(torch, name)
    for name in ("fftfreq", "rfftfreq"):
        _wrap(torch.fft, name)
    _wrap(torch.nested, "nested_tensor")
    _wrap(torch._C._nn, "_parse_to", located)  # noqa: SLF001 - what Module.to reads its arguments by
    _set(torch, "load", _loading(torch.load))


def _redirect_tensors() -> None:
    for name in (*_METHODS, "to"):
        _wrap(torch.Tensor, name, located)
    _set(torch.Tensor, "cuda", _cuda)
    _set(torch.Tensor, "type", _typing(torch.Tensor.type))
    _set(SimTensor, "is_cuda", property(lambda _: True))


def _redirect_amp() -> None:
    _wrap(autocast_mode.autocast, "__init__")
    _wrap(grad_scaler.GradScaler, "__init__")
    for name in _AUTOCAST:
        _wrap(torch, name)
    _wrap(autocast_mode, "is_autocast_available")
    _set(torch.amp, "is_autocast_available", autocast_mode.is_autocast_available)


def _wrap(owner: Any, name: str, reading: Callable[[Any], Any] = translated) -> None:
    """Let a function read ``cuda`` as simcuda in whatever place it takes a device."""
    if hasattr(owner, name):
        _set(owner, name, _translating(getattr(owner, name), reading))


def _set(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)


def _translating(plain: Callable[..., Any], reading: Callable[[Any], Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def call(*args: Any, **kwargs: Any) -> Any:
        for name in ("device", "device_type"):
            if name in kwargs:
                kwargs[name] = reading(kwargs[name])
        for value in args:
            if isinstance(value, str | torch.device):
                args = tuple(map(reading, args))
                break
        return plain(*args, **kwargs)

    return call


def _cuda(
    self: torch.Tensor,
    device: Any = None,
    non_blocking: bool = False,
    memory_format: torch.memory_format = torch.preserve_format,
) -> torch.Tensor:
    """Move a tensor to the simulated device: to the one that it is on, if none is given."""
    if device is None:
        if isinstance(self, SimTensor):
            return self
        device = NAME
    target = torch.device(NAME, device) if isinstance(device, int) else torch.device(device)
    return self.to(located(target), non_blocking=non_blocking, memory_format=memory_format)


def _typing(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``Tensor.type`` know ``torch.cuda.FloatTensor`` and its like."""

    @functools.wraps(plain)
    def type_(self: torch.Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
        if dtype is None:
            return str(plain(self)).replace(f"torch.{NAME}.", _LEGACY)
        name = dtype if isinstance(dtype, str) else getattr(dtype, "legacy", "")
        if not name.startswith(_LEGACY):
            return plain(self, dtype, non_blocking)
        kind = getattr(torch, name.removeprefix(_LEGACY)).dtype
        return self.cuda().to(kind, non_blocking=non_blocking)

    return type_


def _loading(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``torch.load`` move what it loaded: storages of the simulated device do not exist."""

    @functools.wraps(plain)
    def load(f: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(map_location, str | torch.device):
            return plain(f, map_location, *args, **kwargs)
        target = torch.device(map_location)
        if target.type not in ("cpu", NAME):
            return plain(f, map_location, *args, **kwargs)
        return _moved(plain(f, "cpu", *args, **kwargs), target)

    return load


def _moved(value: Any, target: torch.device) -> Any:
    """Move all tensors of a checkpoint."""
    if isinstance(value, torch.nn.Module):
        return value.to(target)
    if isinstance(value, torch.Tensor):
        return value.detach().to(target).requires_grad_(value.requires_grad)
    if isinstance(value, dict):
        for key in value:
            value[key] = _moved(value[key], target)
    elif isinstance(value, list):
        value[:] = [_moved(each, target) for each in value]
    elif type(value) is tuple:
        return tuple(_moved(each, target) for each in value)
    return value
