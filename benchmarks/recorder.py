"""What recording costs, beside torch's own CUDA sanitizer, on CPU tensors taken for CUDA ones.

    python benchmarks/recorder.py              time per op, both tools in one run
    python benchmarks/recorder.py --minutes 10 ring mode: memory and file size stay bounded

Needs no GPU: both dispatch modes are made to treat CPU tensors as those of a device, with the
same program, the same depth of stack, and our writer on. The requirement is at most a quarter of
the sanitizer's time for each op.
"""

from __future__ import annotations

import argparse
import gc
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from recorder_fake import Fake, recording

LOOPS = 1_500
OPS = 4  # three kernels and a view
ROUNDS = 5
DEPTHS = (0, 30)
REQUIRED = 0.25
_PAGE = resource.getpagesize()


class Quiet(Fake):
    """Memory followed on neither side: torch tells the sanitizer of none here, either."""

    def on_death(self, tensor: torch.Tensor, then: Callable[[], object]) -> None:
        """Leave storages alone: the loop gets the same few back from the CPU's allocator."""


def body() -> None:
    """Run small ops: three kernels and a view a loop, on 64 elements."""
    first, second = torch.ones(64), torch.ones(64)
    for _ in range(LOOPS):
        total = first + second
        total.mul_(2.0)
        torch.relu(total.view(8, 8))


def deep(depth: int, run: Callable[[], None]) -> None:
    """Run below more frames."""
    if depth:
        deep(depth - 1, run)
    else:
        run()


def sanitizer() -> AbstractContextManager[object]:
    """Give torch's sanitizer, made to take CPU tensors for CUDA ones."""
    from torch.cuda import _sanitizer

    class Stream:
        cuda_stream = 0

    class Handler(_sanitizer.ArgumentHandler):
        """Its handler, without the question whether a tensor is on CUDA."""

        def _handle_argument(
            self, value: Any, is_write: bool, metadata_only: bool, name: str | None = None,
            is_output: bool = False,
        ) -> None:  # fmt: skip
            if isinstance(value, torch.Tensor):
                data_ptr = value.data_ptr() or id(value)
                if is_write:
                    self.dataptrs_written.add(data_ptr)
                elif not metadata_only:
                    self.dataptrs_read.add(data_ptr)
                self.tensor_aliases.setdefault(data_ptr, [])
                if name is not None:
                    self.tensor_aliases[data_ptr].append(name)
                if is_output:
                    self.outputs.add(data_ptr)

    stack = ExitStack()
    stack.enter_context(mock.patch.object(_sanitizer, "ArgumentHandler", Handler))
    stack.enter_context(mock.patch.object(torch.cuda, "current_stream", Stream))
    stack.enter_context(mock.patch.object(_sanitizer, "logger", mock.Mock()))
    stack.enter_context(_sanitizer.CUDASanitizerDispatchMode())
    return stack


def timed(make: Callable[[], AbstractContextManager[object]], depth: int) -> float:
    """Give microseconds an op: the best of several rounds."""
    times = []
    for _ in range(ROUNDS):
        gc.collect()
        with make():
            begin = time.perf_counter()
            deep(depth, body)
            times.append(time.perf_counter() - begin)
    return min(times) / (LOOPS * OPS) * 1e6


def compare(folder: Path) -> float:
    """Print both tools' times; give the worst ratio."""
    worst = 0.0
    for depth in DEPTHS:
        plain = timed(nullcontext, depth)
        ours = timed(lambda: recording(folder / "a.trace.jsonl", Quiet()), depth)
        theirs = timed(sanitizer, depth)
        again = timed(lambda: recording(folder / "a.trace.jsonl", Quiet()), depth)
        ours = min(ours, again)
        worst = max(worst, ours / theirs)
        print(
            f"{depth:3} more frames: plain {plain:6.2f} us/op   recorder {ours:6.2f}   "
            f"torch.cuda._sanitizer {theirs:7.2f}   ratio {ours / theirs:.3f}"
        )
    return worst


def resident() -> float:
    """Give the resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * _PAGE / 1e6


def endure(folder: Path, minutes: float, ring: int) -> bool:
    """Record in ring mode for some minutes; tell whether memory and file stay bounded."""
    path = folder / "ring.trace.jsonl"
    readings: list[tuple[float, float]] = []
    begin, ops = time.monotonic(), 0
    with recording(path, Fake(), ring=ring):
        step = max(minutes * 60 / 20, 1.0)
        due = begin + step
        while time.monotonic() < begin + minutes * 60:
            body()
            ops += LOOPS * OPS
            if time.monotonic() >= due:
                due += step
                size = path.stat().st_size / 1e6
                readings.append((resident(), size))
                print(
                    f"{time.monotonic() - begin:6.0f} s  {ops / 1e6:7.2f} M ops  "
                    f"RSS {readings[-1][0]:7.1f} MB  file {size:6.2f} MB", flush=True,
                )  # fmt: skip
    half = len(readings) // 2
    early, late = readings[max(half - 1, 0)], readings[-1]
    grown = late[0] - early[0]
    print(f"grown by {grown:.1f} MB of memory and {late[1] - early[1]:.2f} MB of file in the "
          "second half")  # fmt: skip
    return grown < _GROWTH and late[1] < 1.2 * max(size for _, size in readings[: half + 1])


_GROWTH = 16.0
"""Megabytes by which the process may grow in the second half: the allocator's own noise."""


def main() -> int:
    """Print the figures; fail where a requirement is missed."""
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--ring", type=int, default=50_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.minutes:
            return 0 if endure(Path(folder), arguments.minutes, arguments.ring) else 1
        worst = compare(Path(folder))
    print(f"worst ratio {worst:.3f}, required at most {REQUIRED}")
    return 0 if worst <= REQUIRED else 1


if __name__ == "__main__":
    sys.exit(main())
