"""Two records of one run, compared: names apart, they must say the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from recorder_sim import SimCuda

import streamsan
from streamsan import sim
from streamsan.traces import Trace
from streamsan.traces import ops as o
from streamsan.traces.recorder.live.session import Session
from streamsan.traces.recorder.record import Recording

_SIM = str(Path(sim.__file__).parent)
_SKIPPED = {"malloc", "free", "stream_create", "event_create", "event_destroy"}
_BASE = {"thread", "t", "t_end", "begin", "end", "site", "name"}
_NAMED = ("stream", "event", "buffer", "target", "token", "slot")


def both(program: Any, path: Path, policy: str = "eager") -> tuple[Trace, Trace, Any]:
    """Run a program on the simulated device, followed by its own record and by the recorder."""
    recording = Recording(path, Session(SimCuda(), 24, (_SIM,)), None)

    def body() -> Any:
        with recording:
            value = program()
            return sim.trace(), value

    own, value = sim.run(body, policy).value
    return own, recording.trace(), value


class _Canon:
    """A trace with names given in the order of their first use."""

    def __init__(self, trace: Trace) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._pageable = {
            op.obj for op in trace if op.word == "malloc" and op.bit("space") == "pageable"
        }
        self.rows = [self._row(op) for op in trace if op.word not in _SKIPPED]
        self.memory: dict[str, Any] = {}
        for op in trace:
            if op.word == "malloc" and ("buffer", op.obj) in self._names:
                fields = op.fields()
                self.memory[self._names["buffer", str(op.obj)]] = (
                    fields.get("bytes"), fields.get("space"), fields.get("allocator"),
                    self._names.get(("stream", fields.get("stream", "")), fields.get("stream")),
                )  # fmt: skip

    def _name(self, kind: str, name: str) -> str:
        if kind == "stream" and name == "0":
            return "0"
        if name in self._pageable:
            return "pageable"
        return self._names.setdefault((kind, name), f"{kind}{len(self._names)}")

    def _range(self, spec: o.RangeSpec) -> Any:
        if isinstance(spec, str):
            return self._name("buffer", spec)
        if isinstance(spec, o.StridedRange):
            return (self._name("buffer", spec.buffer), spec.offset, spec.shape, spec.strides)
        name = self._name("buffer", spec[0])
        return name if name == "pageable" else (name, *spec[1:])

    def _row(self, op: Any) -> Any:
        found: dict[str, Any] = {"op": op.word, "thread": self._name("thread", op.thread)}
        if op.word == "launch":
            found["name"] = op.name
        for key, value in op.fields().items():
            if key in _BASE:
                continue
            if key in ("reads", "writes"):
                found[key] = Counter(map(str, map(self._range, value)))
            elif key in ("src", "dst") or (key == "buffer" and op.word.startswith("host_")):
                found[key] = self._range(value)
            elif key in _NAMED:
                found[key] = self._name("thread" if key == "target" else key, value)
            else:
                found[key] = value
        return found


def differences(one: Trace, other: Trace) -> list[str]:
    """Tell what two records say differently; the first may go on longer."""
    mine, its = _Canon(one), _Canon(other)
    told = []
    for i, (a, b) in enumerate(zip(mine.rows, its.rows, strict=False)):
        if a != b:
            told.append(f"{i}: {a}\n   {b}")
            break
    else:
        if len(mine.rows) != len(its.rows):
            rest = (mine.rows if len(mine.rows) > len(its.rows) else its.rows)[
                min(len(mine.rows), len(its.rows)) :
            ]
            told.append(f"{len(mine.rows)} ops against {len(its.rows)}: {rest[:3]}")
    for name in sorted({*mine.memory} & {*its.memory}):
        if mine.memory[name] != its.memory[name] and name != "pageable":
            told += [f"{name}: {mine.memory[name]} against {its.memory[name]}"]
    return told


def told(trace: Trace) -> list[tuple[Any, ...]]:
    """Give what is found in a trace, without names and numbers of ops."""
    return sorted(
        (f.rule, f.kind, f.confidence, f.count, str(f.range)) for f in streamsan.check(trace)
    )
