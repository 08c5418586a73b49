"""Applies every fix that the findings of a trace offer, and says what is left and what is new."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from streamsan.checkers.engine import check
from streamsan.checkers.finding import Finding
from streamsan.checkers.fix import Edited, Fix, apply_fixes
from streamsan.checkers.settings import Settings
from streamsan.traces import Trace
from streamsan.traces.order import HappensBefore

ROUNDS = 12
"""A fix may bring another race to light, that stood behind the one it mends: so many times."""
WORTH_PRUNING = 40
"""Fixes up to which each is tried without: one may do what another was added for."""
SMALL = 5_000
"""Ops up to which every race of the trace as it was is looked up."""
_HAZARDS = ("SO1", "SO2", "SO7")
_WAITS = ("SO303",)
"""Waits that are mended by leaving them out."""
_COSTS = ("SO4", "SO5")
_NEEDLESS = "SO404"
_NONE = Settings(every=True)


@dataclass(frozen=True)
class Mend:
    """One fix, in ops of the trace as it was, and the findings that it was added for."""

    fix: Fix
    reasons: tuple[Finding, ...]


@dataclass(frozen=True)
class Mended:
    """A trace with all fixes applied. Findings name ops of the trace as it was.

    ``left`` are hazards for which no single edge is known; ``new`` are findings, at least
    warnings, that the trace did not have before, but for those on costs: ``costs`` are those.
    """

    edited: Edited
    mends: tuple[Mend, ...]
    before: tuple[Finding, ...]
    left: tuple[Finding, ...]
    new: tuple[Finding, ...]
    costs: tuple[Finding, ...]


def is_hazard(finding: Finding) -> bool:
    """Whether a finding is one of those that a fix is applied for."""
    return finding.rule.startswith((*_HAZARDS, *_WAITS)) and finding.severity != "info"


def mend(trace: Trace) -> Mended:
    """Apply fixes until no hazard offers another one."""
    before = check(trace, _NONE).findings
    found = [finding for finding in before if is_hazard(finding)]
    wanted: dict[str, Mend] = {}
    edited = apply_fixes(trace, [])
    for _ in range(ROUNDS):
        fresh = dict(wanted)
        for finding in found:
            if finding.fix is not None:
                key = repr(sorted(finding.fix.items()))
                reasons = fresh[key].reasons if key in fresh else ()
                fresh[key] = Mend(finding.fix, (*reasons, finding))
        kept = {key: each for key, each in fresh.items() if not _covered(each, fresh.values())}
        if kept.keys() == wanted.keys():
            break
        wanted = kept
        edited = apply_fixes(trace, [each.fix for each in wanted.values()])
        found = _hazards(edited)
    mends = list(wanted.values())
    if 1 < len(mends) <= WORTH_PRUNING:
        mends = _pruned(trace, mends, len(_hazards(edited)))
        edited = apply_fixes(trace, [each.fix for each in mends])
    return _mended(trace, edited, tuple(mends), before)


def _mended(
    trace: Trace, edited: Edited, mends: tuple[Mend, ...], before: tuple[Finding, ...]
) -> Mended:
    after = [_as_before(f, edited) for f in check(edited.trace, _NONE).findings]
    known = {_key(finding) for finding in before}
    raced = _races(trace)
    left = [f for f in after if is_hazard(f) and (_key(f) in known or f.ops in raced)]
    fresh = [f for f in after if f.severity != "info" and _key(f) not in known]
    new = [f for f in fresh if f not in left]
    costs = tuple(f for f in new if f.rule.startswith(_COSTS))
    return Mended(
        edited, mends, before, tuple(left), tuple(f for f in new if f not in costs), costs
    )


def _races(trace: Trace) -> set[tuple[int, ...]]:
    """Give the pairs that raced before: of two that have one cause, one finding told."""
    if len(trace) > SMALL:
        return set()
    return {tuple(sorted(race.ops)) for race in HappensBefore(trace).races()}


def _hazards(edited: Edited) -> list[Finding]:
    found = check(edited.trace, _NONE).findings
    return [_as_before(finding, edited) for finding in found if is_hazard(finding)]


def _as_before(finding: Finding, edited: Edited) -> Finding:
    """Name the ops of a finding, and of its fix, as they were numbered before the fixes."""
    ops = tuple(edited.origin[op] for op in finding.ops)
    fix = None if finding.fix is None else _fix_before(finding.fix, edited)
    return replace(finding, ops=ops, fix=fix)


def _fix_before(fix: Fix, edited: Edited) -> dict[str, Any] | None:
    """Give None for a fix that names an op which another fix has added."""
    origin = edited.origin
    if "remove" in fix:
        return {"remove": origin[fix["remove"]]} if origin[fix["remove"]] >= 0 else None
    record = {**fix["record"], "after": origin[fix["record"]["after"]]}
    wait = {**fix["wait"], "before": origin[fix["wait"]["before"]]}
    return {"record": record, "wait": wait} if min(record["after"], wait["before"]) >= 0 else None


def _key(finding: Finding) -> tuple[object, ...]:
    """Tell findings apart; a cost by the op that costs, whichever op it waits for."""
    if finding.rule.startswith(_COSTS):
        return finding.rule, finding.ops[-1:], finding.buffer
    return finding.rule, finding.ops, finding.buffer, finding.kind, finding.nodes


def _covered(mend: Mend, all_of_them: Iterable[Mend]) -> bool:
    """Whether another edge, recorded later and waited for earlier, does the same and more."""
    if "remove" in mend.fix:
        return False
    mine = mend.fix
    for other in all_of_them:
        if other is mend or "remove" in other.fix:
            continue
        theirs = other.fix
        places = (theirs["record"]["after"], -theirs["wait"]["before"])
        own = (mine["record"]["after"], -mine["wait"]["before"])
        same = _ends(mine) == _ends(theirs)
        if same and places != own and places[0] >= own[0] and places[1] >= own[1]:
            return True
    return False


def _ends(fix: Fix) -> tuple[object, ...]:
    """Give the stream that is recorded, and who waits for it."""
    wait = fix["wait"]
    return fix["record"]["stream"], wait.get("stream"), wait.get("thread")


def _pruned(trace: Trace, mends: list[Mend], hazards: int) -> list[Mend]:
    """Leave out each fix without which no more hazards stand than with it, the last one first."""
    for mend in reversed(list(mends)):
        others = [each for each in mends if each is not mend]
        if len(_hazards(apply_fixes(trace, [each.fix for each in others]))) <= hazards:
            mends = others
    return mends


def needless(trace: Trace) -> list[Finding]:
    """Give the waits that can be left out: implied by the order, or ordering no conflict."""
    found = check(trace, Settings(select=(_NEEDLESS,), every=True)).findings
    return [each for each in found if each.fix is not None and "remove" in each.fix]


def without_needless(trace: Trace) -> tuple[Edited, list[Finding]]:
    """Leave out needless waits, one after the other: of two that do the same either can go."""
    edited, gone = apply_fixes(trace, []), []
    removed: list[Fix] = []
    while found := needless(edited.trace):
        finding = _as_before(found[0], edited)
        if finding.fix is None:
            break
        removed.append(finding.fix)
        gone.append(finding)
        edited = apply_fixes(trace, removed)
    return edited, gone
