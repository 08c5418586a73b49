"""From an op of torch to ops of the trace: what the dispatch mode hands everything to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from time import time_ns
from typing import Any

from torch import Tensor
from torch.profiler import record_function

from streamsan.traces import ops as o
from streamsan.traces.recorder.annotate import current_name
from streamsan.traces.recorder.light import Free, Launch, Memcpy
from streamsan.traces.recorder.live import copies, waits
from streamsan.traces.recorder.live.arguments import Args, accesses, tensors
from streamsan.traces.recorder.live.blocks import Blocks
from streamsan.traces.recorder.live.collectives import Collectives
from streamsan.traces.recorder.live.events import Events
from streamsan.traces.recorder.live.graphs import Graphs
from streamsan.traces.recorder.live.host import HostMemory
from streamsan.traces.recorder.live.names import Names
from streamsan.traces.recorder.live.plans import READ, WRITE, Kind, Plan, plan_of, waits_here
from streamsan.traces.recorder.live.platform import Platform
from streamsan.traces.recorder.live.thread import Hosts, Local
from streamsan.traces.recorder.live.unwinding import Unwinding
from streamsan.traces.recorder.matching import CALL, RANGE
from streamsan.traces.recorder.schemas import INDEXED
from streamsan.traces.recorder.stacks import Stacks

_ALWAYS = (o.Malloc, o.Free, o.StreamCreate)
"""What lives must be told of even where nothing else is."""
Put = Callable[[o.OpBase], object]


class Observer:
    """Follows a program on one platform.

    Args:
        platform: the device.
        stacks: captures where ops are issued.
        put: takes the ops of the trace.
        gap: takes what was not seen.
    """

    def __init__(
        self, platform: Platform, stacks: Stacks, put: Put, gap: Callable[[str, str], None]
    ) -> None:
        self.platform = platform
        self.calls = count()
        self.profiling = False
        self.stacks = stacks
        self.gap = gap
        self.hosts = Hosts()
        self.local = Local(self.hosts)
        self.journal_put = put
        self.put = put
        self.names = Names(platform, self.emit)
        self.blocks = Blocks(self)
        self.host = HostMemory(self)
        self.events = Events(self)
        self.graphs = Graphs(self)
        self.collectives = Collectives(self)
        self.unwinding = Unwinding(self)
        self._on_device = platform.on_device
        self._span = self.blocks.span

    # -- ops of the trace

    def emit(self, op: o.OpBase) -> None:
        """Record an op of the calling thread: the thread, the time and the site are added."""
        local = self.local
        if local.quiet and not isinstance(op, _ALWAYS):
            return
        name = local.name
        if name != "main":
            op.thread = name
        site = self.stacks.here()
        op.site = self.hosts.site() if site is None else site
        op.t = time_ns()
        if local.call is not None and op.tag is None:
            op.tag = {CALL: local.call}
        (self.put if local.held is None else local.held.append)(op)

    def stream_of(self, tensor: Tensor) -> tuple[str, int]:
        """Give the current stream, and the device, of a device tensor."""
        device = self.platform.device_of(tensor)
        return self.names.stream(self.platform.current_stream(device), device)

    def here(self) -> tuple[str, int]:
        """Give the calling thread's current stream, and its device."""
        device = self.platform.current_device()
        return self.names.stream(self.platform.current_stream(device), device)

    def launch(self, where: tuple[str, int], name: str, reads: Args, writes: Args) -> None:
        """Record a kernel; what was allocated and freed within the op is its workspace."""
        local = self.local
        if local.made:
            spaces = [block.name for block in local.made if not block.nbytes]
            reads = (*reads, *(each for each in spaces if each not in reads))
            writes = (*writes, *(each for each in spaces if each not in writes))
        self.emit(
            Launch(
                stream=where[0], name=current_name() or name, reads=tuple(reads),
                writes=tuple(writes), device=where[1],
            )
        )  # fmt: skip

    def copy(
        self,
        where: tuple[str, int],
        src: o.RangeSpec,
        dst: o.RangeSpec,
        kind: Any,
        via: str,
        *,
        blocking: bool,
    ) -> None:
        """Record a transfer."""
        local = self.local
        local.copies += 1
        self.emit(
            Memcpy(
                stream=where[0], src=src, dst=dst, async_=not blocking, kind=kind,
                via=local.via or via, name=current_name(), wait="stream" if blocking else None,
                device=where[1],
            )
        )  # fmt: skip

    # -- ops of torch

    def profiled(self, mode: Any, func: Any, args: Args, kwargs: dict[str, Any]) -> Any:
        """Carry an op out within a range of the profiler, by which its activities are found."""
        if self.local.quiet:
            return func(*args, **kwargs)
        with self.ranged():
            return self.dispatch(mode, func, args, kwargs)

    @contextmanager
    def ranged(self) -> Iterator[None]:
        """Open a range of the profiler, if one runs; ops that are recorded within bear it."""
        if not self.profiling:
            yield
            return
        local = self.local
        outer, local.call = local.call, next(self.calls)
        try:
            with record_function(f"{RANGE}{local.call}"):
                yield
        finally:
            local.call = outer

    def dispatch(self, mode: Any, func: Any, args: Args, kwargs: dict[str, Any]) -> Any:
        """Carry an op out, and record it."""
        plan = plan_of(func)
        kind = plan.kind
        local = self.local
        if kind is Kind.NOTHING or local.quiet:
            return func(*args, **kwargs)
        if kind is Kind.COMPOSITE:
            return _decompose(mode, func, args, kwargs)
        if kind is Kind.LAUNCH and not plan.waits:
            return self._launch(plan, func, args, kwargs, local)
        return self._seldom(plan, func, args, kwargs, local)

    def _launch(  # noqa: C901, PLR0912 - one stretch: each call of a part costs a tenth of it
        self, plan: Plan, func: Any, args: Args, kwargs: dict[str, Any], local: Local
    ) -> Any:
        """Carry out an op that is one kernel. The path that has to be quick."""
        local.depth += 1
        try:
            made = func(*args, **kwargs)
        finally:
            local.depth -= 1
        on_device, span = self._on_device, self._span
        reads: list[o.RangeSpec] = []
        writes: list[o.RangeSpec] = []
        first = None
        given = len(args)
        for at, name, mode in plan.arguments:
            value = args[at] if 0 <= at < given else kwargs.get(name)
            if value is None:
                continue
            for each in (value,) if isinstance(value, Tensor) else tensors(value):
                if on_device(each):
                    first = each
                    if mode and (found := span(each)) is not None:
                        if mode & READ:
                            reads.append(found)
                        if mode & WRITE:
                            writes.append(found)
        if plan.makes:
            for each in (made,) if isinstance(made, Tensor) else tensors(made):
                if on_device(each):
                    first = each
                    if (found := span(each)) is not None:
                        writes.append(found)
        if first is None:
            self.on_host(plan, args, kwargs)
        elif plan.waits or local.syncs or local.made or local.held is not None:
            self._launch_more(plan, args, first, reads, writes)
        else:
            stream, device = self.stream_of(first)
            site = self.stacks.here()
            op = Launch(
                stream=stream, name=current_name() or plan.name, reads=tuple(reads),
                writes=tuple(writes), site=self.hosts.site() if site is None else site,
                t=time_ns(), device=device,
            )  # fmt: skip
            if (thread := local.name) != "main":
                op.thread = thread
            if local.call is not None:
                op.tag = {CALL: local.call}
            self.put(op)
        if local.made or local.freed:
            self.settle(local)
        return made

    def _launch_more(
        self,
        plan: Plan,
        args: Args,
        first: Tensor,
        reads: list[o.RangeSpec],
        writes: list[o.RangeSpec],
    ) -> None:
        """Record a kernel before which something else has to be told."""
        local = self.local
        if plan.waits and plan.base in INDEXED:
            reads += waits.upload_indices(self, args)
            local.syncs.clear()
        if local.syncs:
            self.tell_syncs(local)
        self.launch(self.stream_of(first), plan.name, reads, writes)

    def _seldom(
        self, plan: Plan, func: Any, args: Args, kwargs: dict[str, Any], local: Local
    ) -> Any:
        """Carry out an op that is more than one kernel."""
        kind = plan.kind
        if kind is Kind.LAUNCH and not waits_here(plan, args, kwargs, self._on_device):
            return self._launch(plan, func, args, kwargs, local)
        if kind is Kind.COLLECTIVE:
            return self.collectives.run(plan, func, args, kwargs)
        if kind is Kind.RECORD_STREAM:
            made = func(*args, **kwargs)
            self.events.record_stream(args[0], args[1])
            return made
        local.depth += 1
        local.calls += 1
        try:
            if kind is Kind.COPY:
                made = copies.carry_out(self, plan, func, args, kwargs)
            else:
                made = waits.carry_out(self, plan, func, args, kwargs)
        finally:
            local.depth -= 1
            local.calls -= 1
            local.syncs.clear()
            self.settle(local)
        return made

    def on_host(self, plan: Plan, args: Args, kwargs: dict[str, Any]) -> None:
        """Record what an op of the host accesses in pinned memory."""
        reads, writes = accesses(plan, args, kwargs)
        self.host.follow(reads, writes, plan.via)

    def tell_syncs(self, local: Local) -> None:
        """Record waits within an op: before its kernel, for they may have been before it."""
        waits, local.syncs = local.syncs, []
        for op in waits:
            self.emit(op)

    def settle(self, local: Local) -> None:
        """Record the frees of an op after it."""
        if local.depth:
            return
        local.made.clear()
        freed, local.freed = local.freed, []
        for block in freed:
            self.emit(Free(buffer=block.name))


def _decompose(mode: Any, func: Any, args: Args, kwargs: dict[str, Any]) -> Any:
    """Carry out an op through the ops that it is made of, each of which is recorded."""
    with mode:
        made = func.decompose(*args, **kwargs)
    return func(*args, **kwargs) if made is NotImplemented else made
