"""What work a run queues: kernels and copies, and the simulated time that each of them takes.

Times are ns from the start of the run: of calls (``t``) and of work on streams (``begin``,
``end``). They do not depend on the schedule, and order nothing unless it is ``timed``: every call
takes 1 us, work takes 5 us, and a copy takes the time of its bytes on the link as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from streamsan.sim.device.allocations import Allocations
from streamsan.sim.device.queues import Item, Place, Queue
from streamsan.traces import ops as o
from streamsan.traces.recorder.annotate import current_name

CALL_NS = 1_000
_LAUNCH_NS = 5_000
LINK_BYTES_PER_NS = 25
"""About what PCIe 4 x16 moves between host and device: 25 GB a second."""


class Work(Allocations):
    """A machine that queues work."""

    def launch(  # noqa: PLR0917 - named by all callers
        self,
        queue: Queue,
        name: str,
        run: Callable[[], object],
        reads: Iterable[o.RangeSpec],
        writes: Iterable[o.RangeSpec],
        cost: int = 0,
    ) -> int:
        """Queue a kernel."""
        host = self.enter()
        site = self.site(host)
        name = current_name() or name
        start, begin, end = self._spend(queue, _LAUNCH_NS + cost)
        op = self.recorder.add(
            o.Launch(
                stream=queue.name, name=name, reads=tuple(reads), writes=tuple(writes),
                device=queue.device, thread=host.name, site=site,
                t=start, t_end=self.engine.now, begin=begin, end=end,
            )
        )  # fmt: skip
        self.engine.issue(queue, Item(run, name, op, site))
        return op

    def memcpy(  # noqa: PLR0917 - named by all callers
        self,
        queue: Queue,
        run: Callable[[], object] | None,
        src: o.RangeSpec,
        dst: o.RangeSpec,
        kind: Any,
        via: str,
        *,
        blocking: bool,
        cost: int = 0,
    ) -> int:
        """Queue a copy. The caller drains the stream afterwards where the host has to wait."""
        host = self.enter()
        site = self.site(host)
        start, begin, end = self._spend(queue, _LAUNCH_NS + cost + self._link(kind, src, dst))
        op = self.recorder.add(
            o.Memcpy(
                stream=queue.name, src=src, dst=dst, async_=not blocking, kind=kind, via=via,
                name=current_name(),
                wait="stream" if blocking else None, device=queue.device, thread=host.name,
                site=site, t=start, begin=begin, end=end,
            )
        )  # fmt: skip
        if run is not None:
            self.engine.issue(queue, Item(run, f"copy {kind}", op, site))
        return op

    def drain(self, queue: Queue) -> None:
        """Let the host wait for a stream, as part of another call."""
        self._wait(queue.place, queue.clock)
        self.engine.raise_failure()

    def _wait(self, place: Place, time: int) -> None:
        """Let the host wait for a place, which is done at a simulated time."""
        self.engine.advance(time)
        self.engine.drain(place)

    def _spend(self, queue: Queue, cost: int) -> tuple[int, int, int]:
        """Let time go by for a call; give when it was made, and when its work begins and ends."""
        start = self.engine.now
        self.engine.now += CALL_NS
        begin = max(queue.clock, self.engine.now)
        queue.clock = begin + cost
        return start, begin, queue.clock

    def _link(self, kind: Any, *ends: o.RangeSpec) -> int:
        """Give how long the bytes of a copy take between host and device, ns."""
        if kind not in ("H2D", "D2H"):
            return 0
        return max(map(self._size, ends)) // LINK_BYTES_PER_NS

    def _size(self, span: o.RangeSpec) -> int:
        if isinstance(span, str):
            ref = self.live.get(span)
            block = None if ref is None else ref()
            return 0 if block is None else block.nbytes
        if isinstance(span, tuple):
            return span[2]
        return math.prod(span.shape) * span.itemsize
