"""A recorded trace with the times and the gaps that the profiler adds to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from streamsan.traces.formats import load, save
from streamsan.traces.model import Gap, Trace
from streamsan.traces.recorder.matching import File, Matched, match, works_of

_NAMED = 20
"""Names of activities that are told one by one."""


def checked(trace: Trace, file: File) -> tuple[Trace, Matched]:
    """Give ops their device times; what the recorder missed makes the trace incomplete."""
    found = match(works_of(trace), file)
    begin, end = trace.begin.copy(), trace.end.copy()
    if found.spans:
        ops = np.fromiter(found.spans, np.int64, len(found.spans))
        begin[ops] = [span.begin for span in found.spans.values()]
        end[ops] = [span.end for span in found.spans.values()]
    gaps = list(trace.gaps)
    for told, names in (
        ("the device ran {}, which is no recorded op", found.unmatched),
        ("the device ran {} on another stream than was recorded", found.elsewhere),
    ):
        gaps += [Gap(told.format(_short(name)), n, None) for name, n in names.most_common(_NAMED)]
        rest = sum(n for _, n in names.most_common()[_NAMED:])
        if rest:
            gaps.append(Gap(told.format("others"), rest, None))
    header = trace.header
    if found.unmatched or found.elsewhere:
        complete = msgspec.structs.replace(header.complete, accesses=False)
        header = msgspec.structs.replace(header, complete=complete)
    return replace(trace, begin=begin, end=end, gaps=tuple(gaps), header=header), found


def check_file(path: Path, file: File) -> Matched:
    """Check the trace in a file, and write it again with what was found."""
    trace, found = checked(load(path), file)
    save(trace, path, "jsonl")
    return found


_SHORT = 80


def _short(name: str) -> str:
    return name if len(name) <= _SHORT else name[: _SHORT - 3] + "..."
