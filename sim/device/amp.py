"""Autocast on the simulated device: which ops run in the lower precision, and which in float32.

The lists are those of CUDA as far as the usual layers use them; other ops run in the type that
they are given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from streamsan.sim.device.internals import C, library
from streamsan.sim.device.tensor import NAME

_KEY = "AutocastPrivateUse1"
_LOWER = (
    "matmul", "mm", "bmm", "mv", "addmm", "addbmm", "baddbmm", "linear", "conv1d", "conv2d",
    "conv3d", "conv_transpose1d", "scaled_dot_product_attention", "prelu",
)  # fmt: skip
_FLOAT32 = (
    "layer_norm", "group_norm", "softmax.int", "log_softmax.int", "cross_entropy_loss",
    "nll_loss", "mse_loss", "l1_loss", "exp", "log", "pow.Tensor_Scalar", "norm.Scalar", "cumsum",
    "cumprod", "prod", "softplus", "gelu_backward",
)  # fmt: skip
_LIBRARIES: list[Any] = []


def register() -> None:
    """Give autocast its kernels for the device, for the life of the process."""
    everything = library.Library("_", "IMPL")
    everything.fallback(library.fallthrough_kernel, _KEY)
    aten = library.Library("aten", "IMPL")
    for name in _LOWER:
        aten.impl(name, _casting(name, lambda: torch.get_autocast_dtype(NAME)), _KEY)
    for name in _FLOAT32:
        aten.impl(name, _casting(name, lambda: torch.float32), _KEY)
    _LIBRARIES.extend((everything, aten))


def _casting(name: str, dtype: Callable[[], torch.dtype]) -> Callable[..., Any]:
    base, _, overload = name.partition(".")
    func = getattr(getattr(torch.ops.aten, base), overload or "default")
    keys = C.DispatchKeySet(C.DispatchKey.AutocastPrivateUse1)

    def kernel(*args: Any, **kwargs: Any) -> Any:
        target = dtype()
        with C._ExcludeDispatchKeyGuard(keys):  # noqa: SLF001
            return func(*_cast(list(args), target), **_cast(kwargs, target))

    return kernel


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, torch.Tensor):
        fits = value.is_floating_point() and value.dtype is not torch.float64
        return value.to(dtype) if fits and value.device.type == NAME else value
    if isinstance(value, list | tuple):
        return [_cast(each, dtype) for each in value]
    if isinstance(value, dict):
        return {name: _cast(each, dtype) for name, each in value.items()}
    return value
