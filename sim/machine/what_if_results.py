"""What a replay gives: the run as it was, what a change brings, or why a trace cannot be replayed.

All times are ns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from streamsan.traces.model import NONE, Trace
from streamsan.traces.ops import Kind

LEAST_TIMED = 0.9
"""The share of device work that must have times on the device, for anything to be predicted."""
LEAST_CALLED = 0.5
"""The share of device work whose call must have a time: the rest was launched before the trace."""
MOST_ERROR = 0.02
"""A replay of the unchanged run that is off by more than this share predicts nothing."""
_WORK = (Kind.LAUNCH, Kind.MEMCPY, Kind.MEMSET, Kind.GRAPH_LAUNCH, Kind.COLLECTIVE)


@dataclass(frozen=True, slots=True)
class Replay:
    """The unchanged run, replayed. Times in ns.

    Args:
        recorded: from the first recorded time to the last.
        replayed: the same in the replay.
        usual: the same where every step from call to work and from work to work takes as long as
            is usual in this trace; how far it is from ``recorded`` is what the order explains not.
        host_wait: how long host threads wait, together.
        contradicted: host waits that the recorded times contradict; left out.
        guessed: waits whose cause was guessed from times, because the trace does not say it.
    """

    recorded: int
    replayed: int
    usual: int
    host_wait: int
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


class Prediction(NamedTuple):
    """What a change brings. Times in ns.

    ``gain``: how much sooner the run is over. ``host_gain``: how much less its threads wait.
    ``payer`` is the op whose wait grows most (None where none does), by ``payer_ns``; ``moved`` is
    what all waits that grow grow by.
    """

    gain: int
    host_gain: int
    payer: int | None
    payer_ns: int
    moved: int


def untimed(trace: Trace) -> str | None:
    """Say why a trace has too few times to be replayed; None where it has enough."""
    work = np.isin(trace.kind, _WORK)
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
