"""How long PyTorch profiler files take to load, beside ``json.load`` of the same content.

Run: ``python benchmarks/kineto_load.py FILE...``. Each time is the best of several; files may be
compressed with gzip, and decompression is not timed.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from streamsan.traces.formats.kineto import read

REPEATS = 5


def best(work: Callable[[], object]) -> float:
    """Give the shortest time of several runs, in seconds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main(paths: list[str]) -> None:
    """Print one line a file."""
    print(f"{'MB':>8} {'ops':>8} {'read s':>8} {'json s':>8} {'ratio':>6}  file")
    for path in paths:
        data = Path(path).read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        ops = len(read(io.BytesIO(data), path))
        ours = best(lambda data=data, path=path: read(io.BytesIO(data), path))  # type: ignore[misc]
        theirs = best(lambda data=data: json.load(io.BytesIO(data)))  # type: ignore[misc]
        sizes = f"{len(data) / 1e6:8.1f} {ops:8} {ours:8.3f} {theirs:8.3f} {ours / theirs:6.2f}"
        print(f"{sizes}  {Path(path).name}")


if __name__ == "__main__":
    main(sys.argv[1:])
