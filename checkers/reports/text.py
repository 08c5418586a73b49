"""Findings as a person reads them: what, where, the two accesses side by side, why, and the fix.

The layout is made here, line by line, and rich only colours and prints it: names from a trace
must neither be read as markup nor push the columns apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from streamsan.checkers.reports.accesses import access_lines
from streamsan.checkers.reports.console import make_console, render, visible
from streamsan.checkers.reports.costs import KEYS, cost_lines

if TYPE_CHECKING:
    from rich.console import Console

    from streamsan.checkers.finding import Finding
    from streamsan.checkers.reports.summary import Located, Tally

COLOURS = {"error": "bold red", "warning": "bold yellow", "info": "bold cyan"}
INDENT = "  "
_TOLD = KEYS | {
    "accesses", "missing", "common", "nearly", "reuse", "directed", "machine", "schedule",
}  # fmt: skip
_MORE = 6
"""Further details of a rule that are shown."""


def findings_text(found: Sequence[Located], closing: Sequence[str]) -> str:
    """Give a block for each finding, in the order given, and the closing lines."""
    console = make_console()

    def parts() -> Iterator[Text]:
        for at in found:
            yield from _block(console, at)
            yield Text()
        for line in closing:
            yield from wrapped(console, Text(visible(line), "bold"), "")

    return render(console, parts())


def statistics_text(counts: Sequence[Tally], closing: Sequence[str]) -> str:
    """Give a table of the rules that spoke."""
    console = make_console()
    wide = max((len(tally.name) for tally in counts), default=0)

    def parts() -> Iterator[Text]:
        for tally in counts:
            line = Text(f"{tally.findings:6}  {tally.rule}  {tally.name:{wide}}  ")
            line.append(tally.severity, COLOURS[tally.severity])
            if tally.count > tally.findings:
                line.append(f"  ({tally.count} times in all)", "dim")
            yield line
        if counts:
            yield Text()
        for words in closing:
            yield from wrapped(console, Text(visible(words), "bold"), "")

    return render(console, parts())


def wrapped(console: Console, text: Text, indent: str, hanging: str = "") -> Iterator[Text]:
    """Break a paragraph into lines; those after the first stand ``hanging`` further in."""
    width = console.width - len(indent) - len(hanging)
    for i, line in enumerate(text.wrap(console, max(width, 20))):
        line.rstrip()
        yield Text(indent + hanging * bool(i)).append_text(line)


def _block(console: Console, at: Located) -> Iterator[Text]:
    finding = at.finding
    yield from wrapped(console, _head(finding), "", INDENT)
    # A path is left in one piece, so that it can be clicked and copied.
    yield Text.assemble(INDENT, ("--> ", "bold blue"), visible(at.path))
    yield from wrapped(console, Text(_subject(finding)), INDENT, INDENT)
    yield from wrapped(console, Text(visible(finding.message)), INDENT, INDENT)
    accesses = finding.details.get("accesses")
    if isinstance(accesses, list | tuple) and accesses:
        yield Text()
        yield from (
            Text(INDENT).append_text(line)
            for line in access_lines(accesses, console.width - len(INDENT))
        )
        yield Text()
    for label, words in _remarks(finding):
        line = Text.assemble((f"{label}: ", "bold"), visible(words))
        yield from wrapped(console, line, INDENT, INDENT)


def _head(finding: Finding) -> Text:
    head = Text.assemble(
        (f"{finding.severity}[{visible(finding.rule)}]", COLOURS[finding.severity]),
        (f" {visible(finding.name)}", "bold"),
        f" ({finding.confidence})",
    )
    if finding.count > 1:
        head.append(f"  x{finding.count}", "bold")
    return head


def _subject(finding: Finding) -> str:
    """Say which ops conflict how, and on which bytes."""
    words = visible(finding.kind)
    if finding.ops:
        noun = "op" if len(finding.ops) == 1 else "ops"
        words = f"{noun} {' and '.join(map(str, finding.ops))}: {words}"
    if finding.nodes:
        words += f" between nodes {' and '.join(map(str, finding.nodes))} of the graph"
    if finding.buffer is not None:
        words += f" on {visible(finding.buffer)}"
        if finding.range is not None:
            offset, length = finding.range
            words += f", bytes {offset} to {offset + length} ({_size(length)})"
    return words


def _size(length: int) -> str:
    value, unit = float(length), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":  # noqa: PLR2004
            break
        value /= 1024
    return f"{length} {unit}" if unit == "B" else f"{value:.4g} {unit}"


def _remarks(finding: Finding) -> Iterator[tuple[str, str]]:
    """Give what stands below the accesses: the evidence first, then what to do."""
    details = finding.details
    if words := details.get("missing"):
        yield "missing", str(words)
    if isinstance(common := details.get("common"), Mapping):
        yield "last common point", str(common.get("call", common.get("op")))
    if isinstance(near := details.get("nearly"), Mapping):
        yield "almost", str(near.get("words"))
    if isinstance(reuse := details.get("reuse"), Mapping):
        yield "reuse", _reuse(reuse, finding.buffer)
    yield from cost_lines(finding)
    further = [(k, v) for k, v in details.items() if k not in _TOLD and _is_plain(v)]
    if further:
        yield "details", ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in further[:_MORE])
    yield from _in_runs(finding)
    if finding.hint:
        yield "fix", finding.hint
    yield "explain", f"streamsan explain {finding.rule}"


def _in_runs(finding: Finding) -> Iterator[tuple[str, str]]:
    """Give what runs showed: of the program itself, and of the trace in the machine."""
    details = finding.details
    if words := details.get("directed"):
        yield "directed run", str(words)
    if words := details.get("machine"):
        yield "in the machine", str(words)
    for turn, words in enumerate(details.get("circle", ())):
        yield "it waits" if not turn else "and", str(words)
    if finding.witness is not None:
        yield "witness", _witness(finding.witness)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""


def _reuse(reuse: Mapping[str, Any], buffer: str | None) -> str:
    former, free, malloc = reuse.get("former"), reuse.get("free"), reuse.get("malloc")
    return f"{former}, freed by op {free}, had the memory that {buffer} got by op {malloc}"


def _witness(witness: Mapping[str, Any]) -> str:
    got = witness.get("words") or [
        "what was there before" if writer is None else f"what op {writer} wrote"
        for writer in witness.get("got", ())
    ]
    runs = " and ".join(map(str, witness.get("schedules", ())))
    reader = witness.get("reader")
    who = "in the end there is" if reader is None else f"op {reader} sees"
    return f"{who} {' or '.join(map(str, got))}; schedules {runs}"
