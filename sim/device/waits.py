"""How streams and the host wait: events, synchronisation, queries."""

from __future__ import annotations

from streamsan.sim.device.hosts import Host
from streamsan.sim.device.queues import Item, Place, Queue
from streamsan.sim.device.work import CALL_NS, Work
from streamsan.traces import ops as o

_POLLS = 4
"""Queries of unfinished work that answer no, before the work is made to finish."""


class Capture:
    """A generation of an event: the place in the queue, and the simulated time it is done."""

    __slots__ = ("place", "polls", "time")

    def __init__(self, place: Place, time: int) -> None:
        self.place = place
        self.time = time
        self.polls = 0


class Waits(Work):
    """A machine that can be waited for."""

    def synchronize(self, queue: Queue) -> None:
        """Wait for a stream (R9)."""
        with self.lock:
            host = self.enter()
            self.recorder.add(
                o.StreamSynchronize(
                    stream=queue.name, device=queue.device, thread=host.name,
                    site=self.site(host), t=self.engine.now,
                )
            )  # fmt: skip
            self.engine.point()
            self.drain(queue)

    def synchronize_device(self, device: int) -> None:
        """Wait for all streams of a device (R10)."""
        with self.lock:
            host = self.enter()
            self.recorder.add(
                o.DeviceSynchronize(
                    device=device, thread=host.name, site=self.site(host), t=self.engine.now
                )
            )
            self._wait_for_device(device)

    def _wait_for_device(self, device: int) -> None:
        self.engine.point()
        clocks = [q.clock for q in self.engine.queues.values() if q.device == device]
        self.engine.advance(max(clocks))
        self.engine.drain_all(device)
        self.engine.raise_failure()

    def empty_cache(self, device: int) -> None:
        """Give a device's unused segments back by cudaFree, which waits for the device (R27).

        Before that, as in torch's allocator, the host waits for what withholds freed blocks. The
        record names no event for it, and a segment only at its end.
        """
        with self.lock:
            host = self.enter()
            arena = self.arenas[device]
            for place in arena.withheld_for():
                self.engine.drain(place)
            sizes = arena.release()
            for size in sizes:
                self._record_free(self.name("segment"), size, device, host)
            if sizes:
                self._wait_for_device(device)

    def _record_free(self, segment: str, size: int, device: int, host: Host) -> None:
        """Record a cudaFree; only what was allocated can be freed."""
        site = self.site(host)
        self.recorder.add(
            o.Malloc(buffer=segment, bytes=size, device=device, thread=host.name, site=site)
        )
        self.recorder.add(
            o.Free(
                buffer=segment, device=device, thread=host.name, site=site, t=self.engine.now
            )
        )  # fmt: skip

    def query(self, queue: Queue, polls: int) -> bool:
        """Ask a stream whether its work is done (R8); ``polls`` answers were no before."""
        with self.lock:
            host = self.enter()
            self.engine.point()
            done = self._answer(queue.place, queue.clock, polls)
            self.recorder.add(
                o.StreamQuery(
                    stream=queue.name, result="success" if done else "not_ready",
                    device=queue.device, thread=host.name, site=self.site(host),
                )
            )  # fmt: skip
            return done

    def _answer(self, place: Place, time: int, polls: int) -> bool:
        """Say no as long as is legal, but let a loop of polls come to an end."""
        if place.done or polls >= _POLLS:
            self._wait(place, time)
        self.engine.raise_failure()
        return place.done

    def record_event(self, event: str, queue: Queue) -> Capture:
        """Capture what a stream holds (R3)."""
        with self.lock:
            host = self.enter()
            self.recorder.add(
                o.EventRecord(
                    event=event, stream=queue.name, device=queue.device, thread=host.name,
                    site=self.site(host), t=self.engine.now, t_end=self.engine.now + CALL_NS,
                )
            )  # fmt: skip
            self.engine.now += CALL_NS
            self.engine.point()
            return Capture(queue.place, max(self.engine.now, queue.clock))

    def wait_event(self, event: str, capture: Capture | None, queue: Queue) -> None:
        """Let later work of a stream wait for a capture (R6); without one, nothing (R5)."""
        with self.lock:
            host = self.enter()
            site = self.site(host)
            op = self.recorder.add(
                o.StreamWaitEvent(
                    stream=queue.name, event=event, device=queue.device, thread=host.name,
                    site=site, t=self.engine.now, t_end=self.engine.now,
                )
            )  # fmt: skip
            if capture is None:
                self.engine.point()
                return
            queue.clock = max(queue.clock, capture.time)
            if capture.place.queue is queue or capture.place.done:
                self.engine.point()
            else:
                self.engine.issue(queue, Item(None, "wait", op, site, capture.place))

    def synchronize_event(self, event: str, capture: Capture | None) -> None:
        """Wait for a capture (R7)."""
        with self.lock:
            host = self.enter()
            self.recorder.add(
                o.EventSynchronize(
                    event=event, thread=host.name, site=self.site(host), t=self.engine.now
                )
            )
            self.engine.point()
            if capture is not None:
                self._wait(capture.place, capture.time)
            self.engine.raise_failure()

    def query_event(self, event: str, capture: Capture | None) -> bool:
        """Ask whether a capture is done (R8); an event never recorded is (R5)."""
        with self.lock:
            host = self.enter()
            self.engine.point()
            done = True
            if capture is not None:
                done = self._answer(capture.place, capture.time, capture.polls)
                capture.polls += 1
            self.recorder.add(
                o.EventQuery(
                    event=event, result="success" if done else "not_ready", thread=host.name,
                    site=self.site(host),
                )
            )  # fmt: skip
            return done
