"""``streamsan report``: one file that shows a trace and its findings, in any browser, offline."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from streamsan.commands import Command
from streamsan.commands.arguments import add_allow_damaged, listed
from streamsan.commands.output import status_of, write_text

if TYPE_CHECKING:
    from streamsan.checkers import Finding
    from streamsan.sim.machine import Program, Witness
    from streamsan.sim.machine.story import Beat
    from streamsan.traces import Trace

PLAYED = 50
"""Findings whose two runs are told step by step: the worst come first."""
STEPS = 200
"""Steps of a run that are told after the runs part."""


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("trace", metavar="TRACE", help="the trace; - for standard input")
    add("-o", "--output", metavar="FILE", required=True, help="the HTML file to write")
    add("--select", action="append", metavar="CODES", help="rules to run (default ALL)")
    add("--ignore", action="append", metavar="CODES", help="rules to leave out")
    add("--semantics", choices=("default", "strict"), default="default",
        help="strict: also findings that only the weakest promises allow")  # fmt: skip
    add("--no-confirm", action="store_true",
        help="do not look for the two schedules of each finding")  # fmt: skip
    add_allow_damaged(parser)


def _run(arguments: argparse.Namespace) -> int:
    import msgspec

    from streamsan.checkers import check
    from streamsan.checkers.reports.page import Contents, build_page
    from streamsan.checkers.settings import Settings
    from streamsan.commands.hall.pricing import priced
    from streamsan.traces import load
    from streamsan.traces.order import HappensBefore

    trace = load(arguments.trace)
    settings = Settings(
        select=listed(arguments.select), ignore=listed(arguments.ignore),
        semantics=arguments.semantics,
    )  # fmt: skip
    found = check(trace, settings)
    findings = priced(trace, found.findings)
    runs: dict[int, Any] = {}
    if not arguments.no_confirm:
        findings, runs = played(trace, findings)
    given = msgspec.structs.replace(trace.header.semantics, **dict(settings.switches))
    contents = Contents(HappensBefore(trace, given), findings, found.unknown, arguments.trace, runs)
    failed = write_text(build_page(contents), arguments.output)
    return failed or status_of(trace, arguments.trace, arguments.allow_damaged)


def played(
    trace: Trace, findings: tuple[Finding, ...]
) -> tuple[tuple[Finding, ...], dict[int, Any]]:
    """Look into the findings; give them with what was seen, and both runs of each witness."""
    from streamsan.commands.hall.confirming import Confirmer, with_verdict

    confirmer, told, runs = Confirmer(trace), list(findings), {}
    for number, finding in enumerate(findings[:PLAYED]):
        looked = confirmer.look(finding)
        if looked is None:
            continue
        told[number] = with_verdict(finding, looked.verdict)
        witness = looked.verdict.witness
        if witness is not None:
            runs[number] = _both(looked.judge.program(*finding.ops), witness)
    return tuple(told), runs


def _both(program: Program, witness: Witness) -> dict[str, Any]:
    """Tell both runs after their common beginning, of which only what touches memory is told."""
    from streamsan.sim.machine.story import parting, tell

    runs = [tell(program, schedule) for schedule in witness.schedules]
    together = parting(runs[0], runs[1])
    common = [beat for beat in runs[0][:together] if beat.touches]
    ends = [_reading(program, witness, turn, runs[turn]) for turn in (0, 1)]
    return {
        "common": _data(program, common[-STEPS:]),
        "runs": [
            _data(program, [*run[together : together + STEPS], *end])
            for run, end in zip(runs, ends, strict=True)
        ],
        "schedules": list(witness.schedules),
        "words": list(witness.words),
        "reader": witness.reader,
    }


def _reading(program: Program, witness: Witness, turn: int, told: list[Beat]) -> list[Beat]:
    """Give what the reader gets in the rest of a run, where it reads only later."""
    from streamsan.sim.machine.reach import run
    from streamsan.sim.machine.schedule import read, run_on
    from streamsan.sim.machine.story import told as tell_steps

    if witness.reader is None or any(beat.op == witness.reader for beat in told):
        return []
    steps, rest = read(program, witness.schedules[turn]), list[int]()
    run_on(program, run(program, steps), rest)
    beats = tell_steps(program, steps + rest)
    return [beat for beat in beats if beat.op == witness.reader and beat.got]


def _data(program: Program, beats: list[Beat]) -> list[dict[str, Any]]:
    from streamsan.commands.hall.replaying import as_data

    return as_data(program, beats)


COMMAND = Command(
    "show a trace and its findings in one HTML file",
    _add,
    _run,
    "Exit status: 0 the file is written, 2 wrong usage or unusable input (findings: see lint).",
)
