"""Launches that no dispatcher sees: Triton's kernels, the program's own and those of Inductor.

What such a kernel reads and writes is not told by any schema. For Inductor's the names of their
arguments tell it; of others all tensors among them count as read and written, and
``streamsan.kernel`` says it better where that is too much.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch

from streamsan.traces.recorder.live.observer import Observer
from streamsan.traces.recorder.live.patches import Patches
from streamsan.traces.recorder.live.plans import READ, WRITE

_PLACES = (
    ("triton.runtime.jit", "JITFunction"),
    ("torch._inductor.runtime.triton_heuristics", "CachingAutotuner"),
)


def watch(observer: Observer) -> Callable[[], None]:
    """Wrap the ``run`` of compiled kernels, and torch's own kernel that only passes time."""
    patches = Patches()
    patches.wrap(torch.cuda, "_sleep", lambda plain: sleeping(observer, plain))
    if importlib.util.find_spec("triton") is not None:
        for module, kind in _PLACES:
            owner = getattr(importlib.import_module(module), kind, None)
            if owner is not None:
                patches.wrap(owner, "run", lambda plain: launching(observer, plain))
    return patches.undo


def sleeping(observer: Observer, plain: Callable[..., Any]) -> Callable[..., Any]:
    """Record a kernel without accesses on the current stream."""

    def sleep(*args: Any, **kwargs: Any) -> None:
        with observer.ranged():
            plain(*args, **kwargs)
            observer.launch(observer.here(), "sleep", (), ())

    return sleep


def launching(observer: Observer, plain: Callable[..., Any]) -> Callable[..., Any]:
    """Record a launch by its arguments."""

    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        local = observer.local
        if local.quiet or kwargs.get("warmup"):
            return plain(self, *args, **kwargs)
        roles = _roles(self, args)
        tensors = [
            (each, roles.get(at, READ | WRITE)) for at, each in enumerate((*args, *kwargs.values()))
            if isinstance(each, torch.Tensor) and observer.platform.on_device(each)
        ]  # fmt: skip
        with observer.ranged():
            with observer.local.quietly():
                made = plain(self, *args, **kwargs)
            if tensors:
                spans = [(observer.blocks.span(each), role) for each, role in tensors]
                reads, writes = (
                    [s for s, role in spans if s is not None and role & wanted]
                    for wanted in (READ, WRITE)
                )
                observer.launch(observer.stream_of(tensors[0][0]), _name(self), reads, writes)
        return made

    return run


def _roles(kernel: Any, args: tuple[Any, ...]) -> dict[int, int]:
    """Tell by Inductor's names which arguments, by their positions, are read or written only."""
    if type(kernel).__name__ != "CachingAutotuner":
        return {}
    names = list(getattr(getattr(kernel, "fn", None), "arg_names", ()))[: len(args)]
    mutated = set(getattr(kernel, "mutated_arg_names", None) or ())
    roles: dict[int, int] = {}
    for at, name in enumerate(names):
        if name.startswith("in_ptr") and name not in mutated:
            roles[at] = READ
        elif name.startswith("out_ptr") and name not in mutated:
            roles[at] = WRITE
    return roles


def _name(kernel: Any) -> str:
    function = getattr(kernel, "fn", kernel)
    return str(getattr(function, "__name__", None) or type(kernel).__name__)
