"""Applies the decisions to what the rules found: severities, suppressions, the baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

from streamsan.checkers.finding import Finding
from streamsan.checkers.policy.suppress import Suppression, covers
from streamsan.checkers.rule import chosen

if TYPE_CHECKING:
    from streamsan.checkers.policy.baseline import Baseline
    from streamsan.checkers.policy.comments import Comment, Comments
    from streamsan.checkers.policy.policy import Policy
    from streamsan.checkers.reports.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Accepted:
    """A finding that does not count, and by whose decision."""

    finding: Finding
    how: Literal["suppressed", "baseline"]
    where: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something about the decisions themselves: a suppression that nothing needs, say."""

    where: str
    words: str
    fails: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcomes with what is accepted taken out, and notes about the decisions."""

    outcomes: tuple[Outcome, ...]
    notes: tuple[Note, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether a note alone is worth exit status 1."""
        return any(note.fails for note in self.notes)


def judge(
    outcomes: Sequence[Outcome],
    policy: Policy,
    baseline: Baseline | None = None,
    today: date | None = None,
) -> Judgement:
    """Apply severities, then suppressions, then the baseline."""
    today = today or datetime.now().astimezone().date()
    comments = _comments(outcomes, policy)
    used: set[Suppression | Comment] = set()

    def decision(finding: Finding) -> Suppression | Comment | None:
        candidates: list[Suppression | Comment] = []
        if comments is not None:
            candidates += comments.on(finding)
        candidates += [each for each in policy.config.suppress if each.matches(finding)]
        used.update(candidates)
        return next((each for each in candidates if each.holds(today)), None)

    judged = tuple(_one(each, policy, decision, baseline) for each in outcomes)
    whole = not any(each.failed or each.damage is not None for each in outcomes)
    every: list[Suppression | Comment] = [*policy.config.suppress, *(comments or ())]
    unused = [each for each in every if each not in used] if whole else []
    notes = list(_notes(every, unused, policy, today))
    if whole and baseline is not None:
        notes += _stale(baseline, judged, _codes(policy))
    return Judgement(judged, tuple(notes))


def _comments(outcomes: Sequence[Outcome], policy: Policy) -> Comments | None:
    """Read the comments of the files that the traces name; None where they name none."""
    files = sorted({file for outcome in outcomes for file in outcome.sources})
    if not files:
        return None
    from streamsan.checkers.policy.comments import Comments

    return Comments(policy, files)


def _one(
    outcome: Outcome,
    policy: Policy,
    decision: Callable[[Finding], Suppression | Comment | None],
    baseline: Baseline | None,
) -> Outcome:
    """Take the accepted findings of one trace out of its findings."""
    findings: list[Finding] = []
    accepted: list[Accepted] = []
    seen: Counter[str] = Counter()
    for each in outcome.findings:
        severity = policy.severity(outcome.path, each.rule)
        finding = each if severity is None else replace(each, severity=severity)
        if by := decision(finding):
            accepted.append(Accepted(finding, "suppressed", by.where, by.reason))
            continue
        entry = None if baseline is None else baseline.get(finding.fingerprint)
        if entry is not None and seen[finding.fingerprint] < entry.findings:
            seen[finding.fingerprint] += 1
            accepted.append(Accepted(finding, "baseline", "", entry.reason))
        else:
            findings.append(finding)
    return replace(outcome, findings=tuple(findings), accepted=tuple(accepted))


def _notes(
    every: Iterable[Suppression | Comment],
    unused: Container[Suppression | Comment],
    policy: Policy,
    today: date,
) -> Iterator[Note]:
    how = policy.config.unused
    ran = _codes(policy)
    for each in every:
        rules = " ".join(each.rules)
        if (wrong := getattr(each, "wrong", None)) is not None:
            yield Note(each.where, f"this comment suppresses nothing: {wrong}", how == "error")
        elif not each.holds(today):
            yield Note(each.where, f"the suppression of {rules} expired on {each.expires}")
        elif each in unused and how != "ignore" and _could_speak(each.rules, ran):
            words = f"unused suppression of {rules} ({each.reason})"
            yield Note(each.where, words, how == "error")


def _codes(policy: Policy) -> list[str]:
    """Give the rules that run."""
    settings = policy.settings()
    return [rule.code for rule in chosen(settings.select, settings.ignore)]


def _could_speak(rules: Iterable[str], ran: Sequence[str]) -> bool:
    return any(covers(prefix, code) for prefix in rules for code in ran)


def _stale(baseline: Baseline, judged: Sequence[Outcome], ran: Sequence[str]) -> list[Note]:
    """Say how many causes of the baseline are gone."""
    seen = {a.finding.fingerprint for o in judged for a in o.accepted if a.how == "baseline"}
    gone = [e for e in baseline.values() if e.fingerprint not in seen and e.rule in ran]
    if not gone:
        return []
    names = ", ".join(f"{each.rule} {each.where}".strip() for each in gone[:3])
    more = ", ..." if len(gone) > 3 else ""  # noqa: PLR2004
    words = f"{len(gone)} of {len(baseline)} causes are no longer found ({names}{more}); "
    return [Note("baseline", f"{words}`streamsan baseline prune` drops them")]
