"""Hot regions: where a cost counts (rules.md, section 1)."""

from __future__ import annotations

import numpy as np

from streamsan.traces import Trace
from streamsan.traces.ops import Kind


class HotRegions:
    """Tells whether an op is hot: without any region all are, with regions those inside one."""

    def __init__(self, trace: Trace, names: tuple[str, ...]) -> None:
        """Walk the region marks of each thread."""
        marks = np.flatnonzero(
            (trace.kind == Kind.REGION_BEGIN) | (trace.kind == Kind.REGION_END)
        ).tolist()
        self.everything = not any(trace.kind[i] == Kind.REGION_BEGIN for i in marks)
        depth: dict[int, int] = {}
        self._steps: dict[int, tuple[list[int], list[int]]] = {}
        for i in marks:
            if names and trace[i].name not in names:
                continue
            thread = int(trace.thread[i])
            step = 1 if trace.kind[i] == Kind.REGION_BEGIN else -1
            depth[thread] = max(0, depth.get(thread, 0) + step)
            ops, depths = self._steps.setdefault(thread, ([], []))
            ops.append(i)
            depths.append(depth[thread])
        self._trace = trace

    def __contains__(self, op: int) -> bool:
        """Whether op ``op`` is hot."""
        if self.everything:
            return True
        steps = self._steps.get(int(self._trace.thread[op]))
        if steps is None:
            return False
        place = int(np.searchsorted(steps[0], op)) - 1
        return place >= 0 and steps[1][place] > 0
