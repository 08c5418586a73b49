"""The device name ``cuda``: read as ``simcuda`` by torch, and told as ``cuda`` to programs.

``torch.device`` gets a stand-in that takes the name, and the attribute ``type`` of a device says
``cuda`` to code that is neither torch's nor ours: programs branch on ``device.type == "cuda"``,
while torch looks up kernels and modules by the true name.
"""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from types import CodeType
from typing import Any

import torch

from streamsan.sim.device.errors import SimulationError
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.tensor import NAME, device_of

_CUDA = re.compile(r"cuda(?=:|$)")
_INSIDE = ("torch", "streamsan", "functorch")
_plain: Any = torch.device
_inside: dict[CodeType, bool] = {}


def translated(device: Any) -> Any:
    """Give a device as torch must be told of it; what is no CUDA device stays as it is."""
    if type(device) is str:
        return NAME + device[4:] if _CUDA.match(device) else device
    if isinstance(device, _plain) and _true_type(device) == "cuda":
        return _plain(NAME) if device.index is None else _plain(NAME, device.index)
    return device


def located(device: Any) -> Any:
    """Give a device with its number: C++ would take 0 for one of ours without, not the current."""
    device = translated(device)
    if device == NAME or (
        isinstance(device, _plain) and device.index is None and _true_type(device) == NAME
    ):
        return device_of(RT.hosts.here().device)
    return device


class _Kind(type):
    """Lets the stand-in pass for torch's own class: calls, instance checks, dictionary keys."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        kwargs = {name: translated(value) for name, value in kwargs.items()}
        return _plain(*map(translated, args), **kwargs)

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _plain)

    def __subclasscheck__(cls, other: type) -> bool:
        return other is cls or issubclass(other, _plain)

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is _plain

    def __hash__(cls) -> int:
        return hash(_plain)


def replace_device() -> None:
    """Put the stand-in and the attribute in their places. The caller makes sure it is once."""
    names = {"__doc__": _plain.__doc__, "__module__": "torch", "__qualname__": "device"}
    torch.device = _Kind("device", (), names)  # type: ignore[assignment,misc]
    slots: Any = gc.get_referents(_plain.__dict__)[0]  # the dictionary behind its read-only view
    slots["type"] = property(_told_type)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(_plain))
    if _plain("cpu").type != "cpu" or _from_outside(_plain(NAME)) != "cuda":
        raise SimulationError(
            "this Python does not let torch.device be changed: write device='simcuda' instead"
        )


_type_slot: Any = _plain.__dict__["type"]


def _true_type(device: Any) -> str:
    kind: str = _type_slot.__get__(device)
    return kind


def _told_type(device: Any) -> str:
    """Tell programs of ``cuda``, and torch and ourselves of the truth."""
    kind = _true_type(device)
    if kind != NAME:
        return kind
    frame = sys._getframe(1)  # noqa: SLF001
    inside = _inside.get(frame.f_code)
    if inside is None:
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        inside = _inside[frame.f_code] = module in _INSIDE
    return kind if inside else "cuda"


def _from_outside(device: Any) -> Any:
    """Read the attribute as a program does."""
    found: dict[str, Any] = {"device": device, "__name__": "program"}
    exec("kind = device.type", found)  # noqa: S102 - the frame must have another module's name
    return found["kind"]
