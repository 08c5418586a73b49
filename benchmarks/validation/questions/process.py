"""What an allocator does with memory that another stream still uses, in a process of its own.

The allocator is chosen by the environment when torch starts, and memory that is given back too
early may end the process: both are reasons for one. It prints one line of JSON for each trial::

    python questions_process.py DEVICE CYCLES_PER_MS TRIAL [TRIAL ...]
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch

OLD, NEW, NOTHING = 1, 2, 0
SMALL, WHOLE = 1 << 12, 1 << 26
"""Bytes of a block among others, and of one that has a segment of its own."""
_SLEEP = 60.0


def trial(device: str, cycles: float, name: str) -> dict[str, Any]:
    """Free a block while another stream still has to read it; tell what that reader saw.

    A name is made of a size (``small``, ``whole``), of what guards the block (``bare``,
    ``recorded``, ``waited``) and of what comes after the free (``reuse``, ``empty``).
    """
    size_word, guard, then = name.split("-")
    size = WHOLE if size_word == "whole" else SMALL
    m: Any = torch.get_device_module(device)
    main, side = m.current_stream(), m.Stream()
    out = torch.full((size,), NOTHING, dtype=torch.uint8, device=device)
    torch.full((size,), NEW, dtype=torch.uint8, device=device).add_(0)  # kernels are loaded
    with m.stream(side):
        m._sleep(1)  # noqa: SLF001
        out.copy_(out.clone())
    m.synchronize()
    m.empty_cache()
    block = torch.full((size,), OLD, dtype=torch.uint8, device=device)
    m.synchronize()
    with m.stream(side):
        m._sleep(int(_SLEEP * cycles))  # noqa: SLF001
        busy = m.Event()
        busy.record()
        out.copy_(block)
    if guard == "recorded":
        block.record_stream(side)
    elif guard == "waited":
        main.wait_stream(side)
    address = block.data_ptr()
    del block
    begin = time.perf_counter()
    if then == "empty":
        m.empty_cache()
    took = (time.perf_counter() - begin) * 1e3
    emptied_late = bool(busy.query())
    fresh = torch.full((size,), NEW, dtype=torch.uint8, device=device)
    asked_late = bool(busy.query())
    same = fresh.data_ptr() == address
    m.synchronize()
    seen = out.cpu().unique().tolist()
    words = {OLD: "right", NEW: "the next owner's", NOTHING: "nothing"}
    return {
        "same_address": same, "under_way": not asked_late,
        "saw": words.get(seen[0], str(seen[0])) if len(seen) == 1 else f"a mixture: {seen}",
        "empty_cache_waited": emptied_late if then == "empty" else None,
        "empty_cache_ms": round(took, 3) if then == "empty" else None,
    }  # fmt: skip


def main() -> None:
    """Print what each trial gave. One that breaks the device ends the process."""
    device, cycles, names = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    if device != "cuda":
        from streamsan import sim

        sim.install("timed")
    for name in names:
        try:
            found = trial(device, cycles, name)
        except Exception as error:  # noqa: BLE001 - told to the parent
            found = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        print(json.dumps({"trial": name, **found}), flush=True)
        if "error" in found:
            sys.exit(1)


if __name__ == "__main__":
    main()
