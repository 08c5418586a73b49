"""Calls of torch that make tensors, compute, and ask for memory: which of them wait?"""

from __future__ import annotations

import torch

from validation.questions.given import Does, Given, Question, returns, unknown

MAKING: list[Question] = [
    *returns("section 5", **{
        "torch.full((9,), 1.0, device=D)": lambda g: torch.full((9,), 1.0, device=g.d),
    }),
    *returns("R2", **{
        "torch.zeros(9, device=D)": lambda g: torch.zeros(9, device=g.d),
        "torch.arange(9, device=D)": lambda g: torch.arange(9, device=g.d),
        "torch.rand(9, device=D)": lambda g: torch.rand(9, device=g.d),
        "torch.eye(9, device=D)": lambda g: torch.eye(9, device=g.d),
        "x.fill_(0)": lambda g: g.x.fill_(0),
        "x.zero_()": lambda g: g.x.zero_(),
        "x.clone()": lambda g: g.x.clone(),
        "x.max()": lambda g: g.x.max(),
        "x.sort()": lambda g: g.x.sort(),
        "torch.where(mask, x, 0.0)": lambda g: torch.where(g.mask, g.x, 0.0),
        "torch.cat([x, x])": lambda g: torch.cat([g.x, g.x]),
        "torch.cat of 300": lambda g: torch.cat([g.x[:8]] * 300),
        "torch.stack of device scalars": lambda g: torch.stack([g.x[0], g.x[1]]),
        "_foreach_add_ of 300": lambda g: torch._foreach_add_(list(g.x[:300].unbind()), 1.0),
    }),
]  # fmt: skip


_KEPT: list[object] = []
"""Results that are held to the end, so that their memory is not there for the next call."""
_BLOCK = 1 << 25
"""Bytes that an allocator asks the driver for by themselves."""


def _first(does: Does) -> Does:
    """Let nothing of a result be used again."""
    return lambda g: _KEPT.append(does(g))


def _released(g: Given) -> None:
    """Give the cache something to give back, and let it."""
    if not g.blocks:
        g.blocks += [torch.empty(_BLOCK, dtype=torch.uint8, device=g.d) for _ in range(8)]
    g.blocks.pop()
    torch.get_device_module(g.d).empty_cache()


MEMORY: list[Question] = [
    *unknown(**{
        "torch.empty(32 MiB, device=D), first":
            _first(lambda g: torch.empty(_BLOCK, dtype=torch.uint8, device=g.d)),
        "torch.empty(16 MiB, pin_memory=True), first":
            _first(lambda _: torch.empty(_BLOCK >> 1, dtype=torch.uint8, pin_memory=True)),
        "cpu.pin_memory(), first": _first(lambda _: torch.ones(1 << 20).pin_memory()),
        "empty_cache(), something cached": _released,
        "empty_cache(), nothing cached": lambda g: torch.get_device_module(g.d).empty_cache(),
        "Stream()": lambda g: torch.get_device_module(g.d).Stream(),
        "mem_get_info()": lambda g: torch.get_device_module(g.d).mem_get_info(),
        "memory_allocated()": lambda g: torch.get_device_module(g.d).memory_allocated(),
    }),
    *returns("R36", **{
        "torch.empty(4 KiB, device=D), cached":
            lambda g: torch.empty(1 << 12, dtype=torch.uint8, device=g.d),
    }),
    *returns("R38", **{
        "torch.empty(4 KiB, pin_memory=True), cached":
            lambda _: torch.empty(1 << 12, dtype=torch.uint8, pin_memory=True),
        "cpu.pin_memory(), cached": lambda g: g.cpu.pin_memory(),
    }),
    *returns("R37", **{
        "x.record_stream(s)":
            lambda g: g.x.record_stream(torch.get_device_module(g.d).default_stream()),
    }),
    *returns("R6", **{
        "s.wait_stream(current)": lambda g: torch.get_device_module(g.d).default_stream()
            .wait_stream(torch.get_device_module(g.d).current_stream()),
    }),
]  # fmt: skip
