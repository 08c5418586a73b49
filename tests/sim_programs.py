"""Small programs on the simulated device: four races, each with its synchronised twin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

DEVICE = "simcuda"
Values = list[float]


def sim() -> Any:
    return torch.get_device_module(DEVICE)


def read_download(synced: bool) -> Values:
    """The host reads a pinned buffer that an asynchronous download writes."""
    side = sim().Stream()
    host = torch.empty(3, pin_memory=True)
    host.fill_(-1.0)
    with sim().stream(side):
        value = torch.arange(3.0, device=DEVICE) * 2 + 1
        host.copy_(value, non_blocking=True)
        done = sim().Event()
        done.record()
    if synced:
        done.synchronize()
    return host.tolist()


def overwrite_input(synced: bool) -> Values:
    """The scheduler overwrites a device buffer that the forward stream still reads."""
    forward, main = sim().Stream(), sim().current_stream()
    buffer = torch.zeros(4, device=DEVICE)
    out = torch.zeros(4, device=DEVICE)
    forward.wait_stream(main)
    for step in range(3):
        buffer.fill_(float(step + 1))
        forward.wait_stream(main)
        with sim().stream(forward):
            out.add_(buffer * 10)
        if synced:
            main.wait_stream(forward)
    sim().synchronize()
    return out.tolist()


def free_in_use(synced: bool) -> Values:
    """A block is freed, and reused by its owner, while another stream still reads it."""
    side, main = sim().Stream(), sim().current_stream()
    out = torch.zeros(4, device=DEVICE)
    block = torch.full((4,), 4.0, device=DEVICE)
    side.wait_stream(main)
    with sim().stream(side):
        out.copy_(block * 2)
    if synced:
        block.record_stream(side)
    del block
    reused = torch.full((4,), -2.0, device=DEVICE)
    sim().synchronize()
    return out.tolist() + reused.tolist()


def rewrite_staging(synced: bool) -> Values:
    """The host rewrites a pinned staging buffer whose upload may not have read it yet."""
    staging = torch.empty(2, pin_memory=True)
    done = sim().Event()
    parts = []
    for step in range(3):
        if synced and step:
            done.synchronize()
        staging.fill_(float(step))
        parts.append(staging.to(DEVICE, non_blocking=True))
        done.record()
    return torch.cat(parts).cpu().tolist()


PROGRAMS: dict[str, tuple[Callable[[bool], Values], Values, set[str]]] = {
    "read_download": (read_download, [1.0, 3.0, 5.0], {"SO111"}),
    "overwrite_input": (overwrite_input, [60.0] * 4, {"SO102"}),
    "free_in_use": (free_in_use, [8.0] * 4 + [-2.0] * 4, {"SO201"}),
    "rewrite_staging": (rewrite_staging, [0.0, 0.0, 1.0, 1.0, 2.0, 2.0], {"SO112"}),
}
