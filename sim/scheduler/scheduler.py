"""The scheduler: requests in, batches out, and the two event loops.

One host thread issues everything. The whole loop runs on S; the forward pass is entered on F
inside ``run_batch``. Under overlap a result is processed one iteration after its launch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

import streamsan
from streamsan.sim.scheduler.batch import ForwardMode, ScheduleBatch
from streamsan.sim.scheduler.config import Bug, ServerArgs
from streamsan.sim.scheduler.fence import ReadDone
from streamsan.sim.scheduler.future_map import FutureMap
from streamsan.sim.scheduler.hisparse import HiSparseCoordinator
from streamsan.sim.scheduler.idle import forward_idle
from streamsan.sim.scheduler.model import Model, make_model
from streamsan.sim.scheduler.pipeline import FirstStageWorker, PipelineLoop
from streamsan.sim.scheduler.policy import SchedulePolicy
from streamsan.sim.scheduler.pools import ReqToTokenPool, TokenToKVPool
from streamsan.sim.scheduler.pp_profiler import profile_and_init_predictor
from streamsan.sim.scheduler.prebuilt import PrebuiltQueue
from streamsan.sim.scheduler.process import process_batch_result
from streamsan.sim.scheduler.requests import Ask, Req
from streamsan.sim.scheduler.result import DraftInput, GenerationBatchResult
from streamsan.sim.scheduler.runner import ModelRunner
from streamsan.sim.scheduler.sampling import vocab_mask
from streamsan.sim.scheduler.spec_worker import DraftRunner, EagleWorker
from streamsan.sim.scheduler.split_prefill import MultiplexLoop, SplitPrefillWorker
from streamsan.sim.scheduler.streams import Device, Streams
from streamsan.sim.scheduler.worker import TpModelWorker

_PATIENCE = 200
"""Iterations after which a loop that does not end is an error of ours."""


class Scheduler:
    """One scheduler with its pools, its relay and its worker, on one device.

    Args:
        args: what it is told.
        device: ``simcuda`` or ``cuda``.
        model: the weights, on the device; by default those that the oracle has, too.
    """

    def __init__(self, args: ServerArgs, device: str, model: Model | None = None) -> None:
        self.args = args
        self.device = Device(device)
        self.streams = Streams(self.device)
        with self.device.on(self.streams.S):
            self._make(model)
        self.waiting: deque[Req] = deque()
        self.asked: list[Req] = []
        self.running = self.new_batch([])
        self.chunked: Req | None = None
        self.last_batch: ScheduleBatch | None = None
        self.result_queue: deque[tuple[ScheduleBatch, GenerationBatchResult]] = deque()
        self.batch_record_buf: list[Any] = [None] * (1 if args.has(Bug.RING_OF_ONE) else 2)
        self.iteration = 0
        self.launched = 0
        self.policy = SchedulePolicy(self)
        self.prebuilt = PrebuiltQueue(self) if args.disaggregated else None
        self.hisparse = HiSparseCoordinator(self) if args.hisparse else None
        self.predictor: dict[int, float] = {}
        self.failures: list[str] = []
        """What went wrong that no token shows."""
        self.host_saw: list[list[int]] = []
        """The token ids of every result as the host read them, dropped ones included."""

    def _make(self, model: Model | None) -> None:
        args = self.args
        self.pools = (
            ReqToTokenPool(args, self.device),
            TokenToKVPool(args, self.device, args.width),
        )
        self.future_map = FutureMap(args, self.streams)
        self.read_done = ReadDone(args, self.streams)
        if model is None:
            model = make_model(args.context, args.width).to(self.device.name)
        late = bool(args.speculative) and not args.has(Bug.READ_DONE_WRONG_RUNNER)
        runner = ModelRunner(args, self.device, model, self.pools, None if late else self.read_done)
        if args.speculative:
            draft = DraftRunner(runner, self.read_done if late else None)
            self.worker: TpModelWorker = EagleWorker(runner, draft, self.future_map)
        elif args.pp_size > 1:
            self.worker = FirstStageWorker(runner)
        elif args.pdmux:
            self.worker = SplitPrefillWorker(runner)
        else:
            self.worker = TpModelWorker(runner)

    def new_batch(self, reqs: list[Req]) -> ScheduleBatch:
        """Make a batch on this scheduler's pools."""
        return ScheduleBatch(self.args, self.device, reqs, self.pools)

    # -- the loops

    def serve(self, asks: Sequence[Ask]) -> list[Req]:
        """Serve requests to their end, in the loop of this era."""
        self.asked = [Req(rid, ask) for rid, ask in enumerate(asks)]
        with self.device.on(self.streams.S):
            if self.args.dynamic_chunking:
                self.predictor = profile_and_init_predictor(self)
            step = self.event_loop()
            while not self.idle:
                with streamsan.region(f"iteration {self.iteration}", iteration=self.iteration):
                    step()
                self.iteration += 1
                if self.iteration > _PATIENCE:
                    raise RuntimeError("the scheduler makes no progress")
            self.streams.S.wait_stream(self.streams.F)
            if self.args.pp_size > 1:
                self.device.synchronize()  # the peer, too
        return self.asked

    def event_loop(self) -> Callable[[], None]:
        """Choose one iteration of the loop of this server."""
        if self.args.pp_size > 1:
            return PipelineLoop(self).step
        if self.args.pdmux:
            return MultiplexLoop(self).step
        return self.step_overlap if self.args.overlap else self.step_normal

    @property
    def idle(self) -> bool:
        """Whether everything that was asked for is done and processed."""
        return all(req.finished for req in self.asked) and not self.result_queue

    def receive(self) -> None:
        """Take in the requests that arrive now."""
        self.waiting.extend(req for req in self.asked if req.ask.arrives == self.iteration)
        if self.prebuilt is not None:
            self.prebuilt.process_decode_queue()

    def step_normal(self) -> None:
        """One iteration without overlap: everything on S, results at once."""
        self.receive()
        batch = self.policy.get_next_batch_to_run()
        if batch is not None:
            result = self.run_batch(batch)
            self.launch_batch_sample_if_needed(batch, result)
            process_batch_result(self, batch, result)
        self.last_batch = batch

    def step_overlap(self) -> None:
        """One iteration with overlap: launch this batch, then process the last one's result."""
        self.receive()
        self.read_done.fence("top")
        batch = self.policy.get_next_batch_to_run()
        result = None
        if batch is not None:
            result = self.run_batch(batch)
            self.result_queue.append((batch.copy(), result))
        self.read_done.fence("post")
        if self.last_batch is not None:
            process_batch_result(self, *self.result_queue.popleft())
        if batch is not None and result is not None:
            self.launch_batch_sample_if_needed(batch, result)
        self.last_batch = batch

    # -- one batch

    def run_batch(self, batch: ScheduleBatch) -> GenerationBatchResult:
        """Launch a batch: resolve, isolate, forward, publish, stash, copy."""
        if batch.forward_mode is ForwardMode.PREBUILT and self.prebuilt is not None:
            return self.prebuilt.run_batch()
        apart, F, has = self.args.forward_apart, self.streams.F, self.args.has  # noqa: N806
        with self.device.on(F if apart else self.streams.S):
            if apart and not has(Bug.NO_SEAM):
                F.wait_stream(self.streams.S)
            if not has(Bug.RESTAGE):
                self.resolve_forward_inputs(batch)
            with self.isolation(batch):
                if has(Bug.RESTAGE):
                    self.resolve_forward_inputs(batch)
                self.record_batch(batch)
                result = self.forward(batch)
            self.finish(batch, result)
        batch.input_ids = None
        if self.args.sentinels:
            with streamsan.named("sentinels"):
                batch.output_ids = -batch.req_pool_indices
        return result

    def resolve_forward_inputs(self, batch: ScheduleBatch) -> None:
        """Make ``input_ids`` from what is staged or relayed, on the current stream."""
        relay = self.future_map
        ids = None
        if batch.prefill_input_ids_cpu is not None:
            staged, batch.prefill_input_ids_cpu = batch.prefill_input_ids_cpu, None
            with streamsan.named("input_ids"):
                ids = staged.to(self.device.name, non_blocking=True)
        if batch.mix_running_indices is not None:
            indices, batch.mix_running_indices = batch.mix_running_indices, None
            if not self.args.has(Bug.MIX_RUNNING_LIFETIME) and self.args.forward_apart:
                indices.record_stream(self.streams.F)
            decoding = relay.gather_tokens(batch, indices, batch.decoding_reqs)
            with streamsan.named("input_ids"):
                ids = decoding if ids is None else torch.cat([ids, decoding])
        elif batch.forward_mode is ForwardMode.DECODE and ids is None:
            ids = self.decode_inputs(batch)
        if ids is not None:
            batch.input_ids = ids

    def decode_inputs(self, batch: ScheduleBatch) -> Any:
        """Give the tokens of a decode batch: of the relay, or of the batch's own draft."""
        if self.args.speculative and not self.args.overlap and batch.spec_info is not None:
            return batch.spec_info.bonus
        if self.args.sentinels:
            return self.future_map.resolve_future(batch)
        if batch.input_ids is not None:
            return batch.input_ids
        return self.future_map.gather_tokens(batch, batch.req_pool_indices, len(batch.reqs))

    @contextmanager
    def isolation(self, batch: ScheduleBatch) -> Iterator[None]:
        """Let the worker change the batch: speculation restores all fields, others one."""
        saved = {k: v for k, v in vars(batch).items() if not k.startswith("_")}
        if not self.args.speculative:
            saved = {"sampling_info": batch.sampling_info}
            batch.sampling_info = batch.sampling_info.copy_for_forward()
        try:
            yield
        finally:
            for field, value in saved.items():
                if vars(batch)[field] is not value:
                    setattr(batch, field, value)

    def record_batch(self, batch: ScheduleBatch) -> None:
        """Keep what F reads alive for two launches: it was allocated on S, and would be reused."""
        if self.args.overlap and not self.args.has(Bug.NO_PIN):
            ring = self.batch_record_buf
            ring[self.launched % len(ring)] = [batch, list(vars(batch).values())]
        self.launched += 1

    def forward(self, batch: ScheduleBatch) -> GenerationBatchResult:
        """Call the worker."""
        if batch.forward_mode is ForwardMode.IDLE:
            return forward_idle(batch, self.publisher(batch))
        if batch.reqs and batch.reqs[0].ask.embedding:
            return self.worker.forward_batch_embedding(batch)
        return self.worker.forward_batch_generation(batch, self.publisher(batch))

    def publisher(self, batch: ScheduleBatch) -> Any:
        """Give what a speculative worker calls between verification and draft."""
        if not self.args.overlap:
            return lambda _lengths: None
        return lambda lengths: self.future_map.publish(batch, lengths)

    def finish(self, batch: ScheduleBatch, result: GenerationBatchResult) -> None:
        """Hand the result on: lengths and tokens to the relay, then everything to the host."""
        for req in batch.reqs:
            req.generation += 1
        if result.embeddings is None and not self.args.speculative and self.args.overlap:
            self.future_map.publish(batch, batch.seq_lens, 1)
        if result.delay_sample_func is not None:
            return
        self.relay_and_copy(batch, result)

    def relay_and_copy(self, batch: ScheduleBatch, result: GenerationBatchResult) -> None:
        """Stash the tokens for the next step, then copy the result; on the current stream."""
        draft = result.next_draft_input
        if draft is not None:
            self.keep_draft(batch, result)
            if self.args.overlap and draft.bonus is not None:
                self.future_map.stash(batch, draft.bonus, draft)
        elif result.next_token_ids is not None:
            self.future_map.stash(batch, result.next_token_ids)
        if self.args.overlap or self.args.speculative == "v2":
            result.copy_to_cpu(self.args, self.streams, batch.return_hidden_states)

    def keep_draft(self, batch: ScheduleBatch, result: GenerationBatchResult) -> None:
        """Give the batch its next draft; without overlap the host waits for the lengths."""
        draft = result.next_draft_input
        assert draft is not None  # noqa: S101 - the caller has looked
        overlap = self.args.overlap
        batch.spec_info = DraftInput(verify_done=draft.verify_done) if overlap else draft
        if not self.args.overlap and result.new_seq_lens is not None:
            batch.seq_lens = result.new_seq_lens
            with streamsan.named("seq_lens_cpu"):
                batch.seq_lens_cpu = result.new_seq_lens.to("cpu")

    def launch_batch_sample_if_needed(
        self, batch: ScheduleBatch, result: GenerationBatchResult
    ) -> None:
        """Sample what had to wait for a grammar (path o): its mask is made on S, just now."""
        if result.delay_sample_func is None or result.sampling_info is None:
            return
        overlap, F = self.args.overlap, self.streams.F  # noqa: N806
        result.sampling_info.vocab_mask = vocab_mask(self.device, batch.reqs)
        with self.device.on(F if overlap else self.streams.S):
            if overlap and not self.args.has(Bug.NO_SEAM):
                F.wait_stream(self.streams.S)
            result.delay_sample_func()
            self.relay_and_copy(batch, result)
