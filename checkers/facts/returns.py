"""Copies that carry bytes to where they are already (SO502, SO503, SO504)."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from streamsan.checkers.facts.history import History, Move

MOST_USES = 2
"""The uses of a download that a round trip may have: the upload, and nothing after it."""


class Pair(NamedTuple):
    """Two copies, of which the second brings nothing new. ``how`` says what shows it."""

    first: Move
    second: Move
    how: str


class Returns:
    """Looks for copies of what is there. Memory that host code may touch unseen is left out."""

    def __init__(self, history: History) -> None:
        """Keep the history."""
        self.history = history
        self.trace = history.trace
        self.placed = history.order.placed

    def _place(self, access: int) -> int:
        return int(self.placed.place[access])

    def _only_writer(self, access: int) -> Move | None:
        """Give the copy that wrote all the bytes of an access, if one did, into this buffer."""
        oldest, newest = self.history.writes_before(access, self._place(access))
        move = self.history.move_into.get(newest) if oldest == newest else None
        if move is None or self.placed.buffer[move.target] != self.placed.buffer[access]:
            return None
        return move

    @cached_property
    def again(self) -> list[Pair]:
        """Uploads of what the destination holds, with the upload that brought it (SO502)."""
        found = []
        for second in self.history.moves:
            first = self._only_writer(second.target) if second.kind == "H2D" else None
            if first is None or first.kind != "H2D":
                continue
            if self.history.same_bytes(self._place(first.target), self._place(second.target)):
                how = self._equal(first, second)
                if how is not None:
                    found.append(Pair(first, second, how))
        return found

    def _equal(self, first: Move, second: Move) -> str | None:
        """Say what shows that two uploads carry the same bytes: their digests, or their source."""
        digests = [self.trace[move.op].extras.get("digest") for move in (first, second)]
        if None not in digests:
            return "digest" if digests[0] == digests[1] else None
        one, two = self._place(first.source), self._place(second.source)
        if self.placed.buffer[first.source] != self.placed.buffer[second.source]:
            return None
        if self.history.escaped[one] or not self.history.same_bytes(one, two):
            return None
        same = self.history.unchanged(two, first.source, second.source)
        return "version" if same else None

    @cached_property
    def there_and_back(self) -> list[Pair]:
        """Uploads of unmodified downloads whose device source is live and the same (SO503)."""
        found = []
        for up in self.history.moves:
            down = self._only_writer(up.source) if up.kind == "H2D" else None
            if down is None or down.kind != "D2H" or self.history.escaped[self._place(up.source)]:
                continue
            source = self._place(down.source)
            free = int(self.trace.buffers.free[int(self.placed.buffer[down.source])])
            is_live = free < 0 or free > up.op
            if is_live and self.history.unchanged(source, down.source, up.source):
                found.append(Pair(down, up, "version"))
        return found

    def spared(self, pair: Pair) -> tuple[int, ...]:
        """Give the copies that a round trip can do without: the way down, too, if only it uses it.

        Anything else that reads the bytes before they are written again needs the way down.
        """
        down, up, _ = pair
        place, use = self._place(down.target), down.target
        for _ in range(MOST_USES):
            uses = self.history.next_uses(use, place)
            later = {u for u in uses if u >= 0 and not self.placed.write[u]}
            if not later:
                return (down.op, up.op)
            if later != {up.source}:
                break
            use = up.source
        return (up.op,)

    @cached_property
    def back_unmodified(self) -> list[Pair]:
        """Downloads to where the device's bytes were loaded from, neither modified (SO504)."""
        found = []
        for down in self.history.moves:
            up = self._only_writer(down.source) if down.kind == "D2H" else None
            if up is None or up.kind != "H2D" or not self._goes_back(up, down):
                continue
            target = self._place(down.target)
            if not self.history.escaped[target] and self.history.unchanged(
                target, up.source, down.target
            ):
                found.append(Pair(up, down, "version"))
        return found

    def _goes_back(self, up: Move, down: Move) -> bool:
        """Whether a download takes bytes to the very place that an upload took them from."""
        if self.placed.buffer[up.source] != self.placed.buffer[down.target]:
            return False
        host = (self._place(up.source), self._place(down.target))
        device = (self._place(up.target), self._place(down.source))
        if self.history.same_bytes(*host) and self.history.same_bytes(*device):
            return True
        places, strided = self.placed.places, self.trace.ranges.strided
        if any(strided[int(places.range[p])] >= 0 for p in (*host, *device)):
            return False
        (a, b), (c, d) = [[int(places.low[p]) for p in pair] for pair in (device, host)]
        lengths = [int(places.high[p] - places.low[p]) for p in (device[1], host[1])]
        return b - a == d - c and lengths[0] == lengths[1]
