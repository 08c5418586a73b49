"""A destroyed stream or event is used, or an event on a device that is not its own.

What it does:
    Finds ops that name a stream or an event after its destruction, and records of an event on a
    stream of another device than the event's.

Why it is wrong:
    The handle may be invalid, or already stand for another object. Waits that were enqueued before
    the destruction keep their capture and are fine (R31).

Bad:
    stream_create s
    stream_destroy s
    s: launch k w=a

Good:
    stream_create s
    s: launch k w=a
    stream_destroy s

Fix:
    Destroy after the last use; record an event on a stream of the device it was created on.

Limits:
    An event's device is known only from its `event_create`. A handle that was recycled under the
    same name is a new object.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace
from streamsan.traces.ops import Kind

_ON_EVENTS = (
    Kind.EVENT_CREATE,
    Kind.EVENT_DESTROY,
    Kind.EVENT_RECORD,
    Kind.EVENT_QUERY,
    Kind.EVENT_SYNCHRONIZE,
    Kind.STREAM_WAIT_EVENT,
)


def check(trace: Trace, evidence: Evidence) -> Iterator[Finding]:
    """Report uses of dead or foreign sync objects."""
    yield from _dead(trace, evidence, "stream", trace.stream_name, Kind.STREAM_CREATE)
    events = np.where(np.isin(trace.kind, _ON_EVENTS), trace.obj, -1).astype(np.int32)
    yield from _dead(trace, evidence, "event", events, Kind.EVENT_CREATE)
    yield from _foreign(trace, evidence)


def _dead(
    trace: Trace, evidence: Evidence, what: str, names: np.ndarray, birth: int
) -> Iterator[Finding]:
    death = Kind.STREAM_DESTROY if what == "stream" else Kind.EVENT_DESTROY
    for destroyed in np.flatnonzero(trace.kind == death).tolist():
        uses = np.flatnonzero(names == names[destroyed])
        later = uses[uses > destroyed]
        if not len(later) or trace.kind[later[0]] == birth:
            continue
        use = int(later[0])
        name = trace.names[names[destroyed]]
        message = f"{evidence.call(use)} uses {what} {name}, which {evidence.call(destroyed)} ended"
        hint = f"destroy the {what} after its last use"
        yield evidence.make(*RULE.head, "dead-object", (destroyed, use), message, hint)


def _foreign(trace: Trace, evidence: Evidence) -> Iterator[Finding]:
    made: dict[int, int] = {}
    kinds = (Kind.EVENT_CREATE, Kind.EVENT_RECORD)
    for op in np.flatnonzero(np.isin(trace.kind, kinds)).tolist():
        event = int(trace.obj[op])
        if trace.kind[op] == Kind.EVENT_CREATE:
            made[event] = op
            continue
        create = made.get(event)
        device = trace.streams.device[int(trace.streams.of_op[op])]
        # A create without a device reads as device 0 and proves nothing.
        if create is None or trace.device[create] in (0, device):
            continue
        message = (
            f"{evidence.call(op)} records event {trace[op].obj} on a stream of device {device}; "
            f"it was made on device {int(trace.device[create])}"
        )
        hint = "record an event on a stream of the device it was created on"
        yield evidence.make(*RULE.head, "dead-object", (create, op), message, hint)


RULE = Rule("SO305", "dead-sync-object", "error", ("sync",), check)
