"""How fast launches are checked: PyTorch's CUDA sanitizer (CSAN) against both engines, in one run.

All are given the same ops: a launch reads two tensors and writes one, and every ten launches an
event is recorded on one stream and waited for on the next. CSAN does its work at each call;
streamsan is timed from the columns of a ready Trace to the pairs, everything included, and the
time that the columns take to make from op values is told apart. Times are CPU times of one
process: on an idle machine they are those of the clock. Needs torch (a CPU build will do), numba.

    python benchmarks/engine.py [--launches 1000000] [--csan 100000] [--repeat 3]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path
from time import process_time as clock
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

from engine_sides import at_depth, build, no_stacks, op_values, run_csan, run_streamsan, steps

RAW = argparse.RawDescriptionHelpFormatter
DEEP = 25
"""Frames of a user's program above a launch, in the figure with a realistic stack."""


# --- in processes of their own


def child(kind: str, launches: int, detail: str, cache: str) -> dict[str, float]:
    """Run one measurement in a fresh process; ``cache`` is the folder of compiled kernels."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    arguments = [sys.executable, __file__, "--child", kind, str(launches), detail]
    output = subprocess.run(arguments, env=environment, check=True, stdout=subprocess.PIPE).stdout  # noqa: S603
    found: dict[str, float] = json.loads(output)
    return found


def child_first(launches: int, streams: str) -> dict[str, float]:
    """Time the first analysis of a process: import of numba, compiling or loading included."""
    trace = build(op_values(steps(launches, int(streams))))
    first, pairs = run_streamsan(trace, "compiled")
    return {"seconds": first, "pairs": pairs}


def child_memory(launches: int, side: str) -> dict[str, float]:
    """Tell what a process keeps of many reads of one tensor by two streams, in MB."""
    if side == "csan":
        from torch.cuda._sanitizer import EventHandler

        launch = EventHandler()._handle_kernel_launch  # noqa: SLF001
        none: set[int] = set()
        before = _resident()
        for i in range(launches):
            launch(1 + i % 2, {7}, none, none, "aten::op", {7: ["x"]})
        return {"kept": _resident() - before}
    from streamsan.traces import ops as o
    from streamsan.traces.order.happens_before import HappensBefore

    warm = build([o.Launch(stream="s")])
    len(HappensBefore(warm, engine=side).pairs)  # type: ignore[arg-type]
    readers = [o.Launch(stream=f"s{i}", reads=("t",)) for i in range(2)]
    values: list[Any] = [readers[i % 2] for i in range(launches)]
    tracemalloc.start()
    trace = build(values)
    columns = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    order = HappensBefore(trace, engine=side)  # type: ignore[arg-type]
    len(order.pairs)
    kept, peak = tracemalloc.get_traced_memory()
    found = {"columns": columns, "kept": kept - columns, "peak": peak - columns}
    return {name: size / 2**20 for name, size in found.items()}


def _resident() -> float:
    """Give the resident memory now, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


# --- the table


class Rate(NamedTuple):
    """Launches a second, and what was found."""

    rate: float
    found: int


def fastest(function: Callable[[], tuple[float, int]], launches: int, repeat: int) -> Rate:
    """Keep the fastest of some runs: what other processes took is no one's figure."""
    runs = [function() for _ in range(repeat)]
    return Rate(launches / min(seconds for seconds, _ in runs), runs[0][1])


def compare(streams: int, launches: int, csan: int, repeat: int) -> dict[str, Rate]:
    """Measure both sides on the same program."""
    short = list(steps(csan, streams))
    found = {
        "CSAN as shipped": fastest(lambda: run_csan(short), csan, repeat),
        f"CSAN as shipped, {DEEP} frames deep": fastest(
            lambda: at_depth(DEEP, lambda: run_csan(short)), csan, 1
        ),
    }
    with no_stacks():
        found["CSAN, stacks not captured"] = fastest(lambda: run_csan(short), csan, repeat)
        found["CSAN, the same, making its sets"] = fastest(
            lambda: run_csan(short, makes_sets=True), csan, repeat
        )
    values = op_values(steps(launches, streams))
    started = clock()
    trace = build(values)
    found["columns from op values"] = Rate(launches / (clock() - started), 0)
    del values
    for engine in ("python", "compiled"):
        run_streamsan(trace, engine)
        found[f"streamsan, {engine} engine"] = fastest(
            lambda engine=engine: run_streamsan(trace, engine), launches, repeat
        )
    with tempfile.TemporaryDirectory() as cache:
        for word in ("empty", "filled"):
            first = child("first", launches, str(streams), cache)
            found[f"  first of a process, kernel cache {word}"] = Rate(
                launches / first["seconds"], int(first["pairs"])
            )
    return found


def show(streams: int, found: dict[str, Rate]) -> None:
    """Print one table."""
    shipped, bare = found["CSAN as shipped"].rate, found["CSAN, stacks not captured"].rate
    print(f"\n{streams} streams{'launches/s':>36}{'x CSAN':>9}{'x no stacks':>13}{'found':>7}")
    for name, (rate, count) in found.items():
        print(f"{name:<40}{rate:>12,.0f}{rate / shipped:>9.1f}{rate / bare:>13.1f}{count:>7}")


def sanity(streams: int) -> None:
    """Print what both find in a small racy program."""
    racy = list(steps(20_000, streams, racy=True))
    with no_stacks():
        csan = run_csan(racy)[1]
    trace = build(op_values(iter(racy)))
    pairs = [run_streamsan(trace, engine)[1] for engine in ("python", "compiled")]
    print(f"racy variant, {streams} streams: CSAN {csan}, python {pairs[0]}, compiled {pairs[1]}")


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=RAW)
    parser.add_argument("--launches", type=int, default=1_000_000)
    parser.add_argument("--csan", type=int, default=100_000, help="launches given to CSAN")
    parser.add_argument("--streams", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        kind, launches, detail = given.child
        run = {"first": child_first, "memory": child_memory}[kind]
        print(json.dumps(run(int(launches), detail)))
        return
    print(f"streamsan: {given.launches:,} launches; CSAN: {given.csan:,}, told as a rate")
    for streams in given.streams:
        sanity(streams)
    for streams in given.streams:
        show(streams, compare(streams, given.launches, given.csan, given.repeat))
    print(f"\none tensor read {given.launches:,} times by two streams, MB")
    with tempfile.TemporaryDirectory() as cache:
        for side in ("csan", "python", "compiled"):
            found = child("memory", given.launches, side, cache)
            print(f"{side:<10}", "  ".join(f"{k} {v:.0f}" for k, v in found.items()))


if __name__ == "__main__":
    main()
