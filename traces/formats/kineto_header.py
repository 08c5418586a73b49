"""What surrounds the events of a PyTorch profiler file: finding them, and the header's facts.

Only facts that are asked for by name leave this module. Other people's headers hold environment
dumps, host and user names and paths (the note in ``tests/data/kineto/README.md``).
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

import msgspec

from streamsan.traces import ops as o
from streamsan.traces.errors import TraceError
from streamsan.traces.formats.kineto_events import MAX_EVENT, REFUSALS

_FIRST = 1 << 20
_TRIES = 16
BOM = b"\xef\xbb\xbf"
_EVENTS = re.compile(rb'"traceEvents"\s*:\s*\[')
_BASE = re.compile(rb'"baseTimeNanoseconds"\s*:\s*(-?\d{1,19})\b')
_MARKS = re.compile(
    rb'"(traceEvents|schemaVersion|deviceProperties|distributedInfo|baseTimeNanoseconds'
    rb'|rocprofiler-sdk-tool)"'
)
_OWN = re.compile(rb'"format"\s*:\s*"streamsan-trace"')
_EXECUTION = re.compile(rb'"schema"\s*:\s*"[^"]*"|"nodes"\s*:\s*\[')
_COMPLETE = o.Complete(accesses=False, host=False, sync=False, memory=False)


class Opening(NamedTuple):
    """The bytes before the events, those read after them, and where the events begin."""

    prefix: bytes
    data: bytes
    offset: int
    bare: bool


class Surroundings(NamedTuple):
    """The header of the trace, the clock's base in ns, the tool, and what is wrong around."""

    header: o.Header
    base: int
    hip: bool
    problem: str | None


def sniff(head: bytes) -> bool:
    """Tell whether content is Kineto's, or a look-alike that ``read`` refuses with a reason."""
    text = head.removeprefix(BOM).lstrip()
    if text[:1] == b"[":
        inner = text[1:].lstrip()
        return inner[:1] == b"[" or (inner[:1] == b"{" and b'"ph"' in inner)
    if text[:1] != b"{" or _OWN.search(text.split(b"\n", 1)[0]):
        return False
    return bool(_MARKS.search(text)) or _is_execution_trace(text)


def open_events(stream: BinaryIO, path: str) -> Opening:
    """Read up to the first event.

    Raises:
        TraceError: the content is of another kind, with the kind in the reason.
    """
    data = stream.read(_FIRST)
    skip = len(data) - len(data.removeprefix(BOM).lstrip())
    start = data[skip : skip + 1]
    if start == b"[":
        return _open_array(data, skip, path)
    if start != b"{":
        raise TraceError(path, None, "not JSON" if data.strip() else "the file is empty")
    while (found := _find_events(data[skip:])) is None:
        more = stream.read(max(_FIRST, len(data))) if len(data) < MAX_EVENT else b""
        if not more:
            raise TraceError(path, None, _kind(data[skip:]))
        data += more
    end = skip + found
    return Opening(data[skip:end], data[end:], end, bare=False)


def _open_array(data: bytes, skip: int, path: str) -> Opening:
    inner = data[skip + 1 : skip + 65].lstrip()[:1]
    if inner not in (b"{", b"]", b""):
        kind = "a memory timeline, not a trace" if inner == b"[" else "an array, but not of events"
        raise TraceError(path, None, f"JSON of another kind: {kind}")
    return Opening(b"", data[skip + 1 :], skip + 1, bare=True)


def _find_events(data: bytes) -> int | None:
    """Give where the array of events begins: a key of the top level, so this must be JSON."""
    first = None
    for match in islice(_EVENTS.finditer(data), _TRIES):
        first = match.end() if first is None else first
        if _loads(data[: match.end()] + b"]}") is not None:
            return match.end()
    return first


def _kind(data: bytes) -> str:
    """Say what a JSON object without an array of events is."""
    if b'"rocprofiler-sdk-tool"' in data:
        return "JSON of another kind: a rocprofiler trace"
    if _is_execution_trace(data):
        return "JSON of another kind: a PyTorch execution trace, which has no streams and no times"
    found = _loads(data)
    if found is None:
        return "the file is damaged or cut before its events (traceEvents)"
    if "traceEvents" in found:
        return "traceEvents is not an array"
    return "JSON of another kind: no traceEvents"


def _is_execution_trace(data: bytes) -> bool:
    return len({m[0][:5] for m in _EXECUTION.finditer(data[: 1 << 16])}) > 1


def _loads(data: bytes) -> dict[str, Any] | None:
    """Decode an object, leniently; None if it is none."""
    try:
        found = msgspec.json.decode(data)
    except REFUSALS:
        try:
            found = json.loads(data.decode(errors="replace"), strict=False)
        except (ValueError, RecursionError):
            return None
    return found if isinstance(found, dict) else None


def surroundings(opening: Opening, tail: bytes, *, closed: bool) -> Surroundings:
    """Read the header's facts from before and after the events."""
    found: dict[str, Any] | None = {}
    problem = None
    if opening.bare:
        problem = "there is text after the events" if tail.strip() else None
    elif closed:
        found = _loads(opening.prefix + b"]" + tail)
        problem = None if found is not None else "the keys around the events are damaged"
    if not opening.bare and (found is None or not closed):
        found = _loads(opening.prefix + b"]}") or {}
        base = _BASE.search(opening.prefix + tail)
        if base is not None:
            found["baseTimeNanoseconds"] = int(base[1])
    known = found or {}
    hip = any(key.startswith(("hip_", "roctracer_")) for key in known)
    return Surroundings(
        _header(known), _integer(known.get("baseTimeNanoseconds")) or 0, hip, problem
    )


def _header(found: dict[str, Any]) -> o.Header:
    spread = found.get("distributedInfo")
    spread = spread if isinstance(spread, dict) else {}
    rank, size = _integer(spread.get("rank")), _integer(spread.get("world_size"))
    return o.Header(
        name=None if rank is None else f"rank{rank}",
        source="kineto",
        complete=_COMPLETE,
        devices=_devices(found.get("deviceProperties")),
        rank=rank,
        world_size=size if size is not None and size >= 0 else None,
        versions=_versions(found),
    )


def _devices(found: Any) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"id": device["id"], "name": str(device.get("name", ""))[:200]}
        for device in (found if isinstance(found, list) else ())
        if isinstance(device, dict) and _integer(device.get("id")) is not None
    )


def _versions(found: dict[str, Any]) -> dict[str, str]:
    versions = {}
    for key, word in (("cuda_runtime_version", "cuda"), ("cuda_driver_version", "cuda_driver")):
        number = _integer(found.get(key))
        if number is not None:
            versions[word] = f"{number // 1000}.{number % 1000 // 10}"
    for key in ("cupti", "roctracer", "hip_runtime", "hip_driver"):
        value = found.get(f"{key}_version")
        if isinstance(value, (int, float)):
            versions[key] = str(value)
    return versions


def _integer(value: Any) -> int | None:
    """Give an integer that stands as a number or as text."""
    if isinstance(value, bool):
        return None
    try:
        number = int(value) if isinstance(value, (int, str)) else None
    except ValueError:
        return None
    return number if number is not None and abs(number) < 1 << 61 else None
