"""``streamsan.record`` on the simulated device: its own record, from that moment on, to a file."""

from __future__ import annotations

import torch

from streamsan import __version__
from streamsan.sim.device.record import Recorder
from streamsan.sim.device.runtime import RT
from streamsan.traces import ops as o
from streamsan.traces.recorder import sources
from streamsan.traces.recorder.cut import Cut
from streamsan.traces.recorder.errors import RecordError
from streamsan.traces.recorder.journal import Journal

_NEW_RUN = "a new run of the simulated device began while recording: what followed is not here"


class DeviceWatch:
    """Lets every op of the device's record go into a journal as well."""

    def __init__(self, deepest: int) -> None:
        self._deepest = deepest
        self._recorder: Recorder | None = None
        self._journal: Journal | None = None
        self._sites = RT.sites

    def text(self, number: int) -> tuple[str, ...]:
        """Give a stack of the device's record."""
        return self._sites.table[number][: self._deepest]

    def header(self) -> o.Header:
        """Give the simulated devices."""
        return o.Header(
            source="simulated",
            devices=tuple({"id": i, "name": "simcuda"} for i in range(RT.config.devices)),
            versions={"torch": str(torch.__version__), "streamsan": __version__},
        )

    def begin(self, journal: Journal) -> None:
        """Tell of what lives, then of every op.

        Raises:
            RecordError: the run of the device is not recorded.
        """
        with RT.lock:
            RT.flush()
            recorder = RT.recorder
            if not recorder.keep:
                raise RecordError("the device runs with record=False: there is no record")
            self._recorder, self._journal, self._sites = recorder, journal, RT.sites
            for op in _living(recorder):
                journal.put(op)
            plain = recorder.add

            def add(op: o.OpBase) -> int:
                journal.put(_copy(op))
                return plain(op)

            recorder.add = add  # type: ignore[method-assign]
            RT.pageable._record = add  # noqa: SLF001
            RT.listeners.append(self._restarted)

    def _restarted(self) -> None:
        """Say that the record ended: names begin anew with a run."""
        if self._journal is not None:
            for fact in ("accesses", "host", "sync", "memory"):
                self._journal.gap(fact, _NEW_RUN)

    def end(self) -> None:
        """Write no more."""
        with RT.lock:
            RT.flush()
            if self._restarted in RT.listeners:
                RT.listeners.remove(self._restarted)
            if self._recorder is not None:
                vars(self._recorder).pop("add", None)
                if RT.recorder is self._recorder:
                    RT.pageable._record = self._recorder.add  # noqa: SLF001
            self._recorder = self._journal = None


def _copy(op: o.OpBase) -> o.OpBase:
    """Copy an op: the writer numbers its site anew."""
    return type(op)(**{name: getattr(op, name) for name in op.__struct_fields__})


def _living(recorder: Recorder) -> list[o.OpBase]:
    """Give the ops by which what lives becomes known: streams, memory, events, open regions."""
    cut = Cut()
    for op in recorder._ops:  # noqa: SLF001 - the record is the device's, as this is
        cut.absorb(op)
    return [_copy(op) for op in cut.head()[1:]]


def offer() -> None:
    """Let recordings go through the device from now on."""
    sources.register(DeviceWatch)


def prepare() -> None:
    """Let a program that says ``cuda`` run here: what ``streamsan record --sim`` calls first."""
    from streamsan.sim.device.cuda_names import redirect_cuda  # they import this module
    from streamsan.sim.device.install import install

    install()
    redirect_cuda()
