"""Writes single ops of a PyTorch profiler trace, and counts what the file does not say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from streamsan.traces import ops as o
from streamsan.traces.formats.kineto_events import NO_ARGS, Args, Event
from streamsan.traces.formats.kineto_facts import Stream
from streamsan.traces.formats.kineto_join import Join
from streamsan.traces.formats.kineto_names import COPIES, FILLS, SPACES, Names, copy_of, fill_of
from streamsan.traces.formats.kineto_sync import NO_RECORD, Resolved
from streamsan.traces.formats.rocm import copied, moved
from streamsan.traces.model import Gap

_UNRESOLVED = {
    kind: {"unresolved": word}
    for kind, word in (
        ("device", "device_synchronize"),
        ("stream", "stream_synchronize"),
        ("event", "event_synchronize"),
        ("wait", "stream_wait_event"),
        ("record", "event_record"),
        ("opaque", "unknown"),
    )
}
PROGRAMMATIC = (
    "launches that may overlap the one before on their stream (programmatic dependent launch is "
    "not recorded)"
)
_OVERLAPPING = frozenset({"cuLaunchKernelEx", "cudaLaunchKernelExC"})


class Call(Struct, frozen=True, gc=False):
    """An API call as its ops carry it; times in ns since the epoch."""

    name: str
    thread: str
    t: int | None = None
    end: int | None = None
    via: str | None = None
    args: Args = NO_ARGS


class Sink:
    """Collects ``ops``, their unknown ``keys`` by op, and the gaps.

    Args:
        names: of streams and events.
        resolved: what is known of synchronising calls.
        base: what is added to times of the file, in ns.
    """

    def __init__(self, names: Names, resolved: Resolved, base: int) -> None:
        """Start with no ops."""
        self.ops: list[o.OpBase] = []
        self.keys: dict[int, dict[str, Any]] = {}
        self.base = base
        self.join: Join | None = None
        self._names, self._resolved = names, resolved
        self._gaps: dict[str, tuple[list[int], int | None]] = {}

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Each kind of missing fact, with its count and its first op."""
        return tuple(Gap(why, count[0], op) for why, (count, op) in self._gaps.items())

    def gap(self, reason: str, count: int = 1, op: int | None = None) -> None:
        """Count facts that the file does not hold."""
        known = self._gaps.get(reason)
        if known is None:
            self._gaps[reason] = ([count], op)
        else:
            known[0][0] += count

    def absolute(self, time: int | None) -> int | None:
        """Turn a time of the file into ns since the epoch."""
        return None if time is None else time + self.base

    def declare(self, work: Iterable[Event], calls: Mapping[int, Event]) -> None:
        """Say in which memories the empty ranges of copies and fills lie."""
        used: set[str] = set()
        copies = {
            copied(copy_of(event.name), calls.get(event.args.correlation or -1))
            for event in work
            if event.cat in COPIES
        }
        for copy in copies:
            used |= {copy.src[0], copy.dst[0]}
        used |= {fill_of(event.name)[0] for event in work if event.cat in FILLS}
        for space in SPACES:
            buffer = f"kineto:{space}"
            if buffer in used:
                self.ops.append(o.Malloc(buffer=buffer, space=space, bytes=0, thread="kineto"))

    def work(self, event: Event, stream: Stream, call: Call) -> None:
        """Write a kernel, copy or fill."""
        if event.cat in COPIES:
            op: o.Launch | o.Memcpy | o.Memset = self._copy(event, call)
        elif event.cat in FILLS:
            blocks = call.name in ("cudaMemset", "hipMemset")
            op = o.Memset(stream="", dst=fill_of(event.name), async_=not blocks)
        else:
            op = o.Launch(stream="")
            if call.name in _OVERLAPPING:
                self.gap(PROGRAMMATIC, 1, len(self.ops))
        if self.join is not None:
            self.join.fill(op, event)
        if op.__class__ is not o.Launch:
            keys = moved(event.args, call.args)
            if keys:
                self.keys[len(self.ops)] = keys
        op.name = event.name
        self._append(op, stream, call, event.t, event.end)

    @staticmethod
    def _copy(event: Event, call: Call) -> o.Memcpy:
        """Write a copy. Only the name of its call says whether the host waited (5H, 5I, 5S)."""
        copy = copied(copy_of(event.name), call)
        wait: Literal["legacy", "stream"] | None = None
        if "Memcpy" in call.name and "Async" not in call.name:
            if not call.name.startswith("hip"):
                wait = "legacy"
            elif call.name == "hipMemcpyWithStream" or copy.kind == "D2H":
                wait = "stream"
        return o.Memcpy(
            stream="", src=copy.src, dst=copy.dst, kind=copy.kind, async_=wait is None,
            wait=wait, via=call.via,
        )  # fmt: skip

    def graph(self, events: Sequence[Event], stream: Stream, call: Call, key: int) -> None:
        """Write a graph launch: one op for all that carries its correlation id (5O).

        The executable graph is not known, so each launch is of a graph of its own.
        """
        self.gap("graph launches whose graph and inner edges are not known", 1, len(self.ops))
        op = o.GraphLaunch(graph=f"kineto:{key}", stream="", reads=(), writes=())
        begin = min((e.t for e in events if e.t is not None), default=None)
        end = max((e.end for e in events if e.end is not None), default=None)
        self.keys[len(self.ops)] = {"kernels": len(events)}
        op.name = call.name
        self._append(op, stream, call, begin, end)

    def _append(
        self,
        op: o.Launch | o.Memcpy | o.Memset | o.GraphLaunch,
        stream: Stream,
        call: Call,
        begin: int | None,
        end: int | None,
    ) -> None:
        op.stream, op.device = self._names.of[stream], stream.device
        op.thread, op.t, op.t_end = call.thread, call.t, call.end
        base = self.base
        op.begin = None if begin is None else begin + base
        op.end = None if end is None else end + base
        self.ops.append(op)

    def region(self, kind: type[o.RegionBegin | o.RegionEnd], step: Event, thread: str) -> None:
        """Write where a profiler step begins or ends."""
        time = self.absolute(step.t if kind is o.RegionBegin else step.end)
        self.ops.append(kind(name=step.name, thread=thread, t=time, t_end=time))

    def is_bound(self, key: int) -> bool:
        """Tell whether it is known which event a call waits for or asks about."""
        return key in self._resolved.waits

    def sync(self, key: int, kind: str, call: Call) -> None:
        """Write a synchronising call: an op where it is resolved, else a mark and a gap."""
        op = self._resolve(key, kind)
        if op is not None:
            op.thread, op.t, op.t_end = call.thread, call.t, call.end
            self.ops.append(op)
            return
        reason = self._reason(key, kind, call.name)
        self.gap(f"{call.name}: {reason}", 1, len(self.ops))
        self.keys[len(self.ops)] = _UNRESOLVED[kind]
        self.ops.append(o.Mark(name=call.name, thread=call.thread, t=call.t, t_end=call.end))

    def _reason(self, key: int, kind: str, name: str) -> str:
        if kind == "device":
            return "several devices are in use, and which one it waited for is not known"
        if kind == "opaque":
            return ("it may synchronise the device, and its buffer is not known" if "Free" in name
                    else "its stream is not known")  # fmt: skip
        return self._resolved.reasons.get(key, NO_RECORD)

    def _resolve(self, key: int, kind: str) -> o.OpBase | None:
        names, found = self._names, self._resolved
        if kind == "device":
            only = None if len(names.devices) > 1 else min(names.devices, default=0)
            device = found.devices.get(key, only)  # 5D
            return None if device is None else o.DeviceSynchronize(device=device)
        if kind == "stream" and key in found.streams:
            stream = found.streams[key]  # 5E
            return o.StreamSynchronize(stream=names.of[stream], device=stream.device)
        if kind == "record" and key in found.records:
            record = found.records[key]
            stream, event = record.stream, names.event(record)
            return o.EventRecord(event=event, stream=names.of[stream], device=stream.device)
        return self._resolve_wait(key, kind) if key in found.waits else None

    def _resolve_wait(self, key: int, kind: str) -> o.OpBase | None:
        binding, waiting = self._resolved.waits[key]
        event = self._names.event(binding)
        if kind == "event":  # 5G
            return o.EventSynchronize(event=event)
        if kind == "query":
            return o.EventQuery(event=event)
        if kind == "wait" and waiting is not None:  # 5F
            name = self._names.of[waiting]
            return o.StreamWaitEvent(stream=name, event=event, device=waiting.device)
        return None
