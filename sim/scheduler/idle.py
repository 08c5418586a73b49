"""Idle batches of data parallelism: a rank without work runs along with the others (path f).

An idle batch has no request. It still publishes, with empty indices: a launch that touches no
byte, and one more record of publish_ready.
"""

from __future__ import annotations

import torch

from streamsan.sim.scheduler.batch import ForwardMode, ScheduleBatch
from streamsan.sim.scheduler.logits import LogitsProcessor
from streamsan.sim.scheduler.result import GenerationBatchResult
from streamsan.sim.scheduler.worker import Publish


def prepare_for_idle(batch: ScheduleBatch) -> ScheduleBatch:
    """Make a batch without requests ready to run."""
    batch.forward_mode = ForwardMode.IDLE
    batch.req_pool_indices = batch.device.empty("req_pool_indices", 0)
    batch.seq_lens = batch.device.empty("seq_lens", 0)
    batch.seq_lens_cpu = torch.empty(0, dtype=torch.int64)
    return batch


def forward_idle(batch: ScheduleBatch, on_publish: Publish) -> GenerationBatchResult:
    """Run an idle batch: of its forward pass only the part in the relay is left."""
    on_publish(batch.seq_lens)
    return GenerationBatchResult(LogitsProcessor.empty())
