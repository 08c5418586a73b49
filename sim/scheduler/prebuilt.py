"""Disaggregated decoding: prompts whose KV arrives from another node (path h).

A request is pre-allocated before the loop's fence: KV slots only, first in first out. One
iteration later the other node knows them and writes, by RDMA, on a stream of nobody's here (R);
when the host has seen the end of that, the request waits for a row. Row and mapping are written
behind the fence, in a batch of mode PREBUILT, which never runs a forward pass.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

import streamsan
from streamsan.sim.scheduler.batch import ForwardMode, ScheduleBatch
from streamsan.sim.scheduler.config import Bug
from streamsan.sim.scheduler.idle import prepare_for_idle
from streamsan.sim.scheduler.pools import parts
from streamsan.sim.scheduler.prefill_node import Prefilled, PrefillNode
from streamsan.sim.scheduler.requests import Req
from streamsan.sim.scheduler.result import DraftInput, GenerationBatchResult
from streamsan.sim.scheduler.sampling import SamplingBatchInfo

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scheduler import Scheduler


@dataclass
class DecodeRequest:
    """A request on its way: pre-allocated, then in transfer, then ready."""

    req: Req
    locations: torch.Tensor
    prefilled: Prefilled
    rdma_done: Any = None


class PrebuiltQueue:
    """The requests of a decode node from their arrival to the running batch."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.prefill_node = PrefillNode(scheduler.args)
        self.R = scheduler.streams.more("R")
        scheduler.streams.S.synchronize()  # memory is registered with the network when it is made
        self.preallocated: deque[DecodeRequest] = deque()
        self.transfers: deque[DecodeRequest] = deque()
        self.ready: deque[DecodeRequest] = deque()

    def process_decode_queue(self) -> None:
        """Move each request one step on: before the fence, hence nothing here is on F's tables."""
        while self.transfers:
            self._poll(self.transfers.popleft())
        while self.preallocated:
            self._transfer(self.preallocated.popleft())
        waiting = self.scheduler.waiting
        while waiting and self._fits(waiting[0]):
            self._pre_alloc(waiting.popleft())

    def _fits(self, req: Req) -> bool:
        policy = self.scheduler.policy
        room = len(policy.kv_pool.free_slots) - len(self.scheduler.running.reqs)
        return len(req.fill_ids) + policy.reserve <= room

    def _pre_alloc(self, req: Req) -> None:
        prefilled = self.prefill_node.prefill(req)
        req.slots, locations = self.scheduler.policy.kv_pool.alloc(len(prefilled.kv[0]))
        self.preallocated.append(DecodeRequest(req, locations, prefilled))

    def _transfer(self, decode: DecodeRequest) -> None:
        """Write the KV as the other node does. No stream here orders it: the host polls."""
        pool, slots = self.scheduler.policy.kv_pool, decode.req.slots
        places = (slots, [pool.swa[slot] for slot in slots])
        with self.scheduler.device.on(self.R):
            for table, found, values in zip(pool.kv, places, decode.prefilled.kv, strict=True):
                streamsan.kernel("rdma_write", rdma_write, table, found, values,
                                 writes=parts(table, found))  # fmt: skip
            decode.rdma_done = self.scheduler.device.event("rdma_done")
            decode.rdma_done.record()
        self.transfers.append(decode)

    def _poll(self, decode: DecodeRequest) -> None:
        """See the end of a transfer. With it comes the first token, which may be the only one."""
        decode.rdma_done.synchronize()
        req = decode.req
        if not req.output_ids:
            req.output_ids.append(decode.prefilled.token)
            req.generation += 1
        if req.finished:
            self.scheduler.policy.kv_pool.free(req.slots)
            req.slots = []
        else:
            self.ready.append(decode)

    def get_new_prebuilt_batch(self) -> ScheduleBatch | None:
        """Let ready requests run: part of get_next_batch, on S.

        Without data parallelism they are merged into the running batch at once. With it their
        batch is launched like any other, since all ranks have to launch one.
        """
        scheduler, args = self.scheduler, self.scheduler.args
        taken = self._take_ready()
        if not taken:
            return None
        batch = self._prepare_for_prebuilt(taken)
        if args.overlap and args.fence.startswith("fine") and not args.has(Bug.PREBUILT_NO_FENCE):
            scheduler.streams.S.wait_stream(scheduler.streams.F)  # #35748
        self._process_prebuilt(batch, taken)
        if args.dp_attention:
            return batch
        scheduler.policy.run_on(batch)
        return None

    def run_batch(self) -> GenerationBatchResult:
        """Launch a prebuilt batch: an idle one runs in its place."""
        return self.scheduler.run_batch(prepare_for_idle(self.scheduler.new_batch([])))

    def _take_ready(self) -> list[DecodeRequest]:
        rows, running = self.scheduler.policy.rows, self.scheduler.running
        taken: list[DecodeRequest] = []
        while self.ready and rows.free_rows:
            if len(running.reqs) + len(taken) >= self.scheduler.args.max_running:
                break
            decode = self.ready.popleft()
            decode.req.row, decode.req.retracted = rows.alloc(), False
            taken.append(decode)
        return taken

    def _prepare_for_prebuilt(self, taken: list[DecodeRequest]) -> ScheduleBatch:
        """Write the rows, and build what a prefilled batch has: uploads that the host waits for."""
        scheduler = self.scheduler
        batch, device = scheduler.new_batch([decode.req for decode in taken]), scheduler.device
        batch.forward_mode = ForwardMode.PREBUILT
        batch.was_chunked = [False] * len(taken)
        for decode in taken:
            req = decode.req
            batch.req_to_token_pool.write(req.row, 0, decode.locations)
            batch.kv_pool.map(req.slots, decode.locations)
            req.prefix, req.extend, req.committed = len(req.slots), 0, len(req.slots)
        lengths = [req.prefix for req in batch.reqs]
        batch.seq_lens_cpu = torch.tensor(lengths)
        batch.req_pool_indices = device.blocking_upload("req_pool_indices", batch.rows)
        batch.seq_lens = device.blocking_upload("seq_lens", lengths)
        batch.orig_seq_lens = device.blocking_upload("orig_seq_lens", lengths)
        table = batch.req_to_token_pool.req_to_token
        with streamsan.named("out_cache_loc"):
            batch.out_cache_loc = torch.cat([table[req.row, : req.prefix] for req in batch.reqs])
        batch.sampling_info = SamplingBatchInfo.from_reqs(scheduler.args, device, batch.reqs)
        return batch

    def _process_prebuilt(self, batch: ScheduleBatch, taken: list[DecodeRequest]) -> None:
        """Seed the relay on S with the tokens that came along; with speculation publish, too."""
        scheduler, device = self.scheduler, self.scheduler.device
        tokens = device.blocking_upload("last_tokens", [d.prefilled.token for d in taken])
        batch.input_ids = None
        if not scheduler.args.speculative:
            scheduler.future_map.stash(batch, tokens)
            return
        topk = device.blocking_upload("topk_index", [d.prefilled.topk_index for d in taken])
        with streamsan.named("hidden_states"):
            hidden = torch.tensor([d.prefilled.hidden_states for d in taken],
                                  dtype=torch.float64, device=device.name)  # fmt: skip
        draft = DraftInput(topk, hidden, tokens)
        if not scheduler.args.overlap:
            batch.spec_info = draft
            return
        scheduler.future_map.publish(batch, batch.seq_lens)
        scheduler.future_map.stash(batch, tokens, draft)
        batch.spec_info = DraftInput()


def rdma_write(pool: torch.Tensor, slots: list[int], values: torch.Tensor) -> None:
    """Write rows of a pool one by one."""
    for slot, value in zip(slots, values, strict=True):
        pool[slot].copy_(value, non_blocking=True)
