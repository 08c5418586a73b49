"""Directed runs: one op is held back as long as is legal, and all else runs."""

from __future__ import annotations

from streamsan.sim.machine.issue import compile_trace
from streamsan.sim.machine.outcome import Outcome, outcome_of
from streamsan.sim.machine.program import actions
from streamsan.sim.machine.reach import hold, stages, steps_of
from streamsan.sim.machine.reach import run as take
from streamsan.sim.machine.schedule import run_on, write
from streamsan.traces.model import Trace
from streamsan.traces.ops import Semantics


def run_held(trace: Trace, op: int, semantics: Semantics | None = None) -> tuple[Outcome, str]:
    """Hold an op back, run all else that can run, and then what is left; give the schedule too.

    Raises:
        IndexError: an op that the trace has not.
    """
    if not 0 <= op < len(trace):
        raise IndexError(f"the trace has no op {op}")
    program = compile_trace(trace, semantics)
    mine = [place for place, action in actions(program) if action.op == op and action.touches]
    ahead = hold(program, mine).counts
    state = run_on(program, take(program, steps_of(program, stages(program, [ahead]))))
    return outcome_of(program, state), write(program, (), [ahead])
