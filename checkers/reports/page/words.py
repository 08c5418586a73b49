"""What a finding says in one breath: the first line that a reader of the page sees."""

from __future__ import annotations

from streamsan.checkers.finding import Finding

PAIR = 2
_LONGEST = 60
_RACES = {
    "RAW": "{b} may read {what} before {a} has written it",
    "WAR": "{b} may overwrite {what} while {a} still reads it",
    "WAW": "{a} and {b} both write {what}, and either may come last",
}
_FREES = "{b} gives {what} back while {a} may still use it"


def headline(finding: Finding) -> str:
    """Say what goes wrong, without op numbers; the rule's own message where none fits."""
    form = _FREES if finding.rule == "SO201" else _RACES.get(finding.kind)
    if form is None or len(finding.ops) != PAIR or len(finding.streams) != PAIR:
        return finding.message
    if finding.nodes is not None:
        return finding.message
    lines = [_line(each) for each in finding.streams]
    if lines[0] == lines[1]:
        lines = [f"{line} (op {op})" for line, op in zip(lines, finding.ops, strict=True)]
    text = form.format(a=lines[0], b=lines[1], what=_short(finding.buffer or "memory"))
    return text[:1].upper() + text[1:] + "."


def _line(label: str) -> str:
    kind, colon, name = label.partition(":")
    if colon and kind == "host":
        return f"host thread {_short(name)}"
    if colon and kind == "agent":
        return f"agent {_short(name)}"
    return f"stream {_short(label)}"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 3] + "..."
