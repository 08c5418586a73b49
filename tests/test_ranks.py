"""Ranks of one job: common causes told once, single ones told apart, stragglers found.

Stragglers of the recorded ranks are computed here from the raw files.
"""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from streamsan.checkers.finding import Finding
from streamsan.checkers.reports.outcome import Outcome
from streamsan.checkers.reports.ranks import (
    Collective,
    collectives,
    find_job,
    job_json,
    job_lines,
    merged,
    rank_words,
)
from streamsan.cli import main
from streamsan.traces.formats import load

DATA = Path(__file__).parent / "data" / "et"
RANKS = {rank: DATA / f"megatron_tp8_rank{rank}_kineto.json.gz" for rank in (0, 6)}


def finding(message: str, op: int = 1, rule: str = "SO405") -> Finding:
    return Finding(rule, "false-async", "warning", "possible", "blocking", (op,), message, "fix")


def outcome(rank: int | str | None, *found: Finding, **more: Any) -> Outcome:
    fields: dict[str, Any] = {"world_size": 8, **more}
    return Outcome(f"rank{rank}.json", findings=found, rank=rank, **fields)


def calls(*times: int, name: str = "ncclDevKernel_AllReduce", lane: int = 0) -> dict[str, Any]:
    return {"collectives": tuple(Collective(lane, name, ns) for ns in times)}


def test_a_cause_in_several_ranks_is_one() -> None:
    one = finding("op 7 (copy) makes 100:100 wait for 0, op 6 included")
    two = finding("op 9 (copy) makes 101:101 wait for 0@1, op 8 included", op=9)
    job = find_job([outcome(0, one), outcome(1, two), outcome(2)])

    assert job is not None
    assert [(c.finding, c.ranks) for c in job.common] == [(one, (0, 1))]
    assert not job.single


def test_a_cause_of_one_rank_is_told_apart() -> None:
    job = find_job([outcome(0, finding("a")), outcome(1, finding("b"))])

    assert job is not None
    assert [(c.finding.message, c.ranks) for c in job.single] == [("a", (0,)), ("b", (1,))]
    assert not job.common


@pytest.mark.parametrize(
    "other",
    [finding("a", rule="SO401"), finding("copy a"), finding("a").possible()],
)
def test_what_makes_two_causes(other: Finding) -> None:
    job = find_job([outcome(0, finding("a")), outcome(1, other)])

    assert job is not None
    assert len(job.common) == (other == finding("a"))


def test_merged_findings_are_told_once_with_their_ranks() -> None:
    given = [outcome(2, finding("op 5")), outcome(1, finding("op 4"), finding("alone"))]
    job = find_job(given)
    assert job is not None
    found = merged(given, job)

    assert [o.rank for o in found] == [1, 2]
    assert [[(f.message, f.details["ranks"]) for f in o.findings] for o in found] == [
        [("op 4", "1-2"), ("alone", "1")], [],
    ]  # fmt: skip


def test_repeats_within_a_rank_stay() -> None:
    given = [outcome(0, finding("op 1"), finding("op 2", 2)), outcome(1, finding("op 1"))]
    job = find_job(given)
    assert job is not None

    assert [len(o.findings) for o in merged(given, job)] == [2, 0]


@pytest.mark.parametrize(
    "given",
    [
        [outcome(0)],
        [outcome(None), outcome(None)],
        [outcome(0), outcome(None)],
        [outcome(0), outcome(0)],
        [outcome(0), outcome(1, world_size=4)],
        [outcome(0), outcome(1, failed=True)],
    ],
)
def test_what_is_no_job(given: list[Outcome]) -> None:
    assert find_job(given) is None


def test_the_shortest_wait_at_a_collective_is_that_of_the_last_to_come() -> None:
    job = find_job([outcome(0, **calls(10, 3, 50)), outcome(1, **calls(4, 9, 1))])

    assert job is not None
    assert (job.matched, job.unmatched) == (3, 0)
    assert [(r.rank, r.last, r.others_waited_ns) for r in job.lateness] == [
        (1, 2, 6 + 49), (0, 1, 6),
    ]  # fmt: skip


def test_collectives_are_matched_as_far_as_their_names_agree() -> None:
    one = calls(1, 2)["collectives"] + calls(1, name="ncclDevKernel_Broadcast")["collectives"]
    two = calls(5)["collectives"] + calls(1, 1, name="ncclDevKernel_Broadcast")["collectives"]
    job = find_job([outcome(0, collectives=one), outcome(1, collectives=two)])

    assert job is not None
    assert (job.matched, job.unmatched) == (1, 2)
    assert any("2 collectives could not be matched" in line for line in job_lines(job))


def test_streams_are_matched_each_by_itself() -> None:
    job = find_job([
        outcome(0, collectives=calls(1)["collectives"] + calls(7, lane=1)["collectives"]),
        outcome(1, collectives=calls(7, lane=1)["collectives"] + calls(1)["collectives"]),
    ])  # fmt: skip

    assert job is not None
    assert (job.matched, [r.others_waited_ns for r in job.lateness]) == (2, [0, 0])


@pytest.mark.parametrize(
    ("ranks", "words"),
    [((0, 1, 2, 5), "0-2, 5"), ((3,), "3"), ((), ""), ((0, 2), "0, 2"), (("a", "b"), "a, b")],
)
def test_rank_words(ranks: tuple[int | str, ...], words: str) -> None:
    assert rank_words(ranks) == words


# The recorded ranks


def durations(rank: int) -> list[int]:
    events = json.loads(gzip.decompress(RANKS[rank].read_bytes()))["traceEvents"]
    found = [e for e in events if e.get("cat") == "kernel" and e["name"].startswith("nccl")]
    return [e["dur"] * 1000 for e in sorted(found, key=lambda e: e["args"]["correlation"])]


@pytest.mark.parametrize("rank", RANKS)
def test_collectives_of_a_recorded_rank(rank: int) -> None:
    assert [c.ns for c in collectives(load(RANKS[rank]))] == durations(rank)


def test_point_to_point_is_no_collective() -> None:
    text = {
        "schemaVersion": 1,
        "traceEvents": [
            {"ph": "X", "cat": "kernel", "name": name, "ts": i, "dur": 1, "pid": 0, "tid": 7,
             "args": {"device": 0, "context": 1, "stream": 7, "correlation": i}}
            for i, name in enumerate(("ncclDevKernel_SendRecv(x)", "ncclKernel_AllGather", "k"))
        ],
    }  # fmt: skip

    found = collectives(load(json.dumps(text).encode()))
    assert [c.name for c in found] == ["ncclKernel_AllGather"]


def test_recorded_ranks_in_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for rank, path in RANKS.items():
        shutil.copy(path, tmp_path / f"{rank}.json.gz")
    main(["lint", str(tmp_path), "--format", "json"])
    shape = json.loads(capsys.readouterr().out)
    zero, six = durations(0), durations(6)
    cost = {0: sum(max(0, s - z) for z, s in zip(zero, six, strict=True)),
            6: sum(max(0, z - s) for z, s in zip(zero, six, strict=True))}  # fmt: skip

    job = shape["job"]
    assert job["ranks"] == [0, 6]
    assert job["collectives"] == {"matched": 84, "unmatched": 0}
    assert {r["rank"]: r["others_waited_ns"] for r in job["stragglers"]} == cost
    assert [c["ranks"] for c in job["common"]] == [[0, 6]] * len(job["common"])
    assert {c["rule"] for c in job["common"]} == {"SO405", "SO902"}
    assert [len(t["findings"]) for t in shape["traces"]] == [7, 7]  # each keeps its own

    main(["lint", str(tmp_path), "--format", "concise"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(job["common"]) + len(job["single"])

    main(["lint", str(tmp_path)])
    out = " ".join(capsys.readouterr().out.split())
    late = max(cost, key=lambda rank: cost[rank])
    assert "2 ranks of one job (0, 6): 7 causes in several ranks, told once; 0 in a" in out
    assert f"Stragglers at 84 matched collectives: rank {late} came last" in out


def test_json_is_plain() -> None:
    job = find_job([outcome(0, finding("a"), **calls(1)), outcome(1, finding("a"), **calls(2))])
    assert job is not None
    shape = job_json(job)

    assert json.loads(json.dumps(shape)) == shape
