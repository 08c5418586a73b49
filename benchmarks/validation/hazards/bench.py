"""One worker of ``hazards``: programs run again and again under delays, until one shows its bug."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from validation.part import Context
from validation.recordings import trace_file

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scenarios.delays import Delay
    from streamsan.sim.scheduler.scenarios.outcome import Played
    from streamsan.sim.scheduler.scenarios.scenario import Scenario
    from streamsan.traces import Trace

SHORT_MS, LONGEST_MS = 0.2, 5.0
"""Delays of fixed programs, drawn by their logarithm."""
CLOCK = "hazards", "clock.json"
"""How many cycles make a millisecond, measured before the workers share the device."""
CONTROLS = 10
"""A control has no bug to be without: a tenth of the tries."""
_KEEP_EVERY = 25


@dataclass(frozen=True)
class Task:
    """A variant of a scenario under an allocator of torch."""

    scenario: str
    variant: str
    allocator: str

    def __str__(self) -> str:
        return f"{self.scenario}:{self.variant}:{self.allocator}"


def result_file(task: Task) -> tuple[str, str]:
    """Give where the result of a task is kept."""
    return "hazards", f"{task.scenario}_{task.variant}_{task.allocator.replace(' ', '_')}.json"


def work(context: Context, tasks: list[Task]) -> None:
    """Carry out tasks one by one, while there is time and the device still answers."""
    from streamsan.sim.scheduler.scenarios import find_scenario

    per_ms = context.folder.read(*CLOCK)["cycles_per_ms"]
    for task in tasks:
        scenario = find_scenario(task.scenario)
        if scenario is None or context.left < 0:
            return
        bench = _Bench(context, scenario, task, per_ms)
        if task.variant == "buggy":
            bench.provoke()
        else:
            bench.endure()
        if bench.broken:
            return


class _Bench:
    """One task: its program, its reference, and what came of it so far."""

    def __init__(self, context: Context, scenario: Scenario, task: Task, per_ms: float) -> None:
        self.broken = False
        self._context, self._scenario, self._task, self._per_ms = context, scenario, task, per_ms
        buggy = task.variant == "buggy" and scenario.buggy is not None
        self._args = scenario.buggy if buggy and scenario.buggy is not None else scenario.fixed
        found = context.folder.read(*result_file(task)) or {"finished": False, "tries": 0}
        self._found: dict[str, Any] = found
        self._keep()  # begun: should this process die, it is known of what

    def _keep(self, **more: Any) -> None:
        self._found.update(more)
        self._context.folder.write(self._found, *result_file(self._task))

    def _play(self, delays: tuple[Delay, ...], serial: bool) -> tuple[Played, Counter[str]]:
        from streamsan.sim.scheduler.scenarios.play import play_delayed

        return play_delayed(
            self._args, self._scenario.asks, delays, device=self._context.device, serial=serial
        )

    # -- a buggy program

    def provoke(self) -> None:
        """Delay the first op of each pair that was found, until something comes out wrong."""
        from streamsan.commands.hall.provoking import provoke

        found = provoke(self._scenario, self._trace(), self._play, self._per_ms)
        kind, told = found.wrong or ("", "")
        self.broken = found.broken
        more = {"error": found.error} if found.error else {}
        self._keep(
            finished=True, tries=found.tries, kind=kind, told=told, delay=found.delay,
            undelayed=found.undelayed, **more,
        )  # fmt: skip

    def _trace(self) -> Trace:
        from streamsan.traces import load

        return load(str(trace_file(self._context, self._scenario, "buggy")))

    # -- a fixed program

    def endure(self) -> None:
        """Delay here and there, many times: nothing may come out wrong."""
        from streamsan.commands.hall.provoking import is_broken, refer, told_wrong

        reference = refer(self._play)
        labels, wrong = reference.labels, reference.played.wrong
        if wrong:
            error = f"wrong even when nothing overlaps: {wrong[0]}"
            self._keep(finished=True, error=error)
            return
        if reference.unstable:
            self._keep(unstable=sorted(reference.unstable))
        aim = self._context.tries
        aim = aim if self._scenario.buggy is not None else max(aim // CONTROLS, 1)
        favoured = self._favoured(labels)
        failures = self._found.setdefault("failures", [])
        for turn in range(self._found["tries"], aim):
            if self._context.left < 0 or self.broken:
                self._keep()
                return
            delay = self._drawn(turn, labels, favoured)
            shown = told_wrong(self._play((delay,), False)[0], reference)
            if shown is not None:
                failures.append({"told": shown.told, "delay": str(delay)})
                self.broken = is_broken(shown)
            self._found["tries"] = turn + 1
            if turn % _KEEP_EVERY == 0:
                self._keep()
        self._keep(finished=True)

    def _favoured(self, labels: Counter[str]) -> list[str]:
        """Give the labels that the buggy program is delayed at, as far as they are here too."""
        if self._scenario.buggy is None or self._scenario.wrong == "always":
            return []
        from streamsan.commands.hall.provoking import witnesses

        found = dict.fromkeys(each.label for each in witnesses(self._scenario, self._trace()))
        return [name for name in found if labels[name]]

    def _drawn(self, turn: int, labels: Counter[str], favoured: list[str]) -> Delay:
        """Draw a delay: at the witness's own places every other time, anywhere else."""
        from streamsan.sim.scheduler.scenarios.delays import Delay

        draw = random.Random(f"{self._task} {turn}")  # noqa: S311 - so that a run can be repeated
        label = draw.choice(favoured if favoured and turn % 2 == 0 else sorted(labels))
        ms = SHORT_MS * (LONGEST_MS / SHORT_MS) ** draw.random()
        return Delay(label, draw.randrange(labels[label]), round(ms * self._per_ms))
