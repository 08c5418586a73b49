"""A pytest run that does not use the plug-in, with and without it, in turn.

    python benchmarks/plugin.py

Prints the median and the spread of the ratio of whole processes, and what the import alone adds.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import entry_points
from pathlib import Path

ROUNDS = 30
TESTS = "def test_it(): pass\n" * 3


def seconds(folder: str, *more: str) -> float:
    """Run pytest on a file of empty tests, and give its wall seconds."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null",
               "--rootdir", folder, *more, "test_it.py"]  # fmt: skip
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return time.perf_counter() - begin


def imported() -> float:
    """Give the milliseconds that importing the plug-in takes once pytest is there."""
    code = ("import pytest, time; t = time.perf_counter(); import streamsan.pytest_plugin; "
            "print(1e3 * (time.perf_counter() - t))")  # fmt: skip
    return float(subprocess.check_output([sys.executable, "-c", code], text=True))  # noqa: S603


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_it.py").write_text(TESTS, encoding="utf-8")
        installed = entry_points(group="pytest11", name="streamsan")
        without = ("-p", "no:streamsan")
        plugged = () if installed else ("-p", "streamsan.pytest_plugin")
        seconds(folder, *without), seconds(folder, *plugged)
        ratios = sorted(
            seconds(folder, *plugged) / seconds(folder, *without) for _ in range(ROUNDS)
        )
    low, high = ratios[ROUNDS // 4], ratios[-ROUNDS // 4]
    print(f"pytest with the plug-in, off, against without: {statistics.median(ratios):.3f} "
          f"(half of {ROUNDS} rounds between {low:.3f} and {high:.3f})")  # fmt: skip
    print(f"its import: {min(imported() for _ in range(ROUNDS)):.2f} ms")


if __name__ == "__main__":
    main()
