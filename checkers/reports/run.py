"""One run of ``streamsan lint``: from its arguments to its output and exit status."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from streamsan.checkers.policy.judge import judge
from streamsan.checkers.policy.policy import Policy
from streamsan.checkers.reports.console import say
from streamsan.checkers.reports.inputs import Input, find_inputs, with_executions
from streamsan.checkers.reports.outcome import Outcome, lint_file
from streamsan.checkers.reports.progress import with_progress
from streamsan.checkers.reports.summary import CLEAN, FAILED, FOUND, exit_status
from streamsan.checkers.reports.write import write_all
from streamsan.checkers.rule import chosen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamsan.checkers.policy.baseline import Baseline
    from streamsan.checkers.reports.write import Output
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
    form: str = "text"
    fail_on: str = "error"
    exit_zero: bool = False
    allow_damaged: bool = False
    statistics: bool = False
    jobs: int | None = None
    executions: tuple[str, ...] = ()
    policy: Policy | None = None
    outputs: tuple[Output, ...] = ()
    baseline: Baseline | None = None
    strict: bool = False


def run_lint(options: Options) -> int:
    """Lint and report; give the exit status.

    Raises:
        UsageError: a selection matches no rule.
    """
    outcomes = lint_paths(options)
    tell_failures(outcomes, options)
    return conclude(outcomes, options)


def lint_paths(options: Options) -> list[Outcome]:
    """Lint every file that is asked for.

    Raises:
        UsageError: a selection matches no rule.
    """
    chosen(options.settings.select, options.settings.ignore)
    inputs, missing = find_inputs(options.paths)
    inputs = with_executions(inputs, options.executions)
    outcomes = [Outcome(e.source, failed=True, line=e.line, reason=e.reason) for e in missing]
    outcomes += _folders_without(with_progress(_lint_all(inputs, options), inputs))
    return outcomes


def conclude(outcomes: Sequence[Outcome], options: Options) -> int:
    """Apply what the team has decided, report, and give the exit status."""
    policy = options.policy or Policy(base=options.settings)
    judgement = judge(outcomes, policy, options.baseline)
    for note in judgement.notes:
        say("error" if note.fails else "warning", f"{note.where}: {note.words}")
    judged = judgement.outcomes
    written = write_all(judged, replace(options, policy=policy))
    status = exit_status(
        judged,
        fail_on=options.fail_on,
        exit_zero=options.exit_zero,
        allow_damaged=options.allow_damaged,
    )
    if status == CLEAN and (judgement.fails or (options.strict and any(o.unknown for o in judged))):
        status = CLEAN if options.exit_zero else FOUND
    return status if written else FAILED


def _lint_all(inputs: Sequence[Input], options: Options) -> Iterator[tuple[int, Outcome]]:
    """Give the outcome of each file as it comes, with the file's index."""
    jobs = options.jobs
    if jobs is None:
        jobs = _processors() if sum(given.size for given in inputs) >= WORTH_PROCESSES else 1
    jobs = min(jobs, len(inputs))
    policy = options.policy
    settings = [
        options.settings if policy is None else policy.settings(given.path) for given in inputs
    ]
    if jobs <= 1:
        return ((i, lint_file(given, settings[i])) for i, given in enumerate(inputs))
    from streamsan.checkers.reports.workers import lint_in_processes

    return lint_in_processes(inputs, settings, jobs)


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


def tell_failures(outcomes: Sequence[Outcome], options: Options) -> None:
    """Say on standard error what could not be linted, or not wholly, and what was skipped."""
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
