"""Annotations of GitHub Actions: workflow commands, the worst first.

GitHub shows ten of each level per step, so no more are written and a last one counts the others.
With ``GITHUB_STEP_SUMMARY`` set, the ``markdown`` kind goes there beside it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from streamsan.checkers.policy.policy import Policy
from streamsan.checkers.reports.console import visible
from streamsan.checkers.reports.places import place_of
from streamsan.checkers.reports.plain import finding_lines, title
from streamsan.checkers.reports.summary import worst_first

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamsan.checkers.reports.outcome import Outcome
    from streamsan.checkers.reports.run import Options
    from streamsan.checkers.reports.summary import Located

MOST = 10
"""Annotations of one level that GitHub shows for a step."""
LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def render(outcomes: Sequence[Outcome], options: Options) -> str:
    """Give one workflow command a line."""
    return "".join(f"{line}\n" for line in _commands(outcomes, options.policy or Policy()))


def _commands(outcomes: Sequence[Outcome], policy: Policy) -> Iterator[str]:
    said: Counter[str] = Counter()
    left = 0
    for failed in (each for each in outcomes if each.failed):
        if said["error"] < MOST:
            said["error"] += 1
            yield command("error", f"{failed.where}: {failed.reason}", title="streamsan")
        else:
            left += 1
    for at in worst_first(outcomes):
        level = LEVELS[at.finding.severity]
        if said[level] < MOST - (level == "notice"):  # one is for the line that counts the rest
            said[level] += 1
            yield _annotation(level, at, policy)
        else:
            left += 1
    if left:
        words = f"and {left} more: see the step's summary, or the report"
        yield command("notice", words, title="streamsan")


def _annotation(level: str, at: Located, policy: Policy) -> str:
    place = place_of(at, policy)
    where = {"file": place.file, "line": str(place.line), "endLine": str(place.line)}
    lines = [*finding_lines(at.finding), f"trace: {visible(at.path)}"]
    return command(level, "\n".join(lines), **where, title=title(at.finding))


def command(level: str, message: str, **properties: str) -> str:
    """Write a workflow command; nothing in it can end it or begin another one."""
    said = ",".join(f"{key}={_property(visible(value))}" for key, value in properties.items())
    text = "\n".join(visible(line) for line in message.split("\n"))
    return f"::{level} {said}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
