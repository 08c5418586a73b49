"""A stream waits for itself.

What it does:
    Finds stream waits whose event was last recorded on the waiting stream.

Why it is wrong:
    A stream is in order already (R1): such a wait orders nothing, and another one was meant. Inside
    `with torch.cuda.stream(s)` the current stream IS s, so `s.wait_stream(current_stream())` waits
    for nothing.

Bad:
    s: launch produce w=a
    s: record e
    s: wait e
    s: launch consume r=a

Good:
    s0: launch produce w=a
    s0: record e
    s: wait e
    s: launch consume r=a

Fix:
    Take the outer stream before entering the context, or delete the wait.

Limits:
    Says nothing of what the wait was meant to cover: an unordered conflict is its own finding.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.events import Waits
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace
from streamsan.traces.ops import Kind


def check(trace: Trace, waits: Waits, evidence: Evidence) -> Iterator[Finding]:
    """Report stream waits on their own stream's record."""
    streams = trace.streams
    for wait, record in waits.bound:
        if trace.kind[wait] != Kind.STREAM_WAIT_EVENT:
            continue
        if streams.of_op[wait] == streams.of_op[record]:
            label = streams.label[int(streams.of_op[wait])]
            message = (
                f"{evidence.call(wait)} makes {label} wait for event {trace[wait].obj}, which "
                f"{evidence.call(record)} recorded on {label} itself"
            )
            hint = "take the other stream before entering this one's context, or delete the wait"
            yield evidence.make(
                *RULE.head, "self-wait", (wait,), message, hint,
                fix={"remove": wait}, details={"record": record},
            )  # fmt: skip


RULE = Rule("SO303", "self-wait", "warning", ("sync",), check)
