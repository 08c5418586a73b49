"""A recording written as it happens."""

from __future__ import annotations

from collections import Counter

import msgspec

from streamsan.traces import ops as o
from streamsan.traces.recorder.journal import ENCODER, SiteTable
from streamsan.traces.recorder.region import GrowingFile, header_bytes


class Gaps:
    """What was not seen, each reason once, and which facts are therefore not complete."""

    def __init__(self) -> None:
        self.complete = o.Complete()
        self._times: Counter[str] = Counter()

    def add(self, fact: str | None, reason: str) -> bool:
        """Count a reason; ``fact`` is no longer complete. True where the reason is a new one."""
        if fact is not None:
            self.complete = msgspec.structs.replace(self.complete, **{fact: False})
        self._times[reason] += 1
        return self._times[reason] == 1

    @property
    def rows(self) -> list[dict[str, object]]:
        """The reasons as the header lists them."""
        return [{"reason": each, "times": n, "op": None} for each, n in self._times.items()]


class Growing:
    """Writes every op at once."""

    def __init__(self, file: GrowingFile, header: o.Header, sites: SiteTable) -> None:
        self._file = file
        self._header = header
        self._sites = sites
        self._gaps = Gaps()
        self._known = -1

    def add(self, ops: list[o.OpBase]) -> None:
        """Append ops, after the sites they need."""
        if len(self._sites.table) != self._known:
            self._write_header()
        self._file.append(ENCODER.encode_lines(ops))

    def gap(self, fact: str | None, reason: str) -> None:
        """Put a gap into the header."""
        if self._gaps.add(fact, reason):
            self._write_header()

    def flush(self) -> None:
        """Count the gaps anew: the ops are in the file already."""
        self._write_header()

    def close(self) -> None:
        """End the file."""
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        self._known = len(self._sites.table)
        header = msgspec.structs.replace(self._header, complete=self._gaps.complete)
        self._file.rewrite(header_bytes(header, self._sites.table, self._gaps.rows))
