"""An asynchronous copy with a pageable end is not asynchronous.

What it does:
    Finds asynchronous copies to and from pageable memory. A download: the host waits for the work
    in flight before it. An upload, info: staged by the driver.

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
    The older form of a blocking copy, a copy and a synchronise at one site, is SO401 or SO402.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.blocking import Blocking, Copy
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule


def check(blocking: Blocking, evidence: Evidence) -> Iterator[Finding]:
    """Report asynchronous copies of pageable memory."""
    for copy in blocking.copies:
        if copy.pageable and not copy.waits:
            found = _download(copy, evidence) if copy.kind == "D2H" else _upload(copy, evidence)
            if found is not None:
                yield found


def _download(copy: Copy, evidence: Evidence) -> Finding | None:
    if copy.last is None:
        return None
    message = (
        f"{evidence.call(copy.op)} downloads to pageable memory: {evidence.trace[copy.op].thread} "
        f"waits for {evidence.line(copy.op)}, {evidence.call(copy.last)} included"
    )
    hint = "download to pinned, contiguous memory"
    return evidence.make(
        *RULE.head, "blocking", (copy.last, copy.op), message, hint,
        buffer=evidence.buffer_name(copy.buffers[1]),
    )  # fmt: skip


def _upload(copy: Copy, evidence: Evidence) -> Finding:
    message = f"{evidence.call(copy.op)} uploads from pageable memory: staged by the driver"
    return evidence.make(
        RULE.code, RULE.name, "info", "blocking", (copy.op,), message, "upload from pinned memory",
        buffer=evidence.buffer_name(copy.buffers[0]),
    )  # fmt: skip


RULE = Rule("SO405", "false-async", "warning", ("sync",), check)
