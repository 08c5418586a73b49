"""Host waits for a value that was ready, behind work that its stream has inherited (SO403).

The host waits for a download. What made the downloaded bytes, and all before that, has to be
waited for. A kernel of the download's own stream that only prepares the value (its inputs come
from elsewhere, or from before the inherited wait) may go to another stream with the download, so
of it only its inputs count. What else is in flight on other streams is waited for in vain.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from streamsan.checkers.facts.blocking import Blocking
from streamsan.checkers.facts.history import History
from streamsan.checkers.facts.lanes import Lanes
from streamsan.checkers.facts.waste import Wastes
from streamsan.traces.ops import Kind

SIZES = frozenset({"nonzero", "mask_index", "unique", "repeat_interleave", "bool"})
"""Downloads inside an op whose shape, or branch, only the device knows: they cannot go elsewhere,
only the op can be replaced (SO402)."""


class Chain(NamedTuple):
    """A host wait for ``copy`` that also waits for ``ops`` ops in vain, the last one ``last``.

    ``via`` is the op through which the copy's stream inherited the wait for it, ``producers`` are
    the last ops that the value does need.
    """

    wait: int
    copy: int
    last: int
    ops: int
    via: int
    producers: tuple[int, ...]


class Chains:
    """Looks at every wait of the host for a download."""

    def __init__(self, lanes: Lanes, blocking: Blocking, wastes: Wastes) -> None:
        """Keep the lanes, the copies and the waits that could be narrower."""
        self.lanes = lanes
        self.blocking = blocking
        self.wastes = wastes
        self.trace = lanes.trace

    @cached_property
    def found(self) -> list[Chain]:
        """The waits behind work not needed, in issue order."""
        chains = (self._judge(wait, copies) for wait, copies in self._waits())
        return [chain for chain in chains if chain is not None and not self._is_late(chain)]

    def _is_late(self, chain: Chain) -> bool:
        """Whether the inherited wait is the value's own, only recorded too late: that is SO404."""
        waste = self.wastes.by_wait.get(chain.via)
        return waste is not None and not set(waste.needed).isdisjoint(chain.producers)

    @cached_property
    def waits(self) -> set[int]:
        """The ops of the waits that were found."""
        return {chain.wait for chain in self.found}

    @cached_property
    def _history(self) -> History:
        return History(self.lanes.order, every=True)

    def _waits(self) -> list[tuple[int, list[int]]]:
        """Give each wait with the downloads that it is for."""
        downloads = [copy for copy in self.blocking.copies if copy.kind == "D2H"]
        vias = {copy.op: self.trace[copy.op].via for copy in downloads}
        found = [(c.op, [c.op]) for c in downloads if c.waits and vias[c.op] not in SIZES]
        kinds = (Kind.EVENT_SYNCHRONIZE, Kind.STREAM_SYNCHRONIZE)
        for op in np.flatnonzero(np.isin(self.trace.kind, kinds)).tolist():
            if op not in self.blocking.pairs:
                copies = self._awaited(op, vias)
                if copies:
                    found.append((op, copies))
        return sorted(found)

    def _awaited(self, op: int, downloads: dict[int, str | None]) -> list[int]:
        """Give the downloads that a host wait for one stream newly knows of, if one is last."""
        lanes, node = self.lanes, int(self.lanes.order.graph.op_node[op])
        here, at = lanes.lane[node], lanes.position[node]
        sources = [lanes.source[e] for e in lanes.entries(here, at - 1, at)]
        if len(sources) != 1 or lanes.lane[sources[0]] not in lanes.work or at < 2:  # noqa: PLR2004
            return []
        lane = lanes.lane[sources[0]]
        known = lanes.known(lanes.nodes[here][at - 2], lane)
        ops = lanes.work_between(lane, known, lanes.position[sources[0]]).tolist()
        if not ops or ops[-1] not in downloads:
            return []
        return [o for o in ops if o in downloads]

    def _judge(self, wait: int, copies: list[int]) -> Chain | None:
        lanes, graph = self.lanes, self.lanes.order.graph
        node = int(graph.op_node[copies[-1]])
        stream, before = lanes.lane[node], lanes.clock(node)
        caller = lanes.host_before(wait)
        known = lanes.through(caller) if caller >= 0 else [0] * len(before)
        inherited = [
            lane
            for lane in lanes.work
            if lane != stream and len(lanes.work_between(lane, known[lane], before[lane]))
        ]
        if not inherited:
            return None
        gate = min(lanes.first_knowing(stream, lane, known[lane] + 1) for lane in inherited)
        producers = self._producers(copies, stream, gate)
        needed = [max(k) for k in zip(known, *map(lanes.through, producers), strict=True)]
        vain = {lane: lanes.work_between(lane, needed[lane], before[lane]) for lane in inherited}
        lasts = [(int(ops[-1]), lane) for lane, ops in vain.items() if len(ops)]
        if not lasts:
            return None
        last, lane = max(lasts)
        place = lanes.first_knowing(stream, lane, lanes.position[int(graph.op_node[last])])
        via = lanes.op[lanes.nodes[stream][place - 1]]
        ops = tuple(sorted({lanes.op[n] for n in producers}))
        return Chain(wait, copies[-1], last, sum(map(len, vain.values())), via, ops)

    def _producers(self, copies: Sequence[int], stream: int, gate: int) -> set[int]:
        """Give the nodes that the downloads cannot do without, each with all before it."""
        lanes, placed = self.lanes, self.lanes.order.placed
        history = self._history
        found: set[int] = set()
        for move in map(history.move_of.__getitem__, copies):
            found.update(int(placed.node[a]) for a in history.users(move.target))
            for writer in history.writers(move.source):
                node = int(placed.node[writer])
                if lanes.lane[node] == stream and lanes.position[node] > gate:
                    inputs = self._inputs(int(placed.op[writer]))
                    own = [n for n in inputs if lanes.lane[n] == stream]
                    if all(lanes.position[n] <= gate for n in own):
                        found.update(inputs)
                        continue
                found.add(node)
        return found

    def _inputs(self, op: int) -> set[int]:
        """Give the nodes that last wrote what an op reads."""
        placed, history = self.lanes.order.placed, self._history
        writers = (w for access in history.reads_of(op) for w in history.writers(access))
        return {int(placed.node[writer]) for writer in writers}
