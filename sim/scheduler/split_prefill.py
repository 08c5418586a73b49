"""Multiplexed prefill and decode: a prefill runs layer by layer, decode steps between (path p).

On the current stream, without overlap: resolve, one part of the forward pass, stash when there
are tokens, ``input_ids = None``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from streamsan.sim.scheduler.batch import ForwardMode, ScheduleBatch
from streamsan.sim.scheduler.logits import LogitsProcessor
from streamsan.sim.scheduler.process import process_batch_result
from streamsan.sim.scheduler.result import GenerationBatchResult
from streamsan.sim.scheduler.runner import ForwardBatch, Metadata
from streamsan.sim.scheduler.worker import Publish, TpModelWorker

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scheduler import Scheduler

_LAYERS = 2


@dataclass
class SplitForwardBatch:
    """A forward pass that has come as far as a layer."""

    batch: ForwardBatch
    metadata: Metadata
    states: torch.Tensor
    split_index: int = 0


class SplitPrefillWorker(TpModelWorker):
    """Runs a split prefill one layer at a time, and any other batch as a whole."""

    def forward_batch_generation(
        self, batch: ScheduleBatch, on_publish: Publish
    ) -> GenerationBatchResult:
        """Run the next part of a batch, on the current stream."""
        if batch.forward_mode is not ForwardMode.SPLIT_PREFILL:
            return super().forward_batch_generation(batch, on_publish)
        if batch.split_forward_batch is None:
            batch.split_forward_batch = self._begin(ForwardBatch.init_new(batch))
        split: SplitForwardBatch = batch.split_forward_batch
        self.runner.run_layer(split.batch, split.metadata, split.states, split.split_index)
        split.split_index += 1
        if split.split_index < _LAYERS:
            return GenerationBatchResult(LogitsProcessor.empty())
        batch.split_forward_batch = None
        output = self.runner.logits_processor.process(
            split.batch, split.metadata, split.states, batch.return_logprob
        )
        return self.sample_or_delay(batch, output)

    def _begin(self, batch: ForwardBatch) -> SplitForwardBatch:
        metadata = self.runner.init_metadata(batch)
        return SplitForwardBatch(batch, metadata, self.runner.embed(batch, metadata))


class MultiplexLoop:
    """The loop of pdmux: in each iteration one decode step and one part of a prefill."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.split_prefill_batch: ScheduleBatch | None = None

    def step(self) -> None:
        """One iteration: a step of the running batch, then a layer of the prefill."""
        scheduler, policy = self.scheduler, self.scheduler.policy
        scheduler.receive()
        if self.split_prefill_batch is None:
            self._update_split_prefill_batch()
        running = policy.next_decode()
        if running is not None:
            self._run(running)
        batch = self.split_prefill_batch
        if batch is not None and self._run(batch):
            scheduler.last_batch, self.split_prefill_batch = batch, None

    def _update_split_prefill_batch(self) -> None:
        """Let the last prefill's requests run on, and begin the next prefill."""
        scheduler, policy = self.scheduler, self.scheduler.policy
        policy.merge_last_prefill()
        scheduler.last_batch = None
        batch = policy.new_prefill()
        if batch is not None:
            batch.prepare_for_extend()
            batch.forward_mode = ForwardMode.SPLIT_PREFILL
            self.split_prefill_batch = batch

    def _run(self, batch: ScheduleBatch) -> bool:
        """Run a batch or a part of it; say whether it gave tokens."""
        result = self.scheduler.run_batch(batch)
        self.scheduler.launch_batch_sample_if_needed(batch, result)
        process_batch_result(self.scheduler, batch, result)
        return result.next_token_ids is not None
