"""What the documents leave open, answered by trying: calls of torch, pinned memory, allocators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from validation.part import Context, Part, Result, Unfinished
from validation.presumed import presumed
from validation.probe import Probe, judged, told
from validation.questions.allocators import lifetimes
from validation.questions.catalogue import QUESTIONS
from validation.questions.given import Question, warned
from validation.questions.pinned import recycling, results

Row = dict[str, Any]
_ENOUGH = 2.0
"""Seconds that a part needs to come to its end."""


def run(context: Context) -> Result:
    """Ask everything."""
    probe = Probe(context)
    module = context.module
    side, other = module.Stream(), module.Stream()
    allocators = list(lifetimes(context, probe.cycles))  # alone on the device, before the rest
    pinned = [*recycling(context, probe, side),
              *results(context)]  # fmt: skip
    rows = list(_calls(context, probe, side, other))
    errors = _model(context, rows, side)
    every = [*rows, *errors, *pinned, *allocators]
    return {
        "good": all(row["agrees"] is not False for row in every),
        "rows": [*rows, *errors], "pinned": pinned, "allocators": allocators,
        "differences": [row for row in every if row["agrees"] is False],
    }  # fmt: skip


def _calls(context: Context, probe: Probe, side: Any, other: Any) -> Iterator[Row]:
    """Measure each call behind work of its own stream, and of another one."""
    for question in QUESTIONS:
        if context.left < _ENOUGH:
            raise Unfinished(f"time was up at {question.name}")
        row = {"question": question.name, "rule": question.rule, "predicted": question.predicted}
        try:
            yield {**row, **_call(context, probe, question, side, other)}
        except Exception as error:  # noqa: BLE001 - a call that fails is a row that says so
            yield {**row, "error": told(error), "agrees": False}


def _call(context: Context, probe: Probe, question: Question, side: Any, other: Any) -> Row:
    reading = probe.measure(lambda: question.make(context.device), side, side)
    elsewhere = probe.measure(lambda: question.make(context.device), side, other)
    return {
        **reading.columns(), "waited_for_another": elsewhere.waited,
        "sync_debug_mode": warned(context, lambda: question.make(context.device), side),
        "agrees": judged(question.predicted, reading.waited),
    }  # fmt: skip


def _model(context: Context, rows: list[Row], side: Any) -> list[Row]:
    """Write beside each call what streamsan says of it.

    That it sees no wait where the device makes one is no error: what is not promised must not be
    relied upon (R26). The opposite is one.
    """
    makes = {question.name: (lambda q=question: q.make(context.device)) for question in QUESTIONS}
    try:
        said = presumed(context, makes, side)
    except Exception as error:  # noqa: BLE001 - a row says so
        return [{"question": "what streamsan says", "error": told(error), "agrees": False}]
    for row in rows:
        words = said[row["question"]]
        row["streamsan"] = words.get("waits", words.get("error"))
        if row.get("waited") in ("yes", "no") and words.get("waits") in (True, False):
            row["streamsan_holds"] = row["waited"] == "yes" or not words["waits"]
            row["unmodelled_wait"] = row["waited"] == "yes" and not words["waits"]
            if not row["streamsan_holds"]:
                row["agrees"] = False
    return []


PART = Part("questions", "what the documents leave open, answered by trying", run, seconds=40)
