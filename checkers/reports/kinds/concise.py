"""One line a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsan.checkers.reports.concise import concise_lines
from streamsan.checkers.reports.summary import worst_first
from streamsan.checkers.reports.write import job_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsan.checkers.reports.outcome import Outcome
    from streamsan.checkers.reports.run import Options


def render(outcomes: Sequence[Outcome], options: Options) -> str:
    """Give one line for each finding; ``--statistics`` counts instead."""
    if options.statistics:
        from streamsan.checkers.reports.kinds import text

        return text.render(outcomes, options)
    if (job := job_of(outcomes)) is not None:
        from streamsan.checkers.reports.ranks import merged

        outcomes = merged(outcomes, job)
    return "".join(concise_lines(worst_first(outcomes)))
