"""Suppressions, in the configuration and in the code: what they match, and what is said of them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from test_reports import OVERWRITE, WAIT, access

from streamsan.checkers.policy.comments import Comment, comments_of
from streamsan.checkers.policy.config import Config
from streamsan.checkers.policy.judge import Judgement, judge
from streamsan.checkers.policy.policy import Policy
from streamsan.checkers.policy.suppress import Suppression
from streamsan.checkers.reports.outcome import Outcome

TODAY = date(2026, 11, 20)
Judge = Callable[..., Judgement]


def suppression(**given: Any) -> Suppression:
    return Suppression(
        **{"where": "streamsan.toml:1", "rules": ("SO1",), "reason": "known", **given}
    )


def judged(*suppressions: Suppression, outcome: Outcome | None = None, **config: Any) -> Judgement:
    policy = Policy(Config(suppress=suppressions, **config))
    outcome = outcome or Outcome("t", findings=(OVERWRITE, WAIT))
    return judge([outcome], policy, today=TODAY)


# --- in the configuration


@pytest.mark.parametrize(
    ("given", "matches"),
    [
        ({}, True),
        ({"rules": ("SO112",)}, True),
        ({"rules": ("ALL",)}, True),
        ({"rules": ("SO2", "SO11")}, True),
        ({"rules": ("SO2",)}, False),
        ({"buffer": "h_pos"}, True),
        ({"buffer": "h_*"}, True),
        ({"buffer": "h"}, False),
        ({"stream": "fwd"}, True),
        ({"stream": "host:*"}, True),
        ({"stream": "bwd"}, False),
        ({"function": "forward_3"}, True),
        ({"function": "forward"}, False),
        ({"file": "block_3.py"}, True),
        ({"file": "layers/*.py"}, True),
        ({"file": "/srv/app/layers/block_0.py"}, True),
        ({"file": "lock_0.py"}, False),
        ({"file": "block_3.py", "function": "forward_3"}, True),
        ({"file": "block_3.py", "function": "forward_2"}, False),  # of one frame, both
        ({"buffer": "h_pos", "stream": "bwd"}, False),  # all that is given
    ],
)
def test_what_a_suppression_matches(given: dict[str, Any], matches: bool) -> None:
    assert suppression(**given).matches(OVERWRITE) is matches


def test_a_method_is_found_by_its_own_name() -> None:
    found = replace(OVERWRITE, details={"accesses": [access(1, "x", "s", stack=["a:1 Pool.put"])]})

    assert suppression(function="put").matches(found)
    assert suppression(function="Pool.put").matches(found)


def test_what_is_suppressed_is_kept_apart_with_its_reason() -> None:
    judgement = judged(suppression(reason="a ring of two"))

    (outcome,) = judgement.outcomes
    assert [each.rule for each in outcome.findings] == ["SO404"]
    (accepted,) = outcome.accepted
    assert (accepted.how, accepted.reason) == ("suppressed", "a ring of two")
    assert judgement.notes == ()


@pytest.mark.parametrize(
    ("expires", "suppressed"), [(date(2026, 11, 20), True), (date(2026, 11, 19), False)]
)
def test_a_suppression_holds_until_its_day_is_over(expires: date, suppressed: bool) -> None:
    judgement = judged(suppression(expires=expires))

    assert (len(judgement.outcomes[0].findings) == 1) is suppressed
    said = [note.words for note in judgement.notes]
    assert said == ([] if suppressed else ["the suppression of SO1 expired on 2026-11-19"])


def test_an_unused_one_is_told_and_may_fail() -> None:
    unused = suppression(buffer="gone")

    (note,) = judged(unused).notes
    assert (note.where, note.fails) == ("streamsan.toml:1", False)
    assert note.words == "unused suppression of SO1 (known)"
    assert judged(unused, unused="error").fails
    assert judged(unused, unused="ignore").notes == ()


def test_of_two_that_match_both_are_used() -> None:
    assert judged(suppression(), suppression(where="x:2", buffer="h_pos")).notes == ()


def test_a_rule_that_did_not_run_says_nothing_about_its_suppressions() -> None:
    policy = Policy(Config(suppress=(suppression(buffer="gone"),)), select=("SO4",))

    assert judge([Outcome("t")], policy, today=TODAY).notes == ()


def test_half_a_trace_says_nothing_about_suppressions() -> None:
    assert judged(suppression(buffer="gone"), outcome=Outcome("t", damage="cut")).notes == ()
    assert judged(suppression(buffer="gone"), outcome=Outcome("t", failed=True)).notes == ()


# --- in the code

CODE = """\
def step(h, d):
    d.copy_(h, non_blocking=True)  # streamsan: ignore[SO402] a ring of two
    # streamsan: ignore[SO112, SO5] -- the next statement
    h.fill_(
        1,
    )
    d.copy_(
        h,
    )  # streamsan:ignore[so4]: the statement around it
    text = "# streamsan: ignore[SO1] no comment"
    for i in range(3):  # streamsan: ignore[SO1] the head of the loop only
        h.add_(i)
    # streamsan: ignore[SO1]
    # streamsan: ignore[SO999] no such rule
    # streamsan: ignore no bracket
    # streamsan: ignore[SO1, until 2026-11-19] until then
    # streamsan: ignore[SO1, until soon] until when

def other(
    h,  # streamsan: ignore[SO3] a head of two lines
):
    # streamsan: ignore[SO2] the first statement of a body
    h.add_(1)
"""


def test_where_a_comment_holds() -> None:
    found = list(comments_of("a.py", CODE))

    assert [(c.line, c.first, c.last, c.rules) for c in found if c.wrong is None] == [
        (2, 2, 2, ("SO402",)),
        (3, 4, 6, ("SO112", "SO5")),
        (9, 7, 9, ("SO4",)),
        (11, 11, 11, ("SO1",)),
        (16, 19, 22, ("SO1",)),
        (20, 19, 22, ("SO3",)),
        (22, 23, 23, ("SO2",)),
    ]
    assert [c.reason for c in found[:3]] == [
        "a ring of two", "the next statement", "the statement around it",
    ]  # fmt: skip
    assert found[7].expires == date(2026, 11, 19)


def test_what_is_wrong_with_a_comment() -> None:
    assert [(c.where, c.wrong) for c in comments_of("a.py", CODE) if c.wrong] == [
        ("a.py:13", "a reason is required behind the bracket"),
        ("a.py:14", "no rule matches 'SO999'; did you mean SO902?"),
        ("a.py:15", "say which rules, as in ignore[SO402]"),
        ("a.py:17", "must be a date such as 2027-01-31"),
    ]


@pytest.mark.parametrize("code", ["def f(:\n", "x = (\n", "\0", "'''", "\tif\n x"])
def test_code_that_does_not_parse_is_no_failure(code: str) -> None:
    text = f"{code}\ny = 1  # streamsan: ignore[SO1] why\n"

    assert all(isinstance(each, Comment) for each in comments_of("a.py", text))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    return tmp_path


def outcome_at(*frames: str, **more: Any) -> Outcome:
    found = replace(OVERWRITE, details={"accesses": [access(1, "memcpy", "s", stack=list(frames))]})
    files = frozenset(frame.partition(":")[0] for frame in frames)
    return Outcome("t.trace.jsonl", findings=(found,), sources=files, **more)


def judge_at(*frames: str, **config: Any) -> Judgement:
    return judge([outcome_at(*frames)], Policy(Config(**config)), today=TODAY)


@pytest.mark.parametrize(
    ("frame", "suppressed"),
    [
        ("a.py:3 f", True),
        ("a.py:2 f", False),
        ("a.py:4 f", False),
        ("b.py:3 f", False),
        ("lib/a.py:3 f", False),
    ],
)
def test_a_comment_suppresses_where_an_access_is_made(
    repository: Path, frame: str, suppressed: bool
) -> None:
    (repository / "a.py").write_text("# streamsan: ignore[SO112] why\n\nh.fill_(1)\n\n")

    judgement = judge_at(frame, "main.py:9 main")

    assert (judgement.outcomes[0].findings == ()) is suppressed
    assert ([n.where for n in judgement.notes] == ["a.py:1"]) is (frame in {"a.py:2 f", "a.py:4 f"})


def test_a_comment_on_a_caller_holds_for_what_it_calls(repository: Path) -> None:
    (repository / "a.py").write_text("step()  # streamsan: ignore[SO112] why\n")

    assert judge_at("b.py:3 f", "a.py:1 <module>").outcomes[0].findings == ()


def test_absolute_and_mapped_paths_are_found(repository: Path) -> None:
    (repository / "a.py").write_text("step()  # streamsan: ignore[SO112] why\n")

    assert judge_at(f"{repository}/a.py:1 f").outcomes[0].findings == ()
    assert judge_at("/workspace/a.py:1 f").outcomes[0].findings != ()
    mapped = judge_at("/workspace/a.py:1 f", path_map=(("/workspace/", ""),))
    assert mapped.outcomes[0].findings == ()


def test_nothing_outside_the_repository_is_read(repository: Path, tmp_path_factory: Any) -> None:
    outside = tmp_path_factory.mktemp("outside") / "a.py"
    outside.write_text("step()  # streamsan: ignore[SO112] why\n")
    up = "../" * len(repository.parts) + str(outside).lstrip("/")

    assert Policy().source_of(str(outside)) is None
    assert Policy().source_of("../a.py") is None
    assert Policy().source_of("x/../a.py") == "a.py"
    for frame in (f"{outside}:1 f", f"{up}:1 f", "/dev/zero:1 f", "a\0b.py:1 f", ":1 f"):
        assert judge_at(frame).outcomes[0].findings != ()


def test_another_rule_is_not_suppressed_and_the_comment_is_unused(repository: Path) -> None:
    (repository / "a.py").write_text("h.fill_(1)  # streamsan: ignore[SO402] why\n")

    judgement = judge_at("a.py:1 f")

    assert judgement.outcomes[0].findings != ()
    assert [note.words for note in judgement.notes] == ["unused suppression of SO402 (why)"]


def test_a_comment_without_a_reason_suppresses_nothing(repository: Path) -> None:
    (repository / "a.py").write_text("h.fill_(1)  # streamsan: ignore[SO112]\n")

    judgement = judge_at("a.py:1 f")

    assert judgement.outcomes[0].findings != ()
    (note,) = judgement.notes
    assert note.words.startswith("this comment suppresses nothing: a reason is required")
