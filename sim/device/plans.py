"""What kind of op each op is, told once from its schema."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import torch

from streamsan.sim.device.internals import is_composite
from streamsan.traces.recorder.schemas import ASKS, INDEXED, WRITE_ONLY, always_waits, via


class Kind(Enum):
    """How an op is carried out."""

    COMPOSITE = auto()
    """Made of other ops; it arrives whole only under inference_mode."""
    VIEW = auto()
    """Gives views: no work on the device."""
    RESHAPE = auto()
    """Changes its argument's own shape: ``t_``, ``unsqueeze_``, ..."""
    MUTATE = auto()
    """Writes arguments and gives nothing new."""
    MAKE = auto()
    """Gives new tensors; may write arguments as well."""
    WAIT = auto()
    """What it gives depends on data: the host waits."""
    ASK = auto()
    """Asks for shapes and the like: no data."""


@dataclass(frozen=True)
class Plan:
    """How to carry out one op."""

    kind: Kind
    name: str
    base: str
    """The name without the overload."""
    returned: tuple[tuple[int, str], ...]
    """Arguments it gives back, as in ``writes``."""
    writes: tuple[tuple[int, str], ...]
    """Arguments it writes: position (-1: by name only) and name."""
    write_only: bool
    is_out: bool
    mixed: bool
    """Takes CPU tensors beside device tensors: lists of scalars, lengths."""
    random: bool
    generator: bool
    via: str


_MIXED = frozenset({
    "_pack_padded_sequence", "_pack_padded_sequence_backward", "_ctc_loss", "_ctc_loss_backward",
})  # fmt: skip
MASKS = frozenset({torch.bool, torch.uint8})
"""Types of an index that says of each element whether it is meant."""
_VIEWS = frozenset({"_unsafe_view"})
"""Ops that give views although their schema does not say so."""
UNANNOTATED: dict[str, tuple[int, ...]] = {
    "native_batch_norm": (3, 4), "_native_batch_norm_legit_functional": (),
}  # fmt: skip
"""Arguments that an op writes although its schema does not say so."""

_plans: dict[Any, Plan] = {}


def plan_of(func: Any) -> Plan:
    """Give an op's plan."""
    plan = _plans.get(func)
    if plan is None:
        plan = _plans[func] = _make(func)
    return plan


def _make(func: Any) -> Plan:
    schema = func._schema  # noqa: SLF001 - torch's own tools read it so, too
    name = schema.name.split("::")[1]
    writes = []
    for at, arg in enumerate(schema.arguments):
        written = arg.alias_info is not None and arg.alias_info.is_write
        if written or at in UNANNOTATED.get(name, ()):
            writes.append((-1 if arg.kwarg_only else at, arg.name))
    is_out = any(arg.is_out for arg in schema.arguments)
    return Plan(
        kind=_kind(func, schema, name, bool(writes)),
        name=schema.name.removeprefix("aten::"),
        base=name if schema.name.startswith("aten::") else schema.name,
        returned=_returned(schema),
        writes=tuple(writes),
        write_only=is_out or name in WRITE_ONLY,
        is_out=is_out,
        mixed=name.startswith("_foreach_") or name in _MIXED,
        random=torch.Tag.nondeterministic_seeded in func.tags,
        generator=any(arg.name == "generator" for arg in schema.arguments),
        via=via(name),
    )


def _kind(  # noqa: PLR0911 - one answer a kind
    func: Any, schema: Any, name: str, writes: bool
) -> Kind:
    if name in ASKS:
        return Kind.ASK
    if is_composite(func):
        return Kind.COMPOSITE
    if torch.Tag.inplace_view in func.tags:
        return Kind.RESHAPE
    returned = [r for r in schema.returns if r.alias_info is not None]
    if name in _VIEWS or (returned and not any(r.alias_info.is_write for r in returned)):
        return Kind.VIEW
    if always_waits(func, name):
        return Kind.WAIT
    if writes and len(returned) == len(schema.returns):
        return Kind.MUTATE
    return Kind.MAKE


def _returned(schema: Any) -> tuple[tuple[int, str], ...]:
    """Find the written arguments that come back, by the names of their alias sets."""
    found = []
    for each in schema.returns:
        if each.alias_info is None or not each.alias_info.is_write:
            continue
        for at, arg in enumerate(schema.arguments):
            if arg.alias_info and arg.alias_info.before_set == each.alias_info.before_set:
                found.append((-1 if arg.kwarg_only else at, arg.name))
    return tuple(found)


def waits_here(plan: Plan, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether this call of an op waits although not every call of it does."""
    base = plan.base
    if base in INDEXED:
        return any(isinstance(each, torch.Tensor) and each.dtype in MASKS for each in args[1])
    if base == "repeat_interleave":
        return kwargs.get("output_size") is None
    return False
