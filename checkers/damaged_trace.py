"""The trace's container is damaged; what could be read was linted.

What it does:
    Says how much of a damaged file was kept and lost, and where: the file is cut, a line is not
    JSON, a compressed stream ends early, events were lost in salvage.

Why it is wrong:
    A sanitizer that reports clean on half a trace is the worst of all. Every rule whose facts may
    be among those lost is listed as unknown, and the exit status is 2 unless `--allow-damaged`.

Bad:
    # the file ends in the middle of its third line
    s: launch k w=a

Good:
    s: launch k w=a

Fix:
    Record again; let the recorder close its file.

Limits:
    Contents against the format are another thing: then nothing is linted and the status is 2.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace


def check(trace: Trace, evidence: Evidence) -> Iterator[Finding]:
    """Report damage of the container."""
    damage = trace.damage
    if damage is None:
        return
    where = "" if damage.line is None else f" at line {damage.line}"
    lost = "an unknown number" if damage.lost is None else str(damage.lost)
    message = f"{damage.reason}{where}: {damage.kept} kept, {lost} lost"
    ops = (len(trace) - 1,) if len(trace) else ()
    yield evidence.make(
        *RULE.head, "damaged-trace", ops, message, "record the trace again",
        details={"kept": damage.kept, "lost": damage.lost, "line": damage.line},
    )  # fmt: skip


RULE = Rule("SO901", "damaged-trace", "warning", (), check)
