"""Findings in the machine: where rules and machine, which do not know each other, meet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from streamsan.checkers.finding import Finding
    from streamsan.checkers.settings import Switches
    from streamsan.sim.machine import Judge, Verdict
    from streamsan.traces import Trace
    from streamsan.traces.ops import Semantics

AT_MOST = 200
"""Findings of one trace that are looked into."""
PAIR = 2
_PAIRS = ("SO1", "SO2", "SO7")
_HANGS = ("SO601", "SO602", "SO603")


class Looked(NamedTuple):
    """What looking into a finding showed, and the reading of the trace that showed it."""

    verdict: Verdict
    judge: Judge


class Confirmer:
    """Looks into findings of one trace; the trace is read once for each reading of the rules."""

    def __init__(self, trace: Trace, switches: Switches = ()) -> None:
        """Take a trace, and switches that replace those of its header."""
        import msgspec

        self.trace = trace
        self.given = msgspec.structs.replace(trace.header.semantics, **dict(switches))
        self._judges: dict[Semantics, Judge] = {}

    def look(self, finding: Finding) -> Looked | None:
        """Look into a finding; None for one that no schedule shows or refutes (costs, hints).

        A finding that is only possible is also tried under the weakest promises.
        """
        from streamsan.traces.ops import LEAST_PROMISE

        found = self._under(self.given, finding)
        if found is None or found.verdict.confirmed or finding.confidence == "certain":
            return found
        weakest = self._under(LEAST_PROMISE, finding)
        if weakest is None or not weakest.verdict.confirmed:
            return found
        reason = f"{weakest.verdict.reason}, under the weakest promises (--semantics strict)"
        return weakest._replace(verdict=weakest.verdict._replace(reason=reason))

    def _under(self, semantics: Semantics, finding: Finding) -> Looked | None:
        from streamsan.sim.machine import Judge

        if not finding.rule.startswith((*_PAIRS, *_HANGS)) or not finding.ops:
            return None
        if semantics not in self._judges:
            self._judges[semantics] = Judge(self.trace, semantics)
        judge = self._judges[semantics]
        verdict: Verdict | None
        if finding.rule in _HANGS:
            verdict = judge.hang(*finding.ops)
        elif len(finding.ops) == PAIR:
            verdict = judge.pair(finding.ops[0], finding.ops[1], finding.nodes)
        else:
            verdict = judge.taking(finding.ops[0])
        return None if verdict is None else Looked(verdict, judge)


def in_words(verdict: Verdict) -> str:
    """Say what became of a finding, for reports."""
    if verdict.confirmed:
        return verdict.reason
    return f"not reproduced within bounds: {verdict.reason.removeprefix('not reproduced: ')}"


def confirmed(
    trace: Trace, findings: tuple[Finding, ...], switches: Switches = ()
) -> tuple[Finding, ...]:
    """Give the findings with their witnesses, and with what became of each in ``details``.

    None is dropped: what the machine cannot reproduce is reported as such.
    """
    confirmer = Confirmer(trace, switches)
    found = []
    for turn, finding in enumerate(findings):
        if turn >= AT_MOST:
            words = f"not tried: the first {AT_MOST} findings of a trace are"
            found.append(with_words(finding, words))
            continue
        looked = confirmer.look(finding)
        found.append(finding if looked is None else with_verdict(finding, looked.verdict))
    return tuple(found)


def with_words(finding: Finding, words: str) -> Finding:
    """Give a finding with what the machine says of it."""
    return replace(finding, details={**finding.details, "machine": words})


def with_verdict(finding: Finding, verdict: Verdict) -> Finding:
    """Give a finding with its witness, if there is one."""
    found = with_words(finding, in_words(verdict))
    if verdict.circle:
        found.details["circle"] = list(verdict.circle)
    if verdict.schedule:
        found.details["schedule"] = verdict.schedule
    if verdict.witness is None:
        return found
    return replace(found, witness=verdict.witness.to_json())
