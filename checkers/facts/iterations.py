"""Iterations: regions that a program goes through again and again (``step 1``, ``step 2``, ...)."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from streamsan.traces import Trace
from streamsan.traces.ops import Kind

_NUMBER = re.compile(r"[\s#:_-]*\d+$")


class Iteration(NamedTuple):
    """A region by its name without a number at its end, and how often the trace enters it."""

    name: str
    times: int


class Iterations:
    """Tells in which repeated region an op stands: the innermost that is entered at least twice."""

    def __init__(self, trace: Trace) -> None:
        """Walk the region marks of each thread."""
        marks = np.flatnonzero(np.isin(trace.kind, (Kind.REGION_BEGIN, Kind.REGION_END))).tolist()
        begins = [op for op in marks if trace.kind[op] == Kind.REGION_BEGIN]
        stems = {op: _NUMBER.sub("", trace[op].name) or trace[op].name for op in begins}
        self._times = Counter(stems.values())
        self._thread = trace.thread
        self._places: dict[int, tuple[list[int], list[str | None]]] = {}
        open_regions: dict[int, list[tuple[str, str]]] = {}
        for op in marks:
            thread = int(trace.thread[op])
            stack = open_regions.setdefault(thread, [])
            if op in stems:
                stack.append((trace[op].name, stems[op]))
            else:
                _close(stack, trace[op].name)
            repeated = [stem for _, stem in stack if self._times[stem] > 1]
            ops, names = self._places.setdefault(thread, ([], []))
            ops.append(op)
            names.append(repeated[-1] if repeated else None)

    def of(self, op: int) -> Iteration | None:
        """Give the iteration in which an op stands; None where there is none."""
        ops, names = self._places.get(int(self._thread[op]), ([], []))
        at = int(np.searchsorted(ops, op)) - 1
        name = names[at] if at >= 0 else None
        return None if name is None else Iteration(name, self._times[name])


def _close(stack: list[tuple[str, str]], name: str) -> None:
    """Close the innermost region of a name; one that was never opened closes nothing."""
    for at in range(len(stack) - 1, -1, -1):
        if stack[at][0] == name:
            del stack[at]
            return
