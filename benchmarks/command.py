"""The whole command, cold start included, against other whole processes, in turn.

    python benchmarks/command.py                                  # a ten-op trace against `pass`
    python benchmarks/command.py TRACE.json.gz                    # and a profile against json.load
    python benchmarks/command.py TRACE.json.gz --hta HTA_PYTHON   # and against HTA

``HTA_PYTHON`` is the Python of an environment with HolisticTraceAnalysis 0.5.0 and pandas 2.2.3.
HTA loads the file and analyses the critical path of one ProfilerStep; streamsan lints all of it.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

TEN_OPS = """{"format": "streamsan-trace", "version": 1}
{"op": "malloc", "buffer": "h", "space": "pinned", "bytes": 64}
{"op": "host_write", "buffer": "h"}
{"op": "memcpy", "stream": "s", "src": "h", "dst": "a", "kind": "H2D"}
{"op": "launch", "stream": "s", "reads": ["a"], "writes": ["b"]}
{"op": "event_record", "stream": "s", "event": "e"}
{"op": "stream_wait_event", "stream": "t", "event": "e"}
{"op": "launch", "stream": "t", "reads": ["b"], "writes": ["c"]}
{"op": "event_record", "stream": "t", "event": "f"}
{"op": "event_synchronize", "event": "f"}
{"op": "host_write", "buffer": "h"}
"""
HTA = """
import sys, warnings
warnings.filterwarnings("ignore")
from hta.trace_analysis import TraceAnalysis
found = TraceAnalysis(trace_files={0: sys.argv[1]}, trace_dir="")
found.critical_path_analysis(rank=0, annotation="ProfilerStep", instance_id=1)
"""
SLOW = 3


def seconds(command: Sequence[str]) -> float:
    """Run a command and give its wall seconds; its output goes nowhere."""
    begin = time.perf_counter()
    subprocess.run(  # noqa: S603
        command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - begin


def against(what: str, one: Sequence[str], other: Sequence[str], rounds: int) -> None:
    """Run two commands in turn and print the median of their ratios."""
    seconds(one), seconds(other)
    rows = [(seconds(one), seconds(other)) for _ in range(rounds)]
    ratios = sorted(a / b for a, b in rows)
    mine, theirs = (min(row[i] for row in rows) for i in (0, 1))
    print(
        f"{what}: {statistics.median(ratios):.2f} times ({ratios[0]:.2f} to {ratios[-1]:.2f}); "
        f"at best {mine:.3f} s against {theirs:.3f} s"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profile", nargs="?")
    parser.add_argument("--hta")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    lint = [sys.executable, "-m", "streamsan", "lint", "--exit-zero"]
    with tempfile.TemporaryDirectory() as folder:
        small, plain = Path(folder, "ten.trace.jsonl"), Path(folder, "plain.json")
        small.write_text(TEN_OPS, encoding="utf-8")
        bare = [sys.executable, "-c", "pass"]
        against("lint of ten ops / python -c pass", [*lint, str(small)], bare, given.rounds)
        if given.profile is None:
            return
        with gzip.open(given.profile) as packed, plain.open("wb") as out:
            shutil.copyfileobj(packed, out)
        mine = [*lint, given.profile]
        load = [sys.executable, "-c", f"import json; json.load(open({str(plain)!r}))"]
        against("lint / json.load of the uncompressed file", mine, load, given.rounds)
        if given.hta:
            hta = [given.hta, "-c", HTA, given.profile]
            against("HTA / lint", hta, mine, min(SLOW, given.rounds))


if __name__ == "__main__":
    main()
