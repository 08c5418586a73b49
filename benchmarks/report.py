"""The interactive report at size: file, time to first picture, frame time while panning.

    python benchmarks/report.py                # a million ops
    python benchmarks/report.py --ops 100000

Needs Playwright (PyPI) and Debian's chromium. The floor is the same number of boxes in a plain
page: their positions and lanes already in typed arrays, one fillRect for each box that is seen,
no more than one a pixel, no names, no arrows, on a canvas of the same size.
"""

from __future__ import annotations

import argparse
import base64
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from streamsan.checkers import check
from streamsan.checkers.reports.page import Contents, build_page
from streamsan.traces import ops as o
from streamsan.traces.build import TraceBuilder
from streamsan.traces.model import Trace
from streamsan.traces.order import HappensBefore

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
STREAMS = 12
WINDOWS = (1.0, 0.1, 0.01, 0.001)

FLOOR = """<!doctype html><canvas id=c width=1200 height=600></canvas><script>
const raw = Uint8Array.from(atob("@@"), (c) => c.charCodeAt(0));
const lanes = 14, rows = Array.from({length: lanes}, () => []);
raw.forEach((lane, op) => rows[lane].push(op));
const sorted = rows.map((row) => Int32Array.from(row));
const pen = c.getContext("2d", {alpha: false});
function at(values, value) {
  let low = 0, high = values.length;
  while (low < high) {
    const m = (low + high) >> 1;
    if (values[m] < value) low = m + 1; else high = m;
  }
  return low;
}
window.frame = (from, to) => {
  const start = performance.now(), scale = (c.width - 150) / (to - from);
  pen.fillStyle = "#fff"; pen.fillRect(0, 0, c.width, c.height);
  pen.fillStyle = "#2f6db5";
  sorted.forEach((row, lane) => {
    for (let i = at(row, from); i < row.length && row[i] < to;) {
      const x = Math.floor((row[i] - from) * scale);
      pen.fillRect(x, lane * 40, Math.max(1, scale), 30);
      i = Math.max(i + 1, at(row, from + (x + 1) / scale));
    }
  });
  pen.getImageData(0, 0, 1, 1);
  return performance.now() - start;
};
</script>"""


def make_trace(count: int) -> Trace:
    """Make a program of several streams that copies, computes, records and waits; one race."""
    builder = TraceBuilder()
    builder.add([o.Malloc(buffer=f"b{i}", bytes=1 << 16, space="device") for i in range(64)])
    builder.add([o.Malloc(buffer=f"h{i}", bytes=1 << 16, space="pinned") for i in range(64)])
    batch: list[o.OpBase] = []
    for op in _ops(count):
        batch.append(op)
        if len(batch) == 100_000:  # noqa: PLR2004
            builder.add(batch)
            batch = []
    builder.add(batch)
    return builder.finish(o.Header(name=f"{count:,} ops"), "benchmark")


def _ops(count: int) -> Iterator[o.OpBase]:
    random = np.random.default_rng(7)
    lengths = random.integers(2_000, 90_000, count).tolist()
    clock = [0] * STREAMS
    for i in range(count - 128):
        at = i % STREAMS
        stream, t = f"s{at}", i * 1000
        begin = max(clock[at], t + 2000)
        end = clock[at] = begin + lengths[i] // 8
        till = t + 700
        if i % 10 == 8:  # noqa: PLR2004
            yield o.EventRecord(event=f"e{at}", stream=stream, t=t, t_end=till)
        elif i % 10 == 9:  # noqa: PLR2004
            other = f"e{(at - 1) % STREAMS}"
            yield o.StreamWaitEvent(event=other, stream=stream, t=t, t_end=till)
        elif i % 10 == 4:  # noqa: PLR2004
            yield o.Memcpy(
                src=f"h{at}", dst=f"b{at}", stream=stream, begin=begin, end=end, t=t, t_end=till
            )
        else:
            yield o.Launch(
                stream=stream, name=f"kernel_{i % 37}", reads=(f"b{at}",),
                writes=(f"b{at + STREAMS}",), begin=begin, end=end, t=t, t_end=till,
            )  # fmt: skip


def write_report(trace: Trace, path: Path) -> dict[str, float]:
    """Write the report of the findings about order; give sizes and times."""
    start = time.perf_counter()
    order = HappensBefore(trace)
    closed = time.perf_counter()
    page = build_page(Contents(order, check(trace).findings if len(trace) <= LINTED else ()))
    path.write_text(page, encoding="utf-8", newline="\n")
    return {
        "order, seconds": closed - start, "page, seconds": time.perf_counter() - closed,
        "file, MB": path.stat().st_size / 1e6,
    }  # fmt: skip


LINTED = 200_000
"""Ops up to which the rules run too: the drawing is what is measured."""


def measure(report: Path, floor: Path, count: int) -> Iterator[tuple[str, float]]:
    """Open both pages and pan over each window."""
    with import_module("playwright.sync_api").sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.goto(report.as_uri())
        while not page.evaluate("() => '__streamsan' in window"):
            time.sleep(0.05)
        yield "first picture, ms in the page", page.evaluate("() => __streamsan.ready")
        yield (
            "first picture, ms from navigation",
            page.evaluate("() => performance.getEntriesByName('streamsan-drawn')[0].startTime"),
        )
        size = page.evaluate(
            "() => { const c = __streamsan.app.picture.pen.canvas; return [c.width, c.height]; }"
        )
        for axis in ("order", "time"):
            page.evaluate("(axis) => __streamsan.app.change({axis, finding: -1})", axis)
            for part in WINDOWS:
                yield f"report, {axis}, {part:.1%} seen, ms", page.evaluate(PAN, part)
        other = browser.new_page(viewport={"width": 1600, "height": 900})
        other.goto(floor.as_uri())
        other.evaluate("([wide, tall]) => { c.width = wide; c.height = tall; }", size)
        for part in WINDOWS:
            yield f"floor, {part:.1%} seen, ms", other.evaluate(PAN_FLOOR, [part, count])
        browser.close()


PAN = """(part) => {
  const {picture} = __streamsan.app, {camera, see} = picture;
  const size = (see.scene.high - see.scene.low) * part, times = [];
  for (let i = 0; i < 40; i++) {
    const from = see.scene.low + (see.scene.high - see.scene.low - size) * i / 39;
    camera.set(from, from + size);
    const start = performance.now();
    picture.draw();
    picture.pen.getImageData(0, 0, 1, 1);
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[20];
}"""
PAN_FLOOR = """([part, count]) => {
  const size = count * part, times = [];
  for (let i = 0; i < 40; i++) {
    const from = (count - size) * i / 39;
    times.push(frame(from, from + size));
  }
  return times.sort((a, b) => a - b)[20];
}"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--ops", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="a folder for the pages")
    given = parser.parse_args()
    trace = make_trace(given.ops)
    with tempfile.TemporaryDirectory() as folder:
        place: Path = given.keep or Path(folder)
        report, floor = place / "report.html", place / "floor.html"
        rows: dict[str, Any] = dict(write_report(trace, report))
        lanes = np.where(trace.streams.of_op >= 0, trace.streams.of_op + 1, 0).astype(np.uint8)
        floor.write_text(FLOOR.replace("@@", base64.b64encode(lanes.tobytes()).decode()))
        rows.update(measure(report, floor, len(trace)))
    for name, value in rows.items():
        print(f"{name:42} {value:10.1f}")


if __name__ == "__main__":
    main()
