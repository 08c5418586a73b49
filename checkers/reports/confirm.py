"""Confirming findings: one directed run of the real program for each.

The first op of the pair is held back as long as is legal, all else runs at once. Where the
program then sees other values than eagerly, the race is real: both schedules are legal. A third
run, eager like the first, shows which values differ for another reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest

from streamsan.checkers.finding import Finding
from streamsan.checkers.reports.child import Program, Ran, start
from streamsan.checkers.reports.console import visible

PAIR = 2
_FAMILIES = ("SO1", "SO2", "SO7")
"""Rules on values. Waits that are merely too long (SO4) change none."""
_PATIENCE = 60.0
_LONGEST = 120


def confirmed(
    findings: tuple[Finding, ...], program: Program, ran: Ran, folder: str
) -> tuple[Finding, ...]:
    """Give the findings with what their directed runs showed, as ``details["directed"]``."""
    runs = _Runs(program, ran, folder)
    return tuple(
        replace(each, details={**each.details, "directed": runs.verdict(each.ops[0])})
        if len(each.ops) == PAIR and each.rule.startswith(_FAMILIES)
        else each
        for each in findings
    )


@dataclass(frozen=True)
class Difference:
    """Where two runs saw different values."""

    got: str
    eagerly: str
    where: str


class _Runs:
    """The runs of one program: each schedule once."""

    def __init__(self, program: Program, ran: Ran, folder: str) -> None:
        self._program = program
        self._first = ran
        self._folder = folder
        self._verdicts: dict[int, str] = {}

    def _run(self, policy: str) -> Ran:
        patience = _PATIENCE + 10 * self._first.seconds
        return start(self._program, self._folder, policy=policy, patience=patience)

    @cached_property
    def _eager(self) -> Ran:
        return self._first if self._program.policy == "eager" else self._run("eager")

    @cached_property
    def _control(self) -> Ran:
        return self._run("eager")

    def verdict(self, op: int) -> str:
        """Say whether holding an op changes what the program sees."""
        if op not in self._verdicts:
            self._verdicts[op] = self._judge(op)
        return self._verdicts[op]

    def _judge(self, op: int) -> str:
        held = self._run(f"directed({op})")
        if not held.ended:
            return f"not reproduced: with op {op} held back the program did not end"
        if next(differences(held, self._eager), None) is not None:
            noise = {each.where for each in differences(self._control, self._eager)}
            for each in differences(held, self._eager):
                if each.where not in noise:
                    return (
                        f"confirmed: got {each.got}, eagerly {each.eagerly} "
                        f"({each.where}; op {op} held back)"
                    )
        return f"not reproduced: with op {op} held back the program saw the same values"


def differences(run: Ran, eager: Ran) -> Iterator[Difference]:
    """Compare what two runs saw: reads of the host, then what was left, status and output."""
    for thread, expected in eager.seen.items():
        pairs = zip(run.seen.get(thread, []), expected, strict=False)
        for number, (got, right) in enumerate(pairs):
            if got[0] != right[0]:
                where = f"{right[2]} at {right[3]}, read {number} of {thread}"
                yield _told(got[1], right[1], where)
    for name, (digest, text) in eager.left.items():
        other = run.left.get(name)
        if other is not None and other[0] != digest:
            yield _told(other[1], text, f"{name} at the end")
    if run.status != eager.status:
        yield _told(f"exit status {run.status}", f"exit status {eager.status}", "exit status")
    lines = zip_longest(_lines(run), _lines(eager), fillvalue="")
    for number, (line, right_line) in enumerate(lines, 1):
        if line != right_line:
            yield _told(repr(line), repr(right_line), f"line {number} of standard output")


def _told(got: str, eagerly: str, where: str) -> Difference:
    if got == eagerly:
        got, eagerly = f"other values than {got}", "these"
    return Difference(visible(got, _LONGEST), visible(eagerly, _LONGEST), visible(where, _LONGEST))


def _lines(run: Ran) -> list[str]:
    return run.stdout.decode("utf-8", "replace").splitlines()
