"""What a change brings, how well recorded times are given again, or why they cannot be.

All times are ns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from streamsan.sim.machine.timeline import WORK
from streamsan.sim.machine.what_if_run import Run
from streamsan.traces.model import NONE, Trace

LEAST_TIMED = 0.9
"""The share of device work that must have times on the device, for anything to be predicted."""
LEAST_CALLED = 0.5
"""The share of device work whose call must have a time: the rest was launched before the trace."""
MOST_ERROR = 0.02
"""A replay of the unchanged run that is off by more than this share predicts nothing."""


@dataclass(frozen=True, slots=True)
class Replay:
    """How well the unchanged run is given again.

    Args:
        recorded: from the first recorded time to the last.
        replayed: the same in the replay.
        usual: the same where every step from call to work and from work to work takes as long as
            is usual in this trace; how far it is from ``recorded`` is what the order explains not.
        contradicted: host waits that the recorded times contradict; left out.
        guessed: waits whose cause was guessed from times, because the trace does not say it.
    """

    recorded: int
    replayed: int
    usual: int
    contradicted: int
    guessed: int

    @property
    def error(self) -> float:
        """How far the replay is from the record, as a share of it."""
        return abs(self.replayed - self.recorded) / self.recorded if self.recorded else 0.0

    @property
    def unexplained(self) -> float:
        """How far the replay with usual delays is from the record, as a share of it."""
        return abs(self.usual - self.recorded) / self.recorded if self.recorded else 0.0


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a change brings: the run as it was, and with the change."""

    before: Run
    after: Run

    @property
    def gain(self) -> int:
        """How much sooner the run is over; below zero, how much later."""
        return self.before.makespan - self.after.makespan

    @property
    def host_gain(self) -> int:
        """How much less the host's threads wait."""
        return sum(self.before.waits.values()) - sum(self.after.waits.values())

    @property
    def payer(self) -> int | None:
        """The op whose wait grows most; None where none does."""
        return max(self._grown, key=lambda op: self._grown[op], default=None)

    @property
    def payer_ns(self) -> int:
        """By how much the payer's wait grows."""
        return max(self._grown.values(), default=0)

    @property
    def moved(self) -> int:
        """What all waits that grow grow by."""
        return sum(self._grown.values())

    @cached_property
    def _grown(self) -> dict[int, int]:
        before = self.before.waits
        more = {op: ns - before.get(op, 0) for op, ns in self.after.waits.items()}
        return {op: ns for op, ns in more.items() if ns > 0}


def untimed(trace: Trace) -> str | None:
    """Say why a trace has too few times to be replayed; None where it has enough."""
    work = np.isin(trace.kind, WORK)
    count = int(work.sum())
    timed = int(((trace.begin != NONE) & (trace.end != NONE))[work].sum())
    called = int((trace.t != NONE)[work].sum())
    if not timed:
        return "the trace has no times of device work"
    if timed < LEAST_TIMED * count:
        return f"{count - timed} of {count} ops of device work have no times"
    if called < LEAST_CALLED * count:
        return f"the calls of {count - called} of {count} ops of device work have no times"
    return None
