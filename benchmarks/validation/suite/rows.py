"""The programs of the simulated device's tests, as functions of a device, and their values.

They are the tests' own modules. Values of the CPU are those of a correct schedule.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))
import sim_programs
import sim_table
import sim_table_streams
import sim_table_twins

Program = Callable[[], Any]
_TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
"""Of floats: a GPU sums in another order than the CPU, and has other exponentials."""
TWO_DEVICES = frozenset({"peer_copy"})
NOT_COMPARABLE: dict[str, str] = {}
"""Rows whose values a GPU need not give, and why: drawn numbers are compared nowhere."""


@contextmanager
def on_device(device: str) -> Iterator[None]:
    """Let the tests' programs run on a device, with the precision of the CPU."""
    owners: tuple[Any, ...] = (sim_programs, sim_table_twins)
    before = [owner.DEVICE for owner in owners]
    exact = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    array = sim_table_streams.HOST["host_array"]
    for owner in owners:
        owner.DEVICE = device
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if device == "cuda":  # tensors of torch take no `copy` there; those of the simulation do
        _replace("host_array", sim_table_streams.reading(lambda host: host.numpy().copy().tolist()))
    try:
        yield
    finally:
        for owner, name in zip(owners, before, strict=True):
            owner.DEVICE = name
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = exact
        _replace("host_array", array)


def _replace(name: str, row: Any) -> None:
    sim_table_streams.HOST[name] = sim_table_twins.BOTH[name] = row


def names() -> list[str]:
    """Give all rows: ops, streams and host accesses, and the four programs."""
    return [*sim_table.TABLE, *sim_table_twins.BOTH, *sim_programs.PROGRAMS]


def once(name: str) -> Program:
    """Give a row as it stands, with its waits."""
    if name in sim_programs.PROGRAMS:
        return lambda: sim_programs.PROGRAMS[name][0](True)
    return sim_table_twins.once(name)


def twin(name: str, synced: bool) -> Program | None:
    """Give a row as a program of two streams; None if it has no such twin."""
    if name in sim_programs.PROGRAMS:
        return lambda: sim_programs.PROGRAMS[name][0](synced)
    return None if name in sim_table_twins.NO_TWIN else sim_table_twins.twin(name, synced)


def expected(name: str) -> Any:
    """Give the values of a correct schedule."""
    if name in sim_programs.PROGRAMS:
        return sim_programs.PROGRAMS[name][1]
    return sim_table_twins.expected(name)


def difference(found: Any, right: Any) -> str | None:
    """Say where two values differ; None if they do not."""
    if type(found) is not type(right):
        return f"a {type(found).__name__} instead of a {type(right).__name__}"
    if isinstance(right, list):
        if len(found) != len(right):
            return f"{len(found)} values instead of {len(right)}"
        pairs = zip(found, right, strict=True)
        return next((said for said in (difference(a, b) for a, b in pairs) if said), None)
    if isinstance(right, torch.Tensor):
        return _of_tensors(found, right)
    if isinstance(right, float) and math.isclose(found, right, rel_tol=1e-4, abs_tol=1e-5):
        return None
    return None if found == right else f"{found} is not {right}"[:200]


def _of_tensors(found: torch.Tensor, right: torch.Tensor) -> str | None:
    loose = right.is_floating_point() or right.is_complex()
    tolerance: dict[str, Any] = _TOLERANCE if loose else {"rtol": 0.0, "atol": 0.0}
    try:
        torch.testing.assert_close(found, right, equal_nan=True, **tolerance)
    except AssertionError as error:
        return " ".join(str(error).split())[:200]
    return None
