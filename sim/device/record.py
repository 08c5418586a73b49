"""The record of a run: ops in issue order, with their sites. The position of an op is its id."""

from __future__ import annotations

from streamsan import __version__
from streamsan.sim.device.sites import Sites
from streamsan.traces import ops as o
from streamsan.traces.build import TraceBuilder
from streamsan.traces.model import Trace


class Recorder:
    """Collects ops. With ``keep`` off it only numbers them, so that ids stay the same."""

    def __init__(self, sites: Sites, keep: bool = True) -> None:
        self.sites = sites
        self.keep = keep
        self.count = 0
        self._ops: list[o.OpBase] = []

    def add(self, op: o.OpBase) -> int:
        """Append an op and give its id."""
        number = self.count
        self.count = number + 1
        if self.keep:
            self._ops.append(op)
        return number

    def trace(self, devices: int, torch_version: str, path: str = "-") -> Trace:
        """Make the Trace of everything so far.

        Raises:
            ValueError: the run was not recorded.
        """
        if not self.keep:
            raise ValueError("this run was not recorded: it was started with record=False")
        builder = TraceBuilder()
        builder.add(self._ops)
        header = o.Header(
            source="simulated",
            complete=o.Complete(),
            devices=tuple({"id": i, "name": "simcuda"} for i in range(devices)),
            versions={"torch": torch_version, "streamsan": __version__},
            sites=tuple(self.sites.table),
        )
        return builder.finish(header, path)
