"""What a cost costs, in words: bytes, times, how often, and what a replay without it predicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamsan.checkers.finding import Finding

KEYS = frozenset({
    "bytes", "dead_bytes", "link_ns", "wait_ns", "avoidable_ns", "moves_ns", "bytes_per_second",
    "iteration", "iterations", "per_iteration", "next_payer",
})  # fmt: skip
"""The evidence that is told here."""
UNSURE = 0.05
"""From here on it is said how much of the recorded time the order of the trace does not explain."""
_UNITS = ((10**9, "s"), (10**6, "ms"), (10**3, "us"))


def cost_lines(finding: Finding) -> Iterator[tuple[str, str]]:
    """Give the lines about a cost, each with its label; none for a finding that has no price."""
    details = finding.details
    words = [*_size(details, finding.count), *_waits(details)]
    if words and not KEYS.isdisjoint(details):
        yield "cost", "; ".join(words)
    predicted = details.get("predicted")
    if isinstance(predicted, Mapping):
        yield "without it", _prediction(predicted)


def _size(details: Mapping[str, Any], count: int) -> Iterator[str]:
    total = details.get("total", details)
    size, often = details.get("bytes"), _often(details, count)
    if isinstance(size, int):
        dead = details.get("dead_bytes")
        part = f", {dead} of them unread" if isinstance(dead, int) and dead != size else ""
        rate = details.get("bytes_per_second")
        speed = f", {rate} bytes a second wasted" if isinstance(rate, int) else ""
        whole = total.get("bytes", size)
        in_all = f", {whole} in all" if whole != size else ""
        yield f"{size} bytes{part}{often}{in_all}{speed}"
    elif often:
        yield often.removeprefix(", ")
    if isinstance(link := total.get("link_ns"), int):
        yield f"{duration(link)} on the link"


def _often(details: Mapping[str, Any], count: int) -> str:
    rate, name, rounds = (details.get(k) for k in ("per_iteration", "iteration", "iterations"))
    times = "" if count == 1 else f", {count} times"
    if rate is None or not rounds:
        return times
    return (
        f"{times}, {rate:g} per {name}" if rate >= 1 else f", {count} in {rounds} rounds of {name}"
    )


def _waits(details: Mapping[str, Any]) -> Iterator[str]:
    total = details.get("total", details)
    wait, avoidable = total.get("wait_ns"), total.get("avoidable_ns")
    if isinstance(wait, int):
        told = isinstance(avoidable, int) and "predicted" not in details
        part = f", {duration(avoidable)} of it avoidable" if told else ""
        yield f"the host waits {duration(wait)}{part}"
    elif isinstance(avoidable, int):
        yield f"the stream waits {duration(avoidable)} too long"
    if isinstance(details.get("next_payer"), int) and "predicted" not in details:
        yield f"op {details['next_payer']} waits next for the same work"


def _prediction(found: Mapping[str, Any]) -> str:
    run, gain = found["run_ns"], found["gain_ns"]
    words = f"the run would be {duration(gain)} shorter, of {duration(run)}"
    if run and gain:
        words += f" ({gain / run:.1%})"
    if found["host_wait_gain_ns"] > 0:
        words += f", and the host would wait {duration(found['host_wait_gain_ns'])} less"
    if "next_payer" in found:
        words += f"; {duration(found['payer_ns'])} of the wait moves to {found['payer']}"
    if found["unexplained"] > UNSURE:
        words += (
            f" (unsure: {found['unexplained']:.0%} of the recorded time hangs on what the trace "
            "does not hold)"
        )
    return words


def duration(value: int) -> str:
    """Give a time in ns in a fitting unit."""
    for size, unit in _UNITS:
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value} ns"
