"""An encoder's tokens before a prompt: stripped from the staged ids, kept as one state (path i).

Scheduling stages the whole prompt first; then the encoder's tokens are taken out, and what was
staged is built anew. The encoder's output here is the mean of its tokens' embeddings, kept in the
request's row and added to the state of each of its tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import torch

import streamsan
from streamsan.sim.scheduler.config import Bug, ServerArgs
from streamsan.sim.scheduler.pools import parts
from streamsan.sim.scheduler.requests import Req
from streamsan.sim.scheduler.streams import Device

if TYPE_CHECKING:
    from streamsan.sim.scheduler.batch import ScheduleBatch


@dataclass(frozen=True)
class EncoderInput:
    """Encoder tokens of the requests of one prefill, one after another on the device."""

    ids: torch.Tensor
    lengths: list[int]
    rows: list[int]


def encoder_ids(req: Req) -> tuple[int, ...]:
    """Give the encoder tokens that a prefill takes: all of them, with the prompt's first chunk."""
    return () if req.prefix else req.ask.encoder


def prepare_encoder_info_extend(batch: ScheduleBatch, prompts: list[int]) -> None:
    """Strip the encoder's tokens from a staged prefill: part of prepare_for_extend, on S."""
    device, starting = batch.device, [req for req in batch.reqs if not req.prefix]
    ids = [token for req in starting for token in req.ask.encoder]
    batch.encoder = EncoderInput(
        device.upload("encoder_ids", ids or [0]),
        [len(req.ask.encoder) for req in starting],
        [req.row for req in starting],
    )
    lengths = [req.prefix + req.extend for req in batch.reqs]
    batch.seq_lens_cpu = torch.tensor(lengths)
    batch.seq_lens = device.upload("seq_lens", lengths)
    batch.orig_seq_lens = device.upload("orig_seq_lens", lengths)
    if not batch.args.has(Bug.ENCODER_NO_REBUILD):
        batch.stage(prompts)


class EncoderCache:
    """The encoder's output of each row, written and read by the forward pass alone."""

    def __init__(self, args: ServerArgs, device: Device) -> None:
        self.encoder_states = device.zeros(
            "encoder_states", args.rows, args.width, dtype=torch.float64
        )

    def encode(self, encoder: EncoderInput | None, embedding: torch.Tensor) -> None:
        """Fill the rows of starting requests, on the current stream."""
        if encoder is None or not encoder.rows:
            return
        table = self.encoder_states
        streamsan.kernel(
            "encode", encode, table, embedding, encoder.ids, encoder.lengths, encoder.rows,
            reads=[embedding, encoder.ids], writes=parts(table, encoder.rows),
        )  # fmt: skip

    def add(
        self, indices: torch.Tensor, rows: list[int], owners: torch.Tensor, states: torch.Tensor
    ) -> None:
        """Add to each token's state what the encoder gave for its request."""
        table = self.encoder_states
        streamsan.kernel(
            "cross", cross, table, indices, owners, states,
            reads=[indices, owners, states, *parts(table, rows)], writes=[states],
        )  # fmt: skip


def encode(
    table: torch.Tensor,
    embedding: torch.Tensor,
    ids: torch.Tensor,
    lengths: list[int],
    rows: list[int],
) -> None:
    """Write the mean embedding of each request's encoder tokens; zeros where it has none."""
    for row, end, count in zip(rows, accumulate(lengths), lengths, strict=True):
        table[row] = embedding[ids[end - count : end]].mean(0) if count else 0.0


def cross(
    table: torch.Tensor, rows: torch.Tensor, owners: torch.Tensor, states: torch.Tensor
) -> None:
    """Add the rows' states to those of their tokens."""
    states.add_(table[rows.clamp(0, table.shape[0] - 1)][owners])
