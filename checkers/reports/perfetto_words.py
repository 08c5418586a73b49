"""The words of a profiler file: of calls, of device work, and of ``cuda_sync`` rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from streamsan.traces.model import Trace
from streamsan.traces.ops import Kind
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.semantics import copy_kind

if TYPE_CHECKING:
    from streamsan.checkers.reports.perfetto_places import Places

_CALLS = {
    Kind.LAUNCH: "cudaLaunchKernel", Kind.GRAPH_LAUNCH: "cudaGraphLaunch",
    Kind.COLLECTIVE: "cudaLaunchKernel", Kind.EVENT_RECORD: "cudaEventRecord",
    Kind.STREAM_WAIT_EVENT: "cudaStreamWaitEvent",
    Kind.EVENT_SYNCHRONIZE: "cudaEventSynchronize",
    Kind.STREAM_SYNCHRONIZE: "cudaStreamSynchronize",
    Kind.DEVICE_SYNCHRONIZE: "cudaDeviceSynchronize",
}  # fmt: skip
_SPACES = {"device": "Device", "pinned": "Pinned", "pageable": "Pageable", "managed": "Managed"}
_WORK = (Kind.LAUNCH, Kind.GRAPH_LAUNCH, Kind.COLLECTIVE, Kind.MEMCPY, Kind.MEMSET)


def on_device(trace: Trace, op: int) -> bool:
    """Whether an op is work of a device."""
    return int(trace.kind[op]) in _WORK


def category(kind: int) -> str:
    """Give the category of device work."""
    return {Kind.MEMCPY: "gpu_memcpy", Kind.MEMSET: "gpu_memset"}.get(Kind(kind), "kernel")


def call_name(trace: Trace, op: int) -> str | None:
    """Name the API call of an op; None for what is no call that profilers know."""
    kind = Kind(int(trace.kind[op]))
    if kind in (Kind.MEMCPY, Kind.MEMSET):
        from streamsan.checkers.reports.perfetto_places import waits_for_stream

        word = "cudaMemcpy" if kind == Kind.MEMCPY else "cudaMemset"
        blocks = trace[op].bit("async_") is False
        return word if blocks and not waits_for_stream(trace, op) else f"{word}Async"
    return _CALLS.get(kind)


def work_name(trace: Trace, op: int) -> str:
    """Name device work: copies and fills by direction and memories, kernels by their name."""
    view, kind = trace[op], int(trace.kind[op])
    spaces = [trace.buffers.space[a.buffer] for a in view.accesses]
    if kind == Kind.MEMSET:
        return f"Memset ({_SPACES[spaces[0]]})"
    if kind != Kind.MEMCPY:
        return view.name
    found = copy_kind(view.bit("kind"), *spaces[:2])
    ends = f"{_SPACES[spaces[0]]} -> {_SPACES[spaces[1]]}"
    return f"Memcpy {found[0]}to{found[2]} ({ends})"


def sync_row(order: HappensBefore, places: Places, op: int) -> Iterator[dict[str, Any]]:
    """Give the row that says on which stream or event an op records or waits."""
    trace, kind = order.trace, Kind(int(order.trace.kind[op]))
    if kind == Kind.EVENT_RECORD:
        yield _row(places, op, "cuda_event", "cuda_event", {
            **_stream(order, places, op), "event_id": int(trace.obj[op]) + 1,
        })  # fmt: skip
    elif kind in (Kind.STREAM_WAIT_EVENT, Kind.EVENT_SYNCHRONIZE):
        record = order.graph.binding.get(op, -1)
        if record < 0:
            return
        bound = _stream(order, places, record)
        mine = _stream(order, places, op) if kind == Kind.STREAM_WAIT_EVENT else bound
        name = "Stream Wait Event" if kind == Kind.STREAM_WAIT_EVENT else "Event Sync"
        yield _row(places, op, "cuda_sync", name, {
            **mine, "device": bound["device"], "wait_on_stream": bound["stream"],
            "wait_on_cuda_event_id": int(trace.obj[record]) + 1,
            "wait_on_cuda_event_record_corr_id": places.correlation(record),
        })  # fmt: skip
    elif kind == Kind.STREAM_SYNCHRONIZE:
        yield _row(places, op, "cuda_sync", "Stream Sync", _stream(order, places, op))
    elif kind == Kind.DEVICE_SYNCHRONIZE:
        args = {"device": int(trace.device[op]), "stream": -1}
        yield _row(places, op, "cuda_sync", "Context Sync", args)
    elif places.waiting(op) is not None:
        row = _row(places, op, "cuda_sync", "Stream Sync", _stream(order, places, op))
        row["args"]["correlation"] += 1
        yield row


def _stream(order: HappensBefore, places: Places, op: int) -> dict[str, int]:
    streams = order.trace.streams
    stream = int(streams.of_op[op])
    return {"stream": places.stream_ids[stream], "device": streams.device[stream]}


def _row(places: Places, op: int, cat: str, name: str, args: dict[str, Any]) -> dict[str, Any]:
    call = places.call(op)
    shape = {**args, "context": 1, "correlation": places.correlation(op)}
    if cat == "cuda_sync":
        shape["cuda_sync_kind"] = name
    # An instant on a track of its own: as a slice it would cut those of its stream.
    return {
        "ph": "i", "s": "t", "cat": cat, "name": name, "pid": places.pid(args["device"]),
        "tid": 0, "ts": call.begin / 1000, "args": shape,
    }  # fmt: skip
