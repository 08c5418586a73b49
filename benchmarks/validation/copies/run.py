"""Which copies make the host wait: each kind behind long work, against the documents' table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from validation.copies.kinds import LARGE, SMALL, Kind, kinds
from validation.copies.raw import RAW, Raw
from validation.copies.reads import downloads, uploads
from validation.copies.runtime import Runtime, RuntimeMissingError
from validation.part import Context, Part, Result, Unfinished
from validation.presumed import presumed
from validation.probe import Make, Probe, judged, told

Row = dict[str, Any]
_ENOUGH = 2.0
"""Seconds that a part needs to come to its end."""
_ELSEWHERE = (SMALL, LARGE)
"""Sizes of copies that are made while another stream is busy."""


@dataclass(frozen=True)
class Streams:
    """On which stream a call is made, and which one is busy.

    Args:
        current: the current stream.
        name: what that is called in the table.
        asleep: the busy stream.
        busy: what that is called.
    """

    current: Any
    name: str
    asleep: Any
    busy: str = "the same"


def run(context: Context) -> Result:
    """Measure every kind; keep what the documents, streamsan and the device say of each."""
    probe = Probe(context)
    module = context.module
    side, other = module.Stream(), module.Stream()
    module.synchronize()
    rows = list(_torch_rows(context, probe, side, other))
    rows += _model_rows(context, rows, side)
    raw, left_out = _raw_rows(context, probe, side)
    touched = [*uploads(context, probe, side),
               *downloads(context, probe, side)]  # fmt: skip
    return {
        "good": all(row["agrees"] is not False for row in (*rows, *raw, *touched)),
        "rows": [*rows, *raw], "touched": touched, "left_out": left_out,
        "clock_says_otherwise": sum(
            row.get("waited") != row.get("by_clock") for row in (*rows, *raw)
        ),
        "differences": [row for row in (*rows, *raw, *touched) if row["agrees"] is False],
    }  # fmt: skip


def _torch_rows(context: Context, probe: Probe, side: Any, other: Any) -> Iterator[Row]:
    """Measure torch's copies, behind work of their own stream and of another one."""
    default = context.module.default_stream()
    own = (Streams(default, "default", default), Streams(side, "side", side))
    apart = Streams(side, "side", other, "another")
    for kind in kinds(context.module):
        cases = [(size, streams, kind.predicted) for size in kind.sizes for streams in own]
        cases += [(size, apart, "returns") for size in _ELSEWHERE]
        for size, streams, predicted in cases:
            row = _row(kind, size, streams, predicted)
            yield _measured(context, probe, row, _make(context, kind, size), streams)


def _make(context: Context, kind: Kind, size: int) -> Make:
    return lambda: kind.make(context.device, size)


def _row(kind: Kind | Raw, size: int, streams: Streams, predicted: str) -> Row:
    return {"what": kind.name, "size": size, "current": streams.name, "busy": streams.busy,
            "rule": kind.rule, "predicted": predicted}  # fmt: skip


def _measured(context: Context, probe: Probe, row: Row, make: Make, streams: Streams) -> Row:
    """Measure a row; a call that fails is a row that says so."""
    if context.left < _ENOUGH:
        raise Unfinished(f"time was up at {row['what']}, {row['size']} bytes")
    try:
        reading = probe.measure(make, streams.current, streams.asleep)
    except Exception as error:  # noqa: BLE001 - a row says so
        return {**row, "error": told(error), "agrees": False}
    return {**row, **reading.columns(), "agrees": judged(row["predicted"], reading.waited)}


def _model_rows(context: Context, rows: list[Row], side: Any) -> list[Row]:
    """Write what streamsan says of each kind beside it; give a row if it says nothing at all."""
    cases = {f"{kind.name} {size}": _make(context, kind, size)
             for kind in kinds(context.module) for size in kind.sizes}  # fmt: skip
    try:
        said = presumed(context, cases, side)
    except Exception as error:  # noqa: BLE001 - a row says so
        return [{"what": "what streamsan says", "error": told(error), "agrees": False}]
    for row in rows:
        if row["busy"] == "the same":
            words = said[f"{row['what']} {row['size']}"]
            row["streamsan"] = words.get("waits", words.get("error"))
            row["streamsan_own"] = words.get("own")
            if row.get("waited") in ("yes", "no") and words.get("waits"):
                # An edge that the device does not keep hides races; too few edges hide nothing.
                row["streamsan_holds"] = row["waited"] == "yes"
                row["agrees"] = row["agrees"] is not False and row["streamsan_holds"]
    return []


def _raw_rows(context: Context, probe: Probe, side: Any) -> tuple[list[Row], str | None]:
    """Measure the runtime's own calls; give the rows, and why there are none if there are none."""
    if context.device != "cuda":
        return [], "calls of the CUDA runtime: there is none on the simulated device"
    try:
        runtime = Runtime()
        blocking = context.module.ExternalStream(runtime.made("cudaStreamCreate"))
    except (RuntimeMissingError, RuntimeError, AttributeError, OSError) as error:
        return [], f"calls of the CUDA runtime: {told(error)}"
    return list(_of_runtime(context, probe, runtime, side, blocking)), None


def _of_runtime(
    context: Context, probe: Probe, runtime: Runtime, side: Any, blocking: Any
) -> Iterator[Row]:
    default = context.module.default_stream()
    legacy = Streams(default, "default", default)
    own = Streams(side, "side", side)
    blocked = Streams(default, "default", blocking, "a blocking stream")
    apart = Streams(default, "default", side, "another")
    apart_async = Streams(side, "side", default, "another")

    def measured(raw: Raw, size: int, streams: Streams) -> Row:
        predicted = raw.elsewhere if streams.busy == "another" else raw.predicted
        handle = streams.current.cuda_stream
        row = _row(raw, size, streams, predicted)
        return _measured(context, probe, row, lambda: raw.make(runtime, size, handle), streams)

    for raw in RAW:
        for size in raw.sizes:
            for streams in (legacy,) if raw.legacy else (legacy, own):
                yield measured(raw, size, streams)
        for size in raw.sizes[:2]:
            for streams in (blocked, apart) if raw.legacy else (apart_async,):
                yield measured(raw, size, streams)


PART = Part(
    "copies", "which copies make the host wait, and how long behind a long kernel", run, seconds=40
)
