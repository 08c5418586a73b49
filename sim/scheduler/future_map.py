"""The token relay between iterations: one row of each buffer for each row of ``req_to_token``.

``publish`` gives new sequence lengths to scheduling and is fenced by an event; ``stash`` gives
tokens to the next forward pass and is covered by the order of the forward stream (1.2, 2.3 to 2.5
of the specification).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

import streamsan
from streamsan.sim.scheduler.config import Bug, ServerArgs
from streamsan.sim.scheduler.pools import parts
from streamsan.sim.scheduler.streams import Streams

if TYPE_CHECKING:
    from streamsan.sim.scheduler.batch import ScheduleBatch
    from streamsan.sim.scheduler.result import DraftInput


class FutureMap:
    """The relay of one scheduler."""

    def __init__(self, args: ServerArgs, streams: Streams) -> None:
        self.args = args
        self.streams = streams
        self.device = device = streams.device
        self.output_tokens_buf = device.zeros("output_tokens_buf", args.rows)
        self.new_seq_lens_buf = device.zeros("new_seq_lens_buf", args.rows)
        self.topk_index_buf = device.zeros("topk_index_buf", args.rows)
        self.hidden_buf = device.zeros("hidden_buf", args.rows, args.width, dtype=torch.float64)
        self.new_seq_lens_cpu_pinned = device.pinned("new_seq_lens_cpu_pinned", [0] * args.rows)
        self.publish_ready: Any = None
        self.publish_stream: Any = None
        self.versions = [0] * args.rows
        """Which batch stashed last for each row; the trace's slots tell stale ones."""
        self.slots = [streamsan.Slot(f"output_tokens_buf[{row}]") for row in range(args.rows)]
        for row, slot in enumerate(self.slots):  # the zeros are nobody's token
            slot.resolve(self.output_tokens_buf[row : row + 1], version=-1)

    # -- lengths: F publishes, scheduling reads

    def publish(self, batch: ScheduleBatch, new_seq_lens: torch.Tensor, more: int = 0) -> None:
        """Give lengths, and ``more`` than these, to scheduling, on the current stream."""
        buffer, rows = self.new_seq_lens_buf, batch.rows
        streamsan.kernel(
            "publish", scatter, buffer, batch.req_pool_indices, new_seq_lens, more,
            reads=[batch.req_pool_indices, new_seq_lens], writes=parts(buffer, rows),
        )  # fmt: skip
        if self.args.speculative:
            self._record_publish()

    def _record_publish(self) -> None:
        """Record the one event again. A record moves its capture: an older one must stay in it."""
        stream = self.device.current()
        if self.publish_ready is None:
            self.publish_ready = self.device.event("publish_ready")
        elif stream != self.publish_stream and not self.args.has(Bug.EVENT_MOVED):
            stream.wait_event(self.publish_ready)
        self.publish_ready.record()
        self.publish_stream = stream

    def resolve_seq_lens_cpu(self, batch: ScheduleBatch) -> None:
        """Bring the lengths that the running forward publishes into a decode batch."""
        if batch.spec_info is None or not self.args.overlap:
            return
        has, streams = self.args.has, self.streams
        rows = batch.rows
        if self.publish_ready is not None and not has(Bug.PULL_NO_WAIT):
            streams.S.wait_event(self.publish_ready)
        with streamsan.named("seq_lens"):
            batch.seq_lens = torch.empty_like(batch.req_pool_indices)
        buffer = self.new_seq_lens_buf
        streamsan.kernel(
            "gather_seq_lens", gather, buffer, batch.req_pool_indices, batch.seq_lens,
            reads=[batch.req_pool_indices, *parts(buffer, rows)], writes=[batch.seq_lens],
        )  # fmt: skip
        if self.publish_ready is None or self.args.seq_lens_pull == "S":
            with streamsan.named("new_seq_lens_cpu"):  # of B5; and the start of every relay
                whole = buffer.cpu()
            batch.seq_lens_cpu = whole[torch.tensor(rows)]
        else:
            batch.seq_lens_cpu = self._pull(rows)

    def _pull(self, rows: list[int]) -> Any:
        """Copy the table on the private stream, wait for that copy only, and pick the rows."""
        has, pinned, P = self.args.has, self.new_seq_lens_cpu_pinned, self.streams.P  # noqa: N806
        if has(Bug.LAZY_PINNED):
            with streamsan.named("pull_seq_lens"):
                pinned.copy_(self.new_seq_lens_buf, non_blocking=True)
            return LazyLengths(pinned, rows, self.streams.S.record_event())
        with self.device.on(P):
            if not has(Bug.PRIVATE_NO_GATE):
                P.wait_event(self.publish_ready)
            with streamsan.named("pull_seq_lens"):
                pinned.copy_(self.new_seq_lens_buf, non_blocking=True)
        if not has(Bug.PRIVATE_NO_SYNC):
            P.synchronize()
        return pinned[torch.tensor(rows)]

    # -- tokens: F stashes, the next forward gathers

    def stash(
        self, batch: ScheduleBatch, tokens: torch.Tensor, draft: DraftInput | None = None
    ) -> None:
        """Keep the tokens of a step for the next one, on the current stream."""
        if not batch.rows:
            return
        buffer, rows = self.output_tokens_buf, batch.rows
        streamsan.kernel(
            "stash", scatter, buffer, batch.req_pool_indices, tokens,
            reads=[batch.req_pool_indices, tokens], writes=parts(buffer, rows),
        )  # fmt: skip
        for row, req in zip(rows, batch.reqs, strict=True):
            self.slots[row].resolve(buffer[row : row + 1], version=batch.version_of(req))
        if draft is not None and draft.topk_index is not None and draft.hidden_states is not None:
            for name, table, values in (
                ("stash_topk", self.topk_index_buf, draft.topk_index),
                ("stash_hidden", self.hidden_buf, draft.hidden_states),
            ):
                streamsan.kernel(
                    name, scatter, table, batch.req_pool_indices, values,
                    reads=[batch.req_pool_indices, values], writes=parts(table, rows),
                )  # fmt: skip

    def gather_tokens(self, batch: ScheduleBatch, indices: torch.Tensor, reqs: int) -> torch.Tensor:
        """Take the tokens of the last ``reqs`` requests of a batch, on the current stream."""
        rows = batch.rows[len(batch.rows) - reqs :]
        taken = self.device.empty("input_ids", len(rows))
        buffer = self.output_tokens_buf
        streamsan.kernel(
            "gather_input_ids", gather, buffer, indices, taken,
            reads=[indices, *parts(buffer, rows)], writes=[taken],
        )  # fmt: skip
        for row, req in zip(rows, batch.reqs[len(batch.rows) - reqs :], strict=True):
            self.slots[row].read(expects_version=batch.version_of(req))
        return taken

    def resolve_future(self, batch: ScheduleBatch) -> Any:
        """Replace the negative rows of ``input_ids`` by their tokens, in place (E1)."""
        buffer, ids = self.output_tokens_buf, batch.input_ids
        streamsan.kernel(
            "resolve_future", resolve, buffer, ids,
            reads=[ids, *parts(buffer, batch.rows)], writes=[ids],
        )  # fmt: skip
        for row, req in zip(batch.rows, batch.reqs, strict=True):
            self.slots[row].read(expects_version=batch.version_of(req))
        return ids

    def gather_draft(self, batch: ScheduleBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Take the draft's top tokens and hidden states of the last step."""
        rows, indices = batch.rows, batch.req_pool_indices
        topk = self.device.empty("topk_index", len(rows))
        hidden = self.device.empty("draft_hidden", len(rows), self.args.width, dtype=torch.float64)
        for name, table, taken in (
            ("gather_topk", self.topk_index_buf, topk),
            ("gather_hidden", self.hidden_buf, hidden),
        ):
            streamsan.kernel(
                name, gather, table, indices, taken,
                reads=[indices, *parts(table, rows)], writes=[taken],
            )  # fmt: skip
        return topk, hidden


class LazyLengths:
    """Lengths in the shared pinned buffer, waited for only when they are read (B6)."""

    def __init__(self, pinned: torch.Tensor, rows: list[int], ready: Any) -> None:
        self._pinned, self._rows, self._ready = pinned, rows, ready

    def __getitem__(self, places: torch.Tensor) -> LazyLengths:
        return LazyLengths(self._pinned, [self._rows[i] for i in places.tolist()], self._ready)

    def tolist(self) -> list[int]:
        """Wait for the event of this pull, then read what the buffer holds by now."""
        self._ready.synchronize()
        return [self._pinned[row].item() for row in self._rows]  # type: ignore[misc]


def scatter(table: torch.Tensor, rows: torch.Tensor, values: torch.Tensor, more: int = 0) -> None:
    """Write values, plus ``more``, into rows of a table."""
    table[rows.clamp(0, table.shape[0] - 1)] = values.to(table.dtype) + more


def resolve(table: torch.Tensor, ids: torch.Tensor) -> None:
    """Replace negative rows by what stands there."""
    rows = (-ids).clamp(0, table.shape[0] - 1)
    ids.copy_(torch.where(ids < 0, table[rows], ids))


def gather(table: torch.Tensor, rows: torch.Tensor, taken: torch.Tensor) -> None:
    """Read rows of a table. A wrong row must not stop the device: it reads a wrong value."""
    taken.copy_(table[rows.clamp(0, table.shape[0] - 1)])
