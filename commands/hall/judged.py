"""What ``streamsan confirm`` prints of findings that were looked into, in text and in JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from streamsan.commands.hall.confirming import in_words, with_verdict

if TYPE_CHECKING:
    from streamsan.checkers import Finding
    from streamsan.checkers.reports.witness import Lanes
    from streamsan.commands.hall.confirming import Looked


class Judged(NamedTuple):
    """A finding, its number, and what looking into it showed; None where no schedule can."""

    number: int
    finding: Finding
    looked: Looked | None

    @property
    def confirmed(self) -> bool:
        """Whether the machine reproduced it."""
        return self.looked is not None and self.looked.verdict.confirmed

    @property
    def title(self) -> str:
        """Number, rule, ops, kind and buffer, in a line."""
        finding = self.finding
        noun = "op" if len(finding.ops) == 1 else "ops"
        ops = f", {noun} {' and '.join(map(str, finding.ops))}" if finding.ops else ""
        nodes = f", nodes {' and '.join(map(str, finding.nodes))}" if finding.nodes else ""
        buffer = f" on {finding.buffer}" if finding.buffer else ""
        head = f"{self.number}. {finding.rule} {finding.name}"
        return f"{head}{ops}{nodes}: {finding.kind}{buffer} ({finding.severity})"

    @property
    def words(self) -> list[str]:
        """What became of it."""
        if self.looked is None:
            return ["not looked into: no two schedules differ by it"]
        return [in_words(self.looked.verdict), *self.looked.verdict.circle]

    @property
    def closing(self) -> list[str]:
        """Who gets what in which run."""
        witness = self.looked.verdict.witness if self.looked is not None else None
        if witness is None:
            return []
        who = "in the end there is" if witness.reader is None else f"op {witness.reader} gets"
        return [
            f"run {turn}: {who} {got}    {schedule}"
            for turn, (got, schedule) in enumerate(
                zip(witness.words, witness.schedules, strict=True), 1
            )
        ]


def list_text(path: str, found: list[Judged]) -> str:
    """Give a block for each finding, and a line that counts them."""
    from streamsan.checkers.reports.console import visible

    lines = []
    for each in found:
        lines += [each.title, *(f"   {line}" for line in (*each.words, *each.closing)), ""]
    counts = Counter(_sort(each) for each in found)
    told = ", ".join(f"{number} {word}" for word, number in counts.items())
    lines.append(f"{path}: {told or 'no findings'}.")
    if any(each.looked is not None for each in found):
        lines.append("See both runs with --finding N --replay.")
    return "".join(f"{visible(line, 100_000)}\n" for line in lines)


def _sort(each: Judged) -> str:
    if each.looked is None:
        return "not looked into"
    return "confirmed" if each.confirmed else "not reproduced within bounds"


def replay_text(each: Judged) -> str:
    """Draw both runs of a finding; of a hang, the run up to where everything stands still."""
    from streamsan.checkers.reports.witness import lanes_text

    return lanes_text([each.title, *each.words], _lanes(each), each.closing)


def _lanes(each: Judged) -> Lanes:
    from streamsan.checkers.reports.witness import Lanes
    from streamsan.commands.hall.replaying import one_run, side_by_side

    if each.looked is None:
        return Lanes((), (), ())
    verdict, judge = each.looked
    if verdict.witness is not None:
        return side_by_side(judge.program(*each.finding.ops), verdict.witness)
    if verdict.schedule:
        return one_run(judge.program(*each.finding.ops), verdict.schedule)
    return Lanes((), (), ())


def as_json(path: str, found: list[Judged], *, runs: bool) -> str:
    """Give one JSON object: each finding as ``lint`` has it, and with ``runs`` their steps."""
    from streamsan.checkers.reports.machine import as_json as printed

    return printed({
        "version": 1, "path": path, "findings": [_finding(each, runs=runs) for each in found],
    })  # fmt: skip


def _finding(each: Judged, *, runs: bool) -> dict[str, Any]:
    finding = each.finding
    shape: dict[str, Any] = {"number": each.number, "confirmed": each.confirmed}
    if each.looked is None:
        return {**shape, **finding.to_json()}
    shape |= with_verdict(finding, each.looked.verdict).to_json()
    if runs:
        shape["runs"] = _runs(each)
    return shape


def _runs(each: Judged) -> list[dict[str, Any]]:
    from streamsan.commands.hall.replaying import as_data
    from streamsan.sim.machine.story import tell

    if each.looked is None:
        return []
    verdict, judge = each.looked
    witness = verdict.witness
    schedules = witness.schedules if witness is not None else (verdict.schedule,)
    program = judge.program(*each.finding.ops)
    return [
        {"schedule": schedule, "steps": as_data(program, tell(program, schedule))}
        for schedule in schedules
        if schedule
    ]
