"""JUnit's XML, as Jenkins' and GitLab's schema have it: a suite a trace, a case a finding.

A finding at or above ``--fail-on`` is a failure, one below it a case that passes and says so. A
clean trace has one case that passes: a report without cases is an error to some readers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from streamsan.checkers.finding import RANK
from streamsan.checkers.reports.console import visible
from streamsan.checkers.reports.plain import finding_lines, title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsan.checkers.finding import Finding
    from streamsan.checkers.reports.outcome import Outcome
    from streamsan.checkers.reports.run import Options


def render(outcomes: Sequence[Outcome], options: Options) -> str:
    """Give the whole document."""
    read = [outcome for outcome in outcomes if not outcome.skipped]
    suites = [_suite(outcome, options.fail_on) for outcome in read]
    totals = {key: sum(int(counts[key]) for counts, _ in suites) for key in _COUNTS[:3]}
    head = _open("testsuites", name="streamsan", **totals)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', head]
    for (counts, cases), outcome in zip(suites, read, strict=True):
        lines += [_open("testsuite", name=outcome.path, **counts), *cases, "</testsuite>"]
    return "\n".join([*lines, "</testsuites>"]) + "\n"


_COUNTS = ("tests", "failures", "errors", "skipped")


def _suite(outcome: Outcome, fail_on: str) -> tuple[dict[str, int], list[str]]:
    """Give the counts of a trace and its cases."""
    counts: dict[str, int] = dict.fromkeys(_COUNTS, 0)
    cases = []
    for name, what, body in _cases(outcome, fail_on):
        counts["tests"] += 1
        if what in counts:
            counts[what] += 1
        cases.append(f"{_open('testcase', name=name, classname=outcome.path)}{body}</testcase>")
    return counts, cases


def _cases(outcome: Outcome, fail_on: str) -> Iterator[tuple[str, str, str]]:
    """Give name, what it counts as, and the inner XML of each case."""
    if outcome.failed:
        reason = f"{outcome.where}: {outcome.reason}"
        yield "readable", "errors", f"{_open('error', type='unreadable', message=reason)}</error>"
        return
    if outcome.damage is not None:
        body = f"{_open('error', type='damaged', message=outcome.damage)}</error>"
        yield "whole", "errors", body
    names: dict[str, int] = {}
    for finding in outcome.findings:
        name = _name(finding, names)
        text = escape("\n".join(finding_lines(finding)))
        if RANK[finding.severity] >= RANK[fail_on]:
            head = _open("failure", type=finding.rule, message=finding.message)
            yield name, "failures", f"{head}{text}</failure>"
        else:
            yield name, "", f"<system-out>{text}</system-out>"
    for each in outcome.accepted:
        words = f"{each.how}: {each.reason}" if each.reason else each.how
        body = f"{_open('skipped', type=each.how, message=words)}</skipped>"
        yield _name(each.finding, names), "skipped", body
    if not (outcome.findings or outcome.accepted or outcome.damage):
        yield "no findings", "", ""


def _name(finding: Finding, taken: dict[str, int]) -> str:
    """Name a case after its cause; a second one of the same name gets a number."""
    name = f"{title(finding)} ({finding.fingerprint[:8]})"
    taken[name] = taken.get(name, 0) + 1
    return name if taken[name] == 1 else f"{name} #{taken[name]}"


def _open(tag: str, **attributes: object) -> str:
    """Open a tag; ``visible`` takes out what XML has no way to say."""
    parts = (f" {key}={quoteattr(visible(str(value)))}" for key, value in attributes.items())
    return f"<{tag}{''.join(parts)}>"
