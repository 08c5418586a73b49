"""Ops that torch sends to the device's own key: factories, and calls that pass no subclass.

``torch.tensor`` and the like switch Python dispatch off on their way, so their ops arrive at
kernels registered for the device instead of at ``SimTensor``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from streamsan.sim.device import launch, shapes
from streamsan.sim.device.errors import UnsupportedError
from streamsan.sim.device.internals import is_composite, library, no_python_dispatch
from streamsan.sim.device.kernels import Making, seeded
from streamsan.sim.device.launch import SPECIALS, dispatch, host_op
from streamsan.sim.device.pinned import Pinned
from streamsan.sim.device.plans import plan_of
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.tensor import NAME, SimTensor, empty
from streamsan.sim.device.unwrap import Unwrapped

_KEY = "PrivateUse1"
_LIBRARIES: list[Any] = []
_FILLED = (
    "arange.start_step", "arange.start", "arange", "range.step", "range", "linspace", "logspace",
    "eye", "eye.m", "tril_indices", "triu_indices", "randperm", "randperm.generator",
    "full", "zeros", "ones", "rand", "rand.generator", "randn", "randn.generator", "randint",
    "randint.generator", "randint.low", "randint.low_generator", "scalar_tensor",
    "hann_window", "hann_window.periodic", "normal.float_float",
)  # fmt: skip


def register() -> None:
    """Give the device its kernels, for the life of the process."""
    aten = library.Library("aten", "IMPL")
    for name in ("empty.memory_format", "empty_strided"):
        aten.impl(name, _Factory(_overload(name), bare=True), _KEY)
    for name in _FILLED:
        func = _overload(name)
        if not is_composite(func):  # else torch makes it of others, on every device
            aten.impl(name, _Factory(func, bare=False), _KEY)
    for name in ("copy_", "_to_copy", "_local_scalar_dense"):
        aten.impl(name, _Call(_overload(name)), _KEY)
    _LIBRARIES.append(aten)


def _overload(name: str) -> Any:
    base, _, overload = name.partition(".")
    return getattr(getattr(torch.ops.aten, base), overload or "default")


class _Call:
    """An op as any other, called past ``SimTensor``."""

    def __init__(self, func: Any) -> None:
        self._func = func

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return dispatch(self._func, args, kwargs)


class _Factory:
    """Makes a tensor on the device from nothing."""

    def __init__(self, func: Any, bare: bool) -> None:
        self._func = func
        self._bare = bare

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with RT.lock, no_python_dispatch():
            return make(self._func, args, kwargs, self._bare)


def make(func: Any, args: Sequence[Any], kwargs: dict[str, Any], bare: bool) -> SimTensor:
    """Allocate what a factory gives, and queue the kernel that fills it unless it is bare."""
    device = torch.device(kwargs.get("device") or NAME)
    if kwargs.get("layout") not in (None, torch.strided):
        raise UnsupportedError(f"{func} with layout {kwargs['layout']}", "use dense tensors")
    if kwargs.get("pin_memory"):
        raise RuntimeError("Only dense CPU tensors can be pinned")
    queue = RT.current(device.index)
    kwargs = {**kwargs, "device": torch.device("cpu")}
    kwargs.pop("pin_memory", None)
    leaf = shapes.results(func, args, kwargs)
    made = empty(leaf.shape, leaf.strides, leaf.dtype, queue)
    if not bare and (span := made.span) is not None:
        given = Unwrapped(args, kwargs, mixed=True)
        plan = plan_of(func)
        run = Making(seeded(func, plan, given, queue.device), given.args, given.kwargs, made.raw)
        RT.launch(queue, plan.name, run, (), (span,))
    return made


def like(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Carry out ``..._like`` and ``new_...``: only the shape of the tensor given is used."""
    base = args[0]
    device = kwargs.get("device")
    device = base.device if device is None else torch.device(device)
    real = base.raw if isinstance(base, SimTensor | Pinned) else base
    model = torch.empty_strided(real.shape, real.stride(), dtype=real.dtype, device="cpu")
    if device.type == NAME:
        kwargs = {**kwargs, "device": torch.device(NAME, _index(device, base))}
        bare = plan_of(func).base in ("empty_like", "new_empty", "new_empty_strided")
        return make(func, (model, *args[1:]), kwargs, bare)
    if isinstance(base, Pinned):
        return host_op_without_reads(func, args, kwargs)
    return func(model, *args[1:], **{**kwargs, "device": device})


def _index(device: torch.device, base: Any) -> int:
    index: int | None = device.index
    if index is not None:
        return index
    return base.ordinal if isinstance(base, SimTensor) else RT.hosts.here().device


def host_op_without_reads(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run a factory of the host on the shape of a pinned tensor."""
    kwargs = {k: v for k, v in kwargs.items() if k != "pin_memory" or v is None}
    return func(args[0].raw, *args[1:], **kwargs)


def as_strided(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Carry out ``as_strided``: its offset counts from the start of the tensor's own memory."""
    base = args[0]
    if not isinstance(base, SimTensor) or base.block is None:
        return launch.view(func, args, kwargs)
    offset = args[3] if len(args) > 3 else kwargs.get("storage_offset")  # noqa: PLR2004
    chunk = base.block.chunk
    start = (chunk.address - chunk.segment.address) // base.raw.dtype.itemsize
    offset = base.raw.storage_offset() if offset is None else start + offset
    return launch.view(func, (base, args[1], args[2], offset), {})


def local_scalar(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Carry out ``item()``: the host waits for its current stream (R41)."""
    tensor = args[0]
    if not isinstance(tensor, SimTensor):
        return host_op(func, plan_of(func), args, kwargs)
    launch.await_result(RT.current(tensor.ordinal), tensor.span, "item")
    return func(tensor.raw)


def _sdp_choice(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> int:
    """Choose attention by plain matrix products, whose memory accesses are all seen."""
    del func, args, kwargs
    return 0


def _resize(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    del func, kwargs
    launch.resize(args[0], args[1])
    return args[0]


def _refuse(name: str, instead: str) -> launch.Special:
    def refuse(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        del func, args, kwargs
        raise UnsupportedError(name, instead)

    return refuse


for _name in (
    "empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like",
    "randint_like", "new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided",
):  # fmt: skip
    SPECIALS[_name] = like
SPECIALS["as_strided"] = as_strided
SPECIALS["_local_scalar_dense"] = local_scalar
SPECIALS["_fused_sdp_choice"] = _sdp_choice
SPECIALS["resize_"] = _resize
SPECIALS["set_"] = _refuse("Tensor.set_", "assign to .data, or copy")
SPECIALS["_pin_memory"] = _refuse("_pin_memory of a device tensor", "pin CPU tensors")
