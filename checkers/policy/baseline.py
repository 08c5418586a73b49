"""A baseline: the findings that were there when a team began to look, by fingerprint.

JSON Lines: a header, then one line for each cause, sorted, so that two people who write it get
the same file and a merge is readable. ``findings`` is how many findings of one trace may carry
the fingerprint. ``reason`` is for people, and survives ``baseline write``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from streamsan.checkers.finding import Finding
from streamsan.checkers.policy.errors import PolicyError
from streamsan.checkers.policy.suppress import stacks_of

DEFAULT = "streamsan-baseline.jsonl"
FORMAT, VERSION = "streamsan-baseline", 1
"""The version is that of the fingerprints, too: other ones would match nothing."""
LONGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One cause that is known.

    Args:
        fingerprint: what it is called.
        rule: the rule's code.
        findings: how many findings of one trace may have the fingerprint.
        where: for people: function and buffer.
        reason: for people: why it is still there.
    """

    fingerprint: str
    rule: str
    findings: int
    where: str = ""
    reason: str = ""


Baseline = Mapping[str, Entry]


def entries_of(traces: Iterable[Iterable[Finding]]) -> dict[str, Entry]:
    """Make the entries of the findings of several traces.

    The same cause in eight traces (of eight ranks, say) is one cause: what counts is the trace
    that has most of it.
    """
    found: dict[str, Entry] = {}
    for findings in traces:
        kept = list(findings)
        counts = Counter(each.fingerprint for each in kept)
        for each in kept:
            entry = found.get(each.fingerprint)
            count = counts[each.fingerprint]
            if entry is None:
                found[each.fingerprint] = Entry(each.fingerprint, each.rule, count, _where(each))
            elif entry.findings < count:
                found[each.fingerprint] = replace(entry, findings=count)
    return found


def _where(finding: Finding) -> str:
    places = [stack[0].function or stack[0].stem for stack in stacks_of(finding) if stack]
    words = " and ".join(dict.fromkeys(places))
    return " on ".join(filter(None, (words, finding.buffer)))[:120]


def render(baseline: Baseline) -> str:
    """Give the text of a baseline."""
    lines = [json.dumps({"format": FORMAT, "version": VERSION})]
    for each in sorted(baseline.values(), key=lambda e: (e.rule, e.where, e.fingerprint)):
        shape: dict[str, Any] = {
            "rule": each.rule, "fingerprint": each.fingerprint, "findings": each.findings,
            "where": each.where,
        }  # fmt: skip
        if each.reason:
            shape["reason"] = each.reason
        lines.append(json.dumps(shape))
    return "\n".join(lines) + "\n"


def read(path: str) -> dict[str, Entry]:
    """Read a baseline.

    Raises:
        PolicyError: it cannot be read, is no baseline, or one of another version.
    """
    try:
        file = Path(path)
        if file.stat().st_size > LONGEST:
            raise PolicyError(path, None, "too long for a baseline")
        lines = file.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        hint = "no such baseline; `streamsan baseline write` makes one"
        raise PolicyError(path, None, hint) from None
    except OSError as error:
        raise PolicyError(path, None, error.strerror or str(error)) from None
    except ValueError:
        raise PolicyError(path, None, "not UTF-8, so no baseline") from None
    _check_header(path, _object(path, 1, lines[0]))
    found: dict[str, Entry] = {}
    for number, line in enumerate(lines[1:], 2):
        if line.strip():
            entry = _entry(path, number, _object(path, number, line))
            if entry.fingerprint in found:
                raise PolicyError(path, number, "this fingerprint stands here twice")
            found[entry.fingerprint] = entry
    return found


def _object(path: str, number: int, line: str) -> dict[str, Any]:
    try:
        shape = json.loads(line)
    except (ValueError, RecursionError):
        what = "no streamsan baseline" if number == 1 else "no JSON (a conflict of a merge?)"
        raise PolicyError(path, number, what) from None
    if not isinstance(shape, dict):
        raise PolicyError(path, number, "no JSON object")
    return shape


def _check_header(path: str, header: Mapping[str, Any]) -> None:
    if header.get("format") != FORMAT:
        raise PolicyError(path, 1, "no streamsan baseline")
    if header.get("version") != VERSION:
        raise PolicyError(
            path, 1,
            f"a baseline of version {str(header.get('version'))[:20]}, this streamsan reads "
            f"version {VERSION}: write it anew with `streamsan baseline write`",
        )  # fmt: skip


def _entry(path: str, number: int, shape: Mapping[str, Any]) -> Entry:
    mark, rule, findings = shape.get("fingerprint"), shape.get("rule"), shape.get("findings", 1)
    where, reason = shape.get("where", ""), shape.get("reason", "")
    if not (isinstance(mark, str) and mark and isinstance(rule, str)):
        raise PolicyError(path, number, "fingerprint and rule must be strings")
    if not isinstance(findings, int) or isinstance(findings, bool) or findings < 1:
        raise PolicyError(path, number, "findings must be a number from 1 on")
    if not (isinstance(where, str) and isinstance(reason, str)):
        raise PolicyError(path, number, "where and reason must be strings")
    return Entry(mark, rule, findings, where, reason)


def merged(old: Baseline, new: Baseline) -> dict[str, Entry]:
    """Give the new entries with the reasons of the old ones."""
    return {
        mark: replace(entry, reason=old[mark].reason) if mark in old else entry
        for mark, entry in new.items()
    }


def pruned(old: Baseline, now: Baseline) -> dict[str, Entry]:
    """Give the entries that are still found, as often as they are found at most."""
    return {
        mark: replace(entry, findings=min(entry.findings, now[mark].findings))
        for mark, entry in old.items()
        if mark in now
    }
