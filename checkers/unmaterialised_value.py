"""A value is used before it was made.

What it does:
    (a) Finds a slot read or consumed after its `slot_defer` with no `slot_resolve` in between: the
    field is None. (b) Finds a read of bytes that a host task writes, before the task was seen done.

Why it is wrong:
    The field holds nothing yet, or the old value: a consumer that skips the step which makes it (a
    profiler, a penalty path), or a wait that returned before the worker had submitted (R49).

Bad:
    slot_defer input_ids source=h
    slot_read input_ids
    slot_resolve input_ids value=a

Good:
    slot_defer input_ids source=h
    slot_resolve input_ids value=a
    slot_read input_ids

Fix:
    Resolve before the read, as the other iterations do, or read the value's source; wait for the
    task's end before using what it makes.

Limits:
    Speaks only of fields and tasks that the trace names. The first use of an empty field is told.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.slots import SlotUse
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace
from streamsan.traces.ops import Kind


def is_owed(conflict: Conflict) -> bool:
    """Whether a conflict is a read of what a task writes."""
    one, two = conflict.sides
    if conflict.changes_tenant:
        return False
    return (one == "task" and conflict.kind == "RAW") or (
        two == "task" and one != "task" and conflict.kind == "WAR"
    )


def check(
    trace: Trace, slot_uses: list[SlotUse], conflicts: list[Conflict], evidence: Evidence
) -> Iterator[Finding]:
    """Report uses of values that are not there yet."""
    told: set[int] = set()
    for use in slot_uses:
        if use.empty and use.deferred is not None and use.deferred not in told:
            told.add(use.deferred)
            slot = trace[use.op].obj
            message = (
                f"{evidence.call(use.op)} takes {slot}, which holds no value since "
                f"{evidence.call(use.deferred)}"
            )
            hint = f"resolve {slot} before op {use.op}"
            yield evidence.make(
                *RULE.head, "unmaterialised", (use.deferred, use.op), message, hint,
                details=_elsewhere(trace, use),
            )  # fmt: skip
    for conflict in conflicts:
        if is_owed(conflict):
            yield _owed(trace, conflict, evidence)


def _elsewhere(trace: Trace, use: SlotUse) -> dict[str, object]:
    """Say where the field is resolved at other times."""
    resolves = (trace.kind == Kind.SLOT_RESOLVE) & (trace.obj == trace.obj[use.op])
    return {"resolved_at": np.flatnonzero(resolves)[:10].tolist()}


def _owed(trace: Trace, conflict: Conflict, evidence: Evidence) -> Finding:
    submit, use = conflict.ops
    if conflict.sides[0] != "task":
        submit, use = use, submit
    dones = np.flatnonzero((trace.kind == Kind.HOST_TASK_DONE) & (trace.obj == trace.obj[submit]))
    bound = [d for d in dones.tolist() if evidence.order.graph.binding.get(d) == submit]
    done = bound[0] if bound else int(dones[-1]) if len(dones) else None
    name = evidence.buffer_name(conflict.buffer)
    ops = (use,) if done is None else tuple(sorted((use, done)))
    message = f"{evidence.call(use)} uses {name}, which task {trace[submit].obj} still owes"
    hint = "wait for the task's end before the use"
    return evidence.make(
        *RULE.head, "unmaterialised", ops, message, hint, buffer=name,
        details={"submit": submit, **evidence.missing(conflict.ops)},
    )  # fmt: skip


RULE = Rule("SO701", "unmaterialised-value", "error", ("accesses", "host"), check)
