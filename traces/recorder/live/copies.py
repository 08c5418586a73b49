"""Transfers, as torch makes them: which wait, and which go through temporaries.

See cuda-ordering.md, R35, R39 and R40, and ATen/native/cuda/Copy.cu, whose branches this follows:
where the two sides are not alike, one of them is made contiguous and converted first, on the
device for non-blocking copies, on the CPU for others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from streamsan.traces import ops as o
from streamsan.traces.recorder.light import EventRecord, HostRead, HostWrite
from streamsan.traces.recorder.light import StreamWaitEvent as Wait
from streamsan.traces.recorder.live.plans import Plan

if TYPE_CHECKING:
    from streamsan.traces.recorder.live.observer import Observer

_NON_BLOCKING = 2


def carry_out(
    observer: Observer, plan: Plan, func: Any, args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    """Carry out ``copy_`` or ``_to_copy``, and record what it came down to."""
    on_device = observer.platform.on_device
    if plan.base == "_to_copy":
        src, non_blocking = args[0], kwargs.get("non_blocking", False)
    else:
        src = args[1]
        flag = args[_NON_BLOCKING:]
        non_blocking = flag[0] if flag else kwargs.get("non_blocking", False)
    local = observer.local
    outer = local.held
    held: list[o.OpBase] = []
    local.held = held
    try:
        made = func(*args, **kwargs)
    finally:
        local.held = outer
    dst = made if plan.base == "_to_copy" else args[0]
    inner = [op for op in held if not isinstance(op, o.EventRecord | o.StreamWaitEvent)]
    for op in inner:  # allocations; the events of a peer copy are told by its barriers
        (observer.put if outer is None else outer.append)(op)
    if not dst.numel() or not isinstance(src, torch.Tensor):  # a number, under vmap
        return made
    if on_device(dst) or on_device(src):
        _Copy(observer, plan.via).run(dst, src, bool(non_blocking))
    elif plan.base == "_to_copy":
        observer.host.follow([src], [], "_to_copy")
    else:
        observer.host.follow([src], [dst], "copy_")
    return made


class _Copy:
    """One call of a copy."""

    def __init__(self, observer: Observer, via: str) -> None:
        self._observer = observer
        self._via = via

    def run(self, dst: torch.Tensor, src: torch.Tensor, non_blocking: bool) -> None:
        """Record a copy of which one side at least is on the device."""
        on_device = self._observer.platform.on_device
        if on_device(dst) and on_device(src):
            self._on_devices(dst, src)
        elif on_device(dst):
            self._upload(dst, src, non_blocking)
        else:
            self._download(dst, src, non_blocking)

    def _on_devices(self, dst: torch.Tensor, src: torch.Tensor) -> None:
        observer = self._observer
        reads, writes = observer.blocks.span(src), observer.blocks.span(dst)
        if reads is None or writes is None:
            return
        here, there = observer.stream_of(src), observer.stream_of(dst)
        if here[1] != there[1]:
            self._barrier(there, here)
            observer.copy(here, reads, writes, "P2P", "copy_", blocking=False)
            self._barrier(here, there)
        elif alike(dst, src):
            observer.local.via, before = None, observer.local.via
            observer.copy(here, reads, writes, "D2D", "copy_", blocking=False)
            observer.local.via = before
        else:
            observer.launch(here, "copy_", (reads,), (writes,))

    def _barrier(self, first: tuple[str, int], second: tuple[str, int]) -> None:
        """Let one stream wait for another, as torch does on both sides of a peer copy (R35)."""
        observer = self._observer
        event = observer.names.fresh("e")
        observer.emit(EventRecord(event=event, stream=first[0], device=first[1]))
        observer.emit(Wait(event=event, stream=second[0], device=second[1]))

    def _upload(self, dst: torch.Tensor, src: torch.Tensor, non_blocking: bool) -> None:
        observer = self._observer
        where, target = observer.stream_of(dst), observer.blocks.span(dst)
        if target is None:
            return
        pinned = observer.host.is_pinned(src)
        if alike(dst, src):
            source = observer.host.span(src)
            if pinned and non_blocking:
                observer.host.block(src).noted.add(where[0])
        else:
            converted = non_blocking and src.is_contiguous() and src.shape == dst.shape
            if pinned and not converted:
                observer.host.note(src, HostRead, "contiguous")
            source = observer.host.span(src) if converted else self._temporary(src)
        landed = None
        if self._converts(dst, src, non_blocking):
            landed = self._device_temporary(dst, dst.dtype if not non_blocking else src.dtype)
        if source is not None:
            observer.copy(where, source, landed or target, "H2D", self._via,
                          blocking=not non_blocking)  # fmt: skip
        if landed is not None:
            observer.launch(where, "copy_", (landed,), (target,))

    def _download(self, dst: torch.Tensor, src: torch.Tensor, non_blocking: bool) -> None:
        observer = self._observer
        where, source = observer.stream_of(src), observer.blocks.span(src)
        if source is None:
            return
        same = alike(dst, src)
        if not same:
            source = self._made_dense(where, dst, src, source, non_blocking)
        pinned = observer.host.is_pinned(dst)
        direct = same or (non_blocking and dst.is_contiguous()) or (
            dst.dtype == src.dtype and dst.is_contiguous()
        )  # fmt: skip
        target = observer.host.span(dst) if direct else self._temporary(dst)
        if target is None:
            return
        if pinned and direct and non_blocking:
            observer.host.block(dst).noted.add(where[0])
        observer.copy(where, source, target, "D2H", self._via, blocking=not non_blocking)
        if not pinned or not direct:
            observer.host.read_unseen(target)
        if pinned and not direct:
            observer.host.note(dst, HostWrite, "copy_")

    def _made_dense(
        self,
        where: tuple[str, int],
        dst: torch.Tensor,
        src: torch.Tensor,
        source: o.RangeSpec,
        non_blocking: bool,
    ) -> o.RangeSpec:
        """Record the kernel by which a download's source becomes dense, or of another type."""
        changes = non_blocking and (dst.dtype != src.dtype or dst.shape != src.shape)
        if src.is_contiguous() and not changes and dst.shape == src.shape:
            return source
        temporary = self._device_temporary(dst, dst.dtype if non_blocking else src.dtype)
        if temporary is None:
            return source
        self._observer.launch(where, "copy_", (source,), (temporary,))
        return temporary

    def _converts(self, dst: torch.Tensor, src: torch.Tensor, non_blocking: bool) -> bool:
        """Whether an upload lands in a temporary of the device."""
        if alike(dst, src):
            return False
        return not dst.is_contiguous() or (non_blocking and dst.dtype != src.dtype)

    def _device_temporary(self, like: torch.Tensor, dtype: torch.dtype) -> str | None:
        """Give what the op allocated on the device, and gave to nobody."""
        for block in self._observer.local.made:
            if not block.nbytes:
                block.resize(like.numel() * dtype.itemsize)
                return str(block.name)
        return None

    def _temporary(self, like: torch.Tensor) -> str:
        """Name pageable memory that torch used in between."""
        return self._observer.host.temporary(like.numel() * like.itemsize)


def alike(dst: torch.Tensor, src: torch.Tensor) -> bool:
    """Whether one transfer of bytes does it: same type, and the same dense layout."""
    if dst.dtype != src.dtype or dst.shape != src.shape:
        return False
    if dst.is_conj() != src.is_conj() or dst.is_neg() != src.is_neg():
        return False
    if dst.is_contiguous() and src.is_contiguous():
        return True
    dense = torch.ops.aten.is_non_overlapping_and_dense
    return dst.stride() == src.stride() and bool(dense(src))
