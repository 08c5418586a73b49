"""The file of a recording: while it grows, when the process dies, and as a ring."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import streamsan
from streamsan.traces import ops as o
from streamsan.traces.formats import load
from streamsan.traces.recorder import region
from streamsan.traces.recorder.growing import Growing
from streamsan.traces.recorder.journal import Journal, SiteTable
from streamsan.traces.recorder.light import lightened
from streamsan.traces.recorder.region import GrowingFile, header_bytes
from streamsan.traces.recorder.ring import Ring

HOME = Path(streamsan.__file__).parent.parent
TESTS = Path(__file__).parent


def launch(i: int, stream: str = "s", site: int | None = None) -> o.Launch:
    return o.Launch(stream=stream, name=f"k{i}", writes=("a",), site=site)


def grow(path: Path, texts: list[tuple[str, ...]]) -> tuple[Journal, SiteTable]:
    sites = SiteTable(lambda raw: texts[raw])
    header = o.Header(source="test")
    file = GrowingFile(path, header_bytes(header, [], []))
    journal = Journal(Growing(file, header, sites), sites)
    journal.start()
    return journal, sites


def test_the_header_grows_beyond_its_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region, "ROOM", 256)
    path = tmp_path / "a.trace.jsonl"
    texts = [(f"/some/where/file{i}.py:{i} function{i}",) for i in range(100)]
    journal, _ = grow(path, texts)
    for i in range(100):
        journal.put(launch(i, site=i))
        if i % 10 == 0:
            journal.flush()
            assert len(load(path)) == i + 1
            assert load(path)[i].stack == texts[i]
    journal.close()

    assert [op.stack for op in load(path)] == texts
    assert b"  " not in path.read_bytes()


def test_equal_stacks_are_one_site(tmp_path: Path) -> None:
    path = tmp_path / "a.trace.jsonl"
    journal, _ = grow(path, [("a:1 f",), ("a:1 f",), ()])
    for raw in (0, 1, 2):
        journal.put(launch(raw, site=raw))
    journal.close()

    assert [op.fields().get("site") for op in load(path)] == [0, 0, None]


def test_a_gap_is_in_the_header_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.trace.jsonl"
    journal, _ = grow(path, [])
    journal.put(launch(0))
    journal.gap("accesses", "something")
    journal.gap("accesses", "something")
    journal.gap("memory", "other")
    journal.flush()
    trace = load(path)
    journal.close()

    assert (trace.header.complete.accesses, trace.header.complete.memory) == (False, False)
    assert (trace.header.complete.sync, trace.header.complete.host) == (True, True)
    assert [(gap.reason, gap.times) for gap in trace.gaps] == [("something", 2), ("other", 1)]
    assert "SO902" in {finding.rule for finding in streamsan.check(trace)}


def test_a_writer_that_fails_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.trace.jsonl"
    journal, _ = grow(path, [])
    journal.put(launch(0, site=5))  # there is no such stack
    with pytest.raises(IndexError):
        journal.close()


def test_ops_of_other_hands_lose_no_field(tmp_path: Path) -> None:
    op = o.Memcpy(stream="s", src=("a", 1, 2), dst="b", async_=False, wait="stream", kind="H2D")
    light = lightened(op)

    assert {n: getattr(light, n) for n in op.__struct_fields__} == {
        n: getattr(op, n) for n in op.__struct_fields__
    }
    path = tmp_path / "a.trace.jsonl"
    journal, _ = grow(path, [])
    journal.put(op)
    journal.close()
    assert b"null" not in path.read_bytes()
    assert load(path)[0].fields()["async_"] is False


PROGRAM = """
import sys, time
sys.path[:0] = [{tests!r}, {home!r}]
import torch
from pathlib import Path
from recorder_fake import Fake, recording
with recording(Path({path!r}), Fake(), ring={ring}):
    print("go", flush=True)
    a, until = torch.ones(64), time.monotonic() + {seconds}
    while time.monotonic() < until:
        exec("b = a + 1", {{"a": a}})  # a site of its own each time
        b = a * 2
"""


def started(path: Path, ring: int | None = None, seconds: float = 20.0) -> subprocess.Popen[str]:
    code = PROGRAM.format(
        tests=str(TESTS), home=str(HOME), path=str(path), ring=ring, seconds=seconds
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "go\n"
    return process


def end(process: subprocess.Popen[str], number: int) -> None:
    process.send_signal(number)
    process.communicate()


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_process_leaves_a_readable_trace(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "a.trace.jsonl"
    process = started(path)
    time.sleep(0.5 + random.Random(seed).random() / 2)  # noqa: S311
    end(process, signal.SIGKILL)
    trace = load(path)

    assert len(trace) > 100
    assert trace.damage is None or trace.damage.line == len(trace) + 2
    assert trace[len(trace) - 2].stack
    streamsan.check(trace)
    command = [sys.executable, "-m", "streamsan", "lint", "--allow-damaged", str(path)]
    environment = os.environ | {"PYTHONPATH": str(HOME)}
    done = subprocess.run(command, env=environment, check=False, capture_output=True)
    assert done.returncode < 2


def kept(path: Path, ops: list[o.OpBase], size: int) -> Any:
    sites = SiteTable(lambda _: ("a:1 f",))
    ring = Ring(path, o.Header(source="test"), sites, size)
    ring.add(ops)
    ring.close()
    return load(path)


def test_a_ring_keeps_the_last_ops_and_what_lives(tmp_path: Path) -> None:
    ops: list[o.OpBase] = [
        o.StreamCreate(stream="s"), o.StreamCreate(stream="t"),
        o.Malloc(buffer="a", bytes=8, address=64), o.Malloc(buffer="gone", bytes=8),
        o.RecordStream(buffer="a", stream="t"), o.RecordStream(buffer="a", stream="t"),
        o.RegionBegin(name="step"), o.EventRecord(event="e", stream="s"),
        o.EventRecord(event="dead", stream="s"), o.EventDestroy(event="dead"),
        o.SlotDefer(slot="x"), o.Free(buffer="gone"),
        *(launch(i) for i in range(50)),
        o.StreamWaitEvent(stream="t", event="e"), o.Free(buffer="a"), o.RegionEnd(name="step"),
    ]  # fmt: skip
    trace = kept(tmp_path / "a.trace.jsonl", ops, 10)
    told = [(op.word, op.obj or op.stream) for op in trace]

    assert told[:8] == [
        ("mark", None), ("stream_create", "s"), ("stream_create", "t"), ("malloc", "a"),
        ("record_stream", "a"), ("event_record", "e"), ("slot_defer", "x"), ("region_begin", None),
    ]  # fmt: skip
    assert [op.name for op in trace if op.word == "launch"] == [f"k{i}" for i in range(43, 50)]
    assert trace[0].fields()["tag"] == {"dropped": 55}
    assert not [f for f in streamsan.check(trace) if f.severity == "error"]


def test_a_cut_loses_no_order_between_what_is_kept(tmp_path: Path) -> None:
    """An event recorded before the cut, and one after: only the second orders what is kept."""
    ops: list[o.OpBase] = [
        o.Malloc(buffer="a", bytes=8), launch(0), o.EventRecord(event="old", stream="s"),
        *(launch(i) for i in range(20)),
        o.StreamWaitEvent(stream="t", event="old"), launch(90, "t"),
        o.EventRecord(event="new", stream="s"), o.StreamWaitEvent(stream="u", event="new"),
        o.StreamWaitEvent(stream="u", event="old"),
    ]  # fmt: skip
    whole = {f.rule for f in streamsan.check(kept(tmp_path / "a.trace.jsonl", ops, 1000))}
    cut = {f.rule for f in streamsan.check(kept(tmp_path / "b.trace.jsonl", ops, 12))}

    assert {rule for rule in whole if rule < "SO3"} == {rule for rule in cut if rule < "SO3"}
    assert "SO103" in cut or "SO102" in cut or "SO101" in cut


def test_a_ring_s_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.trace.jsonl"
    sites = SiteTable(lambda raw: (f"a:{raw} f",))
    ring = Ring(path, o.Header(source="test"), sites, 100)
    sizes = []
    for i in range(50):
        ring.add([launch(j) for j in range(100 * i, 100 * i + 100)])
        ring.flush()
        sizes.append(path.stat().st_size)
    ring.close()

    assert max(sizes[5:]) < 1.1 * sizes[5]
    assert len(load(path)) == 101


def test_a_ring_survives_a_kill_and_is_whole_at_the_end(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    killed, ended = tmp_path / "a.trace.jsonl", tmp_path / "b.trace.jsonl"
    process = started(killed, ring=50)
    time.sleep(0.3)
    end(process, signal.SIGKILL)
    started(ended, ring=50, seconds=0.3).communicate()
    trace = load(ended)

    assert load(killed).damage is None
    assert trace.damage is None
    assert trace[0].word == "mark"
    assert len([op for op in trace if op.word == "launch"]) > 10
