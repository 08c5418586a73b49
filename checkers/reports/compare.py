"""Two traces, or two results of ``lint --format json``: what is new, gone, costlier."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamsan.checkers.finding import RANK
from streamsan.checkers.reports.console import visible
from streamsan.traces.errors import TraceError

if TYPE_CHECKING:
    from streamsan.checkers.policy.policy import Policy

COSTS = ("avoidable_ns", "wait_ns", "bytes", "dead_bytes")
"""Evidence of rules that is a cost."""
LONGEST = 1 << 30
_HEAD = 4096
NOISE = 0.1
"""A time must grow by more than this part to be told: two recordings are never alike."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What one side holds of a cause.

    ``times`` counts findings and their repeats; ``costs`` are sums over them.
    """

    fingerprint: str
    rule: str
    name: str
    severity: str
    message: str
    times: int
    costs: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed between two sides, each the worst first."""

    new: tuple[Cause, ...]
    gone: tuple[Cause, ...]
    costlier: tuple[tuple[Cause, Cause], ...]
    cheaper: tuple[tuple[Cause, Cause], ...]
    same: int


def compare(old: Mapping[str, Cause], new: Mapping[str, Cause]) -> Difference:
    """Compare by fingerprint."""
    both = [(old[mark], new[mark]) for mark in new if mark in old]
    costlier = [(a, b) for a, b in both if any(_grown(a, b))]
    cheaper = [(a, b) for a, b in both if not any(_grown(a, b)) and any(_grown(b, a))]
    return Difference(
        tuple(_sorted(each for mark, each in new.items() if mark not in old)),
        tuple(_sorted(each for mark, each in old.items() if mark not in new)),
        tuple(costlier), tuple(cheaper), len(both) - len(costlier) - len(cheaper),
    )  # fmt: skip


def _sorted(causes: Iterable[Cause]) -> list[Cause]:
    return sorted(causes, key=lambda c: (-RANK.get(c.severity, 0), c.rule, c.message))


def _grown(a: Cause, b: Cause) -> Iterator[str]:
    """Name what ``b`` has more of than ``a``."""
    if b.times > a.times:
        yield "times"
    for key, value in b.costs.items():
        former = a.costs.get(key)
        slack = NOISE if key.endswith("ns") else 0.0
        if former is not None and value > former * (1 + slack):
            yield key


def growth(a: Cause, b: Cause) -> str:
    """Say in words what changed: ``times 3 -> 9, bytes 64 -> 192``."""
    keys = list(dict.fromkeys([*_grown(a, b), *_grown(b, a)]))
    pairs = [
        (key, a.times, b.times) if key == "times" else (key, a.costs[key], b.costs[key])
        for key in keys
    ]
    return ", ".join(f"{key.replace('_', ' ')} {one:g} -> {two:g}" for key, one, two in pairs)


def causes_in(path: str, policy: Policy) -> dict[str, Cause]:
    """Read a result of ``lint``, or lint a trace.

    Raises:
        TraceError: the file is neither, or cannot be read whole.
    """
    shape = _result(path)
    if shape is not None:
        return causes_of(_findings_in(path, shape))
    from streamsan.checkers.policy.judge import judge
    from streamsan.checkers.reports.inputs import Input
    from streamsan.checkers.reports.outcome import lint_file

    outcome = lint_file(Input(path), policy.settings(path))
    if outcome.failed or outcome.damage is not None:
        raise TraceError(path, outcome.line, outcome.reason or f"damaged: {outcome.damage}")
    (judged,) = judge([outcome], policy).outcomes
    return causes_of(finding.to_json() for finding in judged.findings)


def _result(path: str) -> dict[str, Any] | None:
    """Read a file as a result of ``lint``; None where it does not begin like one."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as the user wrote it
            head = file.read(_HEAD)
            if not head.lstrip().startswith(b"{") or b'"streamsan"' not in head:
                return None
            if b'"tool"' not in head or b"streamsan-trace" in head:
                return None
            shape = json.loads(head + file.read(LONGEST))
    except OSError as error:
        raise TraceError(path, None, error.strerror or str(error)) from None
    except (ValueError, RecursionError):
        raise TraceError(path, None, "no result of `streamsan lint --format json`") from None
    return shape if isinstance(shape, dict) else None


def _findings_in(path: str, shape: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if shape.get("version") != 1:
        raise TraceError(path, None, "a result of another version of `lint --format json`")
    traces = shape.get("traces")
    if not isinstance(traces, list):
        raise TraceError(path, None, "no result of `streamsan lint --format json`: no traces")
    for trace in traces:
        for finding in trace.get("findings", ()) if isinstance(trace, dict) else ():
            if isinstance(finding, dict) and isinstance(finding.get("fingerprint"), str):
                yield finding


def causes_of(findings: Iterable[Mapping[str, Any]]) -> dict[str, Cause]:
    """Gather findings by fingerprint."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for finding in findings:
        groups[finding["fingerprint"]].append(finding)
    return {mark: _cause(mark, group) for mark, group in groups.items()}


def _cause(mark: str, group: list[Mapping[str, Any]]) -> Cause:
    first = group[0]
    costs: dict[str, float] = defaultdict(float)
    for finding in group:
        details = finding.get("details")
        for key in COSTS if isinstance(details, Mapping) else ():
            value = details.get(key) if isinstance(details, Mapping) else None
            if isinstance(value, int | float) and not isinstance(value, bool):
                costs[key] += value
    words = {key: str(first.get(key, "")) for key in ("rule", "name", "severity", "message")}
    times = sum(c if isinstance(c := each.get("count"), int) else 1 for each in group)
    return Cause(mark, **words, times=times, costs=dict(costs))


def diff_text(found: Difference) -> str:
    """Tell a difference, a line each."""
    lines = [_line("new", each, each.message) for each in found.new]
    lines += [_line("costlier", b, growth(a, b)) for a, b in found.costlier]
    lines += [_line("cheaper", b, growth(a, b)) for a, b in found.cheaper]
    lines += [_line("gone", each, each.message) for each in found.gone]
    counts = (
        (len(found.new), "new"), (len(found.gone), "gone"), (len(found.costlier), "costlier"),
        (len(found.cheaper), "cheaper"), (found.same, "the same"),
    )  # fmt: skip
    lines.append(", ".join(f"{count} {word}" for count, word in counts) + ".")
    return "".join(f"{visible(line)}\n" for line in lines)


def _line(word: str, cause: Cause, said: str) -> str:
    return f"{word:8}  {cause.severity:7}  {cause.rule} {cause.name}: {said}"


def diff_shape(found: Difference) -> dict[str, Any]:
    """Give a difference as JSON has it."""
    return {
        "version": 1,
        "new": [_shape(each) for each in found.new],
        "gone": [_shape(each) for each in found.gone],
        "costlier": [{"old": _shape(a), "new": _shape(b)} for a, b in found.costlier],
        "cheaper": [{"old": _shape(a), "new": _shape(b)} for a, b in found.cheaper],
        "same": found.same,
    }


def _shape(cause: Cause) -> dict[str, Any]:
    return {
        "rule": cause.rule, "name": cause.name, "severity": cause.severity,
        "fingerprint": cause.fingerprint, "message": cause.message, "times": cause.times,
        "costs": dict(cause.costs),
    }  # fmt: skip
