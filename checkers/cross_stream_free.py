"""A block goes back to its allocator while another stream may still use it.

What it does:
    At each free, finds the last access on every stream that is not the block's owner, that no
    `record_stream` covers and that does not come before what the owner could do next. For plain
    and mapped memory every stream counts; for `free_async` the access must come before the free in
    its stream. An error where the reuse is seen, or where the memory is unmapped; else a warning.

Why it is wrong:
    The caching allocator hands a freed block out again at once, on the owner's stream (R36). Work
    of another stream that still uses it then meets the new tenant's data. Whether it goes wrong
    depends on the allocator's mood, so the verdict does not rest on it.

Bad:
    malloc x device 64 caching stream=s1 address=A
    s2: launch use r=x
    free x
    malloc y device 64 caching stream=s1 address=A
    s1: launch fill w=y

Good:
    malloc x device 64 caching stream=s1 address=A
    s2: launch use r=x
    record_stream x stream=s2
    free x
    malloc y device 64 caching stream=s1 address=A
    s1: launch fill w=y

Fix:
    Call `record_stream` with the stream that uses the block, or let the owner wait for that stream
    before the free.

Limits:
    Where the owner is not known nothing follows from the free alone: only accesses through the same
    address count (SO202). `record_stream` covers what was queued at the time of the free (R37).
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.lifetimes import InFlight, Lifetimes
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule


def check(lifetimes: Lifetimes, evidence: Evidence) -> Iterator[Finding]:
    """Report frees under work of a stream that is not the owner."""
    for flight in lifetimes.device_in_flight:
        yield _finding(flight, evidence)


def _finding(flight: InFlight, evidence: Evidence) -> Finding:
    order = evidence.order
    access, free = int(order.placed.op[flight.access]), flight.free
    buffer = evidence.buffer_name(flight.buffer)
    mapped = order.trace.buffers.allocator[flight.buffer] == "mapped"
    node = int(order.placed.node[flight.access])
    target = int(order.graph.op_node[free])
    fix = evidence.edge(access, node, free, target)
    owner = int(order.trace.buffers.owner[flight.buffer])
    hint = evidence.fix_words(fix, "let the owner wait for the access before the free")
    if fix is not None and owner >= 0 and "thread" in fix["wait"]:
        label = order.trace.streams.label[owner]
        fix["wait"] = {"before": free, "stream": label}
        user = fix["record"]["stream"]
        hint = f"call record_stream({user}) on {buffer} before the free, or " + evidence.fix_words(
            fix, ""
        )
    message = (
        f"{evidence.call(free)} frees {buffer} while {evidence.call(access)} on "
        f"{evidence.line(access, node)} may still use it"
    )
    details: dict[str, object] = evidence.missing((access, free))
    if flight.reuse is not None:
        details["reuse"] = {"op": flight.reuse, "call": evidence.call(flight.reuse)}
        message += f"; {evidence.call(flight.reuse)} already reuses its memory"
    severity = "error" if mapped or flight.reuse is not None else RULE.severity
    return evidence.make(
        RULE.code, RULE.name, severity, "use-after-free", (access, free), message, hint,
        fix=fix, buffer=buffer, details=details,
    )  # fmt: skip


RULE = Rule("SO201", "cross-stream-free", "warning", ("accesses", "sync", "memory"), check)
