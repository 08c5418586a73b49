"""What can go wrong on the simulated device, in words that say what to do about it."""

from __future__ import annotations

from streamsan.traces.errors import StreamsanError


class SimulationError(StreamsanError, RuntimeError):
    """The simulated device cannot be installed, or cannot do what was asked of it."""


class UnsupportedError(SimulationError):
    """A call that the simulated device does not carry out; the message names it."""

    def __init__(self, call: str, instead: str) -> None:
        super().__init__(f"simcuda does not support {call}: {instead}")
        self.call = call


class KernelError(RuntimeError):
    """A queued kernel failed while it ran; told at a later call, as CUDA tells it."""

    def __init__(self, name: str, site: str, error: Exception) -> None:
        super().__init__(f"simcuda: {name}, launched at {site}, failed while it ran: {error}")


class ScheduleError(StreamsanError, ValueError):
    """A schedule string that cannot be read."""
