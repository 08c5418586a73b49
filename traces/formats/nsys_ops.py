"""From the rows of an Nsight Systems export to ops, in issue order.

Within a process the order of correlation ids is the order of calls; processes are merged by the
start of their calls, which orders nothing between them. Device work without a call was launched
before the recording: it comes first, ordered by its stream alone.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from streamsan.traces import ops as o
from streamsan.traces.formats.kineto_facts import call_kind, is_idle
from streamsan.traces.formats.nsys_names import MIGRATION, Memories, Names, empty
from streamsan.traces.formats.nsys_rows import BLOCKING, Call, Stream, StreamInfo, Work
from streamsan.traces.formats.nsys_sync import NOT_READY, UNRESOLVED, Syncs, resolve
from streamsan.traces.model import Gap

Key = tuple[int, int]
_PROGRAMMATIC = frozenset({"cuLaunchKernelEx", "cudaLaunchKernelExC"})
_MAX_BYTES = 2**53


class Writer:
    """Collects ``ops``, their unknown ``keys`` by op, and the gaps.

    Args:
        syncs: what is known of synchronising calls, and the names.
        texts: the names of kernels by their ids.
        memories: what numbers of copies and memories mean.
        base: what is added to times, in ns.
    """

    def __init__(self, syncs: Syncs, texts: dict[int, str], memories: Memories, base: int) -> None:
        """Start with no ops."""
        self.ops: list[o.OpBase] = []
        self.keys: dict[int, dict[str, Any]] = {}
        self._syncs, self._names, self._texts = syncs, syncs.names, texts
        self._memories, self._base = memories, base
        self._gaps: dict[str, tuple[int, int | None]] = {}

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Each kind of missing fact, with its count and its first op."""
        return tuple(Gap(why, count, op) for why, (count, op) in self._gaps.items())

    def gap(self, reason: str, count: int = 1, op: int | None = None) -> None:
        """Count facts that the file does not hold."""
        times, first = self._gaps.get(reason, (0, op))
        self._gaps[reason] = (times + count, first)

    def declare(self, info: dict[Stream, StreamInfo]) -> None:
        """Say what memories and streams there are, before their first use."""
        for space in ("device", "pinned", "pageable", "managed"):
            buffer = empty(space)[0]
            self.ops.append(o.Malloc(buffer=buffer, space=space, bytes=0, thread="nsys"))
        for stream, name in self._names.of.items():
            known = info.get(stream)
            if known is None or name == "0":
                continue
            flags: Literal["blocking", "nonblocking"] = (
                "blocking" if known.flag == BLOCKING else "nonblocking"
            )
            device = self._names.device[stream]
            self.ops.append(o.StreamCreate(stream=name, flags=flags, priority=known.priority,
                                           device=device, thread="nsys"))  # fmt: skip

    def early(self, work: Work) -> None:
        """Write work whose call is not in the file."""
        self.gap("device work launched before the recording", 1, len(self.ops))
        thread = f"nsys:{self._names.of[work.stream]}"
        self._append(self._work(work, None), work, thread, None)

    def call(self, call: Call, group: Sequence[Work]) -> None:
        """Write what a call did."""
        kind = call_kind(call.name)
        if group and (kind == "graph" or _is_graph(group)):
            self._graph(call, group)
        elif group:
            for work in sorted(group, key=lambda w: w.start):
                self._append(self._work(work, call), work, _thread(call), call)
        elif call.result and not (kind == "query" and call.result == NOT_READY):
            if kind:
                self.gap(f"{call.name}: it failed, so it is left out")
        elif kind in ("launch", "graph"):
            self.gap("launching calls whose device work is not in the file")
        elif kind and not is_idle(call.name):
            self._sync(call, kind)

    def _sync(self, call: Call, kind: str) -> None:
        found = resolve(self._syncs, call, kind)
        if isinstance(found, str):
            if kind == "query":  # it costs the host nothing, and only a success orders
                self.gap(f"{call.name}: {found}")
                return
            self.gap(f"{call.name}: {found}", 1, len(self.ops))
            self.keys[len(self.ops)] = {"unresolved": UNRESOLVED[kind]}
            found = o.Mark(name=call.name)
        found.thread = _thread(call)
        found.t, found.t_end = call.start + self._base, call.end + self._base
        self.ops.append(found)

    def _work(
        self, work: Work, call: Call | None
    ) -> o.Launch | o.Memcpy | o.Memset | o.GraphLaunch:
        name = "" if call is None else call.name
        if work.kind == "memcpy":
            return self._copy(work, name)
        if work.kind == "memset":
            space = self._memories.space(work.what[0], "D")
            return o.Memset(
                stream="",
                dst=empty(space),
                async_=_is_async(name),
                name=f"Memset ({space.capitalize()})",
            )
        if work.kind == "graph":
            return o.GraphLaunch(graph=f"nsys:g{work.what[0]}", stream="", reads=(), writes=())
        if name in _PROGRAMMATIC:
            self.gap("launches that may overlap the one before on their stream (programmatic "
                     "dependent launch is not recorded)", 1, len(self.ops))  # fmt: skip
        return o.Launch(stream="", name=self._texts.get(work.what[0] or -1, "kernel"))

    def _copy(self, work: Work, name: str) -> o.Memcpy | o.Launch:
        ends = self._memories.ends(*work.what[:3])
        if ends.word.startswith(MIGRATION):
            self.gap("pages of managed memory that moved by themselves", 1, len(self.ops))
            return o.Launch(stream="", name=f"Migration {ends.word.removeprefix(MIGRATION + '_')}")
        blocks = bool(name) and not _is_async(name)
        return o.Memcpy(
            stream="", src=empty(ends.src), dst=empty(ends.dst), kind=ends.kind,
            async_=not blocks, wait="legacy" if blocks else None, name=ends.name,
        )  # fmt: skip

    def _graph(self, call: Call, group: Sequence[Work]) -> None:
        """Write a graph launch: one op for all that carries its correlation id."""
        self.gap("graph launches whose inner edges are not known", 1, len(self.ops))
        graph = next((w.what[0] for w in group if w.kind == "graph"), None)
        name = f"nsys:g{graph}" if graph is not None else f"nsys:{call.pid}.{call.correlation}"
        op = o.GraphLaunch(graph=name, stream="", reads=(), writes=(), name=call.name)
        span = group[0]._replace(
            start=min(w.start for w in group), end=max(w.end for w in group), bytes=None
        )
        self.keys[len(self.ops)] = {"kernels": sum(w.kind == "kernel" for w in group)}
        self._append(op, span, _thread(call), call)

    def _append(
        self,
        op: o.Launch | o.Memcpy | o.Memset | o.GraphLaunch,
        work: Work,
        thread: str,
        call: Call | None,
    ) -> None:
        op.stream, op.device = self._names.of[work.stream], work.device
        op.thread, op.begin, op.end = thread, work.start + self._base, work.end + self._base
        if call is not None:
            op.t, op.t_end = call.start + self._base, call.end + self._base
        if work.bytes is not None and 0 <= work.bytes <= _MAX_BYTES:
            self.keys.setdefault(len(self.ops), {})["bytes"] = work.bytes
        self.ops.append(op)


def _is_async(name: str) -> bool:
    """Whether the call of a copy or fill says so; where there is none it is taken for granted."""
    return not name or "Async" in name or not ("Memcpy" in name or "Memset" in name)


def _is_graph(group: Sequence[Work]) -> bool:
    """Whether work came from one graph: then its order is the graph's, not the stream's."""
    return any(w.kind == "graph" for w in group) or (len(group) > 1 and bool(group[0].what[-1]))


def _thread(call: Call) -> str:
    return f"{call.pid}:{call.thread}"


def in_issue_order(calls: Sequence[Call]) -> Iterator[Call]:
    """Merge the calls of all processes; within each, correlation ids give the order."""
    mine: dict[int, list[Call]] = defaultdict(list)
    for call in calls:
        mine[call.pid].append(call)
    for found in mine.values():
        found.sort(key=lambda c: (c.correlation, c.start))
    yield from heapq.merge(*mine.values(), key=lambda c: c.start)


__all__ = ["Key", "Names", "Writer", "in_issue_order"]
