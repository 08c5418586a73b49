"""Results on the host: one iteration after their launch under overlap, else at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from streamsan.sim.scheduler.batch import ForwardMode, ScheduleBatch
from streamsan.sim.scheduler.config import Bug
from streamsan.sim.scheduler.requests import Req
from streamsan.sim.scheduler.result import GenerationBatchResult

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scheduler import Scheduler


def process_batch_result(
    scheduler: Scheduler, batch: ScheduleBatch, result: GenerationBatchResult
) -> None:
    """Wait for a result, and append its tokens to its requests.

    Requests that finished or were retracted meanwhile are skipped: that is how the one extra
    forward pass of a finished request is dropped.
    """
    if result.copy_done is not None and not scheduler.args.has(Bug.COPY_DONE_MISSING):
        result.copy_done.synchronize()
    _take_embeddings(scheduler, batch, result)
    if result.next_token_ids is None:
        return
    read = result.next_token_ids.tolist()
    scheduler.host_saw.append(read)
    per_request = _tokens(scheduler, batch, result, read)
    logprobs = [] if result.next_token_logprobs is None else result.next_token_logprobs.tolist()
    inputs = result.logits_output.input_logprobs
    if inputs is not None:
        _take_input_logprobs(batch, inputs.tolist())
    for i, (req, tokens) in enumerate(zip(batch.reqs, per_request, strict=True)):
        if req.finished or req.retracted or batch.was_chunked[i]:
            continue
        _append(req, tokens)
        if logprobs and req.ask.logprobs:
            req.output_logprobs.append(logprobs[i])
        _take_hidden_states(batch, req, result.logits_output.hidden_states, i)
        _settle(scheduler, batch, req, i)


def _tokens(
    scheduler: Scheduler, batch: ScheduleBatch, result: GenerationBatchResult, tokens: list[int]
) -> list[list[int]]:
    """Give each request's new tokens: one, or as many as the verification accepted."""
    if result.accept_lens is None:
        return [[token] for token in tokens]
    accepted = result.accept_lens.tolist()
    lengths = batch.seq_lens_cpu.tolist()
    scheduler.host_saw.append(lengths)
    count = batch.args.draft_tokens
    for req, length, more in zip(batch.reqs, lengths, accepted, strict=True):
        req.committed = length + more
    return [tokens[i * count : i * count + more] for i, more in enumerate(accepted)]


def _take_embeddings(
    scheduler: Scheduler, batch: ScheduleBatch, result: GenerationBatchResult
) -> None:
    if result.embeddings is None:
        return
    for req, values in zip(batch.reqs, result.embeddings.tolist(), strict=True):
        req.embedding = values
        scheduler.policy.release(req)


def _append(req: Req, tokens: list[int]) -> None:
    room = req.ask.new_tokens - len(req.output_ids)
    req.output_ids += tokens[:room]


def _take_input_logprobs(batch: ScheduleBatch, values: list[float]) -> None:
    start = 0
    for req, length in zip(batch.reqs, batch.extend_lens, strict=True):
        if req.ask.logprobs:
            req.input_logprobs = values[start : start + length - 1]
        start += length - 1


def _take_hidden_states(
    batch: ScheduleBatch, req: Req, states: torch.Tensor | None, place: int
) -> None:
    if batch.return_hidden_states and req.ask.hidden_states and states is not None:
        req.hidden_states.append(states[place].cpu().tolist())


def _settle(scheduler: Scheduler, batch: ScheduleBatch, req: Req, place: int) -> None:
    if req.finished:
        scheduler.policy.release(req)
    else:
        _keep(scheduler, batch, req, place)


def _keep(scheduler: Scheduler, batch: ScheduleBatch, req: Req, place: int) -> None:
    """Note a prefilled request in the radix cache, and let go what left its window."""
    args, (rows, _) = scheduler.args, scheduler.pools
    decoded = (
        batch.forward_mode is ForwardMode.DECODE or place >= len(batch.reqs) - batch.decoding_reqs
    )
    if args.radix_cache and not decoded and req.slots:
        slots = scheduler.device.upload("cached_slots", req.slots[: req.prefix])
        rows.write(req.row, 0, slots, "row_rewrite")
    if scheduler.hisparse is not None and not decoded:
        scheduler.hisparse.admit(req)
    if args.evict_at == "process":
        scheduler.policy.evict(req, len(req.slots) + 1)
