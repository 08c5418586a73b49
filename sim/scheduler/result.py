"""What a forward pass leaves: on the device first, then copied to the host as one batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import streamsan
from streamsan.sim.scheduler.config import Bug, ServerArgs
from streamsan.sim.scheduler.sampling import SamplingBatchInfo
from streamsan.sim.scheduler.streams import Streams


@dataclass
class DraftInput:
    """What the draft of the next step starts from.

    With overlap all of it goes through the relay: a batch then keeps an input without tensors,
    which says no more than that its rows of the relay are filled.
    """

    topk_index: torch.Tensor | None = None
    hidden_states: torch.Tensor | None = None
    bonus: torch.Tensor | None = None
    verify_done: Any = None

    def filter(self, kept: torch.Tensor) -> DraftInput:
        """Keep some requests."""
        if self.topk_index is None or self.hidden_states is None or self.bonus is None:
            return self
        with streamsan.named("draft_input"):
            return DraftInput(self.topk_index[kept], self.hidden_states[kept], self.bonus[kept])

    def merge(self, other: DraftInput) -> DraftInput:
        """Append another batch's."""
        with streamsan.named("draft_input"):
            return DraftInput(
                _joined(self.topk_index, other.topk_index),
                _joined(self.hidden_states, other.hidden_states),
                _joined(self.bonus, other.bonus),
            )


def _joined(one: torch.Tensor | None, other: torch.Tensor | None) -> torch.Tensor | None:
    return None if one is None or other is None else torch.cat([one, other])


@dataclass
class LogitsOutput:
    """Logits of the last token of each request, and what was asked for besides."""

    next_token_logits: torch.Tensor | None
    hidden_states: torch.Tensor | None = None
    input_logprobs: torch.Tensor | None = None


@dataclass
class GenerationBatchResult:
    """The result of one batch. ``copy_to_cpu`` replaces its tensors by their host copies.

    ``delay_sample_func`` is what is left to do where sampling has to wait for a grammar.
    """

    logits_output: LogitsOutput
    next_token_ids: torch.Tensor | None = None
    next_token_logprobs: torch.Tensor | None = None
    accept_lens: torch.Tensor | None = None
    embeddings: torch.Tensor | None = None
    next_draft_input: DraftInput | None = None
    new_seq_lens: torch.Tensor | None = None
    delay_sample_func: Callable[[], None] | None = None
    sampling_info: SamplingBatchInfo | None = None
    pp_hidden_states_proxy_tensors: Any = None
    copy_done: Any = None

    def copy_to_cpu(self, args: ServerArgs, streams: Streams, return_hidden_states: bool) -> None:
        """Copy the result to pinned memory and record ``copy_done`` behind the last copy.

        Everything that uses the result on the device comes before: the fields change.
        """
        device = streams.device
        if args.result_copy == "F":
            self._copy_on(device.current(), args, streams, return_hidden_states)
            return
        if not args.has(Bug.COPY_STREAM_NO_WAIT):
            streams.C.wait_stream(device.current())
        with device.on(streams.C):
            self._copy_on(streams.C, args, streams, return_hidden_states)

    def _copy_on(
        self, stream: Any, args: ServerArgs, streams: Streams, return_hidden_states: bool
    ) -> None:
        def pull(name: str, source: torch.Tensor | None) -> torch.Tensor | None:
            if source is None:
                return None
            if args.result_copy == "C" and not args.has(Bug.COPY_STREAM_NO_RECORD):
                source.record_stream(stream)  # it belongs to F, which may reuse it at once
            with streamsan.named(f"{name}_cpu"):
                return source.to("cpu", non_blocking=True)

        self.copy_done = streams.device.event("copy_done")
        output = self.logits_output
        if return_hidden_states or args.has(Bug.HIDDEN_D2H):
            output.hidden_states = pull("hidden_states", output.hidden_states)
        output.input_logprobs = pull("input_logprobs", output.input_logprobs)
        self.next_token_logprobs = pull("next_token_logprobs", self.next_token_logprobs)
        self.accept_lens = pull("accept_lens", self.accept_lens)
        self.embeddings = pull("embeddings", self.embeddings)
        if args.has(Bug.COPY_DONE_EARLY):
            self.copy_done.record()
            self.next_token_ids = pull("next_token_ids", self.next_token_ids)
        else:
            self.next_token_ids = pull("next_token_ids", self.next_token_ids)
            self.copy_done.record()
