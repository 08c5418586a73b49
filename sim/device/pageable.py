"""Ordinary CPU tensors that take part in transfers: a name for each storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.multiprocessing import reductions

from streamsan.sim.device.ranges import span_of
from streamsan.traces import ops as o

_SWEEP = 256
_WeakRef: Any = reductions.StorageWeakRef


class Pageable:
    """Names the storages of CPU tensors. A name ends with its storage."""

    def __init__(self, name: Callable[[str], str], record: Callable[[o.OpBase], object]) -> None:
        self._name = name
        self._record = record
        self._known: dict[int, tuple[str, int, Any]] = {}
        self._sweep_at = _SWEEP

    def span(self, tensor: torch.Tensor) -> o.RangeSpec | None:
        """Give the bytes of a tensor; None where there are none."""
        if tensor.numel() == 0:
            return None
        storage = tensor.untyped_storage()
        key = storage._cdata  # noqa: SLF001 - which storage it is, while the weak reference lives
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= self._sweep_at:
                self._sweep()
            known = self._known[key] = (self._name("p"), storage.nbytes(), _WeakRef(storage))
            self._record(o.Malloc(buffer=known[0], space="pageable", bytes=known[1]))
        size = tensor.dtype.itemsize
        return span_of(
            known[0], known[1], tuple(tensor.shape), tensor.stride(), size,
            int(tensor.storage_offset()) * size,
        )  # fmt: skip

    def _sweep(self) -> None:
        """End the names of storages that are gone."""
        for key, (name, _, ref) in list(self._known.items()):
            if ref.expired():
                del self._known[key]
                self._record(o.Free(buffer=name))
        self._sweep_at = _SWEEP + 2 * len(self._known)
