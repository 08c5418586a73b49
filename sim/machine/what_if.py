"""When each op would run if the program were changed so, and how much sooner all would be over.

``timeline.py`` makes a trace a network of moments; ``timeline_recorded.py`` (with the guesses of
``timeline_guess.py``) gives its steps the lengths that were recorded, ``timeline_modelled.py``
those of a model; ``timeline_run.py`` replays it. A ``Change`` is applied to the network
(``what_if_changes.py``), or, where it binds ops anew, to the program (``what_if_program.py``). A
run is read with ``what_if_run.py``, two are compared with ``what_if_results.py``.

A replay of recorded times gives the recorded times again. What a change does not show (work that
no longer has the device to itself, a host that does something else meanwhile) is not in it: it is a
prediction for this run, not a measurement. Times decide no verdict.

    what = WhatIf(trace)  # as recorded; WhatIf(trace, costs=Costs()): by a model
    if what.reason is None:
        what.predict(Change(remove=(7,))).gain
"""

from __future__ import annotations

from functools import cached_property

from streamsan.sim.machine.timeline import Timeline
from streamsan.sim.machine.timeline_modelled import Costs, model
from streamsan.sim.machine.timeline_moments import NOWHERE, Step
from streamsan.sim.machine.timeline_recorded import Timed, measure
from streamsan.sim.machine.timeline_run import Steps, lengths, play, walk
from streamsan.sim.machine.what_if_changes import Change, changed_steps
from streamsan.sim.machine.what_if_program import changed_program, check, is_of_program, measured_as
from streamsan.sim.machine.what_if_results import MOST_ERROR, Prediction, Replay, untimed
from streamsan.sim.machine.what_if_run import Run
from streamsan.traces.model import Trace
from streamsan.traces.ops import Semantics


class WhatIf:
    """Replays one trace, as it is and with changes. ``reason`` says why it cannot, None if it can.

    Args:
        trace: the trace.
        semantics: switches; those of the trace's header by default.
        costs: a model of durations; without, they are the recorded ones.
    """

    def __init__(
        self, trace: Trace, semantics: Semantics | None = None, costs: Costs | None = None
    ) -> None:
        """Time the trace, if it has times or a model is given."""
        self.trace, self._semantics, self._costs = trace, semantics, costs
        self._timed: Timed | None = None
        self.reason = untimed(trace) if costs is None else None
        if costs is not None:
            self._timed = model(self._line(trace), costs)
        elif self.reason is None:
            self._timed = measure(self._line(trace))
            if self._timed is None:
                self.reason = "the trace goes round in a circle"
            elif self.replay.error > MOST_ERROR:
                self.reason = f"the replay misses the recorded time by {self.replay.error:.0%}"

    def _line(self, trace: Trace) -> Timeline:
        return Timeline(trace, self._semantics, recorded=self._costs is None)

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
        return len(self.timed.seen)

    @cached_property
    def run(self) -> Run:
        """The run as it is."""
        return Run(self.timed, _times(self.timed, {}), {})

    @cached_property
    def replay(self) -> Replay:
        """How well recorded times are given again."""
        timed = self.timed
        return Replay(
            recorded=max(timed.seen) - min(timed.seen),
            replayed=self.run.makespan,
            usual=max(_times(timed, _usual(timed))) - min(timed.seen),
            contradicted=len(timed.contradicted),
            guessed=timed.guessed,
        )

    def predict(self, change: Change) -> Prediction:
        """Replay the run with a change.

        Raises:
            IndexError: the trace has not an op of the change.
            ValueError: there is nothing to replay, or an op has no stream and needs one.
        """
        check(self.trace, change)
        timed = self.timed
        if self._costs is not None or is_of_program(self.trace, change):
            timed = self._changed(change)
        if change.edge:  # what has to wait now came before what it waits for
            timed = timed._replace(order=None)
        steps = changed_steps(timed, change)
        return Prediction(self.run, Run(timed, _times(timed, steps, self.run.times), steps))

    def _changed(self, change: Change) -> Timed:
        line = self._line(changed_program(self.trace, change))
        if self._costs is not None:
            return model(line, self._costs)
        return measured_as(self.timed, line, frozenset(op for op, _ in change.move))


def _times(timed: Timed, steps: Steps, latest: list[int] | None = None) -> list[int]:
    """Give when each moment comes; see ``lengths``."""
    moments = timed.line.moments
    if timed.order is None:
        at = lengths(moments, timed.seen, steps)
        return play(moments, at, steps, timed.engines).times
    return walk(timed.order, lengths(moments, timed.seen, steps, latest))


def _usual(timed: Timed) -> dict[int, Step]:
    """Give the beginnings of all work, each as late as is usual."""
    line, usual = timed.line, timed.usual
    begins = [line.begin[op] for op in line.works]
    return {
        begin: line.moments.step(begin)._replace(lag=usual.launch, gap=usual.gap)
        for begin in begins
        if line.moments.first[begin] != NOWHERE
    }
