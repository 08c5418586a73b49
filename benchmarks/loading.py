"""Loading a JSON Lines trace, against a bare typed decode of it; and the columnar form.

    python benchmarks/loading.py [--ops 1000000]

Both sides run in turn in one process with the garbage collector held, as ``load`` holds it; the
median of their ratios is printed.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from streamsan.traces import load, save
from streamsan.traces.ops import AnyOp

TURN = 10
"""Ops between two waits."""


def write_trace(path: Path, ops: int) -> None:
    """Write launches of three ranges each, and an event record and wait every ten ops."""
    with path.open("w", encoding="utf-8") as out:
        out.write('{"format": "streamsan-trace", "version": 1}\n')
        for i in range(ops):
            turn = i % TURN
            if turn == TURN - 2:
                op: dict[str, object] = {"op": "event_record", "event": f"e{i % 64}"}
            elif turn == TURN - 1:
                op = {"op": "stream_wait_event", "event": f"e{(i - 1) % 64}"}
            else:
                reads = [f"t{i % 500}", [f"u{i % 300}", 0, 4096]]
                op = {"op": "launch", "name": f"k{i % 50}", "reads": reads}
                op["writes"] = [f"t{(i * 7) % 500}"]
            out.write(json.dumps({**op, "stream": f"s{i % 8}"}) + "\n")


def timed(act: Callable[[], object]) -> float:
    """Give the seconds that a call takes."""
    gc.collect()
    gc.disable()
    begin = time.perf_counter()
    kept = act()
    seconds = time.perf_counter() - begin
    gc.enable()
    del kept
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    decoder = msgspec.json.Decoder(AnyOp)
    with tempfile.TemporaryDirectory() as folder:
        path, columns = Path(folder, "big.trace.jsonl"), Path(folder, "big.npz")
        write_trace(path, given.ops)
        save(load(path), columns)

        def bare() -> object:
            return decoder.decode_lines(path.read_bytes().partition(b"\n")[2])

        rows = [
            (timed(bare), timed(lambda: load(path)), timed(lambda: load(columns)))
            for _ in range(given.rounds)
        ]
    for name, place in (("load", 1), ("load, columnar", 2)):
        ratio = statistics.median(row[place] / row[0] for row in rows)
        best = min(row[place] for row in rows)
        print(f"{name:16} {best:6.2f} s at best, {ratio:5.2f} times a bare typed decode")
    print(f"{'bare decode':16} {min(row[0] for row in rows):6.2f} s at best")


if __name__ == "__main__":
    main()
