"""A batch on its way: built and changed by scheduling, read by the forward pass.

Under overlap no tensor of a batch is changed in place, since the forward pass of the last
iteration may still read it: fields are bound to new tensors instead.
"""

from __future__ import annotations

from enum import Enum, auto
from itertools import count
from typing import Any

import torch

import streamsan
from streamsan.sim.scheduler.config import Bug, ServerArgs
from streamsan.sim.scheduler.encoder_decoder import (
    EncoderInput,
    encoder_ids,
    prepare_encoder_info_extend,
)
from streamsan.sim.scheduler.over_allocate import over_allocate
from streamsan.sim.scheduler.pools import ReqToTokenPool, TokenToKVPool
from streamsan.sim.scheduler.requests import Req
from streamsan.sim.scheduler.result import DraftInput
from streamsan.sim.scheduler.sampling import SamplingBatchInfo, cumulate_penalties
from streamsan.sim.scheduler.streams import Device

_PROCESSED = (
    "args", "device", "forward_mode", "seq_lens_cpu", "extend_lens", "decoding_reqs",
    "was_chunked", "return_logprob", "return_hidden_states",
)  # fmt: skip
"""Fields of a batch that are needed once its forward pass is launched."""


class ForwardMode(Enum):
    """What a batch asks of the forward pass."""

    EXTEND = auto()
    DECODE = auto()
    MIXED = auto()
    IDLE = auto()
    PREBUILT = auto()
    SPLIT_PREFILL = auto()

    @property
    def has_prefilled(self) -> bool:
        """Whether its requests have their prompt's KV once it is done, and can run on."""
        return self.is_extend or self is ForwardMode.PREBUILT

    @property
    def is_extend(self) -> bool:
        """Whether there are prompt tokens in it."""
        return self in {ForwardMode.EXTEND, ForwardMode.MIXED, ForwardMode.SPLIT_PREFILL}


class ScheduleBatch:
    """Requests that go through the forward pass together.

    ``input_ids`` is None while a batch is scheduled; ``resolve_forward_inputs`` makes it from the
    staged prompt (``prefill_input_ids_cpu``), from the relay's rows, or from both (mixed, by
    ``mix_running_indices``).
    """

    _numbers = count()

    def __init__(
        self,
        args: ServerArgs,
        device: Device,
        reqs: list[Req],
        pools: tuple[ReqToTokenPool, TokenToKVPool],
    ) -> None:
        self.args = args
        self.device = device
        self.reqs = reqs
        self.req_to_token_pool, self.kv_pool = pools
        self.forward_mode = ForwardMode.EXTEND
        self.input_ids: torch.Tensor | None = None
        self.prefill_input_ids_cpu: torch.Tensor | None = None
        self.mix_running_indices: torch.Tensor | None = None
        self.req_pool_indices: Any = None
        self.seq_lens: Any = None
        self.seq_lens_cpu: Any = None
        self.orig_seq_lens: Any = None
        self.output_ids: Any = None
        self.out_cache_loc: Any = None
        self.out_slots: list[int] = []
        self.extend_lens: list[int] = []
        self.decoding_reqs = 0
        self.was_chunked: list[bool] = []
        self.sampling_info = SamplingBatchInfo()
        self.spec_info: DraftInput | None = None
        self.encoder: EncoderInput | None = None
        self.split_forward_batch: Any = None
        self.return_logprob = any(req.ask.logprobs for req in reqs)
        self.return_hidden_states = any(req.ask.hidden_states for req in reqs)
        self.watch()

    def watch(self) -> None:
        """Make the deferred fields visible to whoever records."""
        name = f"batch{next(self._numbers)}"
        streamsan.slot(self, "input_ids", name=f"{name}.input_ids")
        for field in ("prefill_input_ids_cpu", "mix_running_indices"):
            streamsan.slot(self, field, once=True, name=f"{name}.{field}")

    @property
    def rows(self) -> list[int]:
        """The host's copy of ``req_pool_indices``."""
        return [req.row for req in self.reqs]

    def version_of(self, req: Req) -> int:
        """Number the tokens of a request, so that a row of the relay tells whose it holds."""
        return 1000 * req.rid + req.generation

    # -- prefill

    def prepare_for_extend(self) -> None:
        """Stage the prompts, allocate KV and write the rows; on the current stream."""
        self.forward_mode = ForwardMode.EXTEND
        self.extend_lens = [req.extend for req in self.reqs]
        self.was_chunked = [req.chunked for req in self.reqs]
        self.stage(self._prompts(with_encoder=True))
        lengths = [req.prefix + len(encoder_ids(req)) + req.extend for req in self.reqs]
        with streamsan.named("seq_lens"):
            self._place(lengths)
        if self.args.encoder_decoder:
            prepare_encoder_info_extend(self, self._prompts(with_encoder=False))
        self.out_slots, self.out_cache_loc = self.kv_pool.alloc(sum(self.extend_lens))
        start = 0
        for req in self.reqs:
            req.slots[req.prefix :] = self.out_slots[start : start + req.extend]
            written = self.out_cache_loc[start : start + req.extend]
            self.req_to_token_pool.write(req.row, req.prefix, written)
            req.committed = req.prefix + req.extend
            start += req.extend
        self.kv_pool.map(self.out_slots, self.out_cache_loc)
        self.sampling_info = SamplingBatchInfo.from_reqs(self.args, self.device, self.reqs)

    def _prompts(self, *, with_encoder: bool) -> list[int]:
        """Flatten what this prefill takes of its requests."""
        taken = [
            [*(encoder_ids(r) if with_encoder else ()),
             *r.fill_ids[r.prefix : r.prefix + r.extend]]
            for r in self.reqs
        ]  # fmt: skip
        return [token for ids in taken for token in ids]

    def stage(self, ids: list[int]) -> None:
        """Keep the prompt in pinned memory until the forward pass takes it (#25945)."""
        staged = self.device.pinned("prefill_input_ids_cpu", ids)
        if self.args.prefill_upload == "S":
            with streamsan.named("input_ids"):
                self.input_ids = staged.to(self.device.name, non_blocking=True)
            return
        self.input_ids = None
        if not self.args.has(Bug.STAGING_MISSING):
            self.prefill_input_ids_cpu = staged

    def _place(self, lengths: list[int]) -> None:
        self.req_pool_indices = self.device.upload("req_pool_indices", self.rows)
        self.seq_lens_cpu = torch.tensor(lengths)
        self.seq_lens = self.device.upload("seq_lens", lengths)
        self.orig_seq_lens = self.device.upload("orig_seq_lens", lengths)

    # -- decode

    def prepare_for_decode(self) -> None:
        """Allocate the next position of each request; on the current stream."""
        self.forward_mode = ForwardMode.DECODE
        self.extend_lens = [1] * len(self.reqs)
        self.was_chunked = [False] * len(self.reqs)
        self.decoding_reqs = 0
        self.input_ids = self.output_ids
        self.encoder = None
        if self.args.speculative:
            over_allocate(self)
            return
        cumulate_penalties(self)
        lengths = self.seq_lens_cpu.tolist()
        self.out_slots, self.out_cache_loc = self.kv_pool.alloc(len(self.reqs))
        for i, (req, length) in enumerate(zip(self.reqs, lengths, strict=True)):
            req.slots.append(self.out_slots[i])
            self.req_to_token_pool.write(req.row, length, self.out_cache_loc[i : i + 1])
        self.kv_pool.map(self.out_slots, self.out_cache_loc)
        self._advance()

    def _advance(self) -> None:
        """Count one more token. Out of place under overlap: the last forward reads the old."""
        in_place = not self.args.overlap or self.args.has(Bug.IN_PLACE_SEQ_LENS)
        with streamsan.named("seq_lens_add"):
            if in_place:
                self.seq_lens.add_(1)
            else:
                self.seq_lens = self.seq_lens + 1
        with streamsan.named("orig_seq_lens_add"):
            self.orig_seq_lens = self.orig_seq_lens + 1
        self.seq_lens_cpu = self.seq_lens_cpu + 1

    # -- both

    def mix_with_running(self, running: ScheduleBatch) -> None:
        """Let a running batch, prepared for decoding, join this prefill (path d)."""
        self.forward_mode = ForwardMode.MIXED
        self.input_ids = None
        self.decoding_reqs = len(running.reqs)
        self.mix_running_indices = running.req_pool_indices
        self.out_slots = self.out_slots + running.out_slots
        with streamsan.named("out_cache_loc"):
            self.out_cache_loc = torch.cat([self.out_cache_loc, running.out_cache_loc])
        self.merge(running)
        self.extend_lens = self.extend_lens + running.extend_lens
        self.was_chunked = self.was_chunked + running.was_chunked

    def merge(self, other: ScheduleBatch) -> None:
        """Append the requests of another batch."""
        if self.sampling_info.orchestrator is None or other.sampling_info.orchestrator is None:
            self._even_penalties(other)
        self.sampling_info.merge(other.sampling_info)
        with streamsan.named("req_pool_indices"):
            self.req_pool_indices = torch.cat([self.req_pool_indices, other.req_pool_indices])
        with streamsan.named("seq_lens"):
            self.seq_lens = torch.cat([self.seq_lens, other.seq_lens])
            self.orig_seq_lens = torch.cat([self.orig_seq_lens, other.orig_seq_lens])
        self.seq_lens_cpu = torch.cat([self.seq_lens_cpu, other.seq_lens_cpu])
        if self.output_ids is not None and other.output_ids is not None:
            with streamsan.named("output_ids"):
                self.output_ids = torch.cat([self.output_ids, other.output_ids])
        else:
            self.output_ids = None  # the relay has all of them
        if self.spec_info is not None and other.spec_info is not None:
            self.spec_info = self.spec_info.merge(other.spec_info)
        self.reqs = [*self.reqs, *other.reqs]
        self.return_logprob |= other.return_logprob
        self.return_hidden_states |= other.return_hidden_states

    def _even_penalties(self, other: ScheduleBatch) -> None:
        both = [self.sampling_info, other.sampling_info]
        if all(info.orchestrator is None for info in both):
            return
        for info, reqs in zip(both, (self.reqs, other.reqs), strict=True):
            if info.orchestrator is None:
                info.orchestrator = SamplingBatchInfo.penalizer(self.args, self.device, reqs)

    def filter(self, keep: list[Req]) -> None:
        """Drop the requests that are not to be kept; on the current stream."""
        if len(keep) == len(self.reqs):
            return
        places = [i for i, req in enumerate(self.reqs) if req in keep]
        self.reqs = [self.reqs[i] for i in places]
        if not places:
            return
        kept = self.device.upload("keep_indices", places)
        with streamsan.named("req_pool_indices"):
            self.req_pool_indices = self.req_pool_indices[kept]
        with streamsan.named("seq_lens"):
            self.seq_lens = self.seq_lens[kept]
            self.orig_seq_lens = self.orig_seq_lens[kept]
        self.seq_lens_cpu = self.seq_lens_cpu[torch.tensor(places)]
        if self.sampling_info.orchestrator is not None:
            self.sampling_info.orchestrator.filter(kept)
        if self.output_ids is not None:
            with streamsan.named("output_ids"):
                self.output_ids = self.output_ids[kept]
        if self.spec_info is not None:
            self.spec_info = self.spec_info.filter(kept)
        self.return_logprob = any(req.ask.logprobs for req in self.reqs)
        self.return_hidden_states = any(req.ask.hidden_states for req in self.reqs)

    def copy(self) -> ScheduleBatch:
        """Give what processing a result needs, with its own list of requests; no device memory."""
        made = ScheduleBatch.__new__(ScheduleBatch)
        fields = {k: v for k, v in vars(self).items() if k in _PROCESSED}
        made.__dict__.update(fields, reqs=list(self.reqs))
        return made
