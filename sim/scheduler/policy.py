"""Which batch runs next: prefill first, running requests otherwise, retracting when memory ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsan.sim.scheduler.batch import ScheduleBatch
from streamsan.sim.scheduler.idle import prepare_for_idle
from streamsan.sim.scheduler.requests import Req

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scheduler import Scheduler


class SchedulePolicy:
    """Builds the next batch; everything it launches is on S."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.args = scheduler.args
        self.rows, self.kv_pool = scheduler.pools

    def get_next_batch_to_run(self) -> ScheduleBatch | None:
        """Give the next batch, prepared, or None where there is nothing to run."""
        scheduler = self.scheduler
        self.merge_last_prefill()
        if scheduler.hisparse is not None:
            scheduler.hisparse.rejoin()
        if scheduler.prebuilt is not None:
            batch = scheduler.prebuilt.get_new_prebuilt_batch() or self.next_decode()
        else:
            batch = self._prepared_prefill() or self.next_decode()
        return batch or self._idle()

    def _prepared_prefill(self) -> ScheduleBatch | None:
        batch = self.new_prefill()
        if batch is None:
            return None
        batch.prepare_for_extend()
        self._mix(batch)
        return batch

    def _idle(self) -> ScheduleBatch | None:
        """Take part in what other ranks run, while anything is left to do (data parallelism)."""
        scheduler = self.scheduler
        if not self.args.dp_attention or all(req.finished for req in scheduler.asked):
            return None
        return prepare_for_idle(scheduler.new_batch([]))

    def merge_last_prefill(self) -> None:
        """Let the requests of the last prefill run on; a chunk that has more to come does not."""
        scheduler = self.scheduler
        last = scheduler.last_batch
        if last is None or not last.forward_mode.has_prefilled:
            return
        chunked = [r for r, more in zip(last.reqs, last.was_chunked, strict=True) if more]
        for req in last.reqs:
            req.prefix, req.extend = req.prefix + req.extend, 0
        keep = [r for r in last.reqs if not (r in chunked or r.finished or r.ask.embedding)]
        if scheduler.hisparse is not None:
            return  # they are parked when the result is processed
        last.filter(keep)
        if last.reqs:
            self.run_on(last)

    def run_on(self, batch: ScheduleBatch) -> None:
        """Let a prefilled batch run on: merge it into the running one."""
        if self.scheduler.running.reqs:
            self.scheduler.running.merge(batch)
        else:
            self.scheduler.running = batch

    def new_prefill(self) -> ScheduleBatch | None:
        """Admit waiting requests, as many as rows, slots and the chunk budget allow."""
        scheduler = self.scheduler
        budget = self.args.chunk or self.args.context * self.args.max_running
        room = len(self.kv_pool.free_slots) - len(scheduler.running.reqs)
        admitted: list[Req] = []
        if scheduler.chunked is not None:
            req = scheduler.chunked
            req.extend = min(len(req.fill_ids) - req.prefix, budget, room)
            budget, room = budget - req.extend, room - req.extend
            admitted.append(req)
        while scheduler.waiting and budget > 0:
            req = scheduler.waiting[0]
            if admitted and req.ask.embedding != admitted[0].ask.embedding:
                break
            wanted = min(len(req.fill_ids), budget)
            full = self._running + len(admitted) >= self.args.max_running
            if full or not self.rows.free_rows or wanted + self.reserve > room:
                break
            scheduler.waiting.popleft()
            req.row, req.retracted = self.rows.alloc(), False
            req.prefix, req.extend, req.slots = 0, wanted, []
            budget, room = budget - wanted, room - wanted
            admitted.append(req)
        if not admitted:
            return None
        scheduler.chunked = next((req for req in admitted if req.chunked), None)
        return scheduler.new_batch(admitted)

    @property
    def _running(self) -> int:
        parked = self.scheduler.hisparse.parked if self.scheduler.hisparse is not None else ()
        return len(self.scheduler.running.reqs) + len(parked)

    @property
    def reserve(self) -> int:
        """Slots that a request needs besides its prompt's before it can run on."""
        return 2 * self.args.draft_tokens if self.args.speculative else 0

    def _mix(self, batch: ScheduleBatch) -> None:
        """Let the running batch join a prefill; not where log-probabilities are wanted (path d)."""
        running = self.scheduler.running
        apart = batch.return_logprob or running.return_logprob or batch.reqs[0].ask.embedding
        if not self.args.mixed_chunk or apart:
            return
        running.filter([req for req in running.reqs if not req.finished])
        if running.reqs and len(self.kv_pool.free_slots) >= len(running.reqs):
            running.prepare_for_decode()
            batch.mix_with_running(running)
            self.scheduler.running = self.scheduler.new_batch([])

    def next_decode(self) -> ScheduleBatch | None:
        """Prepare the running requests for one more token."""
        running = self.scheduler.running
        running.filter([req for req in running.reqs if not req.finished])
        if not running.reqs:
            return None
        if running.spec_info is not None and running.spec_info.verify_done is not None:
            running.spec_info.verify_done.synchronize()
        self._retract(running)
        if not running.reqs:
            return None
        if self.args.evict_at == "prepare":
            for req in running.reqs:
                self.evict(req, len(req.slots) + 1)
        self.scheduler.future_map.resolve_seq_lens_cpu(running)
        running.prepare_for_decode()
        return running

    def _retract(self, running: ScheduleBatch) -> None:
        """Send requests back to the queue until the others have room for one more step."""
        step = 2 * self.args.draft_tokens if self.args.speculative else 1
        while len(self.kv_pool.free_slots) < step * len(running.reqs):
            req = running.reqs[-1]
            req.retracted = True
            req.retractions += 1
            if self.args.evict_at:
                self.evict(req, len(req.slots) + self.args.window)
            self.release(req)
            self.scheduler.waiting.appendleft(req)
            running.filter(running.reqs[:-1])

    def release(self, req: Req) -> None:
        """Free what a request holds. Nobody clears its row."""
        self.kv_pool.free(req.slots)
        self.rows.free(req.row)
        req.slots, req.prefix, req.extend, req.evicted = [], 0, 0, 0

    def evict(self, req: Req, length: int) -> None:
        """Free the SWA slots that a sequence of a length no longer sees."""
        stop = max(length - self.args.window, req.evicted)
        self.kv_pool.free_swa(req.slots[req.evicted : stop])
        req.evicted = stop
