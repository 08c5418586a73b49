"""One run of ``streamsan lint``: from its arguments to its output and exit status."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from streamsan.checkers.reports.console import emit, say
from streamsan.checkers.reports.inputs import Input, find_inputs
from streamsan.checkers.reports.outcome import Outcome, lint_file
from streamsan.checkers.reports.progress import with_progress
from streamsan.checkers.reports.summary import FAILED, exit_status, summary_lines, worst_first
from streamsan.checkers.rule import chosen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamsan.checkers.settings import Settings

WORTH_PROCESSES = 64 << 20
"""Stored bytes from which the start of processes pays."""
_NAMED = 5
"""Skipped files that are named in the note."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks of a run."""

    paths: tuple[str, ...]
    settings: Settings
    form: Literal["text", "concise", "json"] = "text"
    fail_on: str = "error"
    exit_zero: bool = False
    allow_damaged: bool = False
    statistics: bool = False
    jobs: int | None = None


def run_lint(options: Options) -> int:
    """Lint and report; give the exit status.

    Raises:
        UsageError: a selection matches no rule.
    """
    chosen(options.settings.select, options.settings.ignore)
    inputs, missing = find_inputs(options.paths)
    outcomes = [Outcome(e.source, failed=True, line=e.line, reason=e.reason) for e in missing]
    outcomes += _folders_without(with_progress(_lint_all(inputs, options), inputs))
    _tell_failures(outcomes, options)
    written = emit(render_outcomes(outcomes, options))
    status = exit_status(
        outcomes,
        fail_on=options.fail_on,
        exit_zero=options.exit_zero,
        allow_damaged=options.allow_damaged,
    )
    return status if written else FAILED


def _lint_all(inputs: Sequence[Input], options: Options) -> Iterator[tuple[int, Outcome]]:
    """Give the outcome of each file as it comes, with the file's index."""
    jobs = options.jobs
    if jobs is None:
        jobs = _processors() if sum(given.size for given in inputs) >= WORTH_PROCESSES else 1
    jobs = min(jobs, len(inputs))
    if jobs <= 1:
        return ((i, lint_file(given, options.settings)) for i, given in enumerate(inputs))
    from streamsan.checkers.reports.workers import lint_in_processes

    return lint_in_processes(inputs, options.settings, jobs)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _folders_without(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Make a failure of every folder in which each file turned out to be no trace."""
    useful = {o.folder for o in outcomes if not o.skipped}
    barren = dict.fromkeys(o.folder for o in outcomes if o.folder not in useful)
    reason = "no trace in this folder"
    return [
        *outcomes,
        *(Outcome(folder or "", failed=True, reason=reason) for folder in barren),
    ]


def _tell_failures(outcomes: Sequence[Outcome], options: Options) -> None:
    for outcome in outcomes:
        if outcome.failed:
            say("error", f"{outcome.where}: {outcome.reason}")
        elif outcome.damage is not None and not options.allow_damaged:
            say("error", f"{outcome.path}: damaged, so exit status 2 (see --allow-damaged): "
                f"{outcome.damage}")  # fmt: skip
    skipped = [outcome.path for outcome in outcomes if outcome.skipped]
    if skipped:
        names = ", ".join(skipped[:_NAMED]) + (", ..." if len(skipped) > _NAMED else "")
        files = "1 file that is no trace" if len(skipped) == 1 else (
            f"{len(skipped)} files that are no traces")  # fmt: skip
        say("note", f"skipped {files}: {names}")


def render_outcomes(outcomes: Sequence[Outcome], options: Options) -> str:
    """Give the report in the form asked for."""
    if options.form == "json":
        from streamsan.checkers.reports.machine import lint_json

        return lint_json(outcomes, statistics=options.statistics)
    found = worst_first(outcomes)
    closing = summary_lines(outcomes)
    if options.statistics:
        from streamsan.checkers.reports.summary import tallies
        from streamsan.checkers.reports.text import statistics_text

        return statistics_text(tallies(outcomes), closing)
    if options.form == "concise":
        from streamsan.checkers.reports.concise import concise_lines

        return "".join(concise_lines(found))
    from streamsan.checkers.reports.text import findings_text

    return findings_text(found, closing)
