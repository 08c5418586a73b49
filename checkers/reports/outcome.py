"""What became of one file: its findings, or why it has none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamsan.traces.errors import StreamsanError, TraceError

if TYPE_CHECKING:
    from streamsan.checkers.finding import Finding, Unknown
    from streamsan.checkers.policy.judge import Accepted
    from streamsan.checkers.reports.inputs import Input
    from streamsan.checkers.reports.ranks import Collective
    from streamsan.checkers.settings import Settings
    from streamsan.traces.model import Trace

TRACEBACK = "STREAMSAN_TRACEBACK"
"""The environment variable that shows where an internal error comes from."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What ``lint`` found out about one file; light enough to travel between processes.

    Args:
        path: the file.
        folder: the folder it was found in, if the user did not name it.
        failed: nothing of the file was linted; ``line`` and ``reason`` say why.
        skipped: it lay in a folder and is no trace at all.
        damage: why the file was read only in part.
        sources: the source files that the trace's stacks name.
        accepted: findings that a suppression or the baseline took out of ``findings``.
    """

    path: str
    folder: str | None = None
    source: str | None = None
    ops: int = 0
    streams: int = 0
    findings: tuple[Finding, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    damage: str | None = None
    failed: bool = False
    skipped: bool = False
    line: int | None = None
    reason: str = ""
    sources: frozenset[str] = frozenset()
    accepted: tuple[Accepted, ...] = ()
    rank: int | str | None = None
    world_size: int | None = None
    collectives: tuple[Collective, ...] = ()

    @property
    def where(self) -> str:
        """The file, with its line where the failure has one."""
        return self.path if self.line is None else f"{self.path}:{self.line}"


def failure(given: Input, reason: str, line: int | None = None) -> Outcome:
    """Say why a file could not be linted."""
    return Outcome(given.path, given.folder, failed=True, line=line, reason=reason)


def lint_file(given: Input, settings: Settings) -> Outcome:
    """Read and check one file. Whatever goes wrong costs this file alone."""
    try:
        return _lint(given, settings)
    except TraceError as error:
        if given.folder is not None and not _is_trace(given.path):
            return Outcome(given.path, given.folder, skipped=True)
        return failure(given, error.reason, error.line)
    except StreamsanError as error:
        return failure(given, str(error))
    except MemoryError:
        return failure(given, "out of memory")
    except Exception as error:  # noqa: BLE001  (the other files still count)
        return failure(given, internal(error))


def internal(error: BaseException) -> str:
    """Describe a mistake of streamsan's own in one line; show where, if asked to."""
    if os.environ.get(TRACEBACK):
        import traceback

        traceback.print_exception(error)
    text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return f"internal error, please report it ({TRACEBACK}=1 shows where): {text}"


def _lint(given: Input, settings: Settings) -> Outcome:
    from streamsan.checkers.engine import check
    from streamsan.traces import load
    from streamsan.traces.formats.container import paused_gc

    with paused_gc():  # what is made here lives until the file is done
        trace = load_joined(given) if given.execution is not None else load(given.path)
        report = check(trace, settings)
        findings = report.findings
        if settings.confirm is not None:
            findings = settings.confirm(trace, findings, settings.switches)
    return Outcome(
        given.path,
        given.folder,
        source=trace.header.source,
        ops=len(trace),
        streams=len(trace.streams),
        findings=findings,
        unknown=report.unknown,
        damage=damage_words(trace),
        sources=sources_of(trace),
        rank=trace.header.rank,
        world_size=trace.header.world_size,
        collectives=_collectives(trace),
    )


def sources_of(trace: Trace) -> frozenset[str]:
    """Name the source files on the stacks."""
    from streamsan.checkers.frames import parse

    frames = {frame for site in trace.header.sites for frame in site}
    return frozenset(parse(frame).file for frame in frames)


def _collectives(trace: Trace) -> tuple[Collective, ...]:
    if trace.header.rank is None:
        return ()
    from streamsan.checkers.reports.ranks import collectives

    return collectives(trace)


def load_joined(given: Input) -> Trace:
    """Read a profiler file with the execution trace of its run."""
    from streamsan.traces.formats.execution_trace import load_joined

    return load_joined(given.path, given.execution or "")


def damage_words(trace: Trace) -> str | None:
    """Say what is wrong with a damaged trace; None where nothing is."""
    return None if trace.damage is None else trace.damage.reason


def _is_trace(path: str) -> bool:
    """Whether a file announces itself as a trace, by its name or by its first bytes."""
    from streamsan.traces.formats import formats
    from streamsan.traces.formats.container import open_content

    if ".trace." in os.path.basename(path):  # noqa: PTH119
        return True
    try:
        with open_content(path) as content:
            head = content.head()
    except TraceError:
        return True  # it cannot be opened: that is worth an error, whatever it is
    return any(candidate.sniff(head) for candidate in formats())
