"""What rules may ask for, each made once and only if some rule asks.

The attribute names are the parameter names of the rules' functions.
"""

from __future__ import annotations

from functools import cached_property

from streamsan.checkers.facts.blocking import Blocking
from streamsan.checkers.facts.chains import Chains
from streamsan.checkers.facts.conflicts import Conflict, find_conflicts
from streamsan.checkers.facts.cycles import Cycle, find_cycles
from streamsan.checkers.facts.downloads import Downloads
from streamsan.checkers.facts.events import Waits
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.graph_races import GraphRace, graph_races
from streamsan.checkers.facts.history import History
from streamsan.checkers.facts.lanes import Lanes
from streamsan.checkers.facts.lifetimes import Lifetimes
from streamsan.checkers.facts.prices import Prices
from streamsan.checkers.facts.regions import HotRegions
from streamsan.checkers.facts.returns import Returns
from streamsan.checkers.facts.slots import SlotUse, slot_uses
from streamsan.checkers.facts.versions import Versions
from streamsan.checkers.facts.waste import Wastes
from streamsan.checkers.settings import Settings
from streamsan.traces import Trace
from streamsan.traces.order import HappensBefore


class Facts:
    """Everything known of one trace under one reading of the documents."""

    def __init__(self, trace: Trace, order: HappensBefore, settings: Settings) -> None:
        """Keep what the rest is made from."""
        self.trace = trace
        self.order = order
        self.settings = settings

    @cached_property
    def evidence(self) -> Evidence:
        """Makes findings: lines, stacks, the last common point, the narrowest fix."""
        return Evidence(self.order)

    @cached_property
    def conflicts(self) -> list[Conflict]:
        """Unordered conflicting pairs of ops, one per cause."""
        return find_conflicts(self.order, every=self.settings.every)

    @cached_property
    def waits(self) -> Waits:
        """Events, their generations and the waits on them."""
        return Waits(self.order)

    @cached_property
    def lifetimes(self) -> Lifetimes:
        """Blocks, their ends, and what was in flight then."""
        return Lifetimes(self.order)

    @cached_property
    def hot(self) -> HotRegions:
        """Which ops stand in a hot region."""
        return HotRegions(self.trace, self.settings.hot_regions)

    @cached_property
    def cycles(self) -> list[Cycle]:
        """Waits that can never be met, as cycles."""
        return find_cycles(self.order)

    @cached_property
    def slot_uses(self) -> list[SlotUse]:
        """Reads and takings of slots."""
        return slot_uses(self.trace)

    @cached_property
    def blocking(self) -> Blocking:
        """Copies at which the host waits, and what they have to drain."""
        return Blocking(self.lanes)

    @cached_property
    def lanes(self) -> Lanes:
        """Who knows of what along each lane, and what is work."""
        return Lanes(self.order)

    @cached_property
    def history(self) -> History:
        """Who wrote and who read the bytes that copies move between host and device."""
        return History(self.order)

    @cached_property
    def wastes(self) -> Wastes:
        """Waits that wait for more than what comes after them needs."""
        return Wastes(self.lanes, self.blocking.pairs)

    @cached_property
    def chains(self) -> Chains:
        """Host waits for a value that was ready, behind work that its stream has inherited."""
        return Chains(self.lanes, self.blocking, self.wastes)

    @cached_property
    def downloads(self) -> Downloads:
        """Downloads whose bytes nobody reads."""
        return Downloads(self.lanes, self.history)

    @cached_property
    def returns(self) -> Returns:
        """Copies that carry bytes to where they are already."""
        return Returns(self.history)

    @cached_property
    def prices(self) -> Prices:
        """What a wait or a copy costs, in bytes and in times where the trace has them."""
        return Prices(self.lanes, self.blocking, self.history)

    @cached_property
    def versions(self) -> Versions:
        """Copies into the same bytes, one after another."""
        return Versions(self.order)

    @cached_property
    def graph_races(self) -> list[GraphRace]:
        """Conflicts between nodes of one graph."""
        return graph_races(self.trace)
