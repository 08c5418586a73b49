"""SARIF 2.1.0, as GitHub code scanning takes it.

The two accesses of a finding are two thread flows of one code flow, the stacks are locations, and
``primaryLocationLineHash`` is the finding's fingerprint, which no moved line changes. Causes that
several traces share are one result. What is suppressed is left out, since GitHub would show it;
what the baseline holds is ``unchanged``.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import streamsan
from streamsan.checkers.policy.policy import Policy
from streamsan.checkers.reports.console import visible
from streamsan.checkers.reports.machine import as_json
from streamsan.checkers.reports.sarif_result import result_of
from streamsan.checkers.reports.sarif_rules import describe
from streamsan.checkers.reports.summary import Located, worst_first
from streamsan.checkers.rule import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from streamsan.checkers.reports.outcome import Outcome
    from streamsan.checkers.reports.run import Options

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
MOST = 5000
"""Results of a run that GitHub shows; it refuses a file with more than 25 000."""
PACKED = 10_000_000
"""Bytes of the file, packed, that GitHub takes."""
FEW = 500
"""Results up to which the stacks are written, too, besides the flows."""


def render(outcomes: Sequence[Outcome], options: Options) -> str:
    """Give the whole log, with one run; of too many results the worst."""
    found = list(_distinct(outcomes, with_baseline=options.baseline is not None))
    most = min(len(found), MOST)
    while True:
        text = as_json(_log(found[:most], len(found), outcomes, options))
        if most <= FEW or len(text) <= PACKED or _packed(text) <= PACKED:
            return text
        most = most * 2 // 3


def _packed(text: str) -> int:
    import zlib

    return len(zlib.compress(text.encode(), 6))


def _log(
    kept: Sequence[_Result], found: int, outcomes: Sequence[Outcome], options: Options
) -> dict[str, Any]:
    policy = options.policy or Policy()
    codes = sorted({each.at.finding.rule for each in kept})
    results = [
        result_of(
            each.at, policy, rule_index=codes.index(each.at.finding.rule), ordinal=each.ordinal,
            traces=each.traces, state=each.state if options.baseline is not None else None,
            with_stacks=len(kept) <= FEW,
        )
        for each in kept
    ]  # fmt: skip
    notes = [*_cut(found - len(kept), found), *_notifications(outcomes)]
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "streamsan",
                "version": streamsan.__version__,
                "semanticVersion": streamsan.__version__,
                "rules": [describe(rules()[code]) for code in codes if code in rules()],
            }
        },
        "automationDetails": {"id": f"streamsan/{_job()}/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {
            "%SRCROOT%": {"description": {"text": "The root of the repository."}}
        },
        "invocations": [
            {
                "executionSuccessful": not any(each.failed for each in outcomes),
                "toolExecutionNotifications": notes,
            }
        ],
        "results": results,
    }
    if origin := _origin(os.environ):
        run["versionControlProvenance"] = [origin]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


class _Result(NamedTuple):
    """A cause: its finding, which of its fingerprint it is, the traces that have it, its state."""

    at: Located
    ordinal: int
    traces: list[str]
    state: str


def _distinct(outcomes: Sequence[Outcome], *, with_baseline: bool) -> Iterator[_Result]:
    """Give each cause once."""
    known = [
        Located(outcome.path, each.finding)
        for outcome in outcomes
        for each in outcome.accepted
        if with_baseline and each.how == "baseline"
    ]
    states = [(at, "new") for at in worst_first(outcomes)] + [(at, "unchanged") for at in known]
    found: dict[tuple[str, int], _Result] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for at, state in states:
        mark = at.finding.fingerprint
        seen[at.path, mark] += 1
        key = (mark, seen[at.path, mark])
        if key in found:
            found[key].traces.append(at.path)
        else:
            found[key] = _Result(at, key[1], [at.path], state)
    yield from found.values()


def _job() -> str:
    """Name the job: uploads of one commit with equal names replace each other."""
    return visible(os.environ.get("GITHUB_JOB") or "lint").replace("/", "-")


def _cut(left_out: int, found: int) -> Iterator[dict[str, Any]]:
    if left_out:
        yield _notification("warning", f"{left_out} of {found} results were left out")


def _notifications(outcomes: Sequence[Outcome]) -> Iterator[dict[str, Any]]:
    for each in outcomes:
        if each.failed:
            yield _notification("error", f"{each.where}: {each.reason}")
        elif each.damage is not None:
            yield _notification("error", f"{each.path}: damaged: {each.damage}")
        if each.unknown:
            codes = " ".join(sorted({one.rule for one in each.unknown}))
            words = f"{each.path}: could not be judged, facts are missing: {codes}"
            yield _notification("note", words)


def _notification(level: str, text: str) -> dict[str, Any]:
    return {"level": level, "message": {"text": visible(text)}}


def _origin(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """Say which commit this is, where GitHub Actions tells."""
    server, name = environment.get("GITHUB_SERVER_URL"), environment.get("GITHUB_REPOSITORY")
    if not (server and name):
        return None
    origin: dict[str, Any] = {
        "repositoryUri": visible(f"{server}/{name}"),
        "mappedTo": {"uriBaseId": "%SRCROOT%"},
    }
    if revision := environment.get("GITHUB_SHA"):
        origin["revisionId"] = visible(revision)
    return origin
