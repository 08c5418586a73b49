"""The table of all scenarios: found, confirmed, silent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from streamsan.commands.hall.scenarios import Verdict, confirm, judge

if TYPE_CHECKING:
    from streamsan.commands.hall.provoker import Provoker
    from streamsan.sim.scheduler.scenarios.outcome import Played
    from streamsan.sim.scheduler.scenarios.scenario import Scenario


@dataclass(frozen=True)
class Row:
    """One scenario in the table.

    Args:
        name: of the scenario.
        expected: rules that the buggy variant should give.
        found: ``yes``, ``no: ...`` with what is missing or too much, or ``-`` for a control.
        confirmed: what came out wrong, ``tokens`` or ``values``, or ``failure``; ``cost`` where it
            is only slow.
        evidence: the values, in words.
        fixed: ``silent``, or what should not be there.
        remaining: warnings and infos of the fixed variant, counted by rule.
    """

    name: str
    expected: tuple[str, ...]
    found: str
    confirmed: str
    evidence: str
    fixed: str
    remaining: Mapping[str, int]

    @property
    def good(self) -> bool:
        """Whether all is as it should be."""
        return self.found in {"yes", "-"} and self.confirmed != "no" and self.fixed == "silent"


Confirm = Callable[["Scenario", "Played"], tuple[str, str] | None]
"""Shows that a bug is real: what came out wrong, and in words; None where it could not."""


def row_of(scenario: Scenario, played: Mapping[bool, Played], confirm: Confirm) -> Row:
    """Judge both variants of a scenario, and confirm its bug."""
    fixed = judge(scenario, played[False], "fixed")
    expected = tuple(dict.fromkeys(each.rule for each in scenario.expect))
    found, confirmed, evidence = "-", "-", ""
    if True in played:
        found = _found(judge(scenario, played[True], "buggy"))
        confirmed = "cost" if scenario.wrong == "time" else "no"
        shown = None if scenario.wrong == "time" else confirm(scenario, played[True])
        if shown is not None:
            confirmed, evidence = shown
    remaining = Counter(f.rule for f in fixed.findings if f.severity != "error")
    silent = _silent(fixed)
    return Row(scenario.name, expected, found, confirmed, evidence, silent, dict(remaining))


@contextmanager
def confirming(device: str, steps: int | None) -> Iterator[Confirm]:
    """Give what confirms on a device: directed schedules if it is simulated, delays on a GPU."""
    if device == "simcuda":
        yield lambda scenario, played: _directed(scenario, played, steps)
        return
    from streamsan.commands.hall.provoker import Provoker

    with Provoker(device, steps) as provoker:
        yield lambda scenario, played: _delayed(scenario, played, provoker)


def _directed(scenario: Scenario, played: Played, steps: int | None) -> tuple[str, str] | None:
    shown = confirm(scenario, played, steps)
    return None if shown is None else (shown.kind, str(shown))


def _delayed(scenario: Scenario, played: Played, provoker: Provoker) -> tuple[str, str] | None:
    if played.trace is None:
        raise ValueError("the run was not recorded")
    found = provoker.provoke(scenario, played.trace)
    if found.wrong is None:
        return None
    kind, told = found.wrong
    return kind, f"wrong {kind} with a delay before {found.delay}: {told}"


def _found(verdict: Verdict) -> str:
    if verdict.good:
        return "yes"
    extra = [f"also {each.rule} {each.message}" for each in verdict.extra]
    return "no: " + "; ".join([*(f"no {each}" for each in verdict.missing), *extra])


def _silent(verdict: Verdict) -> str:
    errors = [
        f"{each.rule} {each.message}" for each in verdict.findings if each.severity == "error"
    ]
    return "; ".join([*errors, *verdict.wrong]) or "silent"


def heading() -> str:
    """Give the table's first line."""
    return f"{'scenario':<28}{'expected':<22}{'found':<6} {'confirmed':<10} fixed variant\n"


def line(row: Row) -> str:
    """Give a line of the table."""
    remaining = " ".join(f"{rule} x{count}" for rule, count in sorted(row.remaining.items()))
    fixed = row.fixed + (f" (true warnings: {remaining})" if remaining else "")
    expected = " ".join(row.expected) or "-"
    return f"{row.name:<28}{expected:<22}{row.found:<6} {row.confirmed:<10} {fixed}\n"


def summary(rows: Sequence[Row]) -> str:
    """Give the last line."""
    pairs = [row for row in rows if row.found != "-"]
    races = [row for row in pairs if row.confirmed != "cost"]
    good = sum(row.fixed == "silent" for row in rows)
    found = sum(row.found == "yes" for row in pairs)
    confirmed = sum(row.confirmed != "no" for row in races)
    return (
        f"\n{found} of {len(pairs)} bugs found, {confirmed} of {len(races)} hazards confirmed, "
        f"{good} of {len(rows)} correct programs silent.\n"
    )


def write_rows(folder: str, rows: Sequence[Row]) -> None:
    """Keep the table as ``matrix.json``."""
    path = Path(folder) / "matrix.json"
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
