"""Sampling: penalties that accumulate on the schedule stream, masks, and the greedy choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

import streamsan
from streamsan.sim.scheduler.config import Bug, ServerArgs
from streamsan.sim.scheduler.model import VOCABULARY
from streamsan.sim.scheduler.requests import GRAMMAR, Req
from streamsan.sim.scheduler.streams import Device

if TYPE_CHECKING:
    from streamsan.sim.scheduler.batch import ScheduleBatch


class Penalizer:
    """The orchestrator of penalties of one batch: frequency and minimum of new tokens.

    ``cumulated[request, token]`` is taken off the logits; ``lengths`` counts generated tokens.
    Both live on the device and belong to the schedule stream.
    """

    def __init__(self, args: ServerArgs, device: Device, reqs: list[Req]) -> None:
        self.args = args
        self.device = device
        count = len(reqs)
        self.cumulated = device.zeros("cumulated_penalties", count, VOCABULARY, dtype=torch.float64)
        self.lengths = device.zeros("penalty_lengths", count)
        self.frequency = self._upload(
            "frequency_penalties", [r.ask.frequency_penalty for r in reqs]
        )
        self.minimum = self._upload("min_new_tokens", [float(r.ask.min_new_tokens) for r in reqs])

    def _upload(self, name: str, values: list[float]) -> torch.Tensor:
        with streamsan.named(f"{name}_cpu"):
            staging = torch.tensor(values, dtype=torch.float64, pin_memory=True)
        with streamsan.named(name):
            return staging.to(self.device.name, non_blocking=True)

    def cumulate(self, tokens: torch.Tensor) -> None:
        """Take one more token of each request into account, on the current stream."""
        with streamsan.named("cumulate"):
            self.cumulated.scatter_add_(1, tokens[:, None], self.frequency[:, None])
            self.lengths.add_(1)

    def accumulated(self) -> torch.Tensor:
        """Give what a forward pass subtracts, in memory of its own, on the current stream."""
        with streamsan.named("penalties"):
            taken = self.cumulated.clone()
            early = self.lengths < self.minimum
            if self.args.has(Bug.BOOL_MASK):
                # How many they are is read back first; for a number it would not be.
                taken[early, 0] = taken.new_full((), float("inf"))
                return taken
            infinite = torch.full_like(taken[:, 0], float("inf"))
            taken[:, 0] = torch.where(early, infinite, taken[:, 0])
            return taken

    def filter(self, keep: torch.Tensor) -> None:
        """Keep some requests."""
        with streamsan.named("filter_penalties"):
            self.cumulated, self.lengths = self.cumulated[keep], self.lengths[keep]
            self.frequency, self.minimum = self.frequency[keep], self.minimum[keep]

    def merge(self, other: Penalizer) -> None:
        """Append another batch's."""
        with streamsan.named("merge_penalties"):
            self.cumulated = torch.cat([self.cumulated, other.cumulated])
            self.lengths = torch.cat([self.lengths, other.lengths])
            self.frequency = torch.cat([self.frequency, other.frequency])
            self.minimum = torch.cat([self.minimum, other.minimum])


class SamplingBatchInfo:
    """What sampling needs besides logits. The forward copy has penalties of its own."""

    def __init__(
        self,
        orchestrator: Penalizer | None = None,
        penalties: torch.Tensor | None = None,
        vocab_mask: torch.Tensor | None = None,
    ) -> None:
        self.orchestrator = orchestrator
        self.penalties = penalties
        self.vocab_mask = vocab_mask

    @classmethod
    def from_reqs(cls, args: ServerArgs, device: Device, reqs: list[Req]) -> SamplingBatchInfo:
        """Make the information of a new batch; without penalties there is nothing to keep."""
        wanted = any(r.ask.frequency_penalty or r.ask.min_new_tokens for r in reqs)
        return cls(Penalizer(args, device, reqs) if wanted else None)

    @staticmethod
    def penalizer(args: ServerArgs, device: Device, reqs: list[Req]) -> Penalizer:
        """Make the penalties of a batch that had none, so that it can be merged."""
        return Penalizer(args, device, reqs)

    def copy_for_forward(self) -> SamplingBatchInfo:
        """Give a copy that later steps of scheduling do not touch, on the current stream."""
        taken = None if self.orchestrator is None else self.orchestrator.accumulated()
        return SamplingBatchInfo(None, taken, self.vocab_mask)

    def merge(self, other: SamplingBatchInfo) -> None:
        """Append another batch's, where either has penalties both must."""
        if self.orchestrator is not None and other.orchestrator is not None:
            self.orchestrator.merge(other.orchestrator)


def vocab_mask(device: Device, reqs: list[Req]) -> torch.Tensor:
    """Build the grammars' mask on the host and upload it: True is forbidden."""
    forbidden = [
        int(r.ask.grammar is not None and token % GRAMMAR != r.ask.grammar(r.last_token))
        for r in reqs
        for token in range(VOCABULARY)
    ]
    mask = device.upload("vocab_mask", forbidden)
    return mask.view(len(reqs), VOCABULARY)


def sample(logits: torch.Tensor, info: SamplingBatchInfo) -> torch.Tensor:
    """Choose the next tokens: ``[requests]``, on the current stream. The logits are adjusted."""
    with streamsan.named("next_token_ids"):
        tokens = torch.empty(logits.shape[:1], dtype=torch.int64, device=logits.device)
    with streamsan.named("sample"):
        if info.penalties is not None:
            logits.sub_(info.penalties)
        if info.vocab_mask is not None:
            logits.masked_fill_(info.vocab_mask.bool(), float("-inf"))
        return torch.argmax(logits, -1, out=tokens)


def cumulate_penalties(batch: ScheduleBatch) -> None:
    """Take the latest token of each request into account (path l); part of prepare_for_decode."""
    orchestrator = batch.sampling_info.orchestrator
    if orchestrator is None:
        return
    args, device = batch.args, batch.device
    if args.has(Bug.PENALTY_NONE):
        tokens = batch.input_ids
        if tokens is None:
            return  # where the real one stops with an error on None
    else:
        latest = [req.last_token for req in batch.reqs]
        if args.has(Bug.PENALTY_BLOCKING):
            tokens = device.blocking_upload("penalty_tokens", latest)
        else:
            tokens = device.upload("penalty_tokens", latest)
    for req in batch.reqs:
        req.penalised.append(len(req.output_ids) - 1)
    orchestrator.cumulate(tokens)
