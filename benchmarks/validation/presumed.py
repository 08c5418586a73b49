"""What streamsan says of a call: the same program recorded, and the order asked."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import streamsan
from validation.part import Context
from validation.probe import Make, told

_DEVICE_WORK = frozenset({"launch", "memcpy", "memset"})


def presumed(
    context: Context, makes: Mapping[str, Make], current: Any
) -> dict[str, dict[str, Any]]:
    """Say for each call whether the host is ordered after its stream's work, and after its own.

    ``waits`` tells whether work queued on the current stream before the call comes before what
    the host does behind it, ``own`` whether the call's own work does; None if it has none.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.trace.jsonl"
        with streamsan.record(path, stacks=False) as recording, context.module.stream(current):
            before = torch.ones(4, device=context.device)
            failed = {name: _call(context, before, number, make)
                      for number, (name, make) in enumerate(makes.items())}  # fmt: skip
        order = streamsan.HappensBefore(recording.trace())
    said = _said(order)
    return {
        name: said.get(number, {}) if failed[name] is None else {"error": failed[name]}
        for number, name in enumerate(makes)
    }


def _call(context: Context, before: torch.Tensor, number: int, make: Make) -> str | None:
    """Make a call between two marks, with a kernel right before it; give its error, if any."""
    try:
        call = make()
        context.module.synchronize()
        before.add_(1)
        streamsan.mark(f"begin {number}")
        kept = call()
        streamsan.mark(f"end {number}")
        context.module.synchronize()
        del kept
    except Exception as error:  # noqa: BLE001 - a call that fails is a row that says so
        return told(error)
    return None


def _said(order: streamsan.HappensBefore) -> dict[int, dict[str, Any]]:
    """Give what the order says of each pair of marks."""
    found: dict[int, dict[str, Any]] = {}
    work: list[int] = []
    before = 0
    for index, op in enumerate(order.trace):
        if op.word in _DEVICE_WORK:
            work.append(index)
        elif op.word == "mark" and op.name.startswith("begin "):
            before = len(work)
        elif op.word == "mark" and op.name.startswith("end ") and before:
            own = work[before:]
            found[int(op.name.removeprefix("end "))] = {
                "waits": order.ordered(work[before - 1], index),
                "own": all(order.ordered(each, index) for each in own) if own else None,
            }
    return found
