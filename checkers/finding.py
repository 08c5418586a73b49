"""What a rule says: findings, and answers it cannot give."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]
Confidence = Literal["certain", "possible"]

RANK: dict[str, int] = {"info": 0, "warning": 1, "error": 2}
"""Severities by weight."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause of one hazard; the JSON shape is that of trace-format.md.

    ``ops`` are op ids in issue order, ``range`` is ``(offset, length)`` in bytes of ``buffer`` or
    None where the size is not known, ``streams`` name the lines of ``ops``. ``fix`` is one edge to
    add or one op to remove. ``details`` is free evidence for renderers. ``count`` counts repeats
    of the same pair of sites on the same buffer.
    """

    rule: str
    name: str
    severity: Severity
    confidence: Confidence
    kind: str
    ops: tuple[int, ...]
    message: str
    hint: str
    buffer: str | None = None
    range: tuple[int, int] | None = None
    streams: tuple[str, ...] = ()
    nodes: tuple[int, ...] | None = None
    fix: dict[str, Any] | None = None
    details: dict[str, Any] = field(default_factory=dict)
    count: int = 1
    fingerprint: str = ""
    witness: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Give the object that ``lint --format json`` prints."""
        shape: dict[str, Any] = {
            "rule": self.rule, "name": self.name, "severity": self.severity,
            "confidence": self.confidence, "kind": self.kind, "ops": list(self.ops),
            "buffer": self.buffer, "range": None if self.range is None else list(self.range),
            "streams": list(self.streams), "message": self.message, "hint": self.hint,
            "count": self.count, "fingerprint": self.fingerprint, "details": self.details,
            "fix": self.fix, "witness": self.witness,
        }  # fmt: skip
        if self.nodes is not None:
            shape["nodes"] = list(self.nodes)
        return shape

    def possible(self) -> Finding:
        """Give the same finding, not certain."""
        return replace(self, confidence="possible")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A rule that cannot say ``clean``, and why."""

    rule: str
    reason: str


def fingerprint(rule: str, kind: str, *parts: str) -> str:
    """Give a short identity of a cause, free of op ids, addresses and line numbers."""
    text = "\0".join((rule, kind, *parts))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
