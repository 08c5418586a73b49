"""What each op of torch reads and writes, told once from its schema.

The exceptions to the schema's word stand in tables, here and in ``schemas``: see
simulated-device.md, section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, NamedTuple

import torch

from streamsan.traces.recorder.schemas import ASKS, INDEXED, WRITE_ONLY, always_waits, via

READ, WRITE = 1, 2
_MASKS = (torch.bool, torch.uint8)
_NO_VALUE = 2
"""Arguments of an op that indexes and puts nothing there."""


class Kind(Enum):
    """How an op is recorded."""

    NOTHING = auto()
    """Views, reshapes, questions, bare allocations: no work on the device."""
    COMPOSITE = auto()
    """Made of other ops; it arrives whole only under inference_mode."""
    LAUNCH = auto()
    COPY = auto()
    """``copy_`` and ``_to_copy``: a transfer, a kernel, or several of them."""
    WAIT = auto()
    """What it gives depends on data: the host waits."""
    COLLECTIVE = auto()
    RECORD_STREAM = auto()


class Argument(NamedTuple):
    """An argument that may hold tensors."""

    at: int
    """Its position; -1: by name only."""
    name: str
    mode: int


class Plan(NamedTuple):
    """How to record one op."""

    kind: Kind
    name: str
    base: str
    """The name without namespace and overload."""
    arguments: tuple[Argument, ...]
    makes: bool
    """Whether it gives tensors that were not there before, and writes them."""
    via: str
    waits: bool
    """Whether it waits only for some arguments: see ``waits_here``."""
    func: Any


_NO_WORK = ASKS | {
    "_fused_sdp_choice", "resize_", "set_", "_is_zerotensor", "is_pinned", "lift", "lift_fresh",
    "_pin_memory",
}  # fmt: skip
_ONLY_WRITTEN = WRITE_ONLY | {"copy_"}
_VIEWS = frozenset({"_unsafe_view", "detach", "_reshape_alias", "view", "alias"})
UNANNOTATED: dict[str, tuple[int, ...]] = {"native_batch_norm": (3, 4)}
"""Arguments that an op writes although its schema does not say so."""
_ONLY_READ: dict[str, tuple[str, ...]] = dict.fromkeys(
    ("_fused_adam_", "_fused_adamw_", "_fused_adagrad_", "_fused_sgd_"), ("grads",)
)
"""Arguments that an op only reads although its schema says that it writes them."""
_COLLECTIVES = ("c10d", "_c10d_functional")

_plans: dict[int, Plan] = {}
"""By the op's ``id``: its own hash is a call of Python. The plan keeps the op alive."""


def plan_of(func: Any) -> Plan:
    """Give an op's plan."""
    plan = _plans.get(id(func))
    if plan is None:
        plan = _plans[id(func)] = _make(func)
    return plan


def _make(func: Any) -> Plan:
    schema = func._schema  # noqa: SLF001 - torch's own tools read it so, too
    space, _, name = schema.name.partition("::")
    kind = _kind(func, schema, space, name)
    fills = name.startswith("new_") or name.endswith("_like")
    return Plan(
        kind=kind,
        name=schema.name.removeprefix("aten::"),
        base=name,
        arguments=tuple(
            Argument(-1 if arg.kwarg_only else at, arg.name, _mode(arg, at, name, space, fills))
            for at, arg in enumerate(schema.arguments) if _holds_tensors(arg.type)
        ),
        makes=any(r.alias_info is None and _holds_tensors(r.type) for r in schema.returns),
        via="to" if name == "_to_copy" else via(name),
        waits=name in INDEXED or name == "repeat_interleave",
        func=func,
    )  # fmt: skip


def _mode(arg: Any, at: int, name: str, space: str, fills: bool) -> int:
    if space in _COLLECTIVES:
        return WRITE if "output" in arg.name else READ if "input" in arg.name else READ | WRITE
    written = arg.alias_info is not None and arg.alias_info.is_write
    if arg.name in _ONLY_READ.get(name, ()):
        written = False
    if written and (arg.is_out or name in _ONLY_WRITTEN):
        return WRITE
    if written or (space == "aten" and at in UNANNOTATED.get(name, ())):
        return READ | WRITE
    return 0 if fills else READ


def _holds_tensors(kind: Any) -> bool:
    return "Tensor" in str(kind)


def _kind(  # noqa: PLR0911 - one answer a kind
    func: Any, schema: Any, space: str, name: str
) -> Kind:
    if space in _COLLECTIVES:
        return Kind.COLLECTIVE
    if name in _NO_WORK or name.startswith(("empty", "new_empty")):
        return Kind.NOTHING
    if name == "record_stream":
        return Kind.RECORD_STREAM
    if name in ("copy_", "_to_copy"):
        return Kind.COPY
    key = torch._C.DispatchKey.CompositeImplicitAutograd  # noqa: SLF001
    if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key):  # noqa: SLF001
        return Kind.COMPOSITE
    returned = [each for each in schema.returns if each.alias_info is not None]
    is_view = bool(returned) and not any(each.alias_info.is_write for each in returned)
    if torch.Tag.inplace_view in func.tags or name in _VIEWS or is_view:
        return Kind.NOTHING
    if always_waits(func, name):
        return Kind.WAIT
    return Kind.LAUNCH


def waits_here(
    plan: Plan, args: Any, kwargs: dict[str, Any], on_device: Callable[[torch.Tensor], bool]
) -> bool:
    """Whether this call of an op waits although not every call of it does."""
    if plan.base in INDEXED:
        masks = [
            each for each in args[1]
            if isinstance(each, torch.Tensor) and each.dtype in _MASKS and on_device(each)
        ]  # fmt: skip
        return bool(masks) and not _is_masked_fill(args, on_device)
    return plan.base == "repeat_interleave" and kwargs.get("output_size") is None


def _is_masked_fill(args: Any, on_device: Callable[[torch.Tensor], bool]) -> bool:
    """Whether torch fills by the mask: there is no index but that, and the value is a number."""
    indices, value, *accumulate = args[1:] if len(args) > _NO_VALUE else (*args[1:], None)
    if value is None or on_device(value) or value.numel() != 1:
        return False
    return sum(each is not None for each in indices) == 1 and not any(accumulate[:1])
