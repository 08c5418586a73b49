"""``streamsan run --sim``: programs that say cuda, as the command line runs and reports them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import streamsan
from streamsan import cli
from streamsan.checkers.reports import program

pytest.importorskip("torch", reason="the simulated device is made of torch")
pytestmark = pytest.mark.slow

DOWNLOAD = """
import sys
import torch

print("arguments", sys.argv[1:], __name__)
side = torch.cuda.Stream()
host = torch.empty(3, pin_memory=True)
host.fill_(-1.0)
with torch.cuda.stream(side):
    value = torch.arange(3.0, device="cuda") * 2 + 1
    host.copy_(value, non_blocking=True)
    done = torch.cuda.Event()
    done.record()
if "synced" in sys.argv:
    done.synchronize()
print(host.tolist())
if "exits" in sys.argv:
    sys.exit(7)
if "raises" in sys.argv:
    raise ValueError("of the program")
"""
UNREAD = """
import torch

buffer = torch.zeros(2, device="cuda")
out = torch.zeros(2, device="cuda")
forward = torch.cuda.Stream()
forward.wait_stream(torch.cuda.current_stream())
buffer.fill_(1.0)
with torch.cuda.stream(forward):
    out.copy_(buffer)
"""
NOISY = """
import random
import torch

host = torch.zeros(2, pin_memory=True)
value = torch.ones(2, device="cuda")
host.copy_(value, non_blocking=True)
if host.tolist() is None or random.random() < 2:
    print(random.random())
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "streamsan", "run", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"download": DOWNLOAD, "unread": UNREAD, "noisy": NOISY}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_race_is_found_and_confirmed_and_its_trace_is_kept(folder: Path) -> None:
    kept = folder / "kept.trace.jsonl.gz"
    done = run(folder, "--sim", "--confirm", "-o", kept.name, "download.py", "a", "--", "-o")

    assert done.stderr == ""
    assert done.stdout.startswith("arguments ['a', '--', '-o'] __main__\n[1.0, 3.0, 5.0]\n")
    assert "error[SO111] early-host-read (certain)" in done.stdout
    assert "download.py:16 <module>" in done.stdout
    assert "directed run: confirmed: got [-1, -1, -1], eagerly [1, 3, 5] (tolist at" in done.stdout
    assert done.returncode == 1
    assert [finding.rule for finding in streamsan.check(streamsan.load(kept))] == ["SO111"]


def test_the_synchronised_twin_is_silent(folder: Path) -> None:
    done = run(folder, "--sim", "--confirm", "--policy", "lazy", "download.py", "synced")

    assert "[1.0, 3.0, 5.0]\nNo findings in 1 trace" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_a_lazy_run_shows_the_wrong_value(folder: Path) -> None:
    done = run(folder, "--sim", "--policy", "lazy", "--exit-zero", "download.py")

    assert "[-1.0, -1.0, -1.0]" in done.stdout
    assert done.returncode == 0


def test_the_report_has_standard_output_to_itself_as_json(folder: Path) -> None:
    done = run(folder, "--sim", "--confirm", "--format", "json", "--select", "SO1", "unread.py")

    found = json.loads(done.stdout)["traces"][0]["findings"]
    assert [each["rule"] for each in found] == ["SO101"]
    assert found[0]["details"]["directed"].startswith(
        "confirmed: got [0, 0], eagerly [1, 1] (out at the end;"
    )


def test_what_differs_between_equal_runs_confirms_nothing(folder: Path) -> None:
    (folder / "noisy.py").write_text(NOISY.replace("torch.ones", "torch.zeros"), encoding="utf-8")
    done = run(folder, "--sim", "--confirm", "noisy.py")

    assert "directed run: not reproduced: with op" in done.stdout


@pytest.mark.parametrize(
    ("argument", "status", "told"),
    [("exits", 7, ""), ("raises", 1, "ValueError: of the program\n")],
)
def test_a_program_that_fails_gives_its_own_status(
    folder: Path, argument: str, status: int, told: str
) -> None:
    done = run(folder, "--sim", "--exit-zero", "download.py", argument)

    assert done.returncode == status
    assert done.stderr.endswith(told)
    assert ("Traceback" in done.stderr) == bool(told)
    assert "runpy" not in done.stderr
    assert "error[SO111]" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--sim", "nowhere.py"], "nowhere.py: no such file"),
        (["--sim", "--policy", "brisk", "download.py"], "'brisk' is no schedule"),
        (["--sim", "-o", "kept.docx", "download.py"], "no trace format can be written"),
        (["--sim", "--select", "XX", "download.py"], "no rule matches 'XX'"),
        (["download.py"], "the following arguments are required: --sim"),
    ],
)
def test_wrong_usage_is_told_in_one_line(folder: Path, arguments: list[str], told: str) -> None:
    done = run(folder, *arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("streamsan: error: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_process_that_ends_suddenly_leaves_no_trace(folder: Path) -> None:
    (folder / "sudden.py").write_text("import os\nos._exit(0)\n", encoding="utf-8")
    done = run(folder, "--sim", "sudden.py")

    assert done.returncode == 2
    assert "sudden.py left no trace" in done.stderr


def test_without_torch_one_line_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "find_spec", lambda _: None)

    assert cli.main(["run", "--sim", str(folder / "download.py")]) == 2
    assert capsys.readouterr().err == (
        "streamsan: error: run --sim needs torch: install streamsan[torch], the CPU build\n"
    )
