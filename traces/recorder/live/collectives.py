"""c10d's collectives, which run on a stream of NCCL's own.

Within the call torch records an event on the current stream and lets NCCL's stream wait for it;
after the kernel it records another one there. The collective stands between the two, on the
stream that waited; where none did, it runs on the current stream (as of torch 2.8, blocking
calls do).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from streamsan.traces import ops as o
from streamsan.traces.recorder.light import light
from streamsan.traces.recorder.live.arguments import accesses
from streamsan.traces.recorder.live.plans import Plan

if TYPE_CHECKING:
    from streamsan.traces.recorder.live.observer import Observer

_Collective = light(o.Collective)


class Collectives:
    """Records collectives, and numbers them by group."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._numbers: dict[str, int] = {}

    def run(self, plan: Plan, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Carry a collective out, and record it between its own events."""
        local = self._observer.local
        local.depth += 1
        outer, local.held = local.held, []
        try:
            made = func(*args, **kwargs)
        finally:
            held, local.held = local.held or [], outer
            local.depth -= 1
        self._tell(held, self._op(plan, args, kwargs, held))
        self._observer.settle(local)
        return made

    def _tell(self, held: list[o.OpBase], op: o.Collective | None) -> None:
        """Put the ops from within the call, with the collective in its place among them."""
        waits = [i for i, each in enumerate(held) if isinstance(each, o.StreamWaitEvent)]
        place = waits[-1] + 1 if waits else len(held)
        for each in held[:place]:
            self._observer.put(each)
        if op is not None:
            self._observer.emit(op)
        for each in held[place:]:
            self._observer.put(each)

    def _op(
        self, plan: Plan, args: Sequence[Any], kwargs: dict[str, Any], held: list[o.OpBase]
    ) -> o.Collective | None:
        observer = self._observer
        given = accesses(plan, args, kwargs)
        tensors = [t for each in given for t in each if observer.platform.on_device(t)]
        if not tensors:
            return None
        stream, device = observer.stream_of(tensors[0])
        for each in held:
            if isinstance(each, o.StreamWaitEvent) and each.stream != stream:
                stream = str(each.stream)
        spans = [
            tuple(
                span for t in each
                if observer.platform.on_device(t) and (span := observer.blocks.span(t)) is not None
            )
            for each in given
        ]  # fmt: skip
        group, ranks = _group(args, kwargs)
        number = self._numbers[group] = self._numbers.get(group, -1) + 1
        return _Collective(
            stream=stream, group=group, ranks=ranks, seq=number, name=plan.base, reads=spans[0],
            writes=spans[1], device=device,
        )  # fmt: skip


def _group(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[str, tuple[int, ...] | None]:
    """Give name and ranks of the process group among the arguments."""
    import torch.distributed

    dist: Any = torch.distributed
    for value in (*args, *kwargs.values()):
        kind = str(type(value))
        if isinstance(value, str):
            name = value
        elif "ProcessGroup" in kind or "ScriptObject" in kind:
            boxed = getattr(dist, "ProcessGroup", None)
            group = boxed.unbox(value) if boxed is not None and "Script" in kind else value
            name = str(getattr(group, "group_name", None) or "group")
        else:
            continue
        try:
            found = dist.distributed_c10d._resolve_process_group(name)  # noqa: SLF001
            return name, tuple(dist.get_process_group_ranks(found))
        except (AttributeError, RuntimeError, ValueError, KeyError):
            return name, None
    return "group", None
