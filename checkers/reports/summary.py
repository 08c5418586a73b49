"""What all files together come to: order, counts, statistics, exit status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamsan.checkers.finding import RANK, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsan.checkers.reports.outcome import Outcome

CLEAN, FOUND, FAILED = 0, 1, 2
"""Exit status."""


@dataclass(frozen=True, slots=True)
class Located:
    """A finding and the file it is in."""

    path: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Tally:
    """How often one rule spoke: ``count`` counts repeats too."""

    rule: str
    name: str
    severity: str
    findings: int
    count: int


def worst_first(outcomes: Sequence[Outcome]) -> list[Located]:
    """Give the findings of all files, the worst first; equals stay in the order of the files."""
    found = [Located(outcome.path, each) for outcome in outcomes for each in outcome.findings]
    return sorted(found, key=lambda at: _weight(at.finding))


def _weight(finding: Finding) -> tuple[int, bool]:
    return -RANK[finding.severity], finding.confidence == "possible"


def severities(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Count findings by severity, the worst first."""
    counts = dict.fromkeys(sorted(RANK, key=RANK.__getitem__, reverse=True), 0)
    for outcome in outcomes:
        for finding in outcome.findings:
            counts[finding.severity] += 1
    return counts


def tallies(outcomes: Sequence[Outcome]) -> list[Tally]:
    """Count findings by rule and severity, the worst and most frequent first."""
    counts: dict[tuple[str, str, str], tuple[int, int]] = {}
    for outcome in outcomes:
        for each in outcome.findings:
            key = (each.rule, each.name, each.severity)
            findings, count = counts.get(key, (0, 0))
            counts[key] = (findings + 1, count + each.count)
    found = [Tally(*key, *value) for key, value in counts.items()]
    return sorted(found, key=lambda t: (-RANK[t.severity], -t.findings, t.rule))


def exit_status(
    outcomes: Sequence[Outcome], *, fail_on: str, exit_zero: bool, allow_damaged: bool
) -> int:
    """Give the worst status of all files: failure, then findings, then none."""
    if any(o.failed or (o.damage is not None and not allow_damaged) for o in outcomes):
        return FAILED
    bad = any(RANK[f.severity] >= RANK[fail_on] for o in outcomes for f in o.findings)
    return FOUND if bad and not exit_zero else CLEAN


def summary_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Say in one line what was found where, and in a second which rules could not answer."""
    read = [o for o in outcomes if not o.failed and not o.skipped]
    failed = [o for o in outcomes if o.failed]
    lines = []
    if read:
        counts = [_plural(n, word) for word, n in severities(read).items() if n]
        found = f"Found {', '.join(counts)}" if counts else "No findings"
        ops, streams = sum(o.ops for o in read), sum(o.streams for o in read)
        lines.append(
            f"{found} in {_plural(len(read), 'trace')} "
            f"({_plural(ops, 'op')}, {_plural(streams, 'stream')})." + _accepted_words(read)
        )
    rules = sorted({each.rule for outcome in read for each in outcome.unknown})
    if rules:
        lines.append(
            f"{_plural(len(rules), 'rule')} could not be judged: facts are missing "
            f"({' '.join(rules)})."
        )
    if failed:
        lines.append(f"{_plural(len(failed), 'file')} could not be linted.")
    return lines


def _accepted_words(outcomes: Sequence[Outcome]) -> str:
    """Count the findings that do not count."""
    how = [each.how for outcome in outcomes for each in outcome.accepted]
    words = (("baseline", "in the baseline"), ("suppressed", "suppressed"))
    parts = [f"{how.count(key)} {said}" for key, said in words if key in how]
    return f" {', '.join(parts)}." if parts else ""


def _plural(count: int, word: str) -> str:
    plural = word if count == 1 or word == "info" else f"{word}s"
    return f"{count} {plural}"
