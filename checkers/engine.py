"""Runs rules over a trace: order, facts, findings, one a cause.

A rule answers findings, ``clean`` or ``unknown``. A missing access cannot undo a hazard that was
found but can hide one; a missing synchronisation can undo one (rules.md, section 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from streamsan.checkers.facts import Facts
from streamsan.checkers.facts.totals import absorb, settle
from streamsan.checkers.finding import RANK, Finding, Unknown
from streamsan.checkers.rule import Rule, chosen
from streamsan.checkers.settings import Settings
from streamsan.checkers.unresolved import leave_out
from streamsan.traces import Trace
from streamsan.traces.ops import LEAST_PROMISE, Semantics
from streamsan.traces.order import HappensBefore

_WORDS = {
    "accesses": "the reads and writes of device work",
    "host": "the reads and writes of host code",
    "sync": "every synchronisation",
    "memory": "every allocation and free",
}


@dataclass(frozen=True)
class Report:
    """What was found in one trace; ``findings`` come worst first."""

    trace: Trace
    findings: tuple[Finding, ...]
    unknown: tuple[Unknown, ...]

    def __iter__(self) -> Iterator[Finding]:
        """Go through the findings."""
        return iter(self.findings)

    def __len__(self) -> int:
        """Count the findings."""
        return len(self.findings)


def check(trace: Trace, settings: Settings | None = None) -> Report:
    """Run the chosen rules over a trace.

    Raises:
        UsageError: a selection matches no rule.
    """
    settings = Settings() if settings is None else settings
    selected = chosen(settings.select, settings.ignore)
    given = msgspec.structs.replace(trace.header.semantics, **dict(settings.switches))
    found = _run(trace, given, selected, settings)
    for other, adds in _other_readings(given, settings):
        found = _compare(found, _run(trace, other, selected, settings), adds=adds)
    findings = [_weigh(trace, rule_needs(selected, f.rule), f) for f in found]
    left_out: list[Unknown] = []
    if settings.unresolved_waits == "order":
        findings, left_out = leave_out(trace, findings)
    if not settings.every:
        findings = merge_repeats(trace, findings)
    settle(findings)
    findings.sort(key=lambda f: (-RANK[f.severity], f.confidence == "possible", f.ops, f.rule))
    return Report(trace, tuple(findings), (*_unknown(trace, selected), *left_out))


def _run(
    trace: Trace, semantics: Semantics, selected: Sequence[Rule], settings: Settings
) -> list[Finding]:
    facts = Facts(trace, HappensBefore(trace, semantics), settings)
    found: list[Finding] = []
    for rule in selected:
        found.extend(rule.check(**{name: getattr(facts, name) for name in rule.wants}))
    return found


def _other_readings(given: Semantics, settings: Settings) -> list[tuple[Semantics, bool]]:
    """Give the readings to compare with: what only one of two readings finds is ``possible``.

    The flag says whether the other reading's own findings count too.

    The two switches for pageable copies are no promise of any document when off (R22), so what
    rests on them alone is possible, whatever mode was asked for.
    """
    others = []
    if not (given.pageable_h2d_stages and given.pageable_d2h_async_blocks):
        promised = {"pageable_h2d_stages": True, "pageable_d2h_async_blocks": True}
        others.append((msgspec.structs.replace(given, **promised), False))
    if settings.semantics == "strict" and given != LEAST_PROMISE:
        others.append((LEAST_PROMISE, True))
    return others


def _key(finding: Finding) -> tuple[object, ...]:
    return finding.rule, finding.ops, finding.buffer, finding.kind, finding.nodes


def _compare(one: list[Finding], other: list[Finding], *, adds: bool) -> list[Finding]:
    """Keep what both readings find; what only one finds becomes possible."""
    in_one, in_other = {_key(f) for f in one}, {_key(f) for f in other}
    found = [f if _key(f) in in_other else f.possible() for f in one]
    if adds:
        found.extend(f.possible() for f in other if _key(f) not in in_one)
    return found


def rule_needs(selected: Sequence[Rule], code: str) -> tuple[str, ...]:
    """Give the facts that a rule needs."""
    return next((rule.needs for rule in selected if rule.code == code), ())


def _weigh(trace: Trace, needs: tuple[str, ...], finding: Finding) -> Finding:
    unsure = "sync" in needs and not trace.header.complete.sync
    return finding.possible() if unsure else finding


def merge_repeats(trace: Trace, findings: Sequence[Finding]) -> list[Finding]:
    """Make one finding of repeats of the same pair of sites on buffers that one place allocates."""
    kept: dict[object, Finding] = {}
    for finding in findings:
        sites = tuple(
            ("site", int(trace.site[op])) if trace.site[op] >= 0 else ("op", op)
            for op in finding.ops
        )
        key: tuple[object, ...] = (
            finding.rule, finding.kind, finding.confidence, finding.fingerprint, finding.nodes,
            sites,
        )  # fmt: skip
        if not finding.ops:
            key = (*key, finding.message)
        first = kept.get(key)
        if first is not None:
            absorb(first, finding)
        kept[key] = finding if first is None else replace(first, count=first.count + finding.count)
    return list(kept.values())


def _unknown(trace: Trace, selected: Sequence[Rule]) -> Iterable[Unknown]:
    complete = trace.header.complete
    for rule in selected:
        lacking = [_WORDS[need] for need in rule.needs if not getattr(complete, need)]
        if lacking:
            yield Unknown(rule.code, f"the trace does not hold {' nor '.join(lacking)}")
        elif trace.damage is not None and rule.needs:
            yield Unknown(rule.code, "what it needs may be among what was lost")
