"""What surrounds an API call on its thread: profiler steps, and the operator that made a copy."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from streamsan.traces.formats.kineto_events import Event
from streamsan.traces.formats.kineto_facts import VIAS

Thread = tuple[int | str | None, int | str | None]
_OWN = "kineto"
_FIRST = ("bool", "repeat_interleave", "unique", "mask_index")
_LATER = ("nonzero", "item", "to", "copy_")


class Regions:
    """Before and after which calls a profiler step begins and ends.

    A step is the whole process's. It is noted on each thread that calls within it: the backward
    pass is made by a thread of autograd, and is as hot as the rest.
    """

    def __init__(self, steps: Iterable[Event], calls: Sequence[Event]) -> None:
        """Place ``steps`` among ``calls``, which stand in issue order."""
        self.before: dict[int, list[Event]] = defaultdict(list)
        self.after: dict[int, list[Event]] = defaultdict(list)
        steps = sorted((s for s in steps if s.t is not None), key=lambda s: s.t or 0)
        places: dict[Thread, list[int]] = defaultdict(list)
        if steps:
            for i, call in enumerate(calls):
                if call.t is not None and call.pid != _OWN:
                    places[call.pid, call.tid].append(i)
        for of_thread in places.values():
            times = [calls[i].t or 0 for i in of_thread]
            for step in steps:
                low = bisect_left(times, step.t or 0)
                high = bisect_left(times, step.end or 0)
                if low < high:
                    self.before[of_thread[low]].append(step)
                    self.after[of_thread[high - 1]].append(step)


def vias(operators: Iterable[Event], copies: Mapping[int, Event]) -> dict[int, str]:
    """Say for the calls of copies what the program wrote: ``item``, ``to``, ``nonzero``, ..."""
    open_by_thread: dict[Thread, list[Event]] = defaultdict(list)
    found: dict[int, str] = {}
    marks: list[tuple[int, int, int, Event]] = [
        (op.t, 0, -(op.end or 0), op) for op in operators if op.t is not None
    ]
    marks += [(call.t, 1, key, call) for key, call in copies.items() if call.t is not None]
    marks.sort(key=lambda mark: mark[:3])
    for time, is_copy, key, event in marks:
        around = open_by_thread[event.pid, event.tid]
        while around and (around[-1].end or 0) < time:
            around.pop()
        if not is_copy:
            around.append(event)
        elif around:
            word = _word({VIAS[op.name] for op in around if (op.end or 0) >= time})
            if word is not None:
                found[key] = word
    return found


def _word(around: set[str]) -> str | None:
    """Choose among the operators around a copy the one that the program wrote."""
    if {"index", "nonzero"} <= around:
        around = around | {"mask_index"}
    return next((word for word in (*_FIRST, *_LATER) if word in around), None)
