"""All fixes at once: the hazards are gone, nothing new is found, and the machine agrees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from expectations import CASES, cases
from strategies import random_trace

from streamsan import cli
from streamsan.checkers import check
from streamsan.checkers.fix import apply_fixes
from streamsan.checkers.fix_all import is_hazard, mend, needless, without_needless
from streamsan.commands.hall.fixing import agreement
from streamsan.sim.machine import explore
from streamsan.sim.machine.slack import allowed_without
from streamsan.traces import load, save
from streamsan.traces.text import format_trace, parse

BUGGY = sorted(entry["trace"] for entry in cases() if entry["expect"])
RACE = "malloc h pinned 8; write h; s: memcpy h -> d[0:8]; write h; t: launch use r=d[0:8]"
WAITS = "s: launch w=a; z: launch w=q; stream_sync s; stream_sync s; stream_sync z; t: launch r=a"
"""Op 2 is needed; op 3 waits for what op 2 has waited for; op 4 for what nothing needs."""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``fix`` on a trace that is given as text: (exit status, output, errors)."""
    monkeypatch.chdir(tmp_path)

    def ran(text: str, *arguments: str) -> tuple[int, str, str]:
        save(parse(text), "t.trace.jsonl")
        capfd.readouterr()
        try:
            status = cli.main(["fix", "t.trace.jsonl", *arguments])
        except SystemExit as end:
            status = int(str(end.code))
        out, err = capfd.readouterr()
        return status, out, err

    return ran


# --- every case


@pytest.mark.parametrize("name", BUGGY)
def test_after_all_fixes_no_hazard_is_left_that_a_sync_could_mend(name: str) -> None:
    mended = mend(load(CASES / name))
    found = agreement(mended, mended.edited.trace)

    assert mended.new == ()
    assert all(
        f.fix is None and f.rule in ("SO204", "SO701", "SO702", "SO703") for f in mended.left
    )
    assert found.agrees, name
    if not mended.left:
        assert not any(is_hazard(f) for f in check(mended.edited.trace)), name
        assert found.outcomes in (1, None)


def test_most_cases_are_mended_whole_and_run_in_one_way_only() -> None:
    mended = [mend(load(CASES / name)) for name in BUGGY]
    with_hazards = [m for m in mended if any(is_hazard(f) for f in m.before)]
    whole = [m for m in with_hazards if not m.left]
    single = sum(agreement(m, m.edited.trace).outcomes == 1 for m in whole)

    assert len(whole) > 75
    assert len(with_hazards) - len(whole) < 10
    assert single > 75


def test_random_programs_are_mended_without_anything_new() -> None:
    mended = 0
    for seed in range(80):
        trace = random_trace(seed, 12)
        if any(f.rule.startswith("SO6") for f in check(trace)):
            continue
        found = mend(trace)
        mended += bool(found.mends)
        assert all(f.fix is None for f in found.left), format_trace(trace)
        assert not [f for f in found.new if f.rule.startswith(("SO1", "SO6", "SO7"))], (
            seed, found.new, format_trace(trace)
        )  # fmt: skip

    assert mended > 25


# --- by hand


def test_one_edge_that_does_for_two_hazards_is_enough() -> None:
    mended = mend(parse(RACE))

    assert len([f for f in mended.before if is_hazard(f)]) == 2
    (only,) = mended.mends
    assert only.fix == {
        "record": {"after": 2, "stream": "s"},
        "wait": {"before": 3, "thread": "main"},
    }
    assert mended.edited.origin == (0, 1, 2, -1, -1, 3, 4)
    assert mended.edited.added == ((3, 4),)
    assert [op.word for op in mended.edited.trace][3:5] == ["event_record", "event_synchronize"]
    assert len(explore(mended.edited.trace).found) == 1


def test_an_edge_recorded_later_and_waited_for_earlier_covers_others() -> None:
    text = "s: launch w=a; s: launch w=b; t: launch r=b; t: launch r=a"
    mended = mend(parse(text))

    (only,) = mended.mends
    assert only.fix == {"record": {"after": 1, "stream": "s"}, "wait": {"before": 2, "stream": "t"}}
    assert (mended.left, mended.new) == ((), ())


def test_added_ops_have_the_stack_of_their_neighbours_and_events_of_their_own() -> None:
    text = '#! sites [["/a.py:1 up"], ["/b.py:2 down"]]\n'
    trace = parse(text + "s: launch w=a site=0; t: launch r=a site=1; u: launch r=a site=1")
    fixed = mend(trace).edited.trace
    added = [op for op in fixed if op.word in ("event_record", "stream_wait_event")]

    assert {op.stack for op in added if op.word == "event_record"} == {("/a.py:1 up",)}
    assert {op.stack for op in added if op.word == "stream_wait_event"} == {("/b.py:2 down",)}
    assert len({op.obj for op in added}) == 2


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    trace = parse('s: record "streamsan:fix:1"; s: launch w=a; t: launch r=a')
    fixed = mend(trace).edited.trace

    assert len({op.obj for op in fixed if op.word == "event_record"}) == 2
    assert not any(is_hazard(f) for f in check(fixed))


def test_nothing_to_mend() -> None:
    trace = parse("s: launch w=a; s: launch r=a")
    mended = mend(trace)

    assert (mended.mends, mended.left, mended.new) == ((), (), ())
    assert format_trace(mended.edited.trace) == format_trace(trace)
    assert apply_fixes(trace, []).origin == (0, 1)


# --- needless waits


def test_needless_waits_and_what_they_hold_back() -> None:
    trace = parse(WAITS)
    found = {f.ops[-1]: f.severity for f in needless(trace)}

    assert found == {3: "info", 4: "warning"}
    assert allowed_without(trace, 3) == []
    (one,) = allowed_without(trace, 4)
    assert (one.op, one.line, one.before, one.other, one.conflicts) == (5, "t", 1, "z", False)
    once = parse(WAITS.replace("stream_sync s; stream_sync s", "stream_sync s"))
    (needed,) = allowed_without(once, 2)
    assert (needed.op, needed.line, needed.before, needed.conflicts) == (4, "t", 0, True)
    with pytest.raises(IndexError, match="no op 9"):
        allowed_without(trace, 9)


def test_of_two_waits_that_do_the_same_one_goes() -> None:
    edited, gone = without_needless(parse(WAITS))

    assert len(gone) == 2
    assert [op.word for op in edited.trace].count("stream_synchronize") == 1
    assert needless(edited.trace) == []
    assert not any(is_hazard(f) for f in check(edited.trace))


# --- the command


def test_the_fixed_trace_is_written_and_clean(run: Run) -> None:
    status, out, err = run(RACE, "-o", "fixed.trace.jsonl")

    assert (status, err) == (0, "")
    assert "t.trace.jsonl: 2 hazards, 1 fix." in out
    assert "record an event on s right after op 2 (memcpy); op 3 of the fixed trace" in out
    assert "synchronise with it on host:main right before op 3 (host_write); op 4 of" in out
    assert "After it no hazard is left, and nothing new is found." in out
    assert "The machine agrees: none of 2 pairs runs in both orders any more, and all" in out
    assert "Wrote fixed.trace.jsonl (7 ops)." in out
    assert not check(load("fixed.trace.jsonl")).findings


def test_stacks_are_shown_where_the_sync_goes(run: Run) -> None:
    out = run('#! sites [["/a.py:1 up"]]\ns: launch w=a site=0; t: launch r=a')[1]

    assert "right after op 0 (launch); op 1 of the fixed trace\n     /a.py:1 up\n" in out


def test_redundant_waits_are_told_with_what_removing_them_allows(run: Run) -> None:
    status, out, _ = run(WAITS)

    assert status == 0
    assert "redundant: op 4 (stream_synchronize for z, on host:main): nothing that it orders" in out
    assert "without it op 5 on t could start before op 1 on z has ended" in out
    assert "redundant: op 3 (stream_synchronize for s, on host:main): the order implies it" in out
    assert "without it nothing could come earlier" in out


def test_redundant_waits_can_be_removed(run: Run) -> None:
    found = json.loads(
        run(WAITS, "--remove-redundant", "-o", "f.trace.jsonl", "--format", "json")[1]
    )

    assert [each["removed"] for each in found["redundant"]] == [True, True]
    assert len(load("f.trace.jsonl")) == 4
    assert found["machine"]["agrees"] is True


def test_what_no_sync_mends_is_left_and_told(run: Run) -> None:
    text = "slot_defer f source=h; slot_read f; slot_resolve f value=a version=0"
    status, out, _ = run(text)

    assert status == 1
    assert "left: SO701" in out


def test_a_file_that_cannot_be_written_is_told_in_one_line(run: Run) -> None:
    status, _, err = run(RACE, "-o", "no/such/folder/f.trace.jsonl")

    assert status == 2
    assert err.count("\n") == 1
