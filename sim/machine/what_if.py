"""How much sooner a run would have been over without a copy, or a wait.

The recorded run is replayed on its own timeline, which gives the recorded times again; then with a
change. Every moment can only come sooner: a gain is never negative and never more than the whole
run. What a change does not show (work that no longer has the device to itself, a host that does
something else meanwhile) is not in it: it is a prediction for this run, not a measurement.

    run = WhatIf(trace)
    if run.reason is None:
        run.predict(Change(remove=(7,))).gain
"""

from __future__ import annotations

from functools import cached_property

from streamsan.sim.machine.timeline import NOWHERE, Timeline
from streamsan.sim.machine.timeline_lags import Timed, measure
from streamsan.sim.machine.what_if_changes import Change, Step, Steps
from streamsan.sim.machine.what_if_results import MOST_ERROR, Prediction, Replay, untimed
from streamsan.traces.model import NONE, Trace
from streamsan.traces.ops import Semantics
from streamsan.traces.order import HappensBefore


class WhatIf:
    """Replays one trace, as it was and with changes. ``reason`` says why it cannot, None if it can.

    Args:
        trace: the trace.
        semantics: switches; those of the trace's header by default.
    """

    def __init__(self, trace: Trace, semantics: Semantics | None = None) -> None:
        """Time the trace, if it has times."""
        self.trace = trace
        self.reason = untimed(trace)
        self._timed: Timed | None = None
        if self.reason is None:
            order = HappensBefore(trace, semantics)
            self._timed = None if order.clocks.stuck else measure(Timeline(trace, order))
            if self._timed is None:
                self.reason = "the trace goes round in a circle"
            elif self.replay.error > MOST_ERROR:
                self.reason = f"the replay misses the recorded time by {self.replay.error:.0%}"

    @property
    def timed(self) -> Timed:
        """The timed timeline.

        Raises:
            ValueError: there is none; ``reason`` says why.
        """
        if self._timed is None:
            raise ValueError(self.reason)
        return self._timed

    @property
    def moments(self) -> int:
        """How many moments a replay has: what it costs."""
        return len(self.timed.order)

    @cached_property
    def replay(self) -> Replay:
        """The run as it was."""
        timed, first, last = self.timed, min(self.timed.seen), max(self.timed.seen)
        return Replay(
            recorded=last - first,
            replayed=max(self._times) - first,
            usual=max(self._run(self._usual())) - first,
            host_wait=sum(self._blocked(self._times, {}).values()),
            contradicted=timed.contradicted,
            guessed=timed.guessed,
        )

    def predict(self, change: Change) -> Prediction:
        """Replay the run with a change."""
        changed = Steps(self.timed, change).changed
        times = self._again(changed)
        before, after = self._blocked_before, self._blocked(times, changed)
        grown = {op: after[op] - before[op] for op in after if after[op] > before[op]}
        payer = max(grown, key=lambda op: grown[op], default=None)
        return Prediction(
            gain=max(self._times) - max(times),
            host_gain=sum(before.values()) - sum(after.values()),
            payer=payer,
            payer_ns=0 if payer is None else grown[payer],
            moved=sum(grown.values()),
        )

    # --- runs

    @cached_property
    def _times(self) -> list[int]:
        return self._run({})

    @cached_property
    def _blocked_before(self) -> dict[int, int]:
        return self._blocked(self._times, {})

    @cached_property
    def _places(self) -> list[int]:
        """By moment: its place in the order."""
        found = [0] * len(self.timed.order)
        for place, moment in enumerate(self.timed.order):
            found[moment] = place
        return found

    @cached_property
    def _later(self) -> list[list[int]]:
        """By moment: the places of those that hang on it."""
        moments, places = self.timed.line.moments, self._places
        found: list[list[int]] = [[] for _ in places]
        for moment, first in enumerate(moments.first):
            for before in (first, *moments.others[moment]):
                if before >= 0:
                    found[before].append(places[moment])
        return found

    def _run(self, changed: dict[int, Step]) -> list[int]:
        times = self.timed.seen.copy()
        for moment in self.timed.order:
            times[moment] = self._at(moment, times, changed.get(moment))
        return times

    def _again(self, changed: dict[int, Step]) -> list[int]:
        """Run again only what a change reaches."""
        times, places, later, order = (
            self._times.copy(),
            self._places,
            self._later,
            self.timed.order,
        )
        dirty = bytearray(len(order))
        for moment in changed:
            dirty[places[moment]] = 1
        place = dirty.find(1)
        while place >= 0:
            moment = order[place]
            at = self._at(moment, times, changed.get(moment))
            if at < times[moment]:  # usual delays in place of its own must not make it later
                times[moment] = at
                for after in later[moment]:
                    dirty[after] = 1
            place = dirty.find(1, place + 1)
        return times

    def _at(self, moment: int, times: list[int], step: Step | None) -> int:
        """Give when a moment comes."""
        moments = self.timed.line.moments
        if step is None:
            first, others = moments.first[moment], moments.others[moment]
            lag, gap = moments.lag[moment], moments.gap[moment]
            if first < 0 and not others:
                return self.timed.seen[moment]
        else:
            first, lag, others, gap = step
        found = self._start if first < 0 else times[first] + lag
        for other in others:
            at = times[other] + gap
            found = max(found, at)
        return found

    @cached_property
    def _start(self) -> int:
        return min(self.timed.seen)

    def _usual(self) -> dict[int, Step]:
        """Give the beginnings of all work, each as late as is usual."""
        line, usual, found = self.timed.line, self.timed.usual, {}
        moments = line.moments
        for begin in line.begin:
            if begin >= 0 and moments.seen[begin] is not None and moments.first[begin] != NOWHERE:
                found[begin] = Step(
                    moments.first[begin], usual.launch, moments.others[begin], usual.gap
                )
        return found

    def _blocked(self, times: list[int], changed: dict[int, Step]) -> dict[int, int]:
        """Give how long each host wait waits."""
        line, found = self.timed.line, {}
        for op in self._waits:
            step = changed.get(line.back[op])
            others = line.moments.others[line.back[op]] if step is None else step.others
            over = max((times[other] for other in others), default=NONE)
            found[op] = max(0, over - times[line.call[op]])
        return found

    @cached_property
    def _waits(self) -> list[int]:
        return self.timed.line.waiting
