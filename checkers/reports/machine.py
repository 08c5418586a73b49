"""The JSON of ``lint --format json``, as trace-format.md has it; keys are only ever added."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import streamsan
from streamsan.checkers.reports.summary import severities, tallies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsan.checkers.reports.outcome import Outcome
    from streamsan.checkers.reports.ranks import Job


def lint_json(
    outcomes: Sequence[Outcome], *, statistics: bool = False, job: Job | None = None
) -> str:
    """Give the one object that goes to standard output.

    ``errors`` is there only where a file could not be linted, ``statistics`` only where asked for,
    ``job`` only where the files are ranks of one, ``accepted`` only where a suppression or the
    baseline took findings out.
    """
    read = [o for o in outcomes if not o.failed and not o.skipped]
    shape: dict[str, Any] = {
        "version": 1,
        "tool": {"name": "streamsan", "version": streamsan.__version__},
        "traces": [_trace(outcome) for outcome in read],
        "summary": {**severities(read), "unknown": sum(len(o.unknown) for o in read)},
    }
    failed = [o for o in outcomes if o.failed]
    if failed:
        shape["errors"] = [
            {"path": o.path, "error": {"line": o.line, "reason": o.reason}} for o in failed
        ]
    if job is not None:
        from streamsan.checkers.reports.ranks import job_json

        shape["job"] = job_json(job)
    if statistics:
        shape["statistics"] = [asdict(tally) for tally in tallies(read)]
    return as_json(shape)


def as_json(shape: object) -> str:
    """Give JSON in ASCII, so that no name in it depends on the encoding or steers a terminal."""
    import msgspec

    try:
        text = json.dumps(shape, default=_plain, allow_nan=False)
    except ValueError:  # JSON has no word for some number
        text = json.dumps(_finite(shape), default=_plain)
    try:
        # The standard library's own indenting is written in Python: too slow for many findings.
        return msgspec.json.format(text, indent=2) + "\n"
    except msgspec.DecodeError:  # half a surrogate pair, in the name of a file
        return json.dumps(json.loads(text), indent=2) + "\n"


def _finite(value: Any) -> Any:
    """Let numbers that are none become null."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    """Let numpy's numbers and sets in ``details`` be what they mean."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


def _trace(outcome: Outcome) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "path": outcome.path,
        "source": outcome.source,
        "ops": outcome.ops,
        "streams": outcome.streams,
        "findings": [finding.to_json() for finding in outcome.findings],
        "unknown": [{"rule": each.rule, "reason": each.reason} for each in outcome.unknown],
    }
    if outcome.accepted:
        shape["accepted"] = [
            {"how": each.how, "where": each.where, "reason": each.reason,
             "finding": each.finding.to_json()}
            for each in outcome.accepted
        ]  # fmt: skip
    return shape
