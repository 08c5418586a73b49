"""A slot holds another version than its reader wants.

What it does:
    Finds a `slot_read` whose `expects_version` differs from the version of the latest resolve.

Why it is wrong:
    Everything may be ordered, and the value is still another batch's: a ring that wrapped, a row
    that was recycled.

Bad:
    slot_resolve row value=a version=0
    slot_resolve row value=a version=1
    slot_read row expects_version=0

Good:
    slot_resolve row value=a version=0
    slot_read row expects_version=0
    slot_resolve row value=a version=1
    slot_read row expects_version=1

Fix:
    A longer ring, or an owner that must have read before the slot is used again.

Limits:
    Only reads that name a version are judged.
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
    """Report reads of another version."""
    for use in slot_uses:
        if trace.kind[use.op] != Kind.SLOT_READ or use.empty or use.resolved is None:
            continue
        wanted, held = trace[use.op].number, trace[use.resolved].number
        if wanted is None or held is None or wanted == held:
            continue
        slot = trace[use.op].obj
        message = (
            f"{evidence.call(use.op)} wants version {wanted} of {slot}, but "
            f"{evidence.call(use.resolved)} put version {held} there"
        )
        made_from = trace[use.resolved].accesses
        buffer = evidence.buffer_name(made_from[0].buffer) if made_from else None
        hint = f"keep version {wanted} until it was read: a longer ring, or an owner"
        yield evidence.make(
            *RULE.head, "stale-slot", (use.resolved, use.op), message, hint,
            buffer=buffer, details={"wants": wanted, "holds": held},
        )  # fmt: skip


RULE = Rule("SO702", "stale-slot", "error", (), check)
