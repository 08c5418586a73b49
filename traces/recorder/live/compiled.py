"""Launches that no dispatcher sees: Triton's kernels, the program's own and those of Inductor.

What such a kernel reads and writes is not told by any schema. All tensors among its arguments
count as read and written; ``streamsan.kernel`` says it better where that is too much.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch

from streamsan.traces.recorder.live.observer import Observer
from streamsan.traces.recorder.live.patches import Patches

_PLACES = (
    ("triton.runtime.jit", "JITFunction"),
    ("torch._inductor.runtime.triton_heuristics", "CachingAutotuner"),
)


def watch(observer: Observer) -> Callable[[], None]:
    """Wrap the ``run`` of compiled kernels."""
    patches = Patches()
    if importlib.util.find_spec("triton") is not None:
        for module, kind in _PLACES:
            owner = getattr(importlib.import_module(module), kind, None)
            if owner is not None:
                patches.wrap(owner, "run", lambda plain: launching(observer, plain))
    return patches.undo


def launching(observer: Observer, plain: Callable[..., Any]) -> Callable[..., Any]:
    """Record a launch by its arguments."""

    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        local = observer.local
        if local.quiet or kwargs.get("warmup"):
            return plain(self, *args, **kwargs)
        tensors = [
            each for each in (*args, *kwargs.values())
            if isinstance(each, torch.Tensor) and observer.platform.on_device(each)
        ]  # fmt: skip
        with observer.ranged():
            local.quiet += 1
            try:
                made = plain(self, *args, **kwargs)
            finally:
                local.quiet -= 1
            if tensors:
                spans = [s for each in tensors if (s := observer.blocks.span(each)) is not None]
                observer.launch(observer.stream_of(tensors[0]), _name(self), spans, spans)
        return made

    return run


def _name(kernel: Any) -> str:
    function = getattr(kernel, "fn", kernel)
    return str(getattr(function, "__name__", None) or type(kernel).__name__)
