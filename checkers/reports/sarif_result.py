"""A finding as SARIF's result."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from streamsan.checkers.policy.comments import source_text
from streamsan.checkers.reports.console import visible
from streamsan.checkers.reports.places import Place, access_place, place_of, stack_places
from streamsan.checkers.reports.plain import access_words
from streamsan.checkers.reports.sarif_rules import LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamsan.checkers.policy.policy import Policy
    from streamsan.checkers.reports.summary import Located

FRAMES = 24
"""Frames of a stack that are written: GitHub shows 1 000 steps of a result."""
NO_STACK = "The trace holds no stack for it, so this points at the trace."


def result_of(
    at: Located,
    policy: Policy,
    *,
    rule_index: int,
    ordinal: int,
    traces: Sequence[str],
    state: str | None,
    with_stacks: bool = True,
) -> dict[str, Any]:
    """Give the result; ``ordinal`` counts findings of one fingerprint."""
    finding, place = at.finding, place_of(at, policy)
    accesses = list(finding.details.get("accesses") or ())
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "kind": "fail",
        "level": LEVELS[finding.severity],
        "message": {"text": _message(at, place, accesses)},
        "locations": [_location(place, policy)],
        "partialFingerprints": {
            "primaryLocationLineHash": f"{finding.fingerprint or finding.rule}:{ordinal}",
            "streamsanFinding/v1": finding.fingerprint or finding.rule,
        },
        "occurrenceCount": finding.count,
        "properties": {
            "confidence": finding.confidence,
            "kind": visible(finding.kind),
            "ops": list(finding.ops),
            "traces": [visible(trace) for trace in traces[:100]],
            **({} if finding.buffer is None else {"buffer": visible(finding.buffer)}),
        },
    }
    if state is not None:
        result["baselineState"] = state
    related = _related(accesses, policy)
    if related:
        result["relatedLocations"] = related
    if any(access.get("stack") for access in accesses):
        result["codeFlows"] = [{"threadFlows": [_flow(a, at, policy) for a in accesses[:2]]}]
    if with_stacks and "codeFlows" in result:
        result["stacks"] = [_stack(a, policy) for a in accesses if a.get("stack")]
    return result


def _message(at: Located, place: Place, accesses: Sequence[Mapping[str, Any]]) -> str:
    finding = at.finding
    parts = [_quoted(visible(finding.message)).rstrip(".") + "."]
    if finding.hint:
        parts.append(f"Fix: {_quoted(visible(finding.hint)).rstrip('.')}.")
    links = [
        f"[op {access.get('op')}]({i})"
        for i, access in enumerate(accesses, 1)
        if access.get("stack")
    ]
    if links:
        parts.append(f"See {' and '.join(links)}.")
    if not place.in_source:
        parts.append(NO_STACK)
    return " ".join(parts)


def _quoted(text: str) -> str:
    """Let nothing in a text be read as a link: SARIF 2.1.0, 3.11.6."""
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def _location(place: Place, policy: Policy) -> dict[str, Any]:
    return dict(_shared(place, policy.root))


@lru_cache(1 << 14)
def _shared(place: Place, root: Path) -> dict[str, Any]:
    """Give the location of a place: stacks of many findings have most of them in common."""
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": _artifact(place),
            "region": _region(place, root),
        }
    }
    if place.function:
        name = {"fullyQualifiedName": place.function, "kind": "function"}
        location["logicalLocations"] = [name]
    return location


def _artifact(place: Place) -> dict[str, Any]:
    path = quote(place.file, errors="backslashreplace")
    if place.inside:
        return {"uri": path, "uriBaseId": "%SRCROOT%"}
    return {"uri": f"file://{path}" if path.startswith("/") else path}


def _region(place: Place, root: Path) -> dict[str, Any]:
    """Give one line: an annotation is shown only where all lines of a region have changed."""
    region = {
        "startLine": place.line, "startColumn": 1, "endLine": place.line, "endColumn": 2,
    }  # fmt: skip
    text = source_text(root / place.file) if place.inside and place.in_source else None
    if text is None:
        return region
    lines = text.decode("utf-8", "replace").split("\n")
    line = lines[place.line - 1].rstrip() if place.line <= len(lines) else ""
    if not line.strip():
        return region
    start = len(line) - len(line.lstrip()) + 1
    return {
        **region,
        "startColumn": start,
        "endColumn": len(line) + 1,
        "snippet": {"text": visible(line[start - 1 :])},
    }


def _related(accesses: Sequence[Mapping[str, Any]], policy: Policy) -> list[dict[str, Any]]:
    """Give the place of each access, by the number that the message links to."""
    found = []
    for i, access in enumerate(accesses, 1):
        if (place := access_place(access, policy)) is not None:
            said = {"text": _quoted(visible(access_words(access)))}
            found.append({"id": i, **_location(place, policy), "message": said})
    return found


def _flow(access: Mapping[str, Any], at: Located, policy: Policy) -> dict[str, Any]:
    """Give how a thread came to an access: from the outermost frame to the op itself.

    The ops of both flows have the same place in time: nothing orders them.
    """
    places = stack_places(access, policy)[:FRAMES][::-1]
    steps: list[dict[str, Any]] = []
    for depth, place in enumerate(places):
        said = {"text": _quoted(f"calls {places[depth + 1].function}")} if (
            depth + 1 < len(places) and places[depth + 1].function) else None  # fmt: skip
        steps.append(_step(place, policy, depth, said))
    place = places[-1] if places else place_of(at, policy)
    last = _step(place, policy, len(places), {"text": _quoted(visible(access_words(access)))})
    last["importance"] = "essential"
    last["executionOrder"] = FRAMES + 1
    return {"id": visible(str(access.get("line", ""))) or "?", "locations": [*steps, last]}


def _step(
    place: Place, policy: Policy, depth: int, message: dict[str, Any] | None
) -> dict[str, Any]:
    location = _location(place, policy)
    if message is not None:
        location["message"] = message
    return {"location": location, "nestingLevel": depth, "executionOrder": depth + 1}


def _stack(access: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
    frames = [
        {"location": _location(place, policy)} for place in stack_places(access, policy)[:FRAMES]
    ]
    return {"message": {"text": _quoted(visible(access_words(access)))}, "frames": frames}
