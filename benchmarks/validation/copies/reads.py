"""When does a copy touch host memory: at the call, or when its turn on the stream comes?

The source of an upload is overwritten right behind the call, while the stream is still busy, and
what arrived is looked at afterwards. The target of a download is read right behind the call.
Pinned memory is the control: there the answer must be the other one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from validation.copies.kinds import PAGEABLE_SIZES
from validation.part import Context
from validation.probe import Probe, told

_OLD, _NEW, _STALE = 1, 2, 9
_SLEEP = 40.0


def uploads(context: Context, probe: Probe, stream: Any) -> Iterator[dict[str, Any]]:
    """Ask of uploads what they read (R22, R23)."""
    for pinned in (False, True):
        for size in PAGEABLE_SIZES:
            row = _row("H2D", pinned, size, "the new value" if pinned else "the value at the call")
            try:
                found = _upload(context, probe, stream, size, pinned)
            except Exception as error:  # noqa: BLE001 - a row that fails says so
                yield {**row, "error": told(error), "agrees": False}
                continue
            answer = _read_when(found, size)
            agrees: bool | None = answer == row["predicted"]
            if pinned and not found["overwritten_in_time"]:
                agrees = None  # the host came too late: nothing was shown
            yield {**row, "found": answer, **found, "agrees": agrees}


def _upload(context: Context, probe: Probe, stream: Any, size: int, pinned: bool) -> dict[str, Any]:
    source = torch.full((size,), _OLD, dtype=torch.uint8, pin_memory=pinned)
    with context.module.stream(stream):
        target = torch.full((size,), _STALE, dtype=torch.uint8, device=context.device)
        target.copy_(source, non_blocking=True)  # once without delay: caches are filled
        context.module.synchronize()
        event = probe.delay(stream, _SLEEP)
        target.copy_(source, non_blocking=True)
        waited = bool(event.query())
        half = size // 2
        source[half:].fill_(_NEW)  # the last byte first: a copy under way would reach it last
        source[:half].fill_(_NEW)
        late = bool(event.query())
        context.module.synchronize()
        arrived = target.cpu()
    return {
        "waited": waited, "overwritten_in_time": not late,
        "new_bytes": int((arrived == _NEW).sum()), "bytes": size,
    }  # fmt: skip


def _read_when(found: dict[str, Any], size: int) -> str:
    new = found["new_bytes"]
    if new == 0:
        return "the value at the call"
    return "the new value" if new == size else f"a mixture, {new} bytes new"


def downloads(context: Context, probe: Probe, stream: Any) -> Iterator[dict[str, Any]]:
    """Ask of downloads whether their value is there when the call returns (R22, R23)."""
    for pinned in (False, True):
        for size in PAGEABLE_SIZES:
            predicted = "not yet there" if pinned else "there at the return"
            row = _row("D2H", pinned, size, predicted)
            try:
                found = _download(context, probe, stream, size, pinned)
            except Exception as error:  # noqa: BLE001 - a row that fails says so
                yield {**row, "error": told(error), "agrees": False}
                continue
            answer = found.pop("answer")
            yield {**row, "found": answer, **found,
                   "agrees": answer == predicted and found["right_at_the_end"]}  # fmt: skip


def _download(
    context: Context, probe: Probe, stream: Any, size: int, pinned: bool
) -> dict[str, Any]:
    target = torch.full((size,), _STALE, dtype=torch.uint8, pin_memory=pinned)
    with context.module.stream(stream):
        source = torch.full((size,), _OLD, dtype=torch.uint8, device=context.device)
        target.copy_(source, non_blocking=True)
        context.module.synchronize()
        target.fill_(_STALE)
        event = probe.delay(stream, _SLEEP)
        source.fill_(_NEW)
        target.copy_(source, non_blocking=True)
        waited = bool(event.query())
        ends = {int(target[0]), int(target[-1])}
        context.module.synchronize()
    names = {_NEW: "there at the return", _STALE: "not yet there", _OLD: "an older value"}
    answer = names.get(min(ends), "?") if len(ends) == 1 else f"a mixture: {sorted(ends)}"
    return {"answer": answer, "waited": waited, "bytes": size,
            "right_at_the_end": bool((target == _NEW).all())}  # fmt: skip


def _row(direction: str, pinned: bool, size: int, predicted: str) -> dict[str, Any]:
    memory = "pinned" if pinned else "pageable"
    return {
        "what": f"{direction} {memory} copy_ non_blocking", "size": size,
        "rule": "R23" if pinned else "R22", "predicted": predicted,
    }  # fmt: skip
