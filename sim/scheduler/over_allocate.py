"""Room for speculation: a verification needs slots before anyone knows how many it will fill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

import streamsan
from streamsan.sim.scheduler.streams import Device

if TYPE_CHECKING:
    from streamsan.sim.scheduler.batch import ScheduleBatch


def over_allocate(batch: ScheduleBatch) -> None:
    """Give each request room for two verifications: the running one is not counted yet.

    The uploads are unpinned and non-blocking, as in the original: the driver stages them (SO405).
    """
    batch.out_cache_loc, batch.out_slots = None, []  # which of them, the verification finds out
    reach = [max(len(r.slots), r.committed + 2 * batch.args.draft_tokens) for r in batch.reqs]
    current, following = (
        _unpinned(batch.device, name, lengths)
        for name, lengths in (
            ("allocated", [len(req.slots) for req in batch.reqs]),
            ("allocate", reach),
        )
    )
    for i, (req, length) in enumerate(zip(batch.reqs, reach, strict=True)):
        start = len(req.slots)
        if length == start:
            continue
        new, locations = batch.kv_pool.alloc(length - start)
        req.slots += new
        table = batch.req_to_token_pool.req_to_token
        streamsan.kernel(
            "over_allocate", _fill, table, req.row, locations, current[i : i + 1],
            following[i : i + 1],
            reads=[locations, current[i : i + 1], following[i : i + 1]],
            writes=[table[req.row, start:length]],
        )  # fmt: skip
        batch.kv_pool.map(new, locations)


def _unpinned(device: Device, name: str, lengths: list[int]) -> torch.Tensor:
    host = torch.tensor(lengths, dtype=torch.int32)
    with streamsan.named(name):
        return host.to(device.name, non_blocking=True)


def _fill(
    table: torch.Tensor, row: int, locations: torch.Tensor, start: torch.Tensor, stop: torch.Tensor
) -> None:
    places = torch.arange(table.shape[1], device=table.device)
    inside = (places >= start) & (places < stop)
    index = (places - start).clamp(0, locations.shape[0] - 1).long()
    table[row] = torch.where(inside, locations[index].to(table.dtype), table[row])
