"""An op names a buffer that is not live.

What it does:
    Finds buffers freed twice, freed without an allocation in the trace, used after their free in
    issue order, and allocated while they live. Launches of graphs are SO204.

Why it is wrong:
    The memory belongs to somebody else by then. No schedule makes it right.

Bad:
    malloc a device 64 caching stream=s
    free a
    s: launch fill w=a

Good:
    malloc a device 64 caching stream=s
    s: launch fill w=a
    free a
    malloc a device 64 caching stream=s
    s: launch fill w=a

Fix:
    Move the free behind the last use, or drop the second one.

Limits:
    A name may be allocated again after its free: it is another buffer then. If the recording began
    late (`complete.memory` is false) such ops are SO902.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.liveness import DeadUse, dead_uses
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace

_WORDS = {
    "use": "uses {} after its free",
    "free": "frees {} a second time",
    "unknown-free": "frees {}, which was never allocated",
    "malloc": "allocates {}, which is live",
}


def check(trace: Trace, evidence: Evidence) -> Iterator[Finding]:
    """Report ops on dead buffers, and allocations of live ones."""
    if trace.header.complete.memory:
        for dead in dead_uses(trace):
            yield _finding(dead, evidence)


def _finding(dead: DeadUse, evidence: Evidence) -> Finding:
    name = evidence.trace.names[dead.name]
    what = _WORDS[dead.what].format(name)
    ops = (dead.op,) if dead.free is None else (dead.free, dead.op)
    after = "" if dead.free is None else f" (freed by {evidence.call(dead.free)})"
    return evidence.make(
        *RULE.head, "dead-buffer", ops, f"{evidence.call(dead.op)} {what}{after}",
        "free a buffer once, after its last use", buffer=name,
    )  # fmt: skip


RULE = Rule("SO206", "dead-buffer", "error", ("memory",), check)
