"""Carrying ops out: each becomes views, a queued kernel with its ranges, or a wait of the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from streamsan.sim.device import plans, shapes
from streamsan.sim.device.errors import UnsupportedError
from streamsan.sim.device.internals import data_of, no_python_dispatch
from streamsan.sim.device.kernels import Making, Mutation, seeded, store
from streamsan.sim.device.memory import Block
from streamsan.sim.device.pinned import Pinned, note, wrap_pinned
from streamsan.sim.device.plans import Kind, Plan, plan_of
from streamsan.sim.device.queues import Queue
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.shapes import Leaf
from streamsan.sim.device.stand_ins import kernel_of
from streamsan.sim.device.tensor import NAME, SimTensor, device_of, dispatchers, empty, wrap
from streamsan.sim.device.unwrap import Unwrapped
from streamsan.traces import ops as o
from streamsan.traces.recorder.schemas import INDEXED

Special = Callable[[Any, Sequence[Any], dict[str, Any]], Any]
SPECIALS: dict[str, Special] = {}
"""Ops that are carried out in a way of their own, by name without overload."""


def dispatch(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Carry an op out on simulated or pinned tensors."""
    plan = plan_of(func)
    special = SPECIALS.get(plan.base)
    if special is not None:
        with RT.lock, no_python_dispatch():
            return special(func, args, kwargs)
    kind = plan.kind
    if kind is Kind.COMPOSITE:
        made = func.decompose(*args, **kwargs)
        if made is NotImplemented:
            raise UnsupportedError(plan.name, "it cannot be taken apart into ops of the device")
        return made
    with RT.lock, no_python_dispatch():
        if kind is Kind.VIEW:
            return view(func, args, kwargs)
        outermost = RT.holds_site is None
        if outermost:
            RT.hold_site()
        try:
            return _carry_out(func, plan, args, kwargs)
        finally:
            if outermost:
                RT.drop_site()


def _carry_out(func: Any, plan: Plan, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Carry out an op that is no view."""
    kind = plan.kind
    if not _has_sim(args) and not _has_sim(kwargs.values()):
        return host_op(func, plan, args, kwargs)
    if kind is Kind.MAKE or kind is Kind.MUTATE:
        if plan.base in INDEXED:
            done_by, args = INDEXING[0](func, args)
            if done_by is not func:  # the record has what was called
                func, plan = done_by, replace(plan_of(done_by), name=plan.name)
        if not plans.waits_here(plan, args, kwargs):
            return (_make if kind is Kind.MAKE else _mutate)(func, plan, args, kwargs)
    if kind is Kind.ASK:
        given = Unwrapped(args, kwargs)
        return func(*given.args, **given.kwargs)
    if kind is Kind.RESHAPE:
        return _reshape(func, args, kwargs)
    return _wait(func, plan, args, kwargs)


dispatchers.append(dispatch)


def _has_sim(values: Any) -> bool:
    for value in values:
        if isinstance(value, SimTensor):
            return True
        if type(value) in (list, tuple) and _has_sim(value):
            return True
    return False


# -- views


def view(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Carry out a view: on the bytes that are there, at once."""
    base = args[0]
    if isinstance(base, list | tuple):
        raise UnsupportedError(str(func), "give the views one by one")
    if isinstance(base, SimTensor | Pinned):
        return _rewrap(func(base.raw, *args[1:], **kwargs), base)
    return func(*args, **kwargs)


def _rewrap(real: Any, base: SimTensor | Pinned) -> Any:
    if not isinstance(real, torch.Tensor):
        return [_rewrap(each, base) for each in real]
    if torch.is_inference_mode_enabled() and not base.is_inference():
        with torch.inference_mode(mode=False):  # a view of an ordinary tensor is an ordinary one
            return _rewrap(real, base)
    if isinstance(base, Pinned):
        return wrap_pinned(real, base.block)
    return wrap(real, base.block, base.ordinal)


def _reshape(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Change a tensor's own shape: of the view that it is, and of what torch sees."""
    tensor = args[0]
    real = tensor.raw.detach()  # queued work keeps the shape that it was given
    func(real, *args[1:], **kwargs)
    if isinstance(tensor, SimTensor):
        become(tensor, real, tensor.block)
    else:
        data_of.__set__(tensor, wrap_pinned(real, tensor.block))
        tensor.raw = real
    return tensor


def become(tensor: SimTensor, real: torch.Tensor, block: Block | None) -> None:
    """Let a tensor stand for another place."""
    data_of.__set__(tensor, wrap(real, block, tensor.ordinal))
    tensor.raw, tensor.block = real, block
    tensor.span_epoch = None


# -- kernels


def queue_for(sims: Sequence[SimTensor]) -> Queue:
    """Give the stream that an op runs on: the current one of the device of its tensors.

    Raises:
        RuntimeError: they are not all on one device.
    """
    index = sims[0].ordinal
    for sim in sims:
        if sim.ordinal != index:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{device_of(index)} and {device_of(sim.ordinal)}!"
            )
    return RT.current(index)


def _make(func: Any, plan: Plan, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    func = kernel_of(func, plan.base)
    given = Unwrapped(args, kwargs, mixed=plan.mixed)
    queue = queue_for(given.sims)
    described = shapes.results(func, given.args, given.kwargs)
    reads = [span for sim in given.sims if (span := sim.span) is not None]
    writes = [s for sim in _written(plan, args, kwargs) if (s := sim.span) is not None]
    outs: Any
    if type(described) is Leaf:
        made = empty(described.shape, described.strides, described.dtype, queue)
        outs = made.raw
        if (span := made.span) is not None:
            writes.append(span)
    else:
        made = allocate(described, queue, writes)
        outs = reals_of(made)
    run = Making(seeded(func, plan, given, queue.device), given.args, given.kwargs, outs)
    RT.launch(queue, plan.name, run, reads, writes)
    return made


def allocate(described: Any, queue: Queue, writes: list[o.RangeSpec]) -> Any:
    """Allocate what an op gives; the ranges are added to ``writes``."""
    if type(described) is Leaf:
        made = empty(described.shape, described.strides, described.dtype, queue)
        if (span := made.span) is not None:
            writes.append(span)
        return made
    if isinstance(described, list):
        return [allocate(each, queue, writes) for each in described]
    return described


def reals_of(made: Any) -> Any:
    """Give the real tensors of results, in the same shape; they do not hold the memory."""
    if type(made) is SimTensor:
        return made.raw
    if isinstance(made, list):
        return [reals_of(each) for each in made]
    return None


def _mutate(func: Any, plan: Plan, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    if plan.is_out:
        _fit_outs(func, plan, args, kwargs)
    given = Unwrapped(args, kwargs, mixed=plan.mixed)
    queue = queue_for(given.sims)
    targets = _written(plan, args, kwargs)
    writes = [span for sim in targets if (span := sim.span) is not None]
    only = set(map(id, targets)) if plan.write_only else ()
    reads = [s for sim in given.sims if id(sim) not in only and (s := sim.span) is not None]
    run = Mutation(seeded(func, plan, given, queue.device), given.args, given.kwargs)
    RT.launch(queue, plan.name, run, reads, writes)
    return _returned(plan, args, kwargs)


def _argument(at: int, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    return args[at] if 0 <= at < len(args) else kwargs.get(name)


def _written(plan: Plan, args: Sequence[Any], kwargs: dict[str, Any]) -> list[SimTensor]:
    """Give the tensors that an op writes among its arguments."""
    found: list[SimTensor] = []
    for at, name in plan.writes:
        value = _argument(at, name, args, kwargs)
        if isinstance(value, SimTensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [each for each in value if isinstance(each, SimTensor)]
        elif isinstance(value, torch.Tensor):
            raise RuntimeError(  # noqa: TRY004 - as torch has it
                f"{plan.name}: argument {name} is on {value.device}, not on {NAME}"
            )
    return found


def _returned(plan: Plan, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Give the arguments that an op gives back."""
    found = [_argument(at, name, args, kwargs) for at, name in plan.returned]
    return found[0] if len(found) == 1 else found or None


def _fit_outs(func: Any, plan: Plan, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """Give ``out=`` arguments the shape of the result, as torch does."""
    given = Unwrapped(args, kwargs)
    outs = _written(plan, args, kwargs)
    described = shapes.results(func, given.args, given.kwargs)
    for out, leaf in zip(
        outs, described if isinstance(described, list) else [described], strict=True
    ):
        if tuple(out.raw.shape) != leaf.shape:
            resize(out, leaf.shape)


def resize(tensor: SimTensor, shape: Sequence[int]) -> None:
    """Give a tensor another shape, contiguous; with new memory if it needs more."""
    real = tensor.raw
    itemsize = real.dtype.itemsize
    leaf = torch.empty(tuple(shape), dtype=real.dtype, device="meta")
    block = tensor.block
    if block is None or leaf.numel() * itemsize > block.nbytes:
        fresh = empty(tuple(shape), leaf.stride(), real.dtype, RT.current(tensor.ordinal))
        if block is not None and real.numel():
            raise UnsupportedError("resize_ of a tensor that holds data to a larger size", "cat")
        become(tensor, fresh.raw, fresh.block)
    else:
        become(tensor, real.as_strided(tuple(shape), leaf.stride()), block)


# -- ops at which the host waits


def _wait(func: Any, plan: Plan, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Carry out an op whose result's shape, or value, the host must know."""
    given = Unwrapped(args, kwargs)
    queue = queue_for(given.sims)
    reads = [span for sim in given.sims if (span := sim.span) is not None]
    RT.launch(queue, plan.name, _nothing, reads, ())
    await_result(queue, reads[0] if reads else None, plan.via)
    if plan.kind is Kind.MUTATE:
        writes = [span for sim in _written(plan, args, kwargs) if (span := sim.span) is not None]
        RT.launch(queue, plan.name, Mutation(func, given.args, given.kwargs), reads, writes)
        return _returned(plan, args, kwargs)
    found = func(*given.args, **given.kwargs)
    described = shapes.describe(found)
    writes = []
    made = allocate(described, queue, writes)
    reals = reals_of(made)
    if writes:
        RT.launch(queue, plan.name, lambda: store(found, reals), reads, writes)
    return made


def _nothing() -> None:
    """Run no kernel: the host takes the values itself, once it has waited."""


def await_result(queue: Queue, src: o.RangeSpec | None, via: str) -> None:
    """Let the host wait for its current stream, as for a result that it needs to know (R41)."""
    if src is None:
        RT.drain(queue)
        return
    RT.memcpy(queue, _nothing, src, RT.scratch(), "D2H", via, blocking=True)
    RT.drain(queue)


INDEXING: list[Callable[[Any, Sequence[Any]], tuple[Any, Sequence[Any]]]] = []
"""What copies an indexing op's indices and value: set once by ``indexing``, which stands above."""


# -- pinned tensors alone


def host_op(func: Any, plan: Plan, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run an op of the host on pinned tensors, and record what it reads and writes."""
    given = Unwrapped(args, kwargs, host=True)
    targets: list[Any] = []
    for at, name in plan.writes:
        value = _argument(at, name, args, kwargs)
        targets += value if isinstance(value, list | tuple) else [value]
    only = set(map(id, targets)) if plan.write_only else ()
    if plan.kind not in (Kind.ASK, Kind.RESHAPE):
        for tensor in given.pinned:
            if id(tensor) not in only:
                note(tensor, o.HostRead, plan.via)
        for tensor in targets:
            if isinstance(tensor, Pinned):
                note(tensor, o.HostWrite, plan.via)
    if plan.kind is Kind.RESHAPE:
        return _reshape(func, args, kwargs)
    found = func(*given.args, **given.kwargs)
    return _returned(plan, args, kwargs) if plan.kind is Kind.MUTATE else found
