"""Several ranks of one job: what they have in common, what single ones have, and who is late.

Ranks share no clock. At a collective every rank's kernel ends when the last one has arrived, so
the rank whose kernel is the shortest came last, and the others waited for the difference.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from streamsan.traces.model import NONE
from streamsan.traces.ops import Kind

if TYPE_CHECKING:
    from streamsan.checkers.finding import Finding
    from streamsan.checkers.reports.outcome import Outcome
    from streamsan.traces import Trace

Rank = int | str
_COLLECTIVE = re.compile(r"nccl(?:Dev)?Kernel")
_POINT_TO_POINT = "SendRecv"
_NUMBER = re.compile(r"\d+(?:@\d+)?")
"""Numbers, and streams such as ``0@1``: the default stream of device 1."""


class Collective(NamedTuple):
    """One collective of a rank: its stream by order of first use, its name, its time in ns."""

    lane: int
    name: str
    ns: int


@dataclass(frozen=True, slots=True)
class Lateness:
    """How often a rank came last to a matched collective, and what that cost the others (ns)."""

    rank: Rank
    last: int
    others_waited_ns: int


@dataclass(frozen=True, slots=True)
class Cause:
    """Findings of several ranks with one cause; ``finding`` is that of the first rank."""

    finding: Finding
    ranks: tuple[Rank, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """The ranks of one job. ``unmatched``: collectives in which the ranks' sequences differ."""

    ranks: tuple[Rank, ...]
    common: tuple[Cause, ...]
    single: tuple[Cause, ...]
    matched: int
    unmatched: int
    lateness: tuple[Lateness, ...]


def collectives(trace: Trace) -> tuple[Collective, ...]:
    """Give the collectives of a trace, in the order of each stream."""
    names = [bool(_COLLECTIVE.match(n)) and _POINT_TO_POINT not in n for n in trace.names]
    known = np.array([*names, False])  # a missing name is index -1
    is_one = ((trace.kind == Kind.LAUNCH) & known[trace.name]) | (trace.kind == Kind.COLLECTIVE)
    ops = np.flatnonzero(is_one & (trace.begin != NONE) & (trace.end != NONE))
    lanes = {s: i for i, s in enumerate(dict.fromkeys(trace.streams.of_op[ops].tolist()))}
    return tuple(
        Collective(lanes[int(trace.streams.of_op[op])], trace[op].name,
                   int(trace.end[op] - trace.begin[op]))
        for op in ops.tolist()
    )  # fmt: skip


def find_job(outcomes: Sequence[Outcome]) -> Job | None:
    """Tell whether files are ranks of one job; None where they are not two or more."""
    mine = {o.rank: o for o in outcomes if o.rank is not None and not o.failed}
    sizes = {o.world_size for o in mine.values()}
    if len(mine) < 2 or len(sizes) > 1 or len(mine) < sum(_is_read(o) for o in outcomes):  # noqa: PLR2004
        return None
    ranked = sorted(mine.items(), key=lambda item: (str(type(item[0])), item[0]))
    causes = _causes(ranked)
    matched, unmatched, lateness = _lateness(ranked)
    return Job(
        tuple(rank for rank, _ in ranked),
        tuple(c for c in causes if len(c.ranks) > 1),
        tuple(c for c in causes if len(c.ranks) == 1),
        matched, unmatched, tuple(lateness),
    )  # fmt: skip


def _is_read(outcome: Outcome) -> bool:
    return not outcome.failed and not outcome.skipped


def _key(finding: Finding) -> tuple[object, ...]:
    """Tell causes apart, whatever the numbers of ops, threads and streams are in each rank."""
    return (finding.rule, finding.kind, finding.severity, finding.confidence,
            _NUMBER.sub("#", finding.message))  # fmt: skip


def _causes(ranked: Iterable[tuple[Rank, Outcome]]) -> list[Cause]:
    first: dict[tuple[object, ...], Finding] = {}
    ranks: dict[tuple[object, ...], dict[Rank, None]] = defaultdict(dict)
    for rank, outcome in ranked:
        for finding in outcome.findings:
            key = _key(finding)
            first.setdefault(key, finding)
            ranks[key][rank] = None
    return [Cause(finding, tuple(ranks[key])) for key, finding in first.items()]


def _lateness(ranked: Sequence[tuple[Rank, Outcome]]) -> tuple[int, int, list[Lateness]]:
    """Match collectives by their order on each stream, as far as their names agree."""
    last: dict[Rank, int] = dict.fromkeys((rank for rank, _ in ranked), 0)
    cost = dict.fromkeys(last, 0)
    lanes = {c.lane for _, outcome in ranked for c in outcome.collectives}
    matched = total = 0
    for lane in sorted(lanes):
        rows = [[c for c in outcome.collectives if c.lane == lane] for _, outcome in ranked]
        total += max(map(len, rows))
        for calls in zip(*rows, strict=False):
            if len({call.name for call in calls}) > 1:
                break  # from here on the ranks do different things
            matched += 1
            least = min(call.ns for call in calls)
            late = ranked[[call.ns for call in calls].index(least)][0]
            last[late] += 1
            cost[late] += sum(call.ns - least for call in calls)
    rows_found = [Lateness(rank, last[rank], cost[rank]) for rank in last] if matched else []
    return matched, total - matched, sorted(rows_found, key=lambda row: -row.others_waited_ns)


def merged(outcomes: Sequence[Outcome], job: Job) -> list[Outcome]:
    """Give the outcomes with each common cause told once, with its ranks."""
    ranks = {_key(cause.finding): cause.ranks for cause in (*job.common, *job.single)}
    told: dict[tuple[object, ...], Rank | None] = {}
    found = []
    for outcome in sorted(outcomes, key=lambda o: _place(job, o)):
        kept = []
        for finding in outcome.findings:
            key = _key(finding)
            if told.setdefault(key, outcome.rank) == outcome.rank:
                words = {"ranks": rank_words(ranks.get(key, ()))}
                kept.append(replace(finding, details={**words, **finding.details}))
        found.append(replace(outcome, findings=tuple(kept)))
    return found


def _place(job: Job, outcome: Outcome) -> int:
    return job.ranks.index(outcome.rank) if outcome.rank in job.ranks else len(job.ranks)


def rank_words(ranks: Sequence[Rank]) -> str:
    """Give ranks as ``0-3, 5``."""
    parts: list[str] = []
    start = previous = None
    for rank in [*ranks, None]:
        if isinstance(rank, int) and isinstance(previous, int) and rank == previous + 1:
            previous = rank
            continue
        if previous is not None:
            parts.append(str(start) if start == previous else f"{start}-{previous}")
        start = previous = rank
    return ", ".join(parts)


def job_lines(job: Job) -> list[str]:
    """Say in words what the ranks have in common, and who was late."""
    common, single = len(job.common), len(job.single)
    told = f"{common} causes in several ranks, told once; {single} in a single one."
    lines = [f"{len(job.ranks)} ranks of one job ({rank_words(job.ranks)}): {told}"]
    if job.lateness and (worst := job.lateness[0]).others_waited_ns:
        lines.append(
            f"Stragglers at {job.matched} matched collectives: rank {worst.rank} came last to "
            f"{worst.last}, for which the others waited {worst.others_waited_ns / 1e6:.3f} ms."
        )
    if job.unmatched:
        lines.append(f"{job.unmatched} collectives could not be matched between the ranks.")
    return lines


def job_json(job: Job) -> dict[str, Any]:
    """Give the same for programs; times are ns."""
    return {
        "ranks": list(job.ranks),
        "common": [_cause_json(cause) for cause in job.common],
        "single": [_cause_json(cause) for cause in job.single],
        "collectives": {"matched": job.matched, "unmatched": job.unmatched},
        "stragglers": [
            {"rank": row.rank, "last": row.last, "others_waited_ns": row.others_waited_ns}
            for row in job.lateness
        ],
    }


def _cause_json(cause: Cause) -> dict[str, Any]:
    finding = cause.finding
    return {"rule": finding.rule, "kind": finding.kind, "message": finding.message,
            "ranks": list(cause.ranks)}  # fmt: skip
