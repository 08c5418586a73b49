"""A network card, another process or a library's task touches bytes that are in use.

What it does:
    Finds an access by an outside agent, or by the work of a host task, that conflicts with another
    access and is not ordered with it. What a task still owes its reader is SO701.

Why it is wrong:
    An agent knows nothing of streams. It is ordered only by a host wait made before it is set off,
    or by an imported event (R48); a task runs after its submit and is over for whoever has seen it
    done (R49).

Bad:
    s: launch attention w=kv
    host_read kv agent=nic

Good:
    s: launch attention w=kv
    s: record e
    sync e
    host_read kv agent=nic

Fix:
    Synchronise, in the thread that sets the agent off, with an event recorded after the device
    work; wait for the task's end, or for the imported event, before touching its bytes again.

Limits:
    How long an agent goes on is not in a trace: nothing is ordered after its access.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.checkers.unmaterialised_value import is_owed


def check(conflicts: list[Conflict], evidence: Evidence) -> Iterator[Finding]:
    """Report unordered accesses of agents and tasks."""
    for conflict in conflicts:
        outside = {"agent", "task"} & set(conflict.sides)
        if outside and not conflict.changes_tenant and not is_owed(conflict):
            fix = evidence.fix(conflict.first, conflict.second)
            hint = evidence.fix_words(
                fix, "wait for the agent's or the task's end before touching its bytes"
            )
            yield evidence.pair(*RULE.head, conflict, hint)


RULE = Rule("SO115", "outside-agent-access", "error", ("accesses", "host", "sync"), check)
