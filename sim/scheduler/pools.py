"""The pools that scheduling and forward share: rows of requests, slots of KV, the SWA mapping.

Who is free is known to the host; rows and slots are handed out first in, first out. The tables
themselves are on the device: the schedule stream writes them, the forward stream reads them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch

import streamsan
from streamsan.sim.scheduler.config import Bug, ServerArgs
from streamsan.sim.scheduler.streams import Device

_PADDING = 2.0
"""What slot 0 holds: a page table that points there by mistake must show in the tokens."""


def runs(places: Iterable[int]) -> list[slice]:
    """Give the places as stretches without gaps, so that a range for each is few ranges."""
    ordered = sorted(set(places))
    if not ordered:
        return []
    cuts = [i for i, (a, b) in enumerate(pairwise(ordered), 1) if b != a + 1]
    bounds = [0, *cuts, len(ordered)]
    return [slice(ordered[i], ordered[j - 1] + 1) for i, j in pairwise(bounds)]


def parts(table: torch.Tensor, places: Iterable[int]) -> list[torch.Tensor]:
    """Give views of a table that cover just these places of its first dimension."""
    return [table[run] for run in runs(places)]


class ReqToTokenPool:
    """``req_to_token[row, position]`` is the KV slot of a request's token. Row 0 is padding."""

    def __init__(self, args: ServerArgs, device: Device) -> None:
        self.req_to_token = device.zeros("req_to_token", args.rows, args.context, dtype=torch.int32)
        self.free_rows = deque(range(1, args.rows))

    def alloc(self) -> int:
        """Hand out a row. Nobody clears it."""
        return self.free_rows.popleft()

    def free(self, row: int) -> None:
        """Take a row back."""
        self.free_rows.append(row)

    def write(self, row: int, start: int, slots: torch.Tensor, name: str = "row_write") -> None:
        """Write slots of positions from ``start`` on into a row, on the current stream."""
        stop = start + slots.shape[0]
        streamsan.kernel(
            name, _write, self.req_to_token, row, start, slots,
            reads=[slots], writes=[self.req_to_token[row, start:stop]],
        )  # fmt: skip


def _write(table: torch.Tensor, row: int, start: int, slots: torch.Tensor) -> None:
    table[row, start : start + slots.shape[0]] = slots.to(table.dtype)


class TokenToKVPool:
    """KV slots. The full layer has one for every token; the sliding-window layer has its own.

    ``full_to_swa_index_mapping[slot]`` is the SWA layer's slot, 0 once it left the window.
    """

    def __init__(self, args: ServerArgs, device: Device, width: int) -> None:
        self.args = args
        self.device = device
        self.kv = [
            device.zeros(f"kv{layer}", args.slots, 2 * width, dtype=torch.float64)
            for layer in range(2)
        ]
        for pool in self.kv:
            pool[0] = _PADDING
        self.full_to_swa_index_mapping = device.zeros("full_to_swa_index_mapping", args.slots)
        self.free_slots = deque(range(1, args.slots))
        self.free_pages = device.upload("free_pages", list(self.free_slots))
        self.free_swa_slots = deque(range(1, args.slots))
        self.swa: dict[int, int] = {}
        """The host's copy of the mapping."""

    def alloc(self, count: int) -> tuple[list[int], torch.Tensor]:
        """Hand out slots, on the host and on the device. There must be as many."""
        slots = [self.free_slots.popleft() for _ in range(count)]
        for slot in slots:
            self.swa[slot] = self.free_swa_slots.popleft()
        taken, self.free_pages = self.free_pages[:count], self.free_pages[count:]
        return slots, taken

    def map(self, slots: Sequence[int], locations: torch.Tensor) -> None:
        """Enter newly allocated slots into the mapping, on the current stream."""
        mapping = self.full_to_swa_index_mapping
        swa = self.device.upload("swa_locations", [self.swa[slot] for slot in slots])
        streamsan.kernel(
            "set_map", _set, mapping, locations, swa,
            reads=[locations, swa], writes=parts(mapping, slots),
        )  # fmt: skip

    def free(self, slots: Sequence[int]) -> None:
        """Take slots back, with the SWA slots that they still have; on the current stream."""
        for slot in slots:
            if swa := self.swa.pop(slot, 0):
                self.free_swa_slots.append(swa)
        self.free_slots.extend(slots)
        freed = self.device.upload("free_index", list(slots))
        with streamsan.named("free_pages"):
            self.free_pages = torch.cat([self.free_pages, freed])

    def free_swa(self, slots: Sequence[int]) -> None:
        """Take back the SWA slots of tokens that left the window, and clear their mapping."""
        slots = [slot for slot in slots if self.swa.get(slot)]
        if not slots:
            return
        mapping = self.full_to_swa_index_mapping
        if self.args.has(Bug.SWA_UNIQUE):  # how many there are, only the device knows
            indices = self.device.upload("freed_slots", slots)
            with streamsan.named("unique_slots"):
                found = torch.unique(indices[mapping[indices] > 0])
        else:
            found = self.device.upload("freed_slots", slots)
        for slot in slots:
            self.free_swa_slots.append(self.swa.pop(slot))
        if self.args.has(Bug.SCALAR_FILL):
            with streamsan.named("clear_map"):
                mapping[found] = 0  # the zero is uploaded first
            return
        streamsan.kernel(
            "clear_map", _clear, mapping, found, reads=[found], writes=parts(mapping, slots)
        )


def _set(mapping: torch.Tensor, locations: torch.Tensor, values: torch.Tensor) -> None:
    mapping[locations] = values


def _clear(mapping: torch.Tensor, locations: torch.Tensor) -> None:
    mapping.index_fill_(0, locations, 0)
