"""The simulated machine: devices, streams, memory, schedule and record of one process.

Everything that the program asks of it passes here, under one lock: what a call does to the
queues, and which op of the trace it is, are decided together. Nothing here knows of tensor
subclasses; those come on top.
"""

from __future__ import annotations

import torch

from streamsan.sim.device.waits import Waits
from streamsan.traces.model import Trace


class Runtime(Waits):
    """The one simulated machine of this process."""

    def trace(self, path: str = "-") -> Trace:
        """Give the trace of the run so far."""
        with self.lock:
            self.flush()
            return self.recorder.trace(self.config.devices, str(torch.__version__), path)

    def schedule(self) -> str:
        """Give the run's schedule, as a string that replays it."""
        return self.engine.schedule


RT = Runtime()
"""The machine. Made with the defaults; ``install`` and ``session`` start it anew."""
