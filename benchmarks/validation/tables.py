"""The results as Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from validation.folder import Folder

Rows = list[dict[str, Any]]


def tables(folder: Folder) -> str:
    """Write a section for every part that has a result."""
    return "\n".join(line for name, write in _SECTIONS.items()
                     if (found := folder.read(f"{name}.json")) is not None
                     for line in (f"## {name}", "", *write(found), ""))  # fmt: skip


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Write a table."""
    yield _line(heads)
    yield "|" + "---|" * len(heads)
    yield from (_line(row) for row in rows)


def _line(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(_cell(each) for each in cells) + " |"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _facts(result: dict[str, Any]) -> Iterator[str]:
    yield from table(("", ""), result["rows"].items())


def _plain(result: dict[str, Any]) -> Iterator[str]:
    """Write what the part says besides its tables, then each table with all its columns."""
    lists = {key: value for key, value in result.items() if _is_table(value)}
    facts = {k: v for k, v in result.items() if k not in {"part", "device", *lists}}
    yield ", ".join(f"{name}: {_cell(value)}" for name, value in facts.items())
    for name, rows in lists.items():
        if rows and name != "differences":  # these are rows of the others
            heads = list(dict.fromkeys(key for row in rows for key in row))
            yield from ("", f"### {name}", "")
            yield from table(heads, ([row.get(key) for key in heads] for row in rows))


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _recordings(result: dict[str, Any]) -> Iterator[str]:
    rows: Rows = result["rows"]
    buggy = [row for row in rows if row["variant"] == "buggy"]
    fixed = [row for row in rows if row["variant"] == "fixed"]
    yield (
        f"{_share(buggy)} bugs found, {_share(fixed)} correct programs silent; "
        f"{result['matched']} of {result['activities']} activities of the device are recorded ops."
    )
    yield ""
    heads = ("scenario", "variant", "as predicted", "ops", "activities", "not recorded", "findings")
    yield from table(heads, (
        (row["scenario"], row["variant"], row["good"], row.get("ops"),
         row.get("activities", {}).get("all"), row.get("missed") or None,
         row.get("error") or row.get("rules")) for row in rows
    ))  # fmt: skip


def _share(rows: Rows) -> str:
    return f"{sum(row['good'] for row in rows)} of {len(rows)}"


def _clock(result: dict[str, Any]) -> Iterator[str]:
    rows: Rows = result["rows"]
    found = [(row["scenario"], row["variant"], each) for row in rows
             for each in row["contradictions"]]  # fmt: skip
    closest = min(
        (row["closest_ns"] for row in rows if row["closest_ns"] is not None), default=None
    )
    yield (
        f"{result['checked']} ops in {len(rows)} traces, tolerance {result['tolerance_ns']} ns: "
        f"{len(found)} contradictions; closest {closest} ns."
    )
    if found:
        yield ""
        yield from table(("scenario", "variant", "contradiction"), found)


def _hazards(result: dict[str, Any]) -> Iterator[str]:
    rows: Rows = result["rows"]
    shown = [row for row in rows if row["buggy"]]
    yield (
        f"{sum(any(e.get('kind') for e in row['buggy'].values()) for row in shown)} of "
        f"{len(shown)} bugs reproduced; {sum(not _failures(row) for row in rows)} of {len(rows)} "
        "fixed programs never failed."
    )
    yield ""
    heads = ("scenario", "predicted", "allocator", "reproduced", "delay before", "also without",
             "tries", "what", "fixed: tries", "fixed: failures")  # fmt: skip
    yield from table(heads, (_hazard(row, name) for row in rows for name in row["fixed"]))


def _failures(row: dict[str, Any]) -> int:
    return sum(len(each.get("failures", [])) for each in row["fixed"].values())


def _hazard(row: dict[str, Any], allocator: str) -> tuple[Any, ...]:
    buggy, fixed = row["buggy"].get(allocator, {}), row["fixed"][allocator]
    kind = buggy.get("kind") or ("no" if buggy else None)
    return (
        row["scenario"], ", ".join(row["rules"]) or "silent", allocator, kind,
        buggy.get("delay"), buggy.get("undelayed"), buggy.get("tries"),
        buggy.get("told") or buggy.get("error"),
        fixed.get("tries"), fixed.get("error") or len(fixed.get("failures", [])),
    )  # fmt: skip


_SECTIONS: dict[str, Callable[[dict[str, Any]], Iterator[str]]] = {
    "provenance": _facts, "copies": _plain, "questions": _plain, "suite": _plain,
    "recordings": _recordings, "clock": _clock, "hazards": _hazards, "costs": _plain,
    "overhead": _plain, "endurance": _plain,
}  # fmt: skip
