"""Copies, as torch makes them on CUDA: which are asynchronous, and which need temporaries.

See cuda-ordering.md, R35, R39 and R40, and ATen/native/cuda/Copy.cu, which this follows branch
by branch: a copy is one transfer of bytes where both sides are dense and of one type, else it
goes through contiguous temporaries, on the CPU for blocking copies and on the device for
non-blocking ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from streamsan.sim.device.errors import UnsupportedError
from streamsan.sim.device.internals import no_python_dispatch
from streamsan.sim.device.launch import SPECIALS, host_op
from streamsan.sim.device.pinned import Pinned, empty_pinned, note
from streamsan.sim.device.plans import plan_of
from streamsan.sim.device.queues import Queue
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.tensor import NAME, SimTensor, copies, empty
from streamsan.traces import ops as o


def copy_(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Carry out ``dst.copy_(src, non_blocking)``."""
    dst, src = args[0], args[1]
    non_blocking = args[2] if len(args) > 2 else kwargs.get("non_blocking", False)  # noqa: PLR2004
    if not isinstance(dst, SimTensor) and not isinstance(src, SimTensor):
        return host_op(func, plan_of(func), args, kwargs)
    copy(dst, src, bool(non_blocking), "copy_")
    return dst


def copy(dst: torch.Tensor, src: torch.Tensor, non_blocking: bool, via: str) -> None:
    """Copy between devices, or between a device and the host; shapes broadcast."""
    if dst.numel() == 0:
        return
    if isinstance(dst, SimTensor) and isinstance(src, SimTensor):
        if dst.ordinal == src.ordinal:
            _within(dst, src)
        else:
            _between(dst, src)
        return
    if _needs_temporaries(dst, src):
        _copy_by_temporaries(dst, src, non_blocking, via)
    elif isinstance(dst, SimTensor):
        _upload(dst, src, non_blocking, via)
    elif isinstance(src, SimTensor):
        _download(dst, src, non_blocking, via)


def _within(dst: SimTensor, src: SimTensor) -> None:
    """Copy on one device: bytes if both are alike, else a kernel."""
    queue = RT.current(dst.ordinal)
    run = _Copy(dst.raw, src.raw)
    reads, writes = src.span, dst.span
    if reads is None or writes is None:
        return
    if _alike(dst.raw, src.raw):
        RT.memcpy(queue, run, reads, writes, "D2D", "copy_", blocking=False)
    else:
        RT.launch(queue, "copy_", run, (reads,), (writes,))


def _between(dst: SimTensor, src: SimTensor) -> None:
    """Copy between two devices on the source's stream, with a barrier both ways (R35)."""
    if not _alike(dst.raw, src.raw):
        shape, dtype = tuple(dst.raw.shape), dst.raw.dtype
        dense = torch.empty(shape, dtype=dtype, device="meta").stride()
        sent = empty(shape, dense, dtype, RT.current(src.ordinal))
        _within(sent, src)
        landed = (
            dst
            if _alike(dst.raw, sent.raw)
            else empty(shape, dense, dtype, RT.current(dst.ordinal))
        )
        _between(landed, sent)
        if landed is not dst:
            _within(dst, landed)
        return
    here, there = RT.current(src.ordinal), RT.current(dst.ordinal)
    reads, writes = src.span, dst.span
    if reads is None or writes is None:
        return
    _barrier(there, here)
    RT.memcpy(here, _Copy(dst.raw, src.raw), reads, writes, "P2P", "copy_", blocking=False)
    _barrier(here, there)


def _barrier(first: Queue, second: Queue) -> None:
    """Let one stream wait for another, by an event of its own."""
    event = RT.name("e")
    RT.wait_event(event, RT.record_event(event, first), second)


class _Copy:
    """A copy to run: tensors are real."""

    __slots__ = ("dst", "src")

    def __init__(self, dst: torch.Tensor, src: torch.Tensor) -> None:
        self.dst = dst
        self.src = src

    def __call__(self) -> None:
        self.dst.copy_(self.src)


def _real(tensor: torch.Tensor) -> torch.Tensor:
    """Give a tensor's real bytes."""
    if isinstance(tensor, SimTensor | Pinned):
        return tensor.raw
    return tensor.detach()


def _alike(dst: torch.Tensor, src: torch.Tensor) -> bool:
    """Whether one transfer of bytes does it: same type, and the same dense layout."""
    if dst.dtype != src.dtype or dst.shape != src.shape:
        return False
    if dst.is_conj() != src.is_conj() or dst.is_neg() != src.is_neg():
        return False
    if dst.is_contiguous() and src.is_contiguous():
        return True
    return dst.stride() == src.stride() and torch.ops.aten.is_non_overlapping_and_dense(src)


def _needs_temporaries(dst: torch.Tensor, src: torch.Tensor) -> bool:
    return not _alike(_real(dst), _real(src))


def _copy_by_temporaries(
    dst: torch.Tensor, src: torch.Tensor, non_blocking: bool, via: str
) -> None:
    """Copy through contiguous temporaries: conversions on the device if non-blocking."""
    converts_on_device = non_blocking
    if isinstance(src, SimTensor) == converts_on_device:
        there = dst if dst.is_contiguous() else _empty_on(dst, dst.dtype)
        here = _contiguous(src, tuple(dst.shape), dst.dtype)
    else:
        same = dst.dtype == src.dtype
        there = dst if same and dst.is_contiguous() else _empty_on(dst, src.dtype)
        here = _contiguous(src, tuple(dst.shape), src.dtype)
    copy(there, here, non_blocking, via)
    if there is dst:
        return
    if isinstance(dst, SimTensor) and isinstance(there, SimTensor):
        _within(dst, there)
    else:
        _host_copy_(dst, there)


def _host_copy_(dst: torch.Tensor, src: torch.Tensor) -> None:
    """Copy on the host."""
    if isinstance(dst, Pinned):
        note(dst, o.HostWrite, "copy_")
    _real(dst).copy_(_real(src))


def _empty_on(like: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Allocate a contiguous temporary where a tensor is; on the host it is pageable."""
    shape = tuple(like.shape)
    if isinstance(like, SimTensor):
        strides = torch.empty(shape, device="meta").stride()
        return empty(shape, strides, dtype, RT.current(like.ordinal))
    return torch.empty(shape, dtype=dtype, device="cpu")


def _contiguous(src: torch.Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Give the source expanded, of the type and contiguous; itself where it is so already."""
    raw = _real(src)
    plain = raw.is_contiguous() and not raw.is_conj() and not raw.is_neg()
    if plain and tuple(raw.shape) == shape and raw.dtype == dtype:
        return src
    if isinstance(src, SimTensor):
        made = _empty_on_shape(src, shape, dtype)
        _within(made, src)
        return made
    if isinstance(src, Pinned):
        note(src, o.HostRead, "contiguous")
    return raw.to(dtype).expand(shape).contiguous().resolve_conj().resolve_neg()


def _empty_on_shape(like: SimTensor, shape: tuple[int, ...], dtype: torch.dtype) -> SimTensor:
    strides = torch.empty(shape, device="meta").stride()
    return empty(shape, strides, dtype, RT.current(like.ordinal))


def _upload(dst: SimTensor, src: torch.Tensor, non_blocking: bool, via: str) -> None:
    """Copy to the device. A pageable source is read at the call, a pinned one in the stream."""
    queue = RT.current(dst.ordinal)
    target = dst.span
    if target is None:
        return
    if isinstance(src, Pinned):
        source, real = src.span, src.raw
        if non_blocking:
            src.block.noted[queue.label] = queue
    else:
        source, real = RT.pageable.span(src), src.detach().clone()
    if source is None:
        return
    RT.memcpy(queue, _Copy(dst.raw, real), source, target, "H2D", via,
              blocking=not non_blocking)  # fmt: skip
    if not non_blocking:
        RT.drain(queue)


def _download(dst: torch.Tensor, src: SimTensor, non_blocking: bool, via: str) -> None:
    """Copy to the host: asynchronous only if it is pinned and the program says so."""
    queue = RT.current(src.ordinal)
    source = src.span
    if source is None:
        return
    pinned = isinstance(dst, Pinned)
    target = dst.span if isinstance(dst, Pinned) else RT.pageable.span(dst)
    if target is None:
        return
    if isinstance(dst, Pinned) and non_blocking:
        dst.block.noted[queue.label] = queue
    RT.memcpy(queue, _Copy(_real(dst), src.raw), source, target, "D2H", via,
              blocking=not non_blocking)  # fmt: skip
    if not (pinned and non_blocking):
        RT.drain(queue)
    if not pinned:
        # What plain host code does with it from here on is not seen: it is taken as read.
        RT.host_access(o.HostRead, target, "unseen")


def to_copy(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Carry out ``_to_copy``: what ``.to``, ``.cpu``, ``.cuda`` and ``.float`` come down to."""
    src = args[0]
    dtype = kwargs.get("dtype") or src.dtype
    non_blocking = bool(kwargs.get("non_blocking"))
    device = kwargs.get("device")
    device = src.device if device is None else torch.device(device)
    if kwargs.get("layout") not in (None, torch.strided):
        raise UnsupportedError(f"the layout {kwargs['layout']}", "use dense tensors")
    if device.type not in ("cpu", NAME):
        raise UnsupportedError(f"a copy from {src.device} to {device}", "go through the CPU")
    format_ = kwargs.get("memory_format") or torch.preserve_format
    real = _real(src)
    leaf = torch.empty_strided(real.shape, real.stride(), dtype=real.dtype, device="meta")
    strides = torch.empty_like(leaf, memory_format=format_).stride()
    if device.type == NAME:
        index = device.index if device.index is not None else RT.hosts.here().device
        made: torch.Tensor = empty(tuple(real.shape), strides, dtype, RT.current(index))
    elif not isinstance(src, SimTensor):
        return host_op(func, plan_of(func), args, kwargs)
    elif non_blocking or kwargs.get("pin_memory"):
        made = empty_pinned(tuple(real.shape), strides, dtype)
    else:
        made = torch.empty_strided(tuple(real.shape), strides, dtype=dtype, device="cpu")
    copy(made, src, non_blocking, "to")
    return made


def download(tensor: torch.Tensor, via: str) -> torch.Tensor:
    """Copy a device tensor to pageable memory, blocking."""
    with RT.lock, torch.no_grad(), no_python_dispatch():
        real = _real(tensor)
        made = torch.empty(real.shape, dtype=real.dtype, device="cpu")
        copy(made, tensor, non_blocking=False, via=via)
        return made


def upload(host: torch.Tensor, index: int) -> SimTensor:
    """Copy a host tensor to a device, blocking."""
    strides = torch.empty(tuple(host.shape), device="meta").stride()
    made = empty(tuple(host.shape), strides, host.dtype, RT.current(index))
    copy(made, host, non_blocking=False, via="to")
    return made


copies.append(download)
SPECIALS["copy_"] = copy_
SPECIALS["_to_copy"] = to_copy
