"""The abstract machine: it runs a trace, explores its legal schedules, and finds witnesses.

Written from the rules of cuda-ordering.md and independent of ``traces.order``, so that either can
judge the other. What it does not model stands in ``issue.py``::

    from streamsan.sim.machine import confirm, explore, judge

    found = explore(trace)              # every distinct outcome, with a schedule for each
    witness = confirm(trace, (0, 1))    # two schedules that disagree about a pair of ops

Apart from it, and on the order of ``traces.order``, stands the replay in time (``what_if.py``):
when each op would run if the program were changed so. It decides no verdict. Where things are:

- a trace as a program: ``program``, ``issue`` (``draft``, ``slots``, ``cells``, ``bind`` and the
  families ``device_ops``, ``host_ops``, ``memory_ops``);
- running it: ``state``, ``schedule``, ``outcome``, ``stuck``;
- choosing schedules: ``explore``, ``reduce``, ``sample``, ``directed``, ``reach``, ``pairs``;
- witnesses: ``witness``, ``duel``, ``story``; what a wait is good for: ``slack``;
- time: ``timeline`` (``timeline_moments``), how long its steps take (``timeline_recorded`` with
  ``timeline_guess``, or ``timeline_modelled``), its replay (``timeline_run``); changes of it
  (``what_if_changes``, ``what_if_program``) and what they give (``what_if_run``,
  ``what_if_results``), all through ``what_if``.
"""

from streamsan.sim.machine.directed import run_held
from streamsan.sim.machine.explore import Exploration, Found, explore
from streamsan.sim.machine.issue import compile_trace
from streamsan.sim.machine.outcome import Outcome, describe, outcome_of
from streamsan.sim.machine.pairs import both_ways, races
from streamsan.sim.machine.program import Program
from streamsan.sim.machine.sample import explore_pct, explore_random
from streamsan.sim.machine.schedule import ScheduleError, replay
from streamsan.sim.machine.stuck import circles
from streamsan.sim.machine.witness import Judge, Verdict, Witness, confirm, judge

__all__ = [
    "Exploration", "Found", "Judge", "Outcome", "Program", "ScheduleError", "Verdict", "Witness",
    "both_ways", "circles", "compile_trace", "confirm", "describe", "explore", "explore_pct",
    "explore_random", "judge", "outcome_of", "races", "replay", "run_held",
]  # fmt: skip
