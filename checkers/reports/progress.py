"""A progress bar on standard error, where somebody looks and there is something to wait for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamsan.checkers.reports.inputs import Input
    from streamsan.checkers.reports.outcome import Outcome

WORTH_IT = 2 << 20
"""Stored bytes from which a bar is shown."""


def with_progress(
    outcomes: Iterator[tuple[int, Outcome]], inputs: Sequence[Input]
) -> list[Outcome]:
    """Collect outcomes, in the order of the files, under a bar that counts their bytes."""
    found: dict[int, Outcome] = {}
    if not _is_wanted(inputs):
        found.update(outcomes)
    else:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("linting"), BarColumn(), TextColumn("{task.fields[done]}"),
                   TimeElapsedColumn())  # fmt: skip
        console = Console(stderr=True, markup=False, emoji=False, highlight=False)
        with Progress(*columns, console=console, transient=True) as bar:
            # One file alone is a bar that pulses: nothing is known before it is done.
            total = sum(given.size for given in inputs) if len(inputs) > 1 else None
            task = bar.add_task("", total=total, done=f"0 of {len(inputs)}")
            for i, outcome in outcomes:
                found[i] = outcome
                bar.update(task, advance=inputs[i].size, done=f"{len(found)} of {len(inputs)}")
    return [found[i] for i in range(len(inputs))]


def _is_wanted(inputs: Sequence[Input]) -> bool:
    return (
        sys.stderr is not None
        and sys.stderr.isatty()
        and sum(given.size for given in inputs) >= WORTH_IT
    )
