"""For programs: the one object of trace-format.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsan.checkers.reports.machine import lint_json
from streamsan.checkers.reports.write import job_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsan.checkers.reports.outcome import Outcome
    from streamsan.checkers.reports.run import Options


def render(outcomes: Sequence[Outcome], options: Options) -> str:
    """Give the object; ``--statistics`` adds to it."""
    return lint_json(outcomes, statistics=options.statistics, job=job_of(outcomes))
