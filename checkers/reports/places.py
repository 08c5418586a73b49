"""Where in the source a finding is: for outputs that point at a file and a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from streamsan.checkers.frames import Frame, own, parse
from streamsan.checkers.reports.console import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streamsan.checkers.policy.policy import Policy
    from streamsan.checkers.reports.summary import Located

_FIRST_OP = 2
"""The line of op 0 in a trace in JSON Lines: a header stands above it."""


class Place(NamedTuple):
    """A line of a file; ``inside`` where ``file`` is a path from the root of the repository.

    ``in_source`` is false where it is the trace that is pointed at, for lack of a stack.
    """

    file: str
    line: int
    function: str = ""
    inside: bool = True
    in_source: bool = True


def place_of(at: Located, policy: Policy) -> Place:
    """Give the innermost frame of the later access that lies in the repository.

    Without one, of the earlier access; without any stack, the op's line in the trace.
    """
    accesses = list(at.finding.details.get("accesses") or ())
    for access in reversed(accesses):
        for frame in own(_stack(access)):
            place = frame_place(frame, policy)
            if place.inside:
                return place
    return _in_trace(at, policy)


def access_place(access: Mapping[str, Any], policy: Policy) -> Place | None:
    """Give the innermost frame of one access, in the repository if one is; None without a stack."""
    places = [frame_place(frame, policy) for frame in own(_stack(access))]
    return next((place for place in places if place.inside), places[0] if places else None)


def frame_place(frame: Frame, policy: Policy) -> Place:
    """Give the place of one frame."""
    inside = None if frame.is_library else policy.source_of(frame.file)
    file = visible(inside or frame.file)
    return Place(file, max(frame.line, 1), visible(frame.function), inside is not None)


def stack_places(access: Mapping[str, Any], policy: Policy) -> list[Place]:
    """Give the places of a whole stack, innermost first."""
    return [frame_place(parse(text), policy) for text in _stack(access)]


def _stack(access: Mapping[str, Any]) -> Iterable[str]:
    return [str(frame) for frame in access.get("stack") or ()]


def _in_trace(at: Located, policy: Policy) -> Place:
    finding = at.finding
    plain = at.path.endswith(".jsonl") and finding.ops
    line = finding.ops[-1] + _FIRST_OP if plain else 1
    inside = policy.source_of(at.path) if at.path != "-" else "stdin"
    return Place(visible(inside or at.path), line, "", inside is not None, in_source=False)
