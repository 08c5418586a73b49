"""Methods of tensors by which the host gets at memory past the dispatcher.

Dispatch modes see nothing of ``tolist``, ``numpy`` or ``repr`` (simulated-device.md, section 2).
The methods themselves are wrapped, not watched by a function mode: that would cost every call of
torch a microsecond, and see nothing in threads that are running already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from streamsan.traces.recorder.light import HostEscape, HostRead, HostWrite
from streamsan.traces.recorder.live.blocks import NO_MEMORY
from streamsan.traces.recorder.live.observer import Observer
from streamsan.traces.recorder.live.patches import Patches
from streamsan.traces.recorder.live.unseen import transferring

_DOWNLOADS = ("tolist", "repr")
"""What brings device memory to the host. Pickling mostly copies the storage later, by an op."""
_READS = ("tolist", "__repr__", "__reduce_ex__", "__deepcopy__")
_ESCAPES = ("numpy", "data_ptr", "untyped_storage", "storage", "__dlpack__", "__array__")
_VIA = {"__repr__": "repr", "__reduce_ex__": "pickle", "__deepcopy__": "deepcopy"}


def watch(observer: Observer, patches: Patches, owner: type) -> None:
    """Wrap the methods of a class of tensors."""
    for name in _READS:
        patches.wrap(owner, name, _reading(observer, _VIA.get(name, name)))
    for name in _ESCAPES:
        patches.wrap(owner, name, _escaping(observer, name))
    patches.wrap(owner, "pin_memory", lambda plain: _pinning(observer, plain))


def _reading(observer: Observer, via: str) -> Callable[[Callable[..., Any]], Any]:
    """Record a read of the host, or the transfer by which the host reads device memory."""

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def method(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            local = observer.local
            if local.quiet or local.depth or not _is_plain(self):
                return plain(self, *args, **kwargs)
            if not observer.platform.on_device(self):
                _note(observer, self, HostRead, via)
                return _in_one(observer, plain)(self, *args, **kwargs)
            if via not in _DOWNLOADS and not (via == "pickle" and observer.platform.pickles):
                return plain(self, *args, **kwargs)
            outer, local.via = local.via, via
            call = _in_one(observer, plain) if via == "repr" else plain
            try:
                return transferring(
                    observer, call, lambda _: _downloaded(observer, self, via), self, *args,
                    **kwargs,
                )  # fmt: skip
            finally:
                local.via = outer

        return method

    return make


def _in_one(observer: Observer, plain: Callable[..., Any]) -> Callable[..., Any]:
    """Leave out what a method does: one op stands for all of it."""

    def method(*args: Any, **kwargs: Any) -> Any:
        with observer.local.quietly():
            return plain(*args, **kwargs)

    return method


def _downloaded(observer: Observer, tensor: torch.Tensor, via: str) -> bool:
    """Record a transfer that no dispatcher saw; False where there are no bytes."""
    span = observer.blocks.span(tensor)
    if span is None:
        return False
    where = observer.stream_of(tensor)
    target = observer.host.temporary(tensor.numel() * tensor.itemsize)
    observer.copy(where, span, target, "D2H", via, blocking=True)
    observer.host.read_unseen(target)
    observer.settle(observer.local)
    return True


def _escaping(observer: Observer, via: str) -> Callable[[Callable[..., Any]], Any]:
    """Record that pinned memory leaves our sight."""

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        def method(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            local = observer.local
            watched = not (local.quiet or local.depth) and _is_plain(self)
            if watched and not observer.platform.on_device(self):
                copied = via == "__array__" and kwargs.get("copy")
                _note(observer, self, HostRead if copied else HostEscape, via)
            return plain(self, *args, **kwargs)

        return method

    return make


def _pinning(observer: Observer, plain: Callable[..., Any]) -> Callable[..., Any]:
    """Record that the host fills a pinned copy."""

    def method(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        made = plain(self, *args, **kwargs)
        if made is not self and not observer.local.depth:
            _note(observer, made, HostWrite, "pin_memory")
        return made

    return method


def _note(observer: Observer, tensor: torch.Tensor, cls: Any, via: str) -> None:
    """Record an access of the host, if the memory is pinned. What we ask is not recorded."""
    with observer.local.quietly():
        pinned = observer.host.is_pinned(tensor)
    if pinned:
        observer.host.note(tensor, cls, via)


def _is_plain(tensor: torch.Tensor) -> bool:
    if tensor.layout is not torch.strided or tensor.device.type == "meta":
        return False
    return type(tensor).__name__ not in NO_MEMORY
