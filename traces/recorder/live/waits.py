"""Ops for which the host waits: those whose result, or its shape, depends on data (R41)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamsan.traces import ops as o
from streamsan.traces.recorder.live.arguments import Args, accesses, tensors
from streamsan.traces.recorder.live.plans import Plan
from streamsan.traces.recorder.schemas import INDEXED

if TYPE_CHECKING:
    from streamsan.traces.recorder.live.observer import Observer


def carry_out(observer: Observer, plan: Plan, func: Any, args: Args, kwargs: dict[str, Any]) -> Any:
    """Carry out an op whose result's shape, or value, the host must know (R41)."""
    made = func(*args, **kwargs)
    moved = upload_indices(observer, args) if plan.base in INDEXED else []
    given = accesses(plan, args, kwargs)
    on_device = observer.platform.on_device
    reads = [s for t in given[0] if on_device(t) and (s := observer.blocks.span(t)) is not None]
    reads += moved
    source = next((t for t in (*given[0], *given[1]) if on_device(t)), None)
    if source is None:
        observer.on_host(plan, args, kwargs)
        return made
    where = observer.stream_of(source)
    new = tensors(made) if plan.makes else ()
    writes = [
        span for t in (*given[1], *new)
        if on_device(t) and (span := observer.blocks.span(t)) is not None
    ]  # fmt: skip
    if plan.base != "_local_scalar_dense":
        observer.launch(where, plan.name, reads, ())
    if reads:
        observer.copy(where, reads[0], observer.host.scratch(), "D2H", plan.via, blocking=True)
    if writes:
        observer.launch(where, plan.name, reads, writes)
    return made


def upload_indices(observer: Observer, args: Args) -> list[o.RangeSpec]:
    """Record the transfer of indices on the CPU, which torch makes first, blocking."""
    on_device = observer.platform.on_device
    moved: list[o.RangeSpec] = []
    if not on_device(args[0]):
        return moved
    where = observer.stream_of(args[0])
    spaces = iter([block for block in observer.local.made if not block.nbytes])
    for each in (*args[2:3], *args[1]):  # a value that is put somewhere goes first
        if each is None or on_device(each) or not each.numel():
            continue
        space = next(spaces, None)
        if space is None or (source := observer.host.span(each)) is None:
            break
        space.resize(each.numel() * each.itemsize)
        observer.copy(where, source, space.name, "H2D", "to", blocking=True)
        moved.append(space.name)
    return moved
