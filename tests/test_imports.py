"""Starting streamsan is cheap: what each way in imports, told by ``python -X importtime``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import streamsan

HEAVY = {"numpy", "networkx", "rich", "torch", "msgspec", "numba"}

TRACE = [
    {"format": "streamsan-trace", "version": 1, "name": "tiny"},
    {"op": "malloc", "buffer": "a", "bytes": 16},
    {"op": "launch", "stream": "s0", "name": "fill", "writes": ["a"]},
    {"op": "event_record", "event": "e", "stream": "s0"},
    {"op": "stream_wait_event", "event": "e", "stream": "s1"},
    {"op": "launch", "stream": "s1", "name": "use", "reads": ["a"]},
]


def run(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with a list of its imports on stderr, and ``path`` before all others."""
    environment = dict(os.environ)
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def imported(result: subprocess.CompletedProcess[str]) -> set[str]:
    """Name the modules that a run imported, packages and sub-modules alike."""
    lines = result.stderr.splitlines()
    return {line.rsplit("|", 1)[1].strip() for line in lines if line.startswith("import time:")}


def test_the_list_of_imports_is_complete() -> None:
    result = run("-c", "import streamsan.sim.machine, json")

    assert result.returncode == 0, result.stderr
    assert {"streamsan", "streamsan.sim", "streamsan.sim.machine", "json"} <= imported(result)


def test_importing_the_front_door_loads_nothing_heavy() -> None:
    result = run("-c", "import streamsan")

    assert result.returncode == 0, result.stderr
    assert "streamsan" in imported(result)
    assert imported(result) & HEAVY == set()


def test_asking_for_the_version_loads_nothing_heavy() -> None:
    result = run("-m", "streamsan", "--version")

    assert result.returncode == 0, result.stderr
    assert streamsan.__version__ in result.stdout
    assert "streamsan.cli" in imported(result)
    assert imported(result) & HEAVY == set()


def test_linting_loads_neither_torch_nor_networkx(tmp_path: Path) -> None:
    # A torch of our own, so that an import of it is seen even where torch is not installed.
    (tmp_path / "torch.py").touch()
    trace = tmp_path / "tiny.trace.jsonl"
    trace.write_text("".join(json.dumps(line) + "\n" for line in TRACE), encoding="utf-8")

    result = run("-m", "streamsan", "lint", str(trace), path=tmp_path)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "streamsan.checkers" in imported(result)
    assert imported(result) & {"torch", "networkx"} == set()


def test_the_watch_for_torch_would_see_it(tmp_path: Path) -> None:
    (tmp_path / "torch.py").touch()

    assert "torch" in imported(run("-c", "import torch", path=tmp_path))


@pytest.mark.parametrize("name", streamsan.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(streamsan, name) is not None
    assert name in dir(streamsan)


def test_an_unknown_name_is_an_attribute_error() -> None:
    name = "nothing"

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(streamsan, name)
