"""The forward pass of one batch: metadata out of the shared pools, layers, logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

import streamsan
from streamsan.sim.scheduler.batch import ForwardMode, ScheduleBatch
from streamsan.sim.scheduler.config import Bug, ServerArgs
from streamsan.sim.scheduler.encoder_decoder import EncoderCache, EncoderInput
from streamsan.sim.scheduler.fence import ReadDone
from streamsan.sim.scheduler.logits import LogitsProcessor
from streamsan.sim.scheduler.model import Model, attend, embed
from streamsan.sim.scheduler.pools import ReqToTokenPool, TokenToKVPool, parts
from streamsan.sim.scheduler.requests import Req
from streamsan.sim.scheduler.result import LogitsOutput
from streamsan.sim.scheduler.streams import Device


@dataclass
class ForwardBatch:
    """What one forward pass reads.

    ``ahead`` is how many tokens past ``seq_lens`` it computes: 0, or those of a verification.
    """

    mode: ForwardMode
    reqs: list[Req]
    rows: list[int]
    input_ids: torch.Tensor
    req_pool_indices: torch.Tensor
    seq_lens: torch.Tensor
    out_cache_loc: torch.Tensor | None
    out_slots: list[int]
    extend_lens: list[int]
    ahead: int = 0
    encoder: EncoderInput | None = None

    @classmethod
    def init_new(cls, batch: ScheduleBatch) -> ForwardBatch:
        """Take a batch's fields; its input ids must have been resolved."""
        ids = batch.input_ids
        if ids is None:  # where the real one stops: here a prompt of zeros shows the damage
            ids = batch.device.zeros("missing_input_ids", sum(batch.extend_lens))
        return cls(
            batch.forward_mode, list(batch.reqs), batch.rows, ids, batch.req_pool_indices,
            batch.seq_lens, batch.out_cache_loc, batch.out_slots, batch.extend_lens,
            encoder=batch.encoder,
        )  # fmt: skip

    @property
    def slots(self) -> list[int]:
        """Every KV slot that its requests have."""
        return [slot for req in self.reqs for slot in req.slots]


class Metadata:
    """Page tables and places of the tokens, private to one forward pass."""

    def __init__(self, device: Device, batch: ForwardBatch, context: int) -> None:
        requests, tokens = len(batch.reqs), sum(batch.extend_lens)
        self.pages = device.empty("page_table", requests, context)
        self.positions = device.empty("positions", tokens)
        self.owners = device.empty("owners", tokens)
        self.last = device.empty("last_index", requests)
        self.locations = device.empty("locations", tokens)
        self.swa_pages = device.empty("swa_page_table", requests, context)
        self.swa_locations = device.empty("swa_locations", tokens)


class ModelRunner:
    """Runs the model. ``read_done`` is published behind the last read of a shared pool (E4)."""

    def __init__(
        self, args: ServerArgs, device: Device, model: Model,
        pools: tuple[ReqToTokenPool, TokenToKVPool], read_done: ReadDone | None,
    ) -> None:  # fmt: skip
        self.args = args
        self.device = device
        self.model = model
        self.rows, self.kv_pool = pools
        self.logits_processor = LogitsProcessor(args, device, model)
        self.read_done = read_done
        self.encoder_cache = EncoderCache(args, device) if args.encoder_decoder else None

    def forward(self, batch: ForwardBatch, logprobs: bool = False) -> LogitsOutput:
        """Run all of it on the current stream."""
        metadata = self.init_metadata(batch)
        states = self.embed(batch, metadata)
        for layer in range(2):
            self.run_layer(batch, metadata, states, layer)
        return self.logits_processor.process(batch, metadata, states, logprobs)

    def init_metadata(self, batch: ForwardBatch) -> Metadata:
        """Read the shared pools into tables of this pass."""
        metadata = Metadata(self.device, batch, self.args.context)
        self._meta_gather(batch, metadata)
        if not self.args.pool_reread:
            self._read_map(batch, metadata)
            self._publish_read_done(batch)
        elif self.args.has(Bug.READ_DONE_EARLY):
            self._publish_read_done(batch)
        return metadata

    def _meta_gather(self, batch: ForwardBatch, made: Metadata) -> None:
        table, new = self.rows.req_to_token, batch.out_cache_loc
        reach = [(req.row, len(req.slots)) for req in batch.reqs]
        outputs = [made.pages, made.positions, made.owners, made.last, made.locations]
        streamsan.kernel(
            "meta_gather", meta_gather, table, batch.req_pool_indices, batch.seq_lens, new,
            list(batch.extend_lens), batch.ahead, *outputs,
            reads=[batch.req_pool_indices, batch.seq_lens, *([] if new is None else [new]),
                   *(table[row, :length] for row, length in reach if length)],
            writes=outputs,
        )  # fmt: skip

    def _read_map(self, batch: ForwardBatch, made: Metadata) -> None:
        mapping = self.kv_pool.full_to_swa_index_mapping
        streamsan.kernel(
            "read_map", read_map, mapping, made.pages, made.locations, made.swa_pages,
            made.swa_locations,
            reads=[made.pages, made.locations, *parts(mapping, [0, *batch.slots])],
            writes=[made.swa_pages, made.swa_locations],
        )  # fmt: skip

    def _publish_read_done(self, batch: ForwardBatch) -> None:
        """Tell the fine fence that the pools were read. Only decode graphs do."""
        if self.read_done is not None and batch.mode is ForwardMode.DECODE:
            self.read_done.publish()

    def embed(self, batch: ForwardBatch, metadata: Metadata) -> torch.Tensor:
        """Start the states of this pass: ``[tokens, width]``."""
        weights = self.model.embedding, self.model.position
        states = self.device.empty(
            "states", sum(batch.extend_lens), self.args.width, dtype=torch.float64
        )
        streamsan.kernel(
            "embed", embed, batch.input_ids, metadata.positions, *weights, states,
            reads=[batch.input_ids, metadata.positions, *weights], writes=[states],
        )  # fmt: skip
        if self.encoder_cache is not None:
            self.encoder_cache.encode(batch.encoder, self.model.embedding)
            self.encoder_cache.add(batch.req_pool_indices, batch.rows, metadata.owners, states)
        return states

    def run_layer(
        self, batch: ForwardBatch, metadata: Metadata, states: torch.Tensor, layer: int
    ) -> None:
        """Carry the states through a layer."""
        if layer == 1 and self.args.pool_reread:
            self._read_map(batch, metadata)
            if not self.args.has(Bug.READ_DONE_EARLY):
                self._publish_read_done(batch)
        tables = (
            (metadata.locations, metadata.pages),
            (metadata.swa_locations, metadata.swa_pages),
        )[layer]
        pool, weights = self.kv_pool.kv[layer], self.model.layers[layer]
        seen, written = self._kv_places(batch, layer)
        window = (self.args.context, self.args.window)[layer]
        streamsan.kernel(
            f"layer{layer}", attend, states, weights, pool, *tables, metadata.owners,
            metadata.positions, window,
            reads=[states, *weights, *tables, metadata.owners, metadata.positions,
                   *parts(pool, seen)],
            writes=[states, *parts(pool, written)],
        )  # fmt: skip

    def _kv_places(self, batch: ForwardBatch, layer: int) -> tuple[list[int], Sequence[int]]:
        slots, new = batch.slots, batch.out_slots or batch.slots
        if layer == 0:
            return [0, *slots], new
        swa = self.kv_pool.swa
        return [0, *(swa.get(s, 0) for s in slots)], [swa.get(s, 0) for s in new]


def meta_gather(  # noqa: PLR0917 - a kernel takes what it takes
    table: torch.Tensor,
    rows: torch.Tensor,
    seq_lens: torch.Tensor,
    new: torch.Tensor | None,
    extend_lens: list[int],
    ahead: int,
    pages: torch.Tensor,
    positions: torch.Tensor,
    owners: torch.Tensor,
    last: torch.Tensor,
    locations: torch.Tensor,
) -> None:
    """Fill the tables of one pass from the rows of its requests."""
    context = table.shape[1]
    lens = torch.tensor(extend_lens, device=table.device)
    total = (seq_lens + ahead).clamp(0, context)
    taken = table[rows.clamp(0, table.shape[0] - 1)]  # a wrong row must not stop the device
    used = torch.arange(context, device=table.device) < total[:, None]
    pages.copy_(torch.where(used, taken, 0))
    ends = lens.cumsum(0)
    last.copy_(ends - 1)
    owners.copy_(torch.arange(len(extend_lens), device=table.device)
                 .repeat_interleave(lens, output_size=owners.shape[0]))  # fmt: skip
    within = torch.arange(owners.shape[0], device=table.device) - (ends - lens)[owners]
    positions.copy_(((total - lens)[owners] + within).clamp(0, context - 1))
    locations.copy_(pages[owners, positions] if new is None else new)


def read_map(
    mapping: torch.Tensor,
    pages: torch.Tensor,
    locations: torch.Tensor,
    swa_pages: torch.Tensor,
    swa_locations: torch.Tensor,
) -> None:
    """Translate pages and places of the full layer to those of the sliding-window layer."""
    limit = mapping.shape[0] - 1
    swa_pages.copy_(mapping[pages.clamp(0, limit)].clamp(0, limit))
    swa_locations.copy_(mapping[locations.clamp(0, limit)].clamp(0, limit))
