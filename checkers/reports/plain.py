"""A finding as plain lines, without a layout: for logs, test reports and annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from streamsan.checkers.frames import parse
from streamsan.checkers.reports.console import visible

if TYPE_CHECKING:
    from streamsan.checkers.finding import Finding

FRAMES = 8


def title(finding: Finding) -> str:
    """Give rule, name and buffer: ``SO112 staging-overwrite on h_pos``."""
    on = "" if finding.buffer is None else f" on {finding.buffer}"
    return visible(f"{finding.rule} {finding.name}{on}")


def finding_lines(finding: Finding) -> Iterator[str]:
    """Give what a person needs: what, the accesses with their stacks, why, the fix."""
    yield visible(finding.message)
    for access in finding.details.get("accesses") or ():
        yield ""
        yield visible(access_words(access))
        stack = _shown([str(frame) for frame in access.get("stack") or ()])
        yield from (visible(f"    {frame}") for frame in stack[:FRAMES])
        if len(stack) > FRAMES:
            yield f"    ... {len(stack) - FRAMES} more"
    yield ""
    if words := finding.details.get("missing"):
        yield visible(f"missing: {words}")
    if isinstance(near := finding.details.get("nearly"), Mapping):
        yield visible(f"almost: {near.get('words')}")
    if finding.hint:
        yield visible(f"fix: {finding.hint}")
    if finding.count > 1:
        yield f"seen {finding.count} times"
    yield f"explain: streamsan explain {visible(finding.rule)}"


def _shown(stack: list[str]) -> list[str]:
    """Leave out the frames of libraries, such as those of a test runner, unless all are."""
    return [text for text in stack if not parse(text).is_library] or stack


def access_words(access: Mapping[str, Any]) -> str:
    """Say one access in a line: ``op 5 (memcpy) reads on stream fwd, issued by main``."""
    line, thread = str(access.get("line", "")), str(access.get("thread", ""))
    place = line if ":" in line or not line else f"stream {line}"
    does = access.get("does")
    words = f"op {access.get('op')} ({access.get('name')})"
    words += f" {does} on {place}" if does else f" on {place}"
    return words + (f", issued by {thread}" if thread and line != f"host:{thread}" else "")


def report_text(findings: Sequence[Finding]) -> str:
    """Give a block for each finding, as the message of an exception or a failed test."""
    blocks = []
    for each in findings:
        head = f"{each.severity}[{each.rule}] {title(each).partition(' ')[2]} ({each.confidence})"
        body = (f"  {line}".rstrip() for line in finding_lines(each))
        blocks.append("\n".join([head, *body]))
    return "\n\n".join(blocks)
