"""For people: the two accesses side by side, why, and the fix; ``--statistics`` counts instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsan.checkers.reports.summary import summary_lines, worst_first
from streamsan.checkers.reports.write import job_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsan.checkers.reports.outcome import Outcome
    from streamsan.checkers.reports.run import Options


def render(outcomes: Sequence[Outcome], options: Options) -> str:
    """Give a block for each finding, or a table of the rules that spoke."""
    closing = []
    if (job := job_of(outcomes)) is not None:
        from streamsan.checkers.reports.ranks import job_lines, merged

        closing = job_lines(job)
        outcomes = merged(outcomes, job)
    closing += summary_lines(outcomes)
    if options.statistics:
        from streamsan.checkers.reports.summary import tallies
        from streamsan.checkers.reports.text import statistics_text

        return statistics_text(tallies(outcomes), closing)
    from streamsan.checkers.reports.text import findings_text

    return findings_text(worst_first(outcomes), closing)
