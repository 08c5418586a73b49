"""Speculation: a draft proposes the token after next, the target verifies it with the next one.

The output is that of the target alone, whatever the draft says. A verification of two tokens
gives one or two: how many, only the device knows, so lengths come back through the relay (v2,
path f), or the host waits for them (v1 and without overlap, paths e and g).
"""

from __future__ import annotations

import torch

import streamsan
from streamsan.sim.scheduler.batch import ForwardMode, ScheduleBatch
from streamsan.sim.scheduler.config import Bug
from streamsan.sim.scheduler.fence import ReadDone
from streamsan.sim.scheduler.future_map import FutureMap
from streamsan.sim.scheduler.pools import parts
from streamsan.sim.scheduler.result import DraftInput, GenerationBatchResult
from streamsan.sim.scheduler.runner import ForwardBatch, ModelRunner
from streamsan.sim.scheduler.sampling import sample
from streamsan.sim.scheduler.worker import Publish, TpModelWorker


class DraftRunner:
    """The draft: a guess from the last state, the last token and the mean of the keys so far."""

    def __init__(self, target: ModelRunner, read_done: ReadDone | None) -> None:
        self.target = target
        self.read_done = read_done

    def extend(
        self, batch: ForwardBatch, hidden: torch.Tensor, bonus: torch.Tensor
    ) -> torch.Tensor:
        """Propose a token for each request: ``[requests]``, on the current stream."""
        target, device = self.target, self.target.device
        table, requests = target.rows.req_to_token, len(batch.reqs)
        pages = device.empty("draft_page_table", requests, target.args.context)
        streamsan.kernel(
            "draft_meta", draft_meta, table, batch.req_pool_indices, batch.seq_lens, pages,
            reads=[batch.req_pool_indices, batch.seq_lens,
                   *(table[req.row, : len(req.slots)] for req in batch.reqs if req.slots)],
            writes=[pages],
        )  # fmt: skip
        if self.read_done is not None and batch.mode is ForwardMode.DECODE:
            self.read_done.publish()
        topk = device.empty("topk_index", requests)
        pool, weights = target.kv_pool.kv[0], (target.model.embedding, target.model.head)
        streamsan.kernel(
            "draft_extend", draft_extend, *weights, pool, pages, hidden, bonus, topk,
            reads=[*weights, pages, hidden, bonus, *parts(pool, [0, *batch.slots])],
            writes=[topk],
        )  # fmt: skip
        return topk


def draft_meta(
    table: torch.Tensor, rows: torch.Tensor, seq_lens: torch.Tensor, pages: torch.Tensor
) -> None:
    """Read the rows of a batch; slot 0 stands behind the end of each."""
    used = torch.arange(table.shape[1], device=table.device) < seq_lens[:, None]
    pages.copy_(torch.where(used, table[rows.clamp(0, table.shape[0] - 1)], 0))


def draft_extend(  # noqa: PLR0917 - a kernel takes what it takes
    embedding: torch.Tensor,
    head: torch.Tensor,
    pool: torch.Tensor,
    pages: torch.Tensor,
    hidden: torch.Tensor,
    bonus: torch.Tensor,
    topk: torch.Tensor,
) -> None:
    """Guess the token that follows the bonus token."""
    keys = pool[pages.clamp(0, pool.shape[0] - 1), : hidden.shape[1]].mean(1)
    known = bonus.clamp(0, embedding.shape[0] - 1)
    topk.copy_(((hidden + keys + embedding[known]) @ head).argmax(-1))


class EagleWorker(TpModelWorker):
    """Target and draft. ``v2`` publishes lengths in the middle; ``v1`` waits for them."""

    def __init__(self, runner: ModelRunner, draft: DraftRunner, relay: FutureMap) -> None:
        super().__init__(runner)
        self.draft = draft
        self.relay = relay
        self.args = runner.args

    def forward_batch_generation(
        self, batch: ScheduleBatch, on_publish: Publish
    ) -> GenerationBatchResult:
        """Prefill, or draft, verify, publish and extend the draft."""
        forward_batch = ForwardBatch.init_new(batch)
        if batch.forward_mode is ForwardMode.DECODE:
            return self._verify(batch, forward_batch, on_publish)
        return self._prefill(batch, forward_batch, on_publish)

    def _prefill(
        self, batch: ScheduleBatch, forward_batch: ForwardBatch, on_publish: Publish
    ) -> GenerationBatchResult:
        output = self.runner.forward(forward_batch)
        on_publish(batch.seq_lens)  # the length before this step's token
        assert output.next_token_logits is not None  # noqa: S101
        assert output.hidden_states is not None  # noqa: S101
        tokens = sample(output.next_token_logits, batch.sampling_info)
        topk = self.draft.extend(forward_batch, output.hidden_states, tokens)
        result = GenerationBatchResult(output, tokens)
        result.next_draft_input = DraftInput(topk, output.hidden_states, tokens)
        result.new_seq_lens = batch.seq_lens
        return result

    def _verify(
        self, batch: ScheduleBatch, forward_batch: ForwardBatch, on_publish: Publish
    ) -> GenerationBatchResult:
        count = self.args.draft_tokens
        proposed = self._proposed(batch)
        bonus = forward_batch.input_ids[: len(batch.reqs)]  # of B3 there are more, and others
        with streamsan.named("draft"):
            forward_batch.input_ids = torch.stack([bonus, proposed], 1).flatten()
        forward_batch.extend_lens = [count] * len(batch.reqs)
        forward_batch.ahead = count
        output = self.runner.forward(forward_batch)
        assert output.next_token_logits is not None  # noqa: S101
        assert output.hidden_states is not None  # noqa: S101
        with streamsan.named("verify"):
            tokens = output.next_token_logits.argmax(-1).view(-1, count)
            accept_lens = (tokens[:, 0] == proposed).long() + 1
            new_seq_lens = batch.seq_lens + accept_lens
        verify_done = None
        if self.args.has(Bug.VERIFY_DONE):
            verify_done = self.runner.device.event("verify_done")
            verify_done.record()
        on_publish(new_seq_lens)
        with streamsan.named("accept"):
            last = (accept_lens - 1)[:, None]
            bonus = tokens.gather(1, last)[:, 0]
            states = output.hidden_states.view(-1, count, self.args.width)
            hidden = states.gather(1, last[:, :, None].expand(-1, -1, self.args.width))[:, 0]
        output.next_token_logits = None
        topk = self.draft.extend(forward_batch, hidden, bonus)
        result = GenerationBatchResult(output, tokens.reshape(-1), accept_lens=accept_lens)
        result.next_draft_input = DraftInput(topk, hidden, bonus, verify_done)
        result.new_seq_lens = new_seq_lens
        return result

    def _proposed(self, batch: ScheduleBatch) -> torch.Tensor:
        if self.args.overlap:
            return self.relay.gather_draft(batch)[0]
        assert batch.spec_info is not None  # noqa: S101 - a batch decodes after its prefill
        assert batch.spec_info.topk_index is not None  # noqa: S101
        return batch.spec_info.topk_index
