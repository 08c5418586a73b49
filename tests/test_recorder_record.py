"""``streamsan record``: a program that is not changed, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import streamsan
from streamsan.traces.recorder.startup.begin import path_of

HOME = Path(streamsan.__file__).parent.parent
PROGRAM = """
import torch
x = torch.ones(4, device="cuda")
side = torch.cuda.Stream()
with torch.cuda.stream(side):
    y = x * 2
print(y.tolist())
"""


def run(
    folder: Path, program: str, *options: str, prefix: tuple[str, ...] = (sys.executable,)
) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "-m", "streamsan", "record", "-o", "a.trace.jsonl", *options, "--"]
    return subprocess.run(
        [*command, *prefix, "program.py"], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(HOME)}, timeout=120,
    )  # fmt: skip


def test_a_program_is_recorded_as_it_is(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    done = run(tmp_path, PROGRAM, "--sim", prefix=())
    trace = streamsan.load(tmp_path / "a.trace.jsonl")

    assert (done.returncode, done.stdout, done.stderr) == (0, "[2.0, 2.0, 2.0, 2.0]\n", "")
    assert "SO101" in {finding.rule for finding in streamsan.check(trace)}
    launch = next(op for op in trace if op.word == "launch")
    assert launch.stack[0].endswith("program.py:3 <module>")


def test_the_program_s_status_and_error_are_its_own(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    done = run(tmp_path, f"{PROGRAM}\nraise SystemExit(7)", "--sim", "--ring", "5", "--stacks", "3")
    trace = streamsan.load(tmp_path / "a.trace.jsonl")

    assert done.returncode == 7
    assert trace[0].word == "mark"
    assert trace.damage is None


def test_without_torch_there_is_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "print('hello')")

    assert (done.returncode, done.stdout) == (2, "hello\n")
    assert "never imported torch" in done.stderr


def test_without_a_device_the_program_does_not_run(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    done = run(tmp_path, "import torch\nprint('ran')")

    assert (done.returncode, done.stdout) == (2, "")
    assert "sees no CUDA device" in done.stderr


def test_a_program_that_is_asked_to_end_leaves_its_ring(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    endless = f"{PROGRAM}\nimport time\nprint('go', flush=True)\nwhile True:\n    y = x * 2"
    (tmp_path / "program.py").write_text(endless, encoding="utf-8")
    exported = subprocess.run(
        [sys.executable, "-m", "streamsan", "record", "--sim", "--ring", "9", "--environment", "-o",
         str(tmp_path / "a.trace.jsonl")],
        env=os.environ | {"PYTHONPATH": str(HOME)}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    lines = (line.removeprefix("export ").partition("=") for line in exported.splitlines())
    variables = {key: value.strip("'") for key, _, value in lines}
    process = subprocess.Popen(
        [sys.executable, "program.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        env=os.environ | variables,
    )  # fmt: skip
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)][1] == "go\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGTERM
    assert len([op for op in streamsan.load(tmp_path / "a.trace.jsonl") if op.word == "launch"]) > 1


def test_each_process_has_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("/x/run.trace.jsonl")
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("STREAMSAN_RECORD_OWNER", raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))

    assert path_of(path) == path
    assert path_of(path) == path
    os.environ["STREAMSAN_RECORD_OWNER"] = "1"
    assert path_of(path).name == f"run.{os.getpid()}.trace.jsonl"
    os.environ["RANK"] = "3"
    assert path_of(path).name == "run.rank3.trace.jsonl"


def test_nothing_to_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamsan", "record", "-o", str(tmp_path / "a.trace.jsonl")],
        env=os.environ | {"PYTHONPATH": str(HOME)}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert "nothing to record" in done.stderr


def test_recording_s_packages_load_no_torch() -> None:
    code = (
        "import sys, streamsan; streamsan.record, streamsan.traces.load; "
        "from streamsan.traces.recorder import checked, matching, record, ring, sources; "
        "assert not {'torch'} & set(sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(HOME)}
    assert not subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode
