"""From the facts of a PyTorch profiler file to ops, in issue order.

Issue order is the order of correlation ids: it never contradicts the program order of a thread,
and on one stream it is the order of the device (sections 5A and 5C of the page on trace sources;
start times of two threads do contradict it). Device work without an API call was launched before
the recording: it comes first, ordered by its stream alone (5P).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from operator import attrgetter

from streamsan.traces import ops as o
from streamsan.traces.formats.execution_trace import Execution
from streamsan.traces.formats.kineto_events import Args, Event
from streamsan.traces.formats.kineto_facts import Facts, Stream, call_kind, stream_of
from streamsan.traces.formats.kineto_join import Join
from streamsan.traces.formats.kineto_names import COPIES, LEGACY_ID, Names
from streamsan.traces.formats.kineto_places import Regions, vias
from streamsan.traces.formats.kineto_sink import Call, Sink
from streamsan.traces.formats.kineto_sync import SYNC_RECORDS, Resolved, resolve

OLD_RECORDER = 1776297600 * 10**9
"""2026-04-16: before kineto #1339 an event's last record alone was kept (5M)."""


OWN = "kineto"
"""The process of threads that the file does not name."""


class Work(dict[int, list[tuple[Event, Stream]]]):
    """Device work and its streams, by correlation id; -1 where it has none."""


def write_ops(facts: Facts, base: int, *, hip: bool, execution: Execution | None = None) -> Sink:
    """Write all ops of a file.

    Args:
        facts: what the file holds.
        base: what is added to its times, in ns.
        hip: whether the header says that it is of ROCm.
        execution: an execution trace of the same run, which knows reads and writes.

    Raises:
        TraceError: the execution trace is of another run.
    """
    calls: dict[int, Event] = {}
    for call in facts.calls:
        if call.args.correlation is not None:
            calls.setdefault(call.args.correlation, call)
    resolved = resolve(facts, calls)
    work = _group(facts)
    hip = hip or any(call.name.startswith("hip") for call in facts.calls)
    names = Names(_streams(work, resolved), hip=hip)
    sink = Sink(names, resolved, base)
    sink.declare(facts.work, calls)
    if execution is not None:
        sink.join = Join(execution, facts.functions, calls)
        sink.ops += sink.join.declare(facts.work)
    for key in sorted(work.keys() - calls.keys()):
        _write_early(sink, names, key, work[key])
    _write_calls(sink, facts, work, [*calls.items(), *_stand_ins(resolved, names, calls)])
    _note_losses(sink, facts, work, resolved, calls)
    _note_assumptions(sink, names, resolved, hip=hip)
    if sink.join is not None:
        known, total = sink.join.known, sink.join.total
        sink.gap(f"device work whose reads and writes the execution trace does not hold (it holds "
                 f"those of {known} of {total})", total - known)  # fmt: skip
    return sink


def _group(facts: Facts) -> Work:
    work = Work()
    known: dict[tuple[int | None, int | None, int | str | None], Stream | None] = {}
    for event in facts.work:
        args = event.args
        key = (args.device, args.context, args.stream)
        if key not in known:
            known[key] = stream_of(event, args.stream)
        stream = known[key]
        if stream is not None:
            work.setdefault(-1 if args.correlation is None else args.correlation, []).append(
                (event, stream)
            )
    return work


def _streams(work: Work, resolved: Resolved) -> Iterator[Stream]:
    for group in work.values():
        for _, stream in group:
            yield stream
    yield from resolved.streams.values()
    for binding in resolved.records.values():
        yield binding.stream
    for _, waiting in resolved.waits.values():
        if waiting is not None:
            yield waiting


def _stand_ins(
    resolved: Resolved, names: Names, calls: Mapping[int, Event]
) -> Iterator[tuple[int, Event]]:
    """Give stand-ins for resolved records and stream waits whose call is not in the file.

    Their thread is not known: each stands on a thread of its stream, which orders nothing more.
    """
    found = {c: ("cudaStreamWaitEvent", s) for c, (_, s) in resolved.waits.items() if s is not None}
    found |= {c: ("cudaEventRecord", b.stream) for c, b in resolved.records.items()}
    for key, (name, stream) in found.items():
        if key not in calls:
            row = resolved.rows.get(key)
            time, end = (row.t, row.end) if row else (None, None)
            args = Args(correlation=key)
            tid = _own_thread(names, stream)
            yield key, Event(name, "X", "", OWN, tid, args=args, t=time, end=end)


def _write_early(sink: Sink, names: Names, key: int, group: list[tuple[Event, Stream]]) -> None:
    """Write work launched before the recording; several ops under one id are a graph's."""
    sink.gap("device work launched before the recording", len(group), len(sink.ops))
    group.sort(key=lambda item: item[0].t or 0)
    stream = group[0][1]
    thread = f"{OWN}:{_own_thread(names, stream)}"
    if len(group) > 1 and key >= 0:
        call = Call("graph_launch", thread)
        sink.graph([event for event, _ in group], stream, call, key)
        return
    for event, stream in group:
        thread = f"{OWN}:{_own_thread(names, stream)}"
        sink.work(event, stream, Call("", thread))


def _own_thread(names: Names, stream: Stream) -> str:
    """Name the thread that stands for the unknown ones of a stream.

    One for each stream: nothing but the order within the stream follows from it.
    """
    name = names.of[stream]
    return name if ":" in name else f"{stream.device}:{name}"


def _write_calls(sink: Sink, facts: Facts, work: Work, calls: list[tuple[int, Event]]) -> None:
    calls.sort(key=lambda item: item[0])
    regions = Regions(facts.steps, [call for _, call in calls])
    copies = {key: call for key, call in calls if key in work and work[key][0][0].cat in COPIES}
    via = vias(facts.operators, copies)
    queries: Counter[str] = Counter()
    kinds = {name: call_kind(name) for name in {event.name for _, event in calls}}
    threads: dict[tuple[object, object], str] = {}
    before, after, group_of, base = regions.before, regions.after, work.get, sink.base
    for place, (key, event) in enumerate(calls):
        kind, group = kinds[event.name], group_of(key)
        if kind == "query" and not sink.is_bound(key):
            # It costs the host nothing, and only a successful one orders (5K).
            queries[event.name] += 1
            kind = ""
        if not (kind or group or place in before or place in after):
            continue
        who = (event.pid, event.tid)
        thread = threads.get(who) or threads.setdefault(who, f"{event.pid}:{event.tid}")
        for step in before.get(place, ()):
            sink.region(o.RegionBegin, step, thread)
        if kind or group:
            t, end = event.t, event.end
            call = Call(
                event.name,
                thread,
                None if t is None else t + base,
                None if end is None else end + base,
                via.get(key),
                event.args,
            )
            _write_call(sink, key, kind, call, group)
        for step in after.get(place, ()):
            sink.region(o.RegionEnd, step, thread)
    for name, count in queries.items():
        sink.gap(f"{name}: its event and its result are not known", count)


def _write_call(
    sink: Sink, key: int, kind: str, call: Call, group: list[tuple[Event, Stream]] | None
) -> None:
    if group and kind == "graph":
        sink.graph([event for event, _ in group], group[0][1], call, key)
    elif group:
        if len(group) > 1:
            group.sort(key=lambda item: item[0].t or 0)
        for event, stream in group:
            sink.work(event, stream, call)
    elif kind in ("launch", "graph"):
        sink.gap("launching calls whose device work is not in the file", 1)
    else:
        sink.sync(key, kind, call)


def _note_orphans(sink: Sink, resolved: Resolved, calls: Mapping[int, Event]) -> None:
    """Count ``cuda_sync`` records without an API call: which thread waited is not known (5K)."""
    for key, row in resolved.rows.items():
        waits = resolved.waits.get(key)
        kind = row.args.sync or row.name
        if kind in SYNC_RECORDS and key not in calls and (waits is None or waits[1] is None):
            why = resolved.reasons.get(key, "the call that caused it is not in the file")
            sink.gap(f"{kind}: {why}")


def _note_losses(
    sink: Sink, facts: Facts, work: Work, resolved: Resolved, calls: Mapping[int, Event]
) -> None:
    """Count what could not be used at all."""
    lost = len(facts.work) - sum(map(len, work.values()))
    if lost:
        sink.gap("device work without a device or a stream is left out", lost)
    lost = [call.args.correlation for call in facts.calls].count(None)
    if lost:
        sink.gap("API calls without a correlation id are left out", lost)
    processes = set(map(attrgetter("pid"), facts.calls))
    if len(processes) > 1:
        sink.gap("calls of several processes, whose correlation ids may collide", len(processes))
    _note_orphans(sink, resolved, calls)
    if not facts.work:
        sink.gap("the file holds no work of a device", 1)


def _note_assumptions(sink: Sink, names: Names, resolved: Resolved, *, hip: bool) -> None:
    """Say what was taken for granted (5C, 5M, 5Q)."""
    if hip:
        sink.gap(
            "streams are hardware queues that several HIP streams may share: the order within "
            "each is assumed, and host memory of copies is taken as pinned", len(names.of),
        )  # fmt: skip
        return
    side = sum(stream.number != LEGACY_ID for stream in names.of)
    if side:
        sink.gap("stream flags are not in the file: taken as non-blocking, and stream 7 as the "
                 "legacy default stream", side)  # fmt: skip
    last = max((row.t or 0 for row in resolved.rows.values()), default=0)
    if resolved.waits and (sink.absolute(last) or 0) < OLD_RECORDER:
        sink.gap("waits resolved by a recorder of before 2026-04-16, which may name a wrong record "
                 "of an event that was recorded again", len(resolved.waits))  # fmt: skip
