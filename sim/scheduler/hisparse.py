"""Requests that leave after their prefill, and rejoin the running batch later (path m).

A prefilled request is parked when its result is processed; it keeps its row and its slots. When
it rejoins, all that a batch needs is built anew on the schedule stream by blocking uploads, and
its last token is stashed there.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import torch

from streamsan.sim.scheduler.batch import ForwardMode, ScheduleBatch
from streamsan.sim.scheduler.requests import Req
from streamsan.sim.scheduler.sampling import SamplingBatchInfo

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scheduler import Scheduler

_STAY = 2
"""Iterations that a request is parked for: the time that its KV takes to the host's memory."""


class HiSparseCoordinator:
    """The parked requests of one scheduler."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.parked: deque[tuple[int, Req]] = deque()

    def admit(self, req: Req) -> None:
        """Park a request whose prefill was just processed."""
        self.parked.append((self.scheduler.iteration + _STAY, req))

    def rejoin(self) -> None:
        """Merge those that are ready into the running batch: part of get_next_batch, on S."""
        ready: list[Req] = []
        while self.parked and self.parked[0][0] <= self.scheduler.iteration:
            ready.append(self.parked.popleft()[1])
        if ready:
            self.scheduler.policy.run_on(self.build(ready))

    def build(self, reqs: list[Req]) -> ScheduleBatch:
        """Build a batch that has been prefilled: four uploads that the host waits for."""
        scheduler = self.scheduler
        batch, device = scheduler.new_batch(reqs), scheduler.device
        batch.forward_mode = ForwardMode.DECODE
        lengths = [len(req.slots) for req in reqs]
        batch.seq_lens_cpu = torch.tensor(lengths)
        batch.req_pool_indices = device.blocking_upload("req_pool_indices", batch.rows)
        batch.seq_lens = device.blocking_upload("seq_lens", lengths)
        batch.orig_seq_lens = device.blocking_upload("orig_seq_lens", lengths)
        batch.sampling_info = SamplingBatchInfo.from_reqs(scheduler.args, device, reqs)
        last = device.blocking_upload("last_tokens", [req.last_token for req in reqs])
        scheduler.future_map.stash(batch, last)
        batch.input_ids = None
        return batch
