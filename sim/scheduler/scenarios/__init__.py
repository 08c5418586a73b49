"""The scenarios: one program for each known bug, buggy and fixed, and the negative controls.

A scenario is data: what the scheduler is told, what is asked of it, and what a checker should say
of the buggy variant (``scenario``; ``main_pairs``, ``extra_pairs``, ``controls``, ``asks``).
``play`` runs one, with ``delays`` and ``notes`` of what kernels read if asked to; ``outcome`` is
what came of it. Pairs and their numbers are those of section 5 of ``spec/overlap-scheduler.md``.
"""

from __future__ import annotations

from streamsan.sim.scheduler.scenarios.scenario import Expect, Scenario

__all__ = ["Expect", "Scenario", "all_scenarios", "find_scenario"]


def all_scenarios() -> tuple[Scenario, ...]:
    """Give every scenario: the main pairs, the extra pairs, the controls."""
    from streamsan.sim.scheduler.scenarios import controls, extra_pairs, main_pairs

    return (*main_pairs.SCENARIOS, *extra_pairs.SCENARIOS, *controls.SCENARIOS)


def find_scenario(name: str) -> Scenario | None:
    """Give the scenario of a name; None where there is none."""
    return next((each for each in all_scenarios() if each.name == name), None)
