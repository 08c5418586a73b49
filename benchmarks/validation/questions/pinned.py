"""Questions on pinned memory: which results lie in it, and when a block of it is used again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from validation.copies.kinds import HUGE, LARGE, SMALL, STAGED
from validation.part import Context
from validation.probe import Probe, told

_SIZES = (1, SMALL, STAGED, LARGE, HUGE)
_OLD, _NEW = 1, 2
_BLOCK = 3 << 20  # a size that nothing else here allocates, so that no other block fits
_SLEEP = 30.0
_NON_BLOCKING = "x.to('cpu', non_blocking=True)"


def results(context: Context) -> Iterator[dict[str, Any]]:
    """Ask which results of downloads are pinned (R40)."""
    device = context.device
    for size in _SIZES:
        x = torch.ones(size, dtype=torch.uint8, device=device)
        into = torch.empty(size, dtype=torch.uint8)
        yield _is(_NON_BLOCKING, size, True, partial(x.to, "cpu", non_blocking=True))
        yield _is("x.to('cpu')", size, False, partial(x.to, "cpu"))
        yield _is("x.cpu()", size, False, x.cpu)
        yield _is("empty.copy_(x, non_blocking=True)", size, False,
                  partial(into.copy_, x, non_blocking=True))  # fmt: skip
    grid = torch.ones(64, 64, device=device)
    yield _is(f"{_NON_BLOCKING} of columns", 64 * 2 * 4, True,
              lambda: grid[:, 1:3].to("cpu", non_blocking=True))  # fmt: skip
    yield _is(f"{_NON_BLOCKING} transposed", 64 * 64 * 4, True,
              lambda: grid.t().to("cpu", non_blocking=True))  # fmt: skip
    yield _is("x.to('cpu', float64, non_blocking=True)", 64 * 64 * 8, None,
              lambda: grid.to("cpu", torch.float64, non_blocking=True))  # fmt: skip
    context.module.synchronize()


def _is(what: str, size: int, predicted: bool | None, make: Callable[[], Any]) -> dict[str, Any]:
    row = {"question": f"is {what} pinned", "size": size, "rule": "R40", "predicted": predicted}
    try:
        found = bool(make().is_pinned())
    except Exception as error:  # noqa: BLE001 - a row that fails says so
        return {**row, "error": told(error), "agrees": False}
    return {**row, "found": found, "agrees": None if predicted is None else found == predicted}


def recycling(context: Context, probe: Probe, side: Any) -> list[dict[str, Any]]:
    """Drop a pinned block with an upload of it under way, and ask for as much again (R38)."""
    row = {"size": _BLOCK, "rule": "R38"}
    try:
        found = _recycled(context, probe, side)
    except Exception as error:  # noqa: BLE001 - a row that fails says so
        return [{"question": "pinned memory used again", **row, "error": told(error),
                 "agrees": False}]  # fmt: skip
    predicted = {
        "a pinned block that no copy uses is handed out again at once": True,
        "the upload was under way when the block was asked for": True,
        "a pinned block is handed out again while its upload is under way": False,
        "the upload brings the values from before it was dropped": True,
        "the block is handed out again when the upload is done": True,
    }
    return [
        {"question": question, **row, "predicted": wanted, "found": answer,
         "agrees": answer == wanted}
        for (question, wanted), answer in zip(predicted.items(), found, strict=True)
    ]  # fmt: skip


def _block(value: int) -> torch.Tensor:
    return torch.full((_BLOCK,), value, dtype=torch.uint8, pin_memory=True)


def _recycled(context: Context, probe: Probe, side: Any) -> tuple[bool, ...]:
    """Answer the questions in their order."""
    block = _block(_OLD)
    first = block.data_ptr()
    del block
    block = _block(_OLD)
    unused = block.data_ptr() == first
    with context.module.stream(side):
        target = torch.zeros(_BLOCK, dtype=torch.uint8, device=context.device)
        context.module.synchronize()
        event = probe.delay(side, _SLEEP)
        target.copy_(block, non_blocking=True)
    address = block.data_ptr()
    del block
    other = _block(_NEW)
    under_way = not event.query()
    at_once = other.data_ptr() == address
    context.module.synchronize()
    right = bool((target.cpu() == _OLD).all())
    again = [_block(_NEW) for _ in range(2)]
    later = address in {each.data_ptr() for each in again}
    return unused, under_way, at_once, right, later
