"""A trace as Chrome JSON, for ui.perfetto.dev, chrome://tracing and our own Kineto reader.

Events are those of a PyTorch profiler file: API calls on host threads, device work on streams,
``cuda_sync`` rows that say what a wait is bound to, flows from calls to work. What that format has
no word for (host reads, allocations, regions) stands in events of category ``streamsan``, which
profilers' readers pass over. Order is drawn as flows named by their reason; findings are instants
on a track of their own, and the missing order of each is a flow too.

Where a trace has no times its issue order stands for them: ten microseconds an op.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from streamsan.checkers.finding import Finding
from streamsan.checkers.reports.page.words import headline
from streamsan.checkers.reports.perfetto_flows import flows
from streamsan.checkers.reports.perfetto_places import HOST, Places, Slice
from streamsan.checkers.reports.perfetto_words import call_name, category, sync_row, work_name
from streamsan.traces.model import Trace
from streamsan.traces.ops import WORDS, Kind
from streamsan.traces.order import HappensBefore

Edges = Literal["all", "findings", "none"]
FINDINGS = 2
"""The process of the findings' track."""
Event = dict[str, Any]


def chrome_json(
    order: HappensBefore, findings: Sequence[Finding] = (), edges: Edges = "all"
) -> bytes:
    """Give the whole file.

    Args:
        order: the trace and its order.
        findings: drawn as instants, their missing order as flows.
        edges: which edges of the order are drawn as flows.
    """
    export = _Export(order)
    events = [
        *export.tracks(), *export.slices(), *export.regions(),
        *flows(order, export.places, findings, edges), *_instants(export.places, findings),
    ]  # fmt: skip
    head = {
        "schemaVersion": 1,
        "displayTimeUnit": "ns",
        "baseTimeNanoseconds": export.places.base,
        "streamsan": {
            "source": order.trace.header.source,
            "times": "measured" if export.places.timed else "issue order, 10 us an op",
        },
    }
    opening = msgspec.json.encode(head)[:-1] + b',"traceEvents":[\n'
    return opening + b",\n".join(map(msgspec.json.encode, events)) + b"\n]}\n"


def _instants(places: Places, findings: Sequence[Finding]) -> Iterator[Event]:
    """Give each finding where its last op is, on a track of its own."""
    if findings:
        yield _named("process_name", FINDINGS, 0, "streamsan findings")
    for finding in findings:
        at = places.main(finding.ops[-1]).begin if finding.ops else 0
        yield {
            "ph": "i", "s": "p", "cat": "finding", "pid": FINDINGS, "tid": 0, "ts": at / 1000,
            "name": f"{finding.rule} {finding.name}",
            "args": {
                "headline": headline(finding), "message": finding.message, "hint": finding.hint,
                "severity": finding.severity, "ops": list(finding.ops),
                "fingerprint": finding.fingerprint,
            },
        }  # fmt: skip


def _named(kind: str, pid: int, tid: int, name: str) -> Event:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": {"name": name}}


class _Export:
    """Writes the events of one trace."""

    def __init__(self, order: HappensBefore) -> None:
        self.order, self.trace = order, order.trace
        self.places = Places(order.trace)

    def tracks(self) -> Iterator[Event]:
        """Name processes, threads and streams."""
        yield _named("process_name", HOST, 0, "host")
        for name, tid in self.places.threads.items():
            yield _named("thread_name", HOST, tid, f"host thread {name}")
        streams = self.trace.streams
        for device in sorted(set(streams.device)):
            yield _named("process_name", self.places.pid(device), 0, f"device {device}")
        for number, (label, device) in enumerate(zip(streams.label, streams.device, strict=True)):
            tid = self.places.stream_ids[number]
            yield _named("thread_name", self.places.pid(device), tid, f"stream {label}")

    def slices(self) -> Iterator[Event]:
        """Give every op: its call, what it does on the device, and what a wait is bound to."""
        for op in range(len(self.trace)):
            work = self.places.work(op)
            yield from self._call(op, on_device=work is not None)
            if work is not None:
                yield from self._work(op, work)
            yield from sync_row(self.order, self.places, op)

    def _call(self, op: int, *, on_device: bool) -> Iterator[Event]:
        trace, view = self.trace, self.trace[op]
        name = call_name(trace, op)
        call = self.places.call(op)
        args: Event = {"op": op}
        if view.via is not None:
            args["via"] = view.via
        if view.stack:
            args["stack"] = list(view.stack)
        if name is None:
            told = view.name if view.obj is None else f"{view.name} {view.obj}"
            yield _slice(call, told, "streamsan", args)
            return
        if on_device:
            yield self._flow(op, "s", call)
        args["correlation"] = self.places.correlation(op)
        yield _slice(call, name, "cuda_runtime", args)
        waiting = self.places.waiting(op)
        if waiting is not None:  # a framework's blocking copy: the copy, then a synchronise
            args = {"op": op, "correlation": self.places.correlation(op) + 1}
            yield _slice(waiting, "cudaStreamSynchronize", "cuda_runtime", args)

    def _work(self, op: int, work: Slice) -> Iterator[Event]:
        view, stream = self.trace[op], int(self.trace.streams.of_op[op])
        args: Event = {
            "op": op, "device": self.trace.streams.device[stream], "context": 1,
            "stream": self.places.stream_ids[stream],
            "correlation": self.places.correlation(op),
        }  # fmt: skip
        for word, mode in (("reads", 0), ("writes", 1)):
            touched = [a for a in view.accesses if a.mode == mode]
            if touched:
                names = self.trace.buffers.name
                args[word] = [self.trace.names[int(names[a.buffer])] for a in touched]
        yield _slice(work, work_name(self.trace, op), category(view.kind), args)
        yield self._flow(op, "f", work)

    def _flow(self, op: int, phase: str, at: Slice) -> Event:
        """Tie a call to its work, as Kineto does."""
        found: Event = {
            "ph": phase, "id": self.places.correlation(op), "cat": "ac2g", "name": "ac2g",
            "pid": at.pid, "tid": at.tid, "ts": at.begin / 1000,
        }  # fmt: skip
        return {**found, "bp": "e"} if phase == "f" else found

    def regions(self) -> Iterator[Event]:
        """Give the regions of each thread, around the calls in them."""
        trace = self.trace
        marks = np.flatnonzero(np.isin(trace.kind, (Kind.REGION_BEGIN, Kind.REGION_END)))
        opened: dict[int, list[int]] = {}
        for op in marks.tolist():
            mine = opened.setdefault(int(trace.thread[op]), [])
            if trace.kind[op] == Kind.REGION_BEGIN:
                mine.append(op)
            elif mine:
                first = self.places.call(begin := mine.pop())
                last = self.places.call(op)
                whole = first._replace(end=max(first.end, last.end))
                yield _slice(whole, trace[begin].name, "user_annotation", {"ops": [begin, op]})


def _slice(at: Slice, name: str, cat: str, args: Event) -> Event:
    return {
        "ph": "X", "cat": cat, "name": name, "pid": at.pid, "tid": at.tid,
        "ts": at.begin / 1000, "dur": (at.end - at.begin) / 1000, "args": args,
    }  # fmt: skip


def carried(trace: Trace) -> dict[str, int]:
    """Count the ops that a reader of profiler files finds again, by word."""
    kinds, counts = np.unique(trace.kind, return_counts=True)
    found = zip(kinds.tolist(), counts.tolist(), strict=True)
    return {WORDS[kind]: count for kind, count in found if WORDS[kind] in CARRIED}


CARRIED = (
    "launch", "memcpy", "memset", "graph_launch", "event_record", "stream_wait_event",
    "event_synchronize", "stream_synchronize", "device_synchronize",
)  # fmt: skip
"""Words that come back; what else there is stands in the file for people only."""
