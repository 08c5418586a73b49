"""The write-after-read fence: scheduling must not change what the forward pass still reads."""

from __future__ import annotations

from typing import Any

from streamsan.sim.scheduler.config import Bug, ServerArgs
from streamsan.sim.scheduler.streams import Streams


class ReadDone:
    """The event behind the last read of a shared pool, published by a runner, consumed once."""

    def __init__(self, args: ServerArgs, streams: Streams) -> None:
        self.args = args
        self.streams = streams
        self.event: Any = None

    def publish(self) -> None:
        """Record it on the current stream."""
        if self.args.fence.startswith("fine"):
            self.event = self.streams.device.event("read_done")
            self.event.record()

    def fence(self, place: str) -> None:
        """Let S wait for F, if the fence stands at this place of the loop: ``top`` or ``post``.

        A fine fence without an event, after a pass that records none, is a coarse one.
        """
        S, F = self.streams.S, self.streams.F  # noqa: N806
        if not self.args.fence.endswith(place):
            return
        if self.event is None:
            S.wait_stream(F)
            return
        S.wait_event(self.event)
        if not self.args.has(Bug.READ_DONE_STALE):
            self.event = None
