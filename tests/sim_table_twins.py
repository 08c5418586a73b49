"""Rows of the table as programs of two streams, with their wait or without it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from sim_table import FEEDS, TABLE
from sim_table_streams import HOST, STREAMS

import streamsan
from streamsan import sim

DEVICE = "simcuda"
BOTH = {**STREAMS, **HOST}
_BLOCKING = "a blocking upload: the call itself waits until the values are there"
NO_TWIN = {
    "offset": "asks for a number that the host knows, no memory",
    "tensor": _BLOCKING,
    "as_tensor": _BLOCKING,
    "new_tensor": _BLOCKING,
    "copy_cast": _BLOCKING,
}
"""Rows that cannot be made wrong by a missing wait, and why."""
MADE = frozenset({
    "zeros", "ones", "full", "arange", "linspace", "logspace", "eye", "tril_indices",
    "zeros_like", "ones_like", "full_like", "new_full", "transposed_upload", "randn_seeded",
})  # fmt: skip
"""Rows that read nothing of the device: their twin reads what they make."""


def plain(value: Any) -> Any:
    """Give a value with every tensor of it on the CPU."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return [plain(each) for each in value]
    return value


@functools.cache
def expected(name: str) -> Any:
    """Give what a row gives on the CPU."""
    return plain(BOTH[name]("cpu", True) if name in BOTH else TABLE[name]("cpu"))


def same(one: Any, other: Any) -> None:
    """Compare two plain values."""
    assert type(one) is type(other)
    if isinstance(one, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            same(left, right)
    elif isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other)
    else:
        assert one == other


def differs(one: Any, other: Any) -> bool:
    """Whether two plain values are not the same."""
    try:
        same(one, other)
    except AssertionError:
        return True
    return False


def once(name: str) -> Callable[[], Any]:
    """Give the row as a program that waits wherever it must."""
    if name in BOTH:
        return lambda: plain(BOTH[name](DEVICE, True))
    return lambda: plain(TABLE[name](DEVICE))


def twin(name: str, synced: bool) -> Callable[[], Any]:
    """Give the row as a program that waits, or does not, where it must."""
    if name in BOTH:
        return lambda: plain(BOTH[name](DEVICE, synced))
    if name in MADE:
        return lambda: _read_elsewhere(TABLE[name], synced)
    return lambda: _fed_elsewhere(TABLE[name], synced)


def _fed_elsewhere(row: Callable[[str], Any], synced: bool) -> Any:
    """Make a row's inputs on the default stream, and run it on another."""
    m: Any = torch.get_device_module(DEVICE)
    main, side = m.current_stream(), m.Stream()

    def feed(values: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(mode=False), torch.no_grad(), m.stream(main):
            right, buffer = values.to(DEVICE), before.to(DEVICE)
            m.synchronize()
            buffer.copy_(right)
            ready = m.Event()
            ready.record()
        if synced:
            side.wait_event(ready)
        buffer.record_stream(side)
        return buffer

    FEEDS.append(feed)
    try:
        with m.stream(side):
            found = plain(row(DEVICE))
    finally:
        FEEDS.pop()
    m.synchronize()
    return found


def _read_elsewhere(row: Callable[[str], Any], synced: bool) -> Any:
    """Run a row on another stream, and read what it gives on the default stream."""
    m: Any = torch.get_device_module(DEVICE)
    side = m.Stream()
    with m.stream(side):
        made = row(DEVICE)
        ready = m.Event()
        ready.record()
    if synced:
        m.current_stream().wait_event(ready)
    for each in made if isinstance(made, list) else [made]:
        each.record_stream(m.current_stream())
    found = plain(made)
    m.synchronize()
    return found


def hazards(run: sim.Run) -> list[streamsan.Finding]:
    """Give the findings but those on waiting too much and needless copies."""
    assert run.trace is not None
    return [f for f in streamsan.check(run.trace) if not f.rule.startswith(("SO4", "SO5"))]
