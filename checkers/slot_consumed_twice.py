"""A use-once value is taken twice.

What it does:
    Finds a `slot_consume` after another one of the same slot with no `slot_defer` in between.

Why it is wrong:
    What can be taken once belongs to the first taker. A restore of saved fields that puts it back
    makes the second one work on stale data.

Bad:
    slot_defer staged source=h
    slot_resolve staged value=h
    slot_consume staged
    slot_consume staged

Good:
    slot_defer staged source=h
    slot_resolve staged value=h
    slot_consume staged
    slot_defer staged source=h
    slot_resolve staged value=h
    slot_consume staged

Fix:
    Take it outside the saved and restored part, and clear the field when it is taken.

Limits:
    Reading is not taking: any number of `slot_read` is fine.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.slots import SlotUse
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace
from streamsan.traces.ops import Kind


def check(trace: Trace, slot_uses: list[SlotUse], evidence: Evidence) -> Iterator[Finding]:
    """Report second takings."""
    for use in slot_uses:
        if trace.kind[use.op] != Kind.SLOT_CONSUME or use.consumed is None:
            continue
        slot = trace[use.op].obj
        message = (
            f"{evidence.call(use.op)} takes {slot} again, after {evidence.call(use.consumed)} took "
            "it"
        )
        details = {}
        if use.resolved is not None and use.resolved > use.consumed:
            details["put_back"] = use.resolved
        yield evidence.make(
            *RULE.head, "consumed-twice", (use.consumed, use.op), message,
            f"clear {slot} when it is taken", details=details,
        )  # fmt: skip


RULE = Rule("SO703", "slot-consumed-twice", "error", (), check)
