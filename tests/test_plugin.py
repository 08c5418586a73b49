"""The pytest plug-in, in runs of pytest of its own: off, on, under schedules, under xdist."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import streamsan
from streamsan.commands.hall import testing
from streamsan.traces.recorder.errors import RecordError

HEAVY = {"numpy", "networkx", "rich", "torch", "msgspec", "numba", "streamsan.checkers"}
RACE = """
import pytest, torch, streamsan

def race(fixed=False):
    stream = torch.cuda.Stream()
    staging = torch.zeros(64, pin_memory=True)
    target = torch.zeros(64, device="cuda")
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        target.copy_(staging, non_blocking=True)
    if fixed:
        stream.synchronize()
    staging.fill_(7)
    torch.cuda.synchronize()
    return target.sum().item()
"""


# Where the entry point is installed, -p with the module's name would load it a second time.
PLUG = () if entry_points(group="pytest11", name="streamsan") else (
    "-p", "streamsan.pytest_plugin")  # fmt: skip


def run(folder: Path, body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(RACE + body, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", *PLUG, "-p", "no:cacheprovider", "-W", "error",
               "-c", "/dev/null", "--rootdir", str(folder),
               "--strict-markers", "-q", *arguments, "test_it.py"]  # fmt: skip
    # Under CI pytest repeats whole messages in its summary.
    environment = {k: v for k, v in os.environ.items() if k not in {"CI", "BUILD_NUMBER"}}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


# --- off


def test_off_it_imports_nothing_but_pytest() -> None:
    code = "import pytest, sys; a = set(sys.modules); import streamsan.pytest_plugin"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*sorted(set(sys.modules) - a))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    names = set(result.stdout.split())
    assert names & HEAVY == set()
    assert {name for name in names if name.startswith("streamsan")} == {
        "streamsan", "streamsan.pytest_plugin",
    }  # fmt: skip


def test_off_the_markers_are_known_and_do_nothing(tmp_path: Path) -> None:
    body = """
import sys

@pytest.mark.streamsan(schedules=3, nonsense=1)
@pytest.mark.streamsan_expect("SO101")
@pytest.mark.streamsan_skip
def test_it(request):
    assert not request.config.pluginmanager.has_plugin("streamsan-watch")
    assert "streamsan.commands" not in sys.modules
"""
    result = run(tmp_path, body)

    assert result.returncode == 0, result.stdout


# --- on


@pytest.fixture
def torch() -> None:
    pytest.importorskip("torch")


slow = pytest.mark.slow


@slow
@pytest.mark.usefixtures("torch")
def test_a_hazard_fails_a_test_and_the_report_says_why(tmp_path: Path) -> None:
    body = """
def test_bad():
    race()

def test_good():
    assert race(fixed=True) == 0

def test_its_own_failure():
    race()
    assert False, "mine"
"""
    result = run(tmp_path, body, "--streamsan", "--streamsan-output", "out", "--junitxml", "j.xml")

    assert result.returncode == 1
    assert "2 failed, 1 passed" in result.stdout
    assert "streamsan: 1 hazard\n\nerror[SO112] staging-overwrite" in result.stdout
    assert "test_it.py:13 race\n" in result.stdout
    assert "_pytest/python.py" not in result.stdout
    assert "AssertionError: mine" in result.stdout
    assert "Captured streamsan call" in result.stdout
    assert sorted(path.name.rsplit(".", 3)[0] for path in (tmp_path / "out").iterdir()) == [
        "test_it.py_test_bad", "test_it.py_test_good", "test_it.py_test_its_own_failure",
    ]  # fmt: skip
    root = ET.parse(tmp_path / "j.xml")  # noqa: S314
    assert [each.get("value") for each in root.iter("property")] == ["SO112", "SO112"]


@slow
@pytest.mark.usefixtures("torch")
def test_markers(tmp_path: Path) -> None:
    body = """
@pytest.mark.streamsan_expect("SO112")
def test_expected():
    race()

@pytest.mark.streamsan_expect("SO101")
def test_expected_in_vain():
    race(fixed=True)

@pytest.mark.streamsan_skip(reason="known")
def test_skipped():
    race()

@pytest.mark.streamsan_skip
def test_skipped_without_a_reason():
    race()

@pytest.mark.streamsan(ignore="SO112")
def test_ignored():
    race()

@pytest.mark.streamsan(nonsense=1)
def test_wrong():
    pass

def test_part(streamsan_recorder):
    race()  # outside the part
    with streamsan_recorder() as part:
        race(fixed=True)
    assert "SO112" not in [each.rule for each in part.report]
"""
    result = run(tmp_path, body, "--streamsan", "-rA")

    lines = result.stdout.splitlines()
    outcomes = {
        line.split("::")[1].split(" ")[0]: line.partition(" ")[0]
        for line in lines if line.startswith(("PASSED", "FAILED"))
    }  # fmt: skip
    assert outcomes == {
        "test_expected": "PASSED", "test_expected_in_vain": "FAILED", "test_skipped": "PASSED",
        "test_skipped_without_a_reason": "FAILED", "test_ignored": "PASSED",
        "test_wrong": "FAILED", "test_part": "PASSED",
    }  # fmt: skip
    assert "expected but not found: SO101" in result.stdout
    assert "streamsan_skip needs a reason" in result.stdout
    assert "not 'nonsense'" in result.stdout


@slow
@pytest.mark.usefixtures("torch")
def test_schedules_that_disagree_fail_and_can_be_replayed(tmp_path: Path) -> None:
    body = """
@pytest.mark.streamsan(select="SO2", schedules=6)
@pytest.mark.parametrize("fixed", [True, False])
def test_it(fixed):
    race(fixed)
"""
    result = run(tmp_path, body, "--streamsan")

    assert "1 failed, 1 passed" in result.stdout
    assert "the outcome depends on the schedule" in result.stdout
    assert "eager: [0]\nlazy: [448]\n" in result.stdout
    (line,) = [each for each in result.stdout.splitlines() if each.startswith("replay: ")]
    option = line.split("'")[1]
    again = run(tmp_path, body, "--streamsan", option, "-k", "False")
    assert again.returncode == 1
    assert "the outcome depends on the schedule" in again.stdout
    assert run(tmp_path, body, "--streamsan", option, "-k", "True").returncode == 0


@slow
@pytest.mark.usefixtures("torch")
def test_four_workers(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    body = """
@pytest.mark.parametrize("i", range(12))
def test_it(i):
    race(fixed=i % 3 > 0)
"""
    result = run(tmp_path, body, "--streamsan", "--streamsan-output", "out", "-n", "4")

    assert "4 failed, 8 passed" in result.stdout, result.stdout
    assert result.stdout.count("streamsan: 1 hazard\n\nerror") == 4
    assert len(list((tmp_path / "out").iterdir())) == 12


# On CUDA tests are recorded by ``streamsan.record``, which the simulated device has, too.
AS_ON_CUDA = """
from streamsan.commands.hall import testing

start = testing.start_device
testing.start_device = lambda wanted: "cuda" if start("sim") else "none"
"""


@slow
@pytest.mark.usefixtures("torch")
def test_with_the_recorder_that_cuda_has(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(AS_ON_CUDA, encoding="utf-8")
    body = """
def test_bad():
    race()

def test_good():
    assert race(fixed=True) == 0

def test_its_own_failure():
    race()
    assert False, "mine"
"""
    result = run(tmp_path, body, "--streamsan", "--streamsan-output", "out")

    assert "2 failed, 1 passed" in result.stdout, result.stdout
    assert "streamsan: 1 hazard\n\nerror[SO112] staging-overwrite" in result.stdout
    assert "AssertionError: mine" in result.stdout
    assert "Captured streamsan call" in result.stdout
    assert len(list((tmp_path / "out").iterdir())) == 3


@slow
@pytest.mark.usefixtures("torch")
def test_the_configuration_and_a_baseline_hold(tmp_path: Path) -> None:
    body = """
def test_it():
    race()
"""
    traces = ("--streamsan", "--streamsan-output", "out")
    assert run(tmp_path, body, *traces).returncode == 1
    subprocess.run(
        [sys.executable, "-m", "streamsan", "baseline", "write", "out"], cwd=tmp_path, check=True
    )

    known = ("--streamsan", "--streamsan-baseline", "streamsan-baseline.jsonl")
    assert run(tmp_path, body, *known).returncode == 0
    (tmp_path / "streamsan.toml").write_text('ignore = ["SO112"]\n', encoding="utf-8")
    assert run(tmp_path, body, "--streamsan").returncode == 0


@slow
@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--streamsan-baseline", "none"], "streamsan: none: no such baseline"),
        (["--streamsan-device", "cuda"], "--streamsan-device=cuda, but torch finds no CUDA"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    result = run(tmp_path, "\ndef test_it(): pass\n", "--streamsan", *arguments)

    assert result.returncode == 4
    assert message in result.stderr
    assert "Traceback" not in result.stderr


# --- the parts


def test_schedules_begin_with_the_extremes_and_do_not_repeat() -> None:
    found = list(testing.policies(50))

    assert found[:2] == ["eager", "lazy"]
    assert len(set(found)) == 50
    assert list(testing.policies(1)) == ["eager"]


def test_where_two_runs_differ() -> None:
    one = testing.Seen("eager", values={"main": [(1, "[1]", "item", "a.py:3 f")]})
    two = testing.Seen("lazy", values={"main": [(2, "[2]", "item", "a.py:3 f")]})
    more = testing.Seen("lazy", values={"main": [*one.values["main"], *two.values["main"]]})

    assert testing.difference(one, one) is None
    assert testing.difference(one, two) == "a.py:3 f reads (item)\neager: [1]\nlazy: [2]"
    assert testing.difference(one, more) == "thread main reads 1 values, then 2"
    failed = testing.Seen("lazy", ended="ValueError: x", values=one.values)
    assert testing.difference(one, failed) == "eager: passed\nlazy: ValueError: x"


# --- with streamsan.check()

PROGRAM = """
from streamsan import sim
sim.install()
sim.redirect_cuda()
import torch, streamsan
{race}
try:
    with streamsan.check() as part:
        race()
except streamsan.HazardError as error:
    print("raised", error.report.findings[0].rule, str(error).startswith("error[SO112] staging-"))
print(part.report.findings[0].rule)
with streamsan.check(keep="kept.trace.jsonl") as part:
    race(fixed=True)
kept = streamsan.load("kept.trace.jsonl")
print([f.rule for f in part.report if f.severity == "error"], len(kept) > 3)
try:
    with streamsan.check():
        race()
        raise ValueError("mine")
except ValueError as error:
    print(error, "SO112" in error.__notes__[-1])
with streamsan.check(settings=streamsan.checkers.Settings(ignore=("SO112",))) as part:
    race()
print([f.rule for f in part.report if f.severity == "error"])
"""


@slow
@pytest.mark.usefixtures("torch")
def test_a_body_is_checked_at_its_end(tmp_path: Path) -> None:
    text = PROGRAM.replace("{race}", RACE.replace("import pytest, torch, streamsan", ""))
    result = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "raised SO112 True", "SO112", "[] True", "mine True", "[]",
    ]  # fmt: skip


def test_a_body_where_nothing_can_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from streamsan.traces.recorder import sources

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    monkeypatch.setattr(sources, "registered", lambda: None)

    with pytest.raises(RecordError), streamsan.check():
        pass
