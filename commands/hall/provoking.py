"""Bugs made to show themselves on a device: a delay where a finding says that order is missing.

The first op of a pair that nothing orders is held up by work queued right before it; then the
second one overtakes it. It is the witness of the finding, run on the hardware.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from streamsan.commands.hall.scenarios import label, pairs_of

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scenarios.delays import Delay
    from streamsan.sim.scheduler.scenarios.outcome import Played
    from streamsan.sim.scheduler.scenarios.scenario import Scenario
    from streamsan.traces import Trace

ATTEMPTS = 60
"""Delayed runs before a bug counts as not reproduced."""
FOR_TOKENS = 8
"""Further runs, once a value came out wrong, in which to look for wrong tokens."""
LONG_MS = 20
"""Far longer than the host takes from the delayed op to the one that is to overtake it."""

Run = Callable[[tuple["Delay", ...], bool], "tuple[Played, Counter[str]]"]
"""Plays the program under delays, or serially: what came of it, and its ops by label."""


class Wrong(NamedTuple):
    """What came out wrong: ``tokens``, ``values`` or a ``failure``, and in words."""

    kind: str
    told: str


class Place(NamedTuple):
    """An op to be delayed: its label, and which of how many in the trace."""

    label: str
    nth: int
    among: int


@dataclass(frozen=True)
class Provoked:
    """What came of provoking a bug.

    Args:
        wrong: what came out wrong; None if nothing did.
        delay: before which op, in words.
        tries: how many delayed runs it took, or were made in vain.
        error: why it could not be tried.
        undelayed: whether it also came out wrong without a delay: then it proves the bug, and
            nothing of where the delay was.
    """

    wrong: Wrong | None
    delay: str = ""
    tries: int = 1
    error: str = ""
    undelayed: bool = False

    @property
    def broken(self) -> bool:
        """Whether the device is lost to this process."""
        return is_broken(self.wrong)


def is_broken(wrong: Wrong | None) -> bool:
    """Whether a failure is one after which CUDA answers this process no more."""
    return wrong is not None and wrong.kind == "failure" and "CUDA error" in wrong.told


class Reference(NamedTuple):
    """What the program does if no two ops overlap.

    Args:
        played: such a run; what differs from one of them to the next is left out of its outcome.
        labels: its ops by label.
        unstable: what was left out: some kernels of a GPU add up in any order.
    """

    played: Played
    labels: Counter[str]
    unstable: frozenset[str]


def refer(run: Run) -> Reference:
    """Play the program twice without overlap."""
    (played, labels), (again, _) = run((), True), run((), True)
    names = played.outcome.keys() | again.outcome.keys()
    unstable = {name for name in names if played.outcome.get(name) != again.outcome.get(name)}
    outcome = {name: value for name, value in played.outcome.items() if name not in unstable}
    return Reference(replace(played, outcome=outcome), labels, frozenset(unstable))


def told_wrong(played: Played, reference: Reference) -> Wrong | None:
    """Say what came out wrong in a run; None if nothing did."""
    from streamsan.sim.scheduler.scenarios.outcome import difference

    if played.wrong:
        first = played.wrong[0]
        return Wrong("tokens" if first.startswith("request") else "failure", first)
    kept = {name: each for name, each in played.outcome.items() if name not in reference.unstable}
    told = difference(kept, reference.played.outcome)
    return None if told is None else Wrong("values", told)


def witnesses(scenario: Scenario, trace: Trace) -> list[Place]:
    """Give the first op of each pair that the buggy scenario is expected to give."""
    names = [label(trace, op) for op in range(len(trace))]
    found = {}
    for _, finding in pairs_of(scenario, trace):
        op = finding.ops[0]
        found[op] = Place(names[op], names[:op].count(names[op]), names.count(names[op]))
    return list(found.values())


def provoke(scenario: Scenario, trace: Trace, run: Run, cycles_per_ms: float) -> Provoked:
    """Delay one op after another until something comes out wrong, tokens if possible.

    Args:
        scenario: the scenario; ``run`` plays its buggy variant.
        trace: of the buggy variant, recorded on any device.
        run: plays the program.
        cycles_per_ms: of the device's ``_sleep``.
    """
    reference = refer(run)
    wrong = reference.played.wrong
    if scenario.wrong == "always":
        return Provoked(told_wrong(reference.played, reference), "none is needed")
    if wrong:
        return Provoked(None, error=f"wrong even when nothing overlaps: {wrong[0]}")
    undelayed = told_wrong(run((), False)[0], reference) is not None
    best = Provoked(None, tries=0)
    tries = since = 0
    for delay in _delays(scenario, trace, reference.labels, round(LONG_MS * cycles_per_ms)):
        if tries == ATTEMPTS or since > FOR_TOKENS:
            break
        shown = told_wrong(run((delay,), False)[0], reference)
        tries += 1
        since += best.wrong is not None
        if shown is not None and (best.wrong is None or shown.kind != "values"):
            best = Provoked(shown, f"{delay.label}, number {delay.nth}", tries)
        if shown is not None and shown.kind != "values":
            break
    found = best if best.wrong is not None else Provoked(None, tries=tries)
    return replace(found, undelayed=undelayed)


def _delays(scenario: Scenario, trace: Trace, labels: Counter[str], cycles: int) -> Iterator[Delay]:
    """Give delays at the first ops of the pairs; later at all other ops of their labels.

    An op of the trace may be several of torch's, so its number is scaled.
    """
    from streamsan.sim.scheduler.scenarios.delays import Delay

    places = witnesses(scenario, trace)
    asked = dict.fromkeys((each.label, each.nth * labels[each.label] // each.among)
                          for each in places)  # fmt: skip
    for name in dict.fromkeys(each.label for each in places):
        asked.update(dict.fromkeys((name, nth) for nth in range(labels[name])))
    return (Delay(name, nth, cycles) for name, nth in asked if nth < labels[name])
