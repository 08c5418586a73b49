"""Flows of Chrome JSON: edges of the order, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from streamsan.checkers.finding import Finding
from streamsan.checkers.reports.perfetto_places import Places, Slice
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.edges import TEXT, Reason

PAIR = 2
Event = dict[str, Any]


def flows(
    order: HappensBefore, places: Places, findings: Sequence[Finding], edges: str
) -> Iterator[Event]:
    """Give the flows of edges (but for those of issuing, which Kineto's own flows show)."""
    number = 0
    pairs = [] if edges == "none" else list(_edges(order))
    if edges == "findings":
        spoken = {op for finding in findings for op in finding.ops}
        pairs = [pair for pair in pairs if spoken & set(pair[:2])]
    for source, target, words in (*pairs, *_missing(findings)):
        found = _flow(places.main(source), places.main(target), words, f"order-{number}")
        number += bool(found)
        yield from found


def _edges(order: HappensBefore) -> Iterator[tuple[int, int, str]]:
    graph = order.graph
    columns = (graph.edge_source, graph.edge_target, graph.edge_reason)
    for source, target, reason in zip(*(c.tolist() for c in columns), strict=True):
        ops = int(graph.node_op[source]), int(graph.node_op[target])
        if reason != Reason.ISSUE and ops[0] != ops[1]:
            text = TEXT[Reason(reason)]
            yield *ops, f"{text.words} ({text.rule})"


def _missing(findings: Sequence[Finding]) -> Iterator[tuple[int, int, str]]:
    for finding in findings:
        if len(finding.ops) == PAIR and "missing" in finding.details:
            one, two = finding.ops
            yield one, two, f"{finding.rule}: nothing orders op {one} before op {two}"


def _flow(source: Slice, target: Slice, words: str, name: str) -> list[Event]:
    """Give the two ends, each within its slice; none where the times leave no room for it."""
    if source[:2] == target[:2] and source.begin == target.begin:
        return []
    start, end = source.middle, max(target.begin, source.middle)
    if end > target.end:
        source, target = target, source  # what is concurrent may stand the other way round
        start, end = source.middle, max(target.begin, source.middle)
        if end > target.end or not words.startswith("SO"):
            return []
    ends = (("s", source, start), ("f", target, end))
    return [
        {"ph": phase, "id": name, "cat": "order", "name": words, "pid": at.pid, "tid": at.tid,
         "ts": time / 1000, **({"bp": "e"} if phase == "f" else {})}
        for phase, at, time in ends
    ]  # fmt: skip
