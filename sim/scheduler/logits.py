"""From states to logits: which tokens' states are needed, and the log-probabilities of prompts."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import torch

import streamsan
from streamsan.sim.scheduler.config import Bug, ServerArgs
from streamsan.sim.scheduler.model import Model
from streamsan.sim.scheduler.result import LogitsOutput
from streamsan.sim.scheduler.streams import Device

if TYPE_CHECKING:
    from streamsan.sim.scheduler.runner import ForwardBatch, Metadata


class LogitsProcessor:
    """The last stage of the forward pass."""

    def __init__(self, args: ServerArgs, device: Device, model: Model) -> None:
        self.args = args
        self.device = device
        self.model = model

    @staticmethod
    def empty() -> LogitsOutput:
        """Give the output of a pass that wants no logits."""
        return LogitsOutput(None)

    def process(
        self, batch: ForwardBatch, metadata: Metadata, states: torch.Tensor, logprobs: bool
    ) -> LogitsOutput:
        """Give the logits of each request's last token, ``[requests, vocabulary]``."""
        if logprobs and batch.mode.is_extend:
            return self._with_input_logprobs(batch, states)
        with streamsan.named("hidden_states"):
            last = states if batch.ahead else states[metadata.last]
        with streamsan.named("logits"):
            logits = last @ self.model.head
        return LogitsOutput(logits, last if self.args.capture_hidden else None)

    def _with_input_logprobs(self, batch: ForwardBatch, states: torch.Tensor) -> LogitsOutput:
        """Keep the states of the prompts too. Which, is known to the host: three indices (B16)."""
        ends = list(accumulate(batch.extend_lens))
        starts = [0, *ends[:-1]]
        inside = [i for a, b in zip(starts, ends, strict=True) for i in range(a, b - 1)]
        ids = [
            token
            for req in batch.reqs
            for token in req.fill_ids[req.prefix + 1 : req.prefix + req.extend]
        ]
        token_ids = self.device.upload("input_token_ids", ids)
        pruned_lens = self._index("pruned_lens", batch.extend_lens)
        with streamsan.named("prune"):
            ones = torch.ones(len(batch.reqs), dtype=states.dtype, device=states.device)
            scale = ones.repeat_interleave(pruned_lens, output_size=states.shape[0])
            every = (states @ self.model.head) * scale[:, None]
        sample_indices = self._index("sample_indices", [end - 1 for end in ends])
        with streamsan.named("hidden_states"):
            hidden = states[sample_indices] if self.args.capture_hidden else None
        with streamsan.named("logits"):
            logits = every[sample_indices]
        input_logprob_indices = self._index("input_logprob_indices", inside)
        with streamsan.named("input_logprobs"):
            scores = every[input_logprob_indices].log_softmax(-1)
            found = scores.gather(1, token_ids[:, None])[:, 0]
        return LogitsOutput(logits, hidden, found)

    def _index(self, name: str, values: list[int]) -> torch.Tensor:
        if self.args.has(Bug.LOGITS_BLOCKING):
            return self.device.blocking_upload(name, values)
        return self.device.upload(name, values)
