"""What a program says of itself while it is recorded: names, regions, kernels.

All of it may stay in production code: without a recorder a name costs an attribute of the thread,
and a kernel is a plain call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from streamsan.traces import ops as o
from streamsan.traces.recorder.sink import active


class _Names(threading.local):
    name: str | None = None


_NAMES = _Names()


def current_name() -> str | None:
    """Give the name that holds for the calling thread."""
    return _NAMES.name


@contextmanager
def named(name: str) -> Iterator[None]:
    """Name what the body launches and allocates: kernels, copies, streams, events and buffers.

    An inner name holds instead of an outer one. A recorder makes names of buffers, streams and
    events unique by a number behind them: ``page_table``, ``page_table#2``.
    """
    outer, _NAMES.name = _NAMES.name, name
    try:
        yield
    finally:
        _NAMES.name = outer


@contextmanager
def region(name: str, **tag: Any) -> Iterator[None]:
    """Name a stretch of this thread's work: an iteration, a hot path.

    Where a trace has regions, the rules on hidden waits (SO401, SO402) look only inside them.

    Args:
        name: what it is called.
        tag: facts about it, such as ``iteration=3``: JSON values.
    """
    sink = active()
    if sink is None:
        yield
        return
    sink.emit(o.RegionBegin(name=name, tag=tag or None))
    try:
        yield
    finally:
        sink.emit(o.RegionEnd(name=name))


def mark(name: str, **tag: Any) -> None:
    """Put a remark into the record. It orders nothing, and no verdict depends on it."""
    if (sink := active()) is not None:
        sink.emit(o.Mark(name=name, tag=tag or None))


def kernel(
    name: str,
    run: Callable[..., object],
    *arguments: Any,
    reads: Sequence[Any] = (),
    writes: Sequence[Any] = (),
) -> None:
    """Run ``run(*arguments)`` on the current stream as one kernel with known accesses.

    For what no schema describes: Triton, pybind and CUDA launches, or several ops that gather by
    indices and so touch few rows of a large table. The ops inside are not recorded one by one.

    Args:
        name: what the kernel is called in the trace.
        run: launches it. On the simulated device it is called later, in stream order, with plain
            CPU tensors on the same bytes; what it returns is dropped.
        arguments: given to ``run``.
        reads: tensors whose bytes it may read: views tell rows and columns apart.
        writes: tensors whose bytes it may write.
    """
    sink = active()
    if sink is None:
        run(*arguments)
    else:
        sink.kernel(name, run, arguments, reads, writes)
