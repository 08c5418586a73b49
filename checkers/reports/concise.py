"""One line a finding, for editors, ``grep`` and programs that read along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsan.checkers.reports.console import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamsan.checkers.reports.summary import Located


def concise_lines(found: Sequence[Located]) -> Iterator[str]:
    """Give ``PATH:OP: CODE severity name: message [help: hint]`` for each finding."""
    for at in found:
        finding = at.finding
        place = f"{at.path}:{finding.ops[-1]}" if finding.ops else at.path
        line = f"{place}: {finding.rule} {finding.severity} {finding.name}: {finding.message}"
        if finding.count > 1:
            line += f" (x{finding.count})"
        if finding.confidence == "possible":
            line += " (possible)"
        if finding.hint:
            line += f" [help: {finding.hint}]"
        yield visible(line) + "\n"
