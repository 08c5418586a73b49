"""The worker without speculation: forward, then sampling, at once or when a grammar is ready."""

from __future__ import annotations

from collections.abc import Callable

import torch

import streamsan
from streamsan.sim.scheduler.batch import ScheduleBatch
from streamsan.sim.scheduler.config import Bug
from streamsan.sim.scheduler.requests import Req
from streamsan.sim.scheduler.result import GenerationBatchResult, LogitsOutput
from streamsan.sim.scheduler.runner import ForwardBatch, ModelRunner
from streamsan.sim.scheduler.sampling import SamplingBatchInfo, sample

Publish = Callable[[torch.Tensor], None]


class TpModelWorker:
    """Runs batches on one model runner."""

    def __init__(self, runner: ModelRunner) -> None:
        self.runner = runner

    def forward_batch_generation(
        self, batch: ScheduleBatch, on_publish: Publish
    ) -> GenerationBatchResult:
        """Run a batch on the current stream. What is published, is so by the caller."""
        del on_publish  # only a speculative worker publishes in the middle
        forward_batch = ForwardBatch.init_new(batch)
        output = self.runner.forward(forward_batch, batch.return_logprob)
        return self.sample_or_delay(batch, output)

    def sample_or_delay(self, batch: ScheduleBatch, output: LogitsOutput) -> GenerationBatchResult:
        """Sample, or leave it to whoever has the grammar's mask."""
        result = GenerationBatchResult(output)
        reqs, info = list(batch.reqs), batch.sampling_info
        if any(req.ask.grammar is not None for req in reqs):
            result.sampling_info = info
            result.delay_sample_func = lambda: self.sample(result, reqs, info)
        else:
            self.sample(result, reqs, info)
        return result

    def sample(
        self, result: GenerationBatchResult, reqs: list[Req], info: SamplingBatchInfo
    ) -> None:
        """Choose the tokens of a result, on the current stream."""
        output = result.logits_output
        assert output.next_token_logits is not None  # noqa: S101 - sampled once
        tokens = result.next_token_ids = sample(output.next_token_logits, info)
        if any(req.ask.logprobs for req in reqs):
            with streamsan.named("output_logprobs"):
                scores = output.next_token_logits.log_softmax(-1)
                result.next_token_logprobs = scores.gather(1, tokens[:, None])[:, 0]
        if not self.runner.args.has(Bug.CLOSURE_LEAK):
            output.next_token_logits = None
            result.delay_sample_func = None

    def forward_batch_embedding(self, batch: ScheduleBatch) -> GenerationBatchResult:
        """Give the last states of a batch of prompts as their embeddings."""
        forward_batch = ForwardBatch.init_new(batch)
        metadata = self.runner.init_metadata(forward_batch)
        states = self.runner.embed(forward_batch, metadata)
        for layer in range(2):
            self.runner.run_layer(forward_batch, metadata, states, layer)
        result = GenerationBatchResult(self.runner.logits_processor.empty())
        with streamsan.named("embeddings"):
            result.embeddings = states[metadata.last]
        return result
