"""Writes a report: one form to standard output, others to files, all from one run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, NamedTuple

from streamsan.checkers.reports import kinds as _home
from streamsan.checkers.reports.console import emit, say
from streamsan.traces.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streamsan.checkers.reports.outcome import Outcome
    from streamsan.checkers.reports.ranks import Job
    from streamsan.checkers.reports.run import Options

STDOUT = "-"
SUMMARY = "GITHUB_STEP_SUMMARY"
"""The environment variable that names the file of a step's summary."""


class Output(NamedTuple):
    """One more report: its kind, and the file it goes to."""

    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class Streams:
    """What goes to standard output, and what to files."""

    form: str
    files: tuple[Output, ...]


def kinds() -> list[str]:
    """Name the kinds of reports, without loading them; the one for people comes first."""
    found = sorted(module.name for module in iter_modules(_home.__path__))
    return sorted(found, key=lambda kind: kind != "text")


def read_outputs(values: Iterable[str], form: str | None) -> Streams:
    """Read the values of ``--output`` beside that of ``--format``.

    Raises:
        UsageError: a value has another form, or two reports have one goal.
    """
    found = [_read(value) for value in values]
    goals = [each.path for each in found]
    doubled = next((path for i, path in enumerate(goals) if path in goals[:i]), None)
    if doubled is not None:
        raise UsageError(f"two of --output go to {doubled!r}")
    printed = next((each.kind for each in found if each.path == STDOUT), None)
    if printed is not None and form is not None:
        raise UsageError(
            f"--format {form} and --output {printed}=- both go to standard output: give one of them"
        )
    files = tuple(each for each in found if each.path != STDOUT)
    return Streams(printed or form or "text", files)


def _read(value: str) -> Output:
    kind, equals, path = value.partition("=")
    if not equals or not path:
        raise UsageError(f"--output takes KIND=PATH, not {value[:60]!r}")
    if kind not in kinds():
        raise UsageError(f"--output has no kind {kind[:30]!r}; kinds: {', '.join(kinds())}")
    return Output(kind, path)


def job_of(outcomes: Sequence[Outcome]) -> Job | None:
    """Find out whether the files are ranks of one job."""
    if sum(outcome.rank is not None for outcome in outcomes) <= 1:
        return None
    from streamsan.checkers.reports.ranks import find_job

    return find_job(outcomes)


def render(kind: str, outcomes: Sequence[Outcome], options: Options) -> str:
    """Give the report in one form."""
    module = import_module(f"{_home.__name__}.{kind}")
    text: str = module.render(outcomes, options)
    return text


def write_all(outcomes: Sequence[Outcome], options: Options) -> bool:
    """Write every report that is asked for; false where one could not be written."""
    written = emit(render(options.form, outcomes, options))
    for output in options.outputs:
        written = _write(output.path, render(output.kind, outcomes, options)) and written
    wanted = {options.form, *(output.kind for output in options.outputs)}
    if "github" in wanted and (path := os.environ.get(SUMMARY)):
        written = _write(path, render("markdown", outcomes, options), "a") and written
    return written


def _write(path: str, text: str, mode: str = "w") -> bool:
    try:
        with open(  # noqa: PTH123 - as the user wrote it
            path, mode, encoding="utf-8", newline="\n", errors="backslashreplace"
        ) as file:
            file.write(text)
    except (OSError, ValueError) as error:
        say("error", f"{path}: {getattr(error, 'strerror', None) or error}")
        return False
    return True
