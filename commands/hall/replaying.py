"""Runs as a person reads them: from the machine's beats to lanes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamsan.checkers.reports.witness import Event, Lanes
    from streamsan.sim.machine import Program, Witness
    from streamsan.sim.machine.story import Beat

MOST_LANES = 6
"""Lanes that are drawn apart; the lines beyond share the last one."""


def replay_text(program: Program, schedule: str, form: str) -> str:
    """Tell the run of one schedule, and what came of it.

    Raises:
        ScheduleError: it cannot be read, or this program cannot follow it.
    """
    from streamsan.checkers.reports.machine import as_json
    from streamsan.checkers.reports.witness import Lanes, Run, lanes_text
    from streamsan.sim.machine import describe, outcome_of
    from streamsan.sim.machine.reach import run
    from streamsan.sim.machine.schedule import follow, read, run_on
    from streamsan.sim.machine.story import lines_of, told

    steps = read(program, schedule)
    for _ in follow(program, steps):  # a step that cannot be taken is told before anything is run
        pass
    rest: list[int] = []
    state = run_on(program, run(program, steps), rest)
    beats = told(program, steps + rest)
    outcome = describe(program, outcome_of(program, state))
    if form == "json":
        return as_json({
            "version": 1, "schedule": schedule, "steps": as_data(program, beats),
            "outcome": outcome,
        })  # fmt: skip
    order = lines_of(beats)
    events = tuple(events_of(beats, order))
    lanes = Lanes(names_of(program, order), (), (Run(schedule, events),))
    return lanes_text((), lanes, outcome)


def as_data(program: Program, beats: Iterable[Beat]) -> list[dict[str, Any]]:
    """Give beats as plain values."""
    return [
        {"line": program.lines[b.line].label, "op": b.op, "does": b.words, "got": b.got or None}
        for b in beats
    ]


def names_of(program: Program, order: Sequence[int]) -> tuple[str, ...]:
    """Name the lanes, in the order of their lines."""
    names = [program.lines[line].label for line in order]
    if len(names) > MOST_LANES:
        names = [*names[: MOST_LANES - 1], f"{len(names) - MOST_LANES + 1} other lines"]
    return tuple(names)


def events_of(beats: Iterable[Beat], order: Sequence[int]) -> Iterable[Event]:
    """Put beats into their lanes."""
    from streamsan.checkers.reports.witness import Event

    for beat in beats:
        yield Event(min(order.index(beat.line), MOST_LANES - 1), beat.words, beat.got)


def one_run(program: Program, schedule: str) -> Lanes:
    """Tell a run to where its schedule ends.

    Raises:
        ScheduleError: the schedule cannot be read, or this program cannot follow it.
    """
    from streamsan.checkers.reports.witness import Lanes, Run
    from streamsan.sim.machine.story import lines_of, tell

    beats = tell(program, schedule)
    order = lines_of(beats)
    if not beats:
        return Lanes((), (), ())
    return Lanes(names_of(program, order), (), (Run(schedule, tuple(events_of(beats, order))),))


def side_by_side(program: Program, witness: Witness) -> Lanes:
    """Tell two runs that agree and then part; of their beginning, what touches memory.

    A reader that comes only later is told at the end, after all the rest.

    Raises:
        ScheduleError: a schedule cannot be read, or this program cannot follow it.
    """
    from streamsan.checkers.reports.witness import Event, Lanes, Run
    from streamsan.sim.machine.story import lines_of, parting, tell

    runs = [tell(program, schedule) for schedule in witness.schedules]
    together = parting(runs[0], runs[1])
    late = witness.reader not in (None, *(beat.op for run in runs for beat in run))
    ends = [_reading(program, s, witness.reader) if late else [] for s in witness.schedules]
    kept = [beat for beat in runs[0][:together] if beat.touches]
    order = lines_of([*kept, *(beat for run in runs for beat in run[together:]), *ends[0]])
    rest = (Event(-1, "... all the rest, and then"),) if late else ()
    return Lanes(
        names_of(program, order),
        tuple(_beginning(runs[0][:together], order)),
        tuple(
            Run(
                f"run {turn}: {schedule}",
                (*events_of(run[together:], order), *rest, *events_of(end, order)),
            )
            for turn, (run, schedule, end) in enumerate(
                zip(runs, witness.schedules, ends, strict=True), 1
            )
        ),
    )


def _reading(program: Program, schedule: str, reader: int | None) -> list[Beat]:
    """Give what an op reads in a run that goes on to its end."""
    from streamsan.sim.machine.reach import run
    from streamsan.sim.machine.schedule import read, run_on
    from streamsan.sim.machine.story import told

    steps, rest = read(program, schedule), list[int]()
    run_on(program, run(program, steps), rest)
    return [beat for beat in told(program, steps + rest) if beat.op == reader and beat.got]


def _beginning(beats: Sequence[Beat], order: Sequence[int]) -> Iterable[Event]:
    """Count what both runs do at their beginning without touching the memory in question."""
    from streamsan.checkers.reports.witness import Event

    passed = 0
    for beat in beats:
        if not beat.touches:
            passed += 1
            continue
        if passed:
            yield Event(-1, _passed(passed))
        passed = 0
        yield from events_of([beat], order)
    if passed:
        yield Event(-1, _passed(passed))


def _passed(count: int) -> str:
    return f"... {count} {'op' if count == 1 else 'ops'} before, on other memory"
