"""The native format: JSON Lines, a header and then one op a line (trace-format.md).

Lines are decoded by the megabyte, straight into op values. Only where a chunk holds something out
of the ordinary (an unknown key, an empty line, a mistake, damage) is it gone through line by line.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from streamsan.traces import ops as o
from streamsan.traces.build import OpError, TraceBuilder, check_sites
from streamsan.traces.errors import TraceError
from streamsan.traces.formats import Format
from streamsan.traces.formats.container import MAX_LINE, paused_gc, whole_lines
from streamsan.traces.formats.header import check_gaps, parse_header
from streamsan.traces.formats.jsonl_line import NotJson, decode_line, decoder
from streamsan.traces.formats.jsonl_write import write
from streamsan.traces.model import Damage, Trace

_NEWLINE, _CLOSE, _OPEN = b"\n}{"


class Lost(NamedTuple):
    """Where reading had to end, and why."""

    reason: str
    line: int
    lines_after: int


class _Reader:
    """Ops so far, and the line of each."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.builder = TraceBuilder()
        self.line = 2
        self._starts: list[int] = []
        self._lines: list[int | array[int]] = []

    def add_chunk(self, chunk: bytes) -> Lost | None:
        """Add the ops of some whole lines; give the damage that ends the file, if any."""
        count, is_plain = _count_plain(chunk)
        if is_plain:
            try:
                ops = decoder().decode_lines(chunk)
            except (ValueError, RecursionError):
                ops = []
            if len(ops) == count:
                self._add(ops, self.line, {})
                self.line += count
                return None
        return self._add_lines(chunk, count)

    def _add_lines(self, chunk: bytes, count: int) -> Lost | None:
        ops: list[o.OpBase] = []
        lines = array("q")
        unknown: dict[int, dict[str, Any]] = {}
        lost = None
        given = chunk.split(b"\n") if chunk.strip() else []
        for number, line in enumerate(given, self.line):
            if not line.strip():
                continue
            try:
                op, more = decode_line(line)
            except NotJson as error:
                cut = number == self.line + len(given) - 1
                reason = "the last line is cut" if cut else f"the line is not JSON: {error}"
                after = sum(1 for rest in given[number - self.line + 1 :] if rest.strip())
                lost = Lost(reason, number, after)
                break
            except ValueError as error:
                raise TraceError(self.path, number, str(error)) from None
            if more:
                unknown[len(ops)] = more
            ops.append(op)
            lines.append(number)
        self._add(ops, lines, unknown)
        self.line += count
        return lost

    def _add(
        self, ops: Sequence[o.OpBase], lines: int | array[int], unknown: dict[int, dict[str, Any]]
    ) -> None:
        self._starts.append(self.builder.count)
        self._lines.append(lines)
        try:
            self.builder.add(ops, unknown)
        except OpError as error:
            raise self.mistake(error) from None

    def mistake(self, error: OpError) -> TraceError:
        """Name the line of an op that contradicts the format."""
        part = bisect_right(self._starts, error.op) - 1
        lines, place = self._lines[part], error.op - self._starts[part]
        line = lines + place if isinstance(lines, int) else lines[place]
        return TraceError(self.path, line, error.reason)


def _count_plain(chunk: bytes) -> tuple[int, bool]:
    """Count the lines; tell whether each one begins and ends as an object does.

    Then a line end is no part of an op, and as many ops as lines are one op for each line: the
    decoder alone would not insist on that.
    """
    codes = np.frombuffer(chunk, np.uint8)
    ends = np.flatnonzero(codes == _NEWLINE)
    inner = ends[:-1] if len(ends) and ends[-1] == len(codes) - 1 else ends
    plain = len(inner) == 0 or inner[0] > 0
    plain = plain and bool((codes[inner - 1] == _CLOSE).all() and (codes[inner + 1] == _OPEN).all())
    return len(inner) + 1, plain


def read(file: BinaryIO, path: str) -> Trace:
    """Read a trace; ``path`` is for messages.

    Raises:
        TraceError: the content contradicts the format. A line that is not JSON does not: it is
            damage, and what stands before it is the trace.
    """
    first = file.readline(MAX_LINE + 1)
    if len(first) > MAX_LINE:
        raise TraceError(path, 1, f"a line longer than {MAX_LINE >> 20} MiB")
    try:
        parsed = parse_header(first)
    except ValueError as error:
        raise TraceError(path, 1, str(error)) from None
    reader, damage = _Reader(path), parsed.damage
    with paused_gc():
        chunks = whole_lines(file, path, lambda: reader.line)
        for chunk in chunks:
            lost = reader.add_chunk(chunk)
            if lost is not None:
                after = _count_lines(chunks)
                total = None if after is None else lost.lines_after + after + 1
                damage = Damage(lost.reason, reader.builder.count, total, lost.line)
                break
    try:
        check_gaps(parsed.gaps, reader.builder.count)
        trace = reader.builder.finish(
            parsed.header, path, header_extras=parsed.extras, damage=damage, gaps=parsed.gaps
        )
        check_sites(trace)
    except OpError as error:
        raise reader.mistake(error) from None
    except ValueError as error:
        raise TraceError(path, 1, str(error)) from None
    return trace


def _count_lines(chunks: Iterator[bytes]) -> int | None:
    """Count the lines that are left, empty ones apart; None where they cannot be read either."""
    lines = chain.from_iterable(chunk.split(b"\n") for chunk in chunks)
    try:
        return sum(1 for line in lines if line.strip())
    except TraceError:
        return None


def sniff(head: bytes) -> bool:
    """Tell a streamsan trace by the word in its first line."""
    first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    return first.lstrip().startswith(b"{") and b'"streamsan-trace"' in first


FORMAT = Format("jsonl", (".jsonl",), sniff, read, write)

__all__ = ["FORMAT", "read", "sniff"]
