"""The host waits for a value that was ready long ago.

What it does:
    Finds host waits for a download whose stream has inherited a wait for work in flight that the
    value does not come from.

Why it is wrong:
    A stream runs its ops in order (R1), and what it has once waited for holds for all that follows
    (R6): the head of its queue waits for the end of the other stream's work, and the host with it.

Bad:
    malloc h pinned 64
    prep: launch lengths w=n
    fwd: launch forward r=x w=x
    fwd: record done
    prep: wait done
    prep: memcpy n -> h D2H sync via=cpu
    host_read h
    prep: launch next r=x w=n

Good:
    malloc h pinned 64
    prep: launch lengths w=n
    prep: record e
    fwd: launch forward r=x w=x
    fwd: record done
    prep: wait done
    side: wait e
    side: memcpy n -> h D2H
    side: record ready
    sync ready
    host_read h
    prep: launch next r=x w=n

Fix:
    A side stream that waits only for what made the value, a pinned destination, and a wait for
    that stream.

Limits:
    Downloads only: an upload's bytes come from the host (SO401). A kernel on the download's own
    stream counts as part of the download if its inputs come from elsewhere; longer preparations on
    that stream count as needed. `nonzero`, `unique` and the like, which learn a size, stay SO402.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.chains import Chain, Chains
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.prices import Prices
from streamsan.checkers.facts.totals import without
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace


def check(trace: Trace, chains: Chains, prices: Prices, evidence: Evidence) -> Iterator[Finding]:
    """Report host waits behind inherited work."""
    if trace.header.complete.accesses:
        for chain in chains.found:
            yield _finding(chain, prices, evidence)


def _finding(chain: Chain, prices: Prices, evidence: Evidence) -> Finding:
    trace, stream = evidence.trace, evidence.line(chain.copy)
    access = int(trace.access_start[chain.copy])
    buffer = evidence.buffer_name(int(trace.buffers.of_access[access]))
    message = (
        f"{evidence.call(chain.wait)} makes {trace[chain.wait].thread} wait for "
        f"{evidence.call(chain.last)}, which {buffer} does not come from: {stream} has inherited "
        f"it through {evidence.call(chain.via)}"
    )
    last = [f"op {op}" for op in chain.producers] or ["nothing in flight"]
    return evidence.make(
        *RULE.head, "chain-blocking", (chain.last, chain.wait), message,
        f"download {buffer} on a side stream that waits only for {', '.join(last)}",
        buffer=buffer,
        details={
            "via": chain.via, "copy": chain.copy, "not_needed": chain.ops,
            "producers": list(chain.producers), **prices.moved(chain.copy),
            **prices.host_wait(chain.wait, chain.producers),
            **without(aside=[[chain.wait, chain.copy, list(chain.producers)]]),
        },
    )  # fmt: skip


RULE = Rule("SO403", "chain-blocked-host", "warning", ("accesses", "sync"), check)
