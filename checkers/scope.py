"""``streamsan.check``: a trace, or the body of a ``with``, recorded and checked at its end."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, overload

from streamsan.checkers import engine
from streamsan.checkers.engine import Report
from streamsan.checkers.finding import RANK, Finding, Severity
from streamsan.checkers.settings import Settings
from streamsan.traces.errors import StreamsanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsan.traces import Trace
    from streamsan.traces.recorder.record import Recording

_PART = "part.trace.jsonl"


class HazardError(StreamsanError):
    """Raised by ``with streamsan.check():`` at the end of a body in which hazards were found.

    Args:
        report: what was found; suppressed findings are not in it.
        failing: the findings that are bad enough.
    """

    def __init__(self, report: Report, failing: Sequence[Finding]) -> None:
        """Make the message: a block for each finding."""
        from streamsan.checkers.reports.plain import report_text

        self.report = report
        self.failing = tuple(failing)
        super().__init__(report_text(failing))


class Scope:
    """A stretch of a program that is recorded and checked; ``report`` is there afterwards."""

    def __init__(
        self, settings: Settings | None, fail_on: Severity | None, keep: str | Path | None
    ) -> None:
        self.report: Report | None = None
        self._settings = settings
        self._fail_on = fail_on
        self._keep = None if keep is None else Path(keep)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._recording: Recording | None = None

    def __enter__(self) -> Self:
        from streamsan.traces.recorder.record import record

        path = self._keep
        if path is None:
            self._folder = tempfile.TemporaryDirectory(prefix="streamsan-")
            path = Path(self._folder.name) / _PART
        try:
            self._recording = record(path)
            self._recording.start()
        except BaseException:
            self._recording = None
            self._clean()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._recording is None:
            return
        try:
            self._recording.__exit__(kind, error, trace)
            recorded = self._recording.trace()
        finally:
            self._clean()
        self._judge(recorded, error)

    def _clean(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def _judge(self, recorded: Trace, error: BaseException | None) -> None:
        report, threshold = judged(recorded, self._settings)
        self.report = report
        least = RANK[self._fail_on or threshold]
        failing = [each for each in report.findings if RANK[each.severity] >= least]
        if failing and error is None:
            raise HazardError(report, failing)
        if failing and error is not None:  # the program's own error goes first
            error.add_note(f"streamsan: {HazardError(report, failing)}")


def judged(trace: Trace, settings: Settings | None) -> tuple[Report, Severity]:
    """Check as the command line would: with the nearest configuration, unless settings are given.

    Raises:
        UsageError: the configuration cannot be used, or a selection matches no rule.
    """
    from streamsan.checkers.policy.config import load_config
    from streamsan.checkers.policy.judge import judge
    from streamsan.checkers.policy.policy import Policy
    from streamsan.checkers.reports.outcome import Outcome, sources_of

    policy = Policy(load_config())
    report = engine.check(trace, settings or policy.settings())
    outcome = Outcome("-", findings=report.findings, sources=sources_of(trace))
    (outcome,) = judge([outcome], policy).outcomes
    return Report(trace, outcome.findings, report.unknown), policy.threshold


@overload
def check(trace: Trace, settings: Settings | None = None) -> Report: ...


@overload
def check(
    *,
    settings: Settings | None = None,
    fail_on: Severity | None = None,
    keep: str | Path | None = None,
) -> Scope: ...


def check(
    trace: Trace | None = None,
    settings: Settings | None = None,
    *,
    fail_on: Severity | None = None,
    keep: str | Path | None = None,
) -> Report | Scope:
    """Check a trace; or, without one, record the body of a ``with`` and check that.

    Both ways::

        report = streamsan.check(trace)

        with streamsan.check():
            step()

    A body records on a CUDA device, or on the simulated one where it is installed. The nearest
    configuration holds for it, suppressions too; a trace is checked with ``settings`` alone.

    Args:
        trace: the trace.
        settings: which rules run; for a body, instead of the configuration's.
        fail_on: the least severity that raises at the end of a body (the configuration's).
        keep: a file that keeps the trace of a body.

    Raises:
        UsageError: a selection matches no rule.
        RecordError: a body cannot be recorded here.
        HazardError: at the end of a body in which something was found.
    """
    if trace is not None:
        return engine.check(trace, settings)
    return Scope(settings, fail_on, keep)
