"""The profiler of a pipeline's rank 0: synthetic prefills before serving (path k).

It calls ``prepare_for_extend`` and the model, but not ``run_batch``: nobody resolves its inputs
unless it does so itself (#26883). What it learns would size later chunks; here it is only kept,
since tokens must not depend on a clock.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import streamsan
from streamsan.sim.scheduler.batch import ScheduleBatch
from streamsan.sim.scheduler.config import Bug
from streamsan.sim.scheduler.pipeline import FirstStageWorker
from streamsan.sim.scheduler.requests import Ask, Req
from streamsan.sim.scheduler.runner import ForwardBatch

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scheduler import Scheduler

_LENGTHS = (2, 4, 8)
"""Prompts to profile; the real one takes about 128 lengths."""


def profile_and_init_predictor(scheduler: Scheduler) -> dict[int, float]:
    """Give the seconds that prefills of some lengths take, on the current stream."""
    return {length: _profile(scheduler, length) for length in _LENGTHS}


def _profile(scheduler: Scheduler, length: int) -> float:
    """Time one prefill, and give back what it held."""
    policy, device, worker = scheduler.policy, scheduler.device, scheduler.worker
    assert isinstance(worker, FirstStageWorker)  # noqa: S101 - dynamic chunking is of pipelines
    req = Req(-1, Ask((1,) * length), row=policy.rows.alloc(), extend=length)
    device.synchronize()
    began = time.perf_counter()
    batch = scheduler.new_batch([req])
    batch.prepare_for_extend()
    if not scheduler.args.has(Bug.PP_PROFILER_NONE):
        _materialize(batch)
    if batch.input_ids is None:  # where the real one fails, and chunks stay as they are
        scheduler.failures.append(f"profiling {length} tokens: input_ids is None")
    worker.first_layer(ForwardBatch.init_new(batch), batch.sampling_info)
    device.synchronize()
    policy.release(req)
    return time.perf_counter() - began


def _materialize(batch: ScheduleBatch) -> None:
    """Upload the staged prompt: what resolve_forward_inputs does for a batch that is launched."""
    if batch.input_ids is None and batch.prefill_input_ids_cpu is not None:
        staged, batch.prefill_input_ids_cpu = batch.prefill_input_ids_cpu, None
        with streamsan.named("input_ids"):
            batch.input_ids = staged.to(batch.device.name, non_blocking=True)
