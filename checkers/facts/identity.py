"""What a cause is called in a baseline: the same after every recording, on every machine.

It is made of the rule, the kind, and for each op its word, its name and the innermost frames of
the user's code (file and function); then the buffer, by its name and where it was allocated. Not
of line numbers, op ids, addresses, stream or event names, or the folder of a checkout.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from functools import cached_property

from streamsan.checkers.finding import fingerprint
from streamsan.checkers.frames import own
from streamsan.traces import Trace

FRAMES = 3
"""Innermost frames that count: enough to tell callers apart, without the harness around them."""
_SERIAL = re.compile(r"#\d+$|0x[0-9a-fA-F]+|(?<![0-9a-zA-Z])[0-9a-f]{12,16}(?![0-9a-zA-Z])")
_DIGITS = re.compile(r"\d+")


class Identity:
    """Gives the fingerprints of one trace."""

    def __init__(self, trace: Trace) -> None:
        """Keep the trace."""
        self._trace = trace

    def fingerprint(
        self, rule: str, kind: str, ops: tuple[int, ...], buffer: str | None, *more: str
    ) -> str:
        """Give the identity of a cause; ``more`` tells apart what the ops do not."""
        parts = [part for op in ops for part in ("op", *self._op(op))]
        if buffer is not None:
            parts += ["buffer", *self._buffer(buffer, ops[-1] if ops else len(self._trace))]
        return fingerprint(rule, kind, *parts, *more)

    def _op(self, op: int) -> list[str]:
        view = self._trace[op]
        return [view.word, stable(view.name), *places(view.stack)]

    def _buffer(self, name: str, op: int) -> list[str]:
        """Name a buffer: numbers in its name count only where its allocation has no place."""
        mallocs = self._mallocs.get(name, [])
        at = bisect_right(mallocs, op)
        stack = self._trace[mallocs[max(at - 1, 0)]].stack if mallocs else ()
        return [_DIGITS.sub("", stable(name)), *places(stack)] if stack else [stable(name)]

    @cached_property
    def _mallocs(self) -> dict[str, list[int]]:
        """The allocations of each name, in issue order."""
        found: dict[str, list[int]] = defaultdict(list)
        buffers, names = self._trace.buffers, self._trace.names
        for name, op in zip(buffers.name.tolist(), buffers.malloc.tolist(), strict=True):
            if op >= 0:
                found[names[name]].append(op)
        return {name: sorted(ops) for name, ops in found.items()}


def stable(name: str) -> str:
    """Give a name without the numbers that a recorder adds, and without addresses."""
    return _SERIAL.sub("", name)


def places(stack: tuple[str, ...]) -> list[str]:
    """Give file and function of the innermost frames."""
    return [f"{frame.stem} {frame.function}" for frame in own(stack)[:FRAMES]]
