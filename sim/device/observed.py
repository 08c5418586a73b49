"""What a program observed of its data: the values that two of its runs are compared by.

Only values of data count. Labels, addresses and times differ between runs that are both right.
Each host thread has a list of its own, in its order, so that runs of different schedules compare.
"""

from __future__ import annotations

import sys
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch

from streamsan.sim.device import pinned, tensor
from streamsan.sim.device.launch import SPECIALS
from streamsan.sim.device.pinned import Pinned
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.tensor import SimTensor
from streamsan.traces import ops as o

Seen = tuple[int, str, str, str]
"""A digest of the bytes, the first values as text, by what they were read, and where."""
_SHOWN = 8
_MOST = 200_000
"""Observations of a thread that are kept."""


class Observer:
    """Notes what host code reads, from ``watch`` on."""

    def __init__(self) -> None:
        self.seen: defaultdict[str, list[Seen]] = defaultdict(list)

    def watch(self) -> None:
        """Follow reads of pinned memory, and values that blocking copies bring to the host."""
        _replace_note(self._noting(pinned.note))
        tensor.copies[0] = self._giving(tensor.copies[0])
        for name in ("_local_scalar_dense", "_to_copy", "copy_"):
            SPECIALS[name] = self._giving(SPECIALS[name])

    def see(self, value: torch.Tensor, via: str) -> None:
        """Note the values of a plain CPU tensor."""
        host = RT.hosts.here()
        seen = self.seen[host.name]
        if len(seen) < _MOST:
            seen.append((*summary(value), via, RT.sites.text(RT.site(host))))

    def _noting(self, plain: Callable[..., None]) -> Callable[..., None]:
        def note(which: Pinned, cls: type[o.OpBase], via: str) -> None:
            plain(which, cls, via)  # its turn of the schedule comes before the read
            if cls is not o.HostWrite:
                self.see(which.raw, via)

        return note

    def _giving(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def give(*args: Any, **kwargs: Any) -> Any:
            made = plain(*args, **kwargs)
            if isinstance(made, bool | int | float | complex):
                self.see(torch.tensor([made], device="cpu"), "item")
            elif isinstance(made, torch.Tensor) and not isinstance(made, SimTensor | Pinned):
                self.see(made.detach(), "copy")
            return made

        return give


def _replace_note(value: Callable[..., None]) -> None:
    """Replace ``pinned.note`` in all modules that took it from there."""
    plain = pinned.note
    for name, module in list(sys.modules.items()):
        if name.startswith("streamsan.sim.device.") and getattr(module, "note", None) is plain:
            module.note = value  # type: ignore[attr-defined]


def summary(value: torch.Tensor) -> tuple[int, str]:
    """Give a digest of a CPU tensor's bytes, and its first values as text."""
    with torch.no_grad():
        flat = value.detach().resolve_conj().resolve_neg().reshape(-1).contiguous()
        bytes_ = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
        few = ", ".join(_number(each) for each in flat[:_SHOWN].tolist())
    return zlib.crc32(bytes_), f"[{few}{', ...' if flat.numel() > _SHOWN else ''}]"


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def left_over(names: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """Summarise the tensors that a program's global names hold at its end."""
    found: dict[str, torch.Tensor] = {}
    for name, value in names.items():
        if isinstance(value, torch.Tensor):
            found[name] = value
        elif isinstance(value, torch.nn.Module):
            found |= {f"{name}.{key}": each for key, each in value.state_dict().items()}
        elif isinstance(value, list | tuple):
            found |= {
                f"{name}[{i}]": each
                for i, each in enumerate(value) if isinstance(each, torch.Tensor)
            }  # fmt: skip
    with torch._C._DisableTorchDispatch():  # noqa: SLF001
        return {
            name: summary(value.raw) for name, value in found.items()
            if isinstance(value, SimTensor | Pinned)
        }  # fmt: skip
