"""What declared kernels read on a real device, noted while the program runs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch

Seen = dict[str, Any]
"""What declared kernels read, by number and name."""
_ROOM = 4 << 20
_ALIGNED = 16
_SMALL = 8


class Notes:
    """Copies of what kernels read, made on their streams right before they run.

    They go into a block made beforehand: allocating would change which memory is reused.
    """

    def __init__(self, device: str) -> None:
        self._module: Any = getattr(torch, device)
        self._device = device
        self._taken: list[tuple[str, list[torch.Tensor]]] = []
        self._used = 0
        self._room = self._block(_ROOM)

    def _block(self, size: int) -> torch.Tensor:
        """Allocate; other streams than the current one will write there."""
        made = torch.empty(size, dtype=torch.uint8, device=self._device)
        self._module.synchronize()
        return made

    def take(self, name: str, reads: Sequence[Any]) -> None:
        """Copy tensors, in stream order."""
        tensors = [each for each in reads if isinstance(each, torch.Tensor) and each.numel()]
        self._taken.append((name, [self._copied(each) for each in tensors]))

    def _copied(self, tensor: torch.Tensor) -> torch.Tensor:
        size = tensor.numel() * tensor.element_size()
        if self._used + size > len(self._room):
            self._room, self._used = self._block(max(_ROOM, size)), 0
        place = self._room[self._used : self._used + size].view(tensor.dtype).view(tensor.shape)
        place.copy_(tensor)
        self._used += -(-size // _ALIGNED) * _ALIGNED
        return place

    def values(self) -> Seen:
        """Give the values, or what stands for them where they are many."""
        self._module.synchronize()
        return {
            f"what {name} read, kernel {number}": [_value(each.cpu()) for each in tensors]
            for number, (name, tensors) in enumerate(self._taken)
        }


def _value(tensor: torch.Tensor) -> object:
    if tensor.numel() <= _SMALL:
        return tensor.tolist()
    return hashlib.blake2b(tensor.contiguous().numpy().tobytes(), digest_size=8).hexdigest()
