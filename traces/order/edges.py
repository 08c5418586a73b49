"""Every reason for which one thing comes before another. The table is the whole vocabulary."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Reason(IntEnum):
    """Why an edge holds; ``TEXT`` has the words and the R-rule of cuda-ordering.md."""

    PROGRAM = 0
    STREAM = 1
    ISSUE = 2
    EVENT_WAIT = 3
    EVENT_SYNC = 4
    QUERY = 5
    STREAM_SYNC = 6
    DEVICE_SYNC = 7
    LEGACY = 8
    COPY_RETURNS = 9
    COPY_DRAINS = 10
    COPY_READS = 11
    MEMSET_RETURNS = 12
    FREE_DRAINS = 13
    GRAPH = 14
    AGENT = 15
    TASK = 16
    TASK_DONE = 17
    TOKEN = 18
    THREAD_START = 19
    THREAD_JOIN = 20
    VALUE = 21
    COLLECTIVE = 22


class Text(NamedTuple):
    """How a reason reads, and the rule it comes from."""

    words: str
    rule: str


TEXT: dict[Reason, Text] = {
    Reason.PROGRAM: Text("program order of the host thread", "R2"),
    Reason.STREAM: Text("stream order", "R1"),
    Reason.ISSUE: Text("issued after", "R2"),
    Reason.EVENT_WAIT: Text("the stream waits for the event", "R6"),
    Reason.EVENT_SYNC: Text("the host waits for the event", "R7"),
    Reason.QUERY: Text("a query that succeeded", "R8"),
    Reason.STREAM_SYNC: Text("the host waits for the stream", "R9"),
    Reason.DEVICE_SYNC: Text("the host waits for the device", "R10"),
    Reason.LEGACY: Text("legacy default stream and blocking streams", "R11"),
    Reason.COPY_RETURNS: Text("the copy returns when it is done", "R19"),
    Reason.COPY_DRAINS: Text("the copy first waits for its stream", "R17"),
    Reason.COPY_READS: Text("the copy's read ends with the copy", "R46"),
    Reason.MEMSET_RETURNS: Text("the memset returns when it is done", "R25"),
    Reason.FREE_DRAINS: Text("the free waits for the device", "R27"),
    Reason.GRAPH: Text("launches of one graph run one after another", "R33"),
    Reason.AGENT: Text("the agent is set off after", "R48"),
    Reason.TASK: Text("the task runs after its submit", "R49"),
    Reason.TASK_DONE: Text("the task was seen done", "R49"),
    Reason.TOKEN: Text("signal before await", "R50"),
    Reason.THREAD_START: Text("the thread was started", "R50"),
    Reason.THREAD_JOIN: Text("the thread was joined", "R50"),
    Reason.VALUE: Text("the value wait was met", "R45"),
    Reason.COLLECTIVE: Text("every rank reached the collective", "R51"),
}


class Line(IntEnum):
    """What kind of line a lane is."""

    STREAM = 0
    THREAD = 1
    SIDE = 2
    """Reads of copies with ``src_access: "any"``, which may run ahead of their stream (R46)."""
    TASK = 3
    AGENT = 4
