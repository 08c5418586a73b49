"""Scenarios held against the checkers: is the bug found, is it real, is the fix silent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamsan.checkers import check
from streamsan.checkers.finding import Finding
from streamsan.checkers.settings import Settings

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scenarios.outcome import Played
    from streamsan.sim.scheduler.scenarios.scenario import Expect, Scenario
    from streamsan.traces import Trace

_SERIAL = re.compile(r"#\d+$")
_RACES = ("SO1", "SO2")
_TRIES = 8
"""Pairs of a finding that are tried: one may be wrong without a token that shows it."""


@dataclass(frozen=True)
class Verdict:
    """What the checkers say of one variant.

    Args:
        scenario: its name.
        variant: ``buggy`` or ``fixed``.
        findings: all of them.
        missing: what the buggy variant should have given, in words.
        extra: errors that nobody expects.
        wrong: requests whose tokens are not the oracle's, in words.
    """

    scenario: str
    variant: str
    findings: tuple[Finding, ...]
    missing: tuple[str, ...] = ()
    extra: tuple[Finding, ...] = ()
    wrong: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether it is as the scenario says."""
        return not (self.missing or self.extra) and (self.variant == "buggy" or not self.wrong)


@dataclass(frozen=True)
class Evidence:
    """How a bug shows.

    Args:
        kind: ``tokens`` or ``values`` that come out wrong.
        told: which, in words.
        op: the op that was held back; None where every run is wrong.
    """

    kind: str
    told: str
    op: int | None = None

    def __str__(self) -> str:
        when = "in every run" if self.op is None else f"with op {self.op} held back"
        return f"wrong {self.kind} {when}: {self.told}"


def label(trace: Trace, op: int) -> str:
    """Name an op as scenarios do: ``publish@F``, a field, an event, a call."""
    view = trace[op]
    word = view.word
    if word.startswith("slot_"):
        return str(view.obj).rpartition(".")[2]
    name = view.obj if word.startswith("event_") else view.name or word
    stream = view.stream
    return _bare(str(name)) + (f"@{stream}" if stream else "")


def _bare(name: str) -> str:
    return _SERIAL.sub("", name)


def matches(trace: Trace, finding: Finding, expect: Expect) -> bool:
    """Whether a finding is the expected one: rule, ops and buffer."""
    labels = [label(trace, op) for op in finding.ops]
    first, second = (labels[0], labels[-1]) if labels else ("", "")
    if len(labels) == 1:
        first = ""
    return (
        finding.rule == expect.rule
        and _is(first, expect.first)
        and _is(second, expect.second)
        and (not expect.buffer or _bare(finding.buffer or "") == expect.buffer)
    )


def _is(found: str, wanted: str) -> bool:
    return not wanted or (found.endswith(wanted) if wanted.startswith("@") else found == wanted)


def judge(scenario: Scenario, played: Played, variant: str) -> Verdict:
    """Check one run against what the scenario expects; nothing is confirmed yet."""
    trace = played.trace
    if trace is None:
        raise ValueError("the run was not recorded")
    findings = tuple(check(trace))
    expected = scenario.expect if variant == "buggy" else ()
    left = list(findings)
    missing = []
    for each in expected:
        found = next((f for f in left if matches(trace, f, each)), None)
        if found is None:
            missing.append(" ".join(filter(None, (each.rule, each.first, each.second))))
        else:
            left.remove(found)
    allowed = scenario.allow if variant == "buggy" else ()
    errors = tuple(
        f
        for f in left
        if f.severity == "error"
        and f.rule not in allowed
        and not any(matches(trace, f, each) for each in expected)
    )
    return Verdict(scenario.name, variant, findings, tuple(missing), errors, played.wrong)


def pairs_of(scenario: Scenario, trace: Trace) -> Iterable[tuple[Expect, Finding]]:
    """Give each pair of the expected races: all of them, not one a cause."""
    for finding in check(trace, Settings(every=True)):
        for expect in scenario.expect:
            if finding.rule.startswith(_RACES) and matches(trace, finding, expect):
                yield expect, finding


def confirm(scenario: Scenario, played: Played, steps: int | None = None) -> Evidence | None:
    """Say how the bug shows: in wrong tokens always, or in a directed run of the program.

    In the directed run the first op of a pair is held back as long as is legal. Tokens that come
    out wrong are looked for first; else it is a value that the host or a kernel read.
    """
    from streamsan.sim.scheduler.scenarios.outcome import difference
    from streamsan.sim.scheduler.scenarios.play import play

    if played.wrong:
        first = played.wrong[0]
        return Evidence("tokens" if first.startswith("request") else "values", first)
    if scenario.buggy is None or played.trace is None:
        return None
    value = None
    held_back = dict.fromkeys(f.ops[0] for _, f in pairs_of(scenario, played.trace))
    for op in list(held_back)[:_TRIES]:
        held = play(scenario.buggy, scenario.asks, policy=f"directed({op})", steps=steps,
                    record=False)  # fmt: skip
        told = difference(held.outcome, played.outcome)
        if told is not None and told.startswith("request"):
            return Evidence("tokens", told, op)
        if told is not None and value is None:
            value = Evidence("values", told, op)
    return value
