"""Device activities, as CUPTI saw them, and the recorded ops they are: the recorder's own check.

Under the profiler each op of torch runs within a range ``streamsan#N``, and the ops that are
recorded of it carry N. An activity leads by its correlation id to the call that launched it, the
call by thread and time to the range around it, and the range to the ops. What leads nowhere was
not recorded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

RANGE = "streamsan#"
"""How the names of our ranges begin."""
CALL = "call"
"""The key of an op's tag that holds the number of its range."""
_ACTIVITIES = {"kernel": "launch", "gpu_memcpy": "memcpy", "gpu_memset": "memset"}
_WORKS = ("launch", "memcpy", "memset", "collective", "graph_launch")
_NS = 1000


class Args(msgspec.Struct):
    """The arguments of an event that matter."""

    correlation: int | None = None
    stream: int | str | None = None
    device: int | None = None


class Event(msgspec.Struct):
    """An event of a profiler file. Times are microseconds."""

    ph: str = ""
    cat: str = ""
    name: str = ""
    pid: int | str | None = None
    tid: int | str | None = None
    ts: float = 0.0
    dur: float = 0.0
    args: Args = msgspec.field(default_factory=Args)


class File(msgspec.Struct):
    """What is read of a profiler file."""

    events: list[Event] = msgspec.field(name="traceEvents")
    base: int = msgspec.field(default=0, name="baseTimeNanoseconds")


class Work(NamedTuple):
    """A recorded op that the device carries out."""

    op: int
    word: str
    stream: str
    call: int | None


class Span(NamedTuple):
    """When an op ran on the device, ns since the epoch."""

    begin: int
    end: int


@dataclass
class Matched:
    """What the two sides made of each other."""

    spans: dict[int, Span] = field(default_factory=dict)
    """By op."""
    unmatched: Counter[str] = field(default_factory=Counter)
    """Activities that are no recorded op: how many of each name."""
    elsewhere: Counter[str] = field(default_factory=Counter)
    """Ops none of whose activities ran on the stream that was recorded, by the first of them.

    CUPTI's number of a stream is that on which most of its ops ran."""
    activities: int = 0


def read(data: bytes) -> File:
    """Read a profiler file that this process has just written.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return msgspec.json.decode(data, type=File, strict=False)


def works_of(trace: Any) -> list[Work]:
    """Give the ops of a trace that the device carries out."""
    found = []
    for op in trace:
        if op.word in _WORKS:
            tag = op.fields().get("tag") or {}
            found.append(Work(op.id, op.word, op.stream or "", tag.get(CALL)))
    return found


def match(works: Iterable[Work], file: File) -> Matched:
    """Find the op of each activity."""
    ranges = _Ranges(file.events)
    by_call: defaultdict[int, list[Work]] = defaultdict(list)
    for work in works:
        if work.call is not None:
            by_call[work.call].append(work)
    calls = {
        event.args.correlation: event
        for event in file.events
        if event.cat in ("cuda_runtime", "cuda_driver") and event.args.correlation is not None
    }
    found = Matched()
    places: defaultdict[str, Counter[Any]] = defaultdict(Counter)
    ran: defaultdict[Work, dict[Any, str]] = defaultdict(dict)
    for event in file.events:
        word = _ACTIVITIES.get(event.cat)
        if word is None:
            continue
        found.activities += 1
        correlation = event.args.correlation
        call = None if correlation is None else calls.get(correlation)
        number = None if call is None else ranges.around(call)
        matched = None if number is None else _best(by_call.get(number, ()), word)
        if matched is None:
            found.unmatched[event.name] += 1
            continue
        place = event.args.device, event.args.stream
        ran[matched].setdefault(place, event.name)
        places[matched.stream][place] += 1
        _widen(found.spans, matched.op, event, file.base)
    for work, where in ran.items():
        usual = places[work.stream].most_common(1)[0][0]
        if usual not in where:  # a library may fork within an op, but it begins on its stream
            found.elsewhere[next(iter(where.values()))] += 1
    return found


def _best(works: Sequence[Work], word: str) -> Work | None:
    """Choose among the ops of one call: one of the activity's kind, else the first."""
    return next((work for work in works if work.word == word), works[0] if works else None)


def _widen(spans: dict[int, Span], op: int, event: Event, base: int) -> None:
    begin = base + round(event.ts * _NS)
    end = begin + round(event.dur * _NS)
    before = spans.get(op)
    if before is not None:
        begin, end = min(begin, before.begin), max(end, before.end)
    spans[op] = Span(begin, end)


class _Ranges:
    """Our ranges by thread; they nest, and never overlap otherwise."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._by_thread: defaultdict[Any, list[tuple[float, float, int]]] = defaultdict(list)
        for event in events:
            if event.cat in ("user_annotation", "cpu_op") and event.name.startswith(RANGE):
                number = int(event.name[len(RANGE) :])
                row = event.ts, event.ts + event.dur, number
                self._by_thread[event.pid, event.tid].append(row)
        for rows in self._by_thread.values():
            rows.sort()

    def around(self, call: Event) -> int | None:
        """Give the innermost range around a call."""
        rows = self._by_thread.get((call.pid, call.tid), [])
        at = bisect_right(rows, call.ts, key=lambda row: row[0])
        for begin, end, number in reversed(rows[max(at - _NESTED, 0) : at]):
            if begin <= call.ts <= end:
                return number
        return None


_NESTED = 64
"""How many ranges before a call may have ended already while an outer one still holds it."""
