"""Prices of findings: where cost rules and the what-if replay, which do not know each other, meet.

A rule says which copies or waits could go; the replay says how much sooner the run would have been
over. Without times in the trace a finding keeps its bytes, and nothing is predicted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamsan.checkers.finding import Finding
    from streamsan.checkers.settings import Switches
    from streamsan.sim.machine.what_if import WhatIf
    from streamsan.sim.machine.what_if_changes import Change
    from streamsan.traces import Trace

CHANGE = "what_if"
"""The key under which a rule says what a replay leaves out."""
WORK = 1_500_000
"""Moments that all replays of a trace may take together: a second or two."""
FEWEST = 10
"""Findings of a trace that are priced whatever it takes."""
LONGEST = 60


def priced(
    trace: Trace, findings: tuple[Finding, ...], switches: Switches = ()
) -> tuple[Finding, ...]:
    """Give the findings, those about costs with what a replay without the cost predicts.

    Args:
        trace: the trace.
        findings: what was found in it; ``details`` of a cost say what to leave out.
        switches: semantics switches that replace those of the header.
    """
    costs = [number for number, finding in enumerate(findings) if CHANGE in finding.details]
    if not costs:
        return findings
    found = list(findings)
    run = _run(trace, switches)
    chosen = _dearest(findings, costs, run)
    for number in costs:
        details = {k: v for k, v in findings[number].details.items() if k != CHANGE}
        if run is not None and number in chosen:
            change = read_change(findings[number].details[CHANGE])
            details = _predicted(run, change, details)
        elif run is not None:
            details["not_predicted"] = f"only the {len(chosen)} dearest findings of a trace are"
        found[number] = replace(findings[number], details=details)
    return tuple(found)


def confirmed_and_priced(
    trace: Trace, findings: tuple[Finding, ...], switches: Switches = ()
) -> tuple[Finding, ...]:
    """Give the findings with their witnesses and their prices."""
    from streamsan.commands.hall.confirming import confirmed

    return priced(trace, confirmed(trace, findings, switches), switches)


def read_change(given: dict[str, list[Any]]) -> Change:
    """Make a change of what a rule says: lists, as JSON has them."""
    from streamsan.sim.machine.what_if_changes import Change

    return Change(**{name: _tuples(part) for name, part in given.items()})


def _tuples(part: Any) -> Any:
    return tuple(map(_tuples, part)) if isinstance(part, list | tuple) else part


def _run(trace: Trace, switches: Switches) -> WhatIf | None:
    """Time a trace; None where its times do not allow a replay."""
    import msgspec

    from streamsan.sim.machine.what_if import WhatIf

    semantics = msgspec.structs.replace(trace.header.semantics, **dict(switches))
    run = WhatIf(trace, semantics)
    return run if run.reason is None else None


def _dearest(findings: tuple[Finding, ...], costs: list[int], run: WhatIf | None) -> set[int]:
    """Choose the findings that are replayed: those that cost most by their own times."""
    if run is None:
        return set()
    most = max(FEWEST, WORK // max(1, run.moments))

    def price(number: int) -> tuple[int, int]:
        details = findings[number].details
        total = details.get("total", details)
        known = [total.get(key, 0) for key in ("avoidable_ns", "wait_ns", "link_ns")]
        return max(known), total.get("bytes", 0)

    return set(sorted(costs, key=price, reverse=True)[:most])


def _predicted(run: WhatIf, change: Change, details: dict[str, Any]) -> dict[str, Any]:
    """Replay a change, and say who pays next: in the replay, not by order alone."""
    prediction, replay = run.predict(change), run.replay
    details.pop("next_payer", None)
    found: dict[str, Any] = {
        "gain_ns": prediction.gain,
        "run_ns": replay.replayed,
        "host_wait_gain_ns": prediction.host_gain,
        "unexplained": round(replay.unexplained, 4),
    }
    if prediction.payer is not None:
        name = run.trace[prediction.payer].name
        name = name if len(name) <= LONGEST else name[: LONGEST - 3] + "..."
        details["next_payer"] = prediction.payer
        details["moves_ns"] = prediction.moved
        found |= {
            "next_payer": prediction.payer,
            "payer": f"op {prediction.payer} ({name})",
            "payer_ns": prediction.payer_ns,
        }
    return {**details, "predicted": found}
