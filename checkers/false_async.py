"""An asynchronous copy with a pageable end is not asynchronous.

What it does:
    Finds asynchronous copies to and from pageable memory, or pinned memory in pieces (a view that
    is not dense). A download: the host waits for the work in flight before it. An upload, info:
    staged by the driver.

Why it is wrong:
    The driver has to stage pageable memory (R22). A download returns only when it is done; an
    upload copies through a staging buffer, though it does not drain the stream.

Bad:
    malloc p pageable 64
    s: launch forward w=x
    s: memcpy x -> p D2H

Good:
    malloc h pinned 64
    s: launch forward w=x
    s: memcpy x -> h D2H

Fix:
    A pinned, contiguous host buffer.

Limits:
    The older form of a blocking copy, a copy and a synchronise at one site, is SO401 or SO402. A
    copy made past the framework (`via: raw`) may well be asynchronous in pieces.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.blocking import Blocking, Copy
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.history import History
from streamsan.checkers.facts.prices import Prices
from streamsan.checkers.facts.totals import without
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule


def check(
    blocking: Blocking, history: History, prices: Prices, evidence: Evidence
) -> Iterator[Finding]:
    """Report asynchronous copies that have to be staged."""
    for copy in blocking.copies:
        if copy.staged and not copy.waits:
            if copy.kind == "H2D":
                yield _upload(copy, prices, evidence)
            elif copy.last is not None:
                users = history.host_users(copy.op)
                yield _download(copy, copy.last, users, prices, evidence)


def _memory(copy: Copy) -> str:
    return "pageable memory" if copy.pageable else "pinned memory in pieces"


def _download(
    copy: Copy, last: int, users: list[int], prices: Prices, evidence: Evidence
) -> Finding:
    message = (
        f"{evidence.call(copy.op)} downloads to {_memory(copy)}: {evidence.trace[copy.op].thread} "
        f"waits for {evidence.line(copy.op)}, {evidence.call(last)} included"
    )
    hint = "download to pinned, contiguous memory"
    return evidence.make(
        *RULE.head, "blocking", (last, copy.op), message, hint,
        buffer=evidence.buffer_name(copy.buffers[1]),
        details={
            **prices.blocking_copy(copy),
            **without(unblock=[copy.op], reads=[[user, copy.op] for user in users]),
        },
    )  # fmt: skip


def _upload(copy: Copy, prices: Prices, evidence: Evidence) -> Finding:
    message = f"{evidence.call(copy.op)} uploads from {_memory(copy)}: staged by the driver"
    hint = f"upload from pinned{'' if copy.pageable else ', contiguous'} memory"
    return evidence.make(
        RULE.code, RULE.name, "info", "blocking", (copy.op,), message, hint,
        buffer=evidence.buffer_name(copy.buffers[0]), details=prices.moved(copy.op),
    )  # fmt: skip


RULE = Rule("SO405", "false-async", "warning", ("sync",), check)
