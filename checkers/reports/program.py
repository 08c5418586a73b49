"""One run of ``streamsan run``: a program under the simulated device, its trace linted.

The device and the program live in a process of their own. Nothing here imports torch, and
whatever the program does to its process, its trace is read and its findings are told.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from streamsan.checkers.reports.child import Program, start
from streamsan.checkers.reports.console import say
from streamsan.checkers.reports.inputs import Input
from streamsan.checkers.reports.outcome import Outcome, lint_file
from streamsan.checkers.reports.run import conclude
from streamsan.checkers.reports.summary import FAILED
from streamsan.checkers.rule import chosen
from streamsan.traces.errors import UsageError
from streamsan.traces.formats import writer_of


def run_program(program: Program) -> int:
    """Run, lint and report; give the exit status: the program's own if it failed.

    Raises:
        UsageError: a selection matches no rule, there is no such script, or torch is missing.
    """
    chosen(program.lint.settings.select, program.lint.settings.ignore)
    _check(program)
    with tempfile.TemporaryDirectory(prefix="streamsan-") as folder:
        trace = program.output or str(Path(folder) / "program.trace.jsonl")
        before = _stamp(trace)
        ran = start(program, folder, policy=program.policy, trace=trace)
        if _stamp(trace) == before:
            if ran.status != FAILED:  # which it is where the device was not installed: it said why
                say("error", f"{program.script} left no trace: its process ended too suddenly")
            return ran.status or FAILED
        outcome = lint_file(Input(trace), program.lint.settings)
        outcome = replace(outcome, path=program.output or _name(program))
        if program.confirm and outcome.findings:
            from streamsan.checkers.reports.confirm import confirmed

            outcome = replace(outcome, findings=confirmed(outcome.findings, program, ran, folder))
    reported = _report(outcome, program)
    return ran.status or reported


def _name(program: Program) -> str:
    """Name a trace that is not kept. In the concise form a number follows, which is no line."""
    concise = program.lint.form == "concise"
    return f"trace of {program.script}" if concise else program.script


def _report(outcome: Outcome, program: Program) -> int:
    if outcome.failed:
        say("error", f"{outcome.where}: {outcome.reason}")
    return conclude([outcome], program.lint)


def _check(program: Program) -> None:
    if find_spec("torch") is None:
        raise UsageError("run --sim needs torch: install streamsan[torch], the CPU build")
    if not Path(program.script).is_file():
        raise UsageError(f"{program.script}: no such file")
    if program.output is not None:
        writer_of(program.output)
        if not Path(program.output).absolute().parent.is_dir():
            raise UsageError(f"{program.output}: there is no such folder")


def _stamp(path: str) -> tuple[int, int] | None:
    """Tell whether a file was written: an earlier trace keeps its time and size."""
    try:
        status = os.stat(path)  # noqa: PTH116 - as the user wrote it
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size
