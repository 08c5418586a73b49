"""The whole of what is printed, for findings made by hand: tests/golden/ holds the outputs."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from streamsan.checkers import Finding
from streamsan.checkers.finding import Unknown
from streamsan.checkers.reports.accesses import access_lines, fit, fit_end
from streamsan.checkers.reports.concise import concise_lines
from streamsan.checkers.reports.console import visible
from streamsan.checkers.reports.machine import as_json, lint_json
from streamsan.checkers.reports.outcome import Outcome
from streamsan.checkers.reports.summary import (
    exit_status,
    severities,
    summary_lines,
    tallies,
    worst_first,
)
from streamsan.checkers.reports.text import findings_text, statistics_text

Check = Callable[[str, str], None]


def access(op: int, word: str, line: str, **more: Any) -> dict[str, Any]:
    return {"op": op, "word": word, "name": word, "line": line, "thread": "main", "does": "",
            "stack": [], **more}  # fmt: skip


STACK = [f"/srv/app/layers/block_{i}.py:{40 + i} forward_{i}" for i in range(8)]
OVERWRITE = Finding(
    rule="SO112", name="staging-overwrite", severity="error", confidence="certain", kind="WAR",
    ops=(5, 7), message="op 5 (memcpy) reads h_pos on fwd and op 7 (host_write) writes it on "
    "host:main: nothing orders the two",
    hint="record an event on fwd right after op 5, and synchronise with it on main before op 7",
    buffer="h_pos", range=(0, 4096), streams=("fwd", "host:main"), count=3,
    fix={"record": {"after": 5, "stream": "fwd"}, "wait": {"before": 7, "thread": "main"}},
    details={
        "accesses": [
            access(5, "memcpy", "fwd", does="reads", stack=STACK, name="upload positions"),
            access(7, "host_write", "host:main", does="writes", stack=STACK[:2], via="fill_"),
        ],
        "missing": "no path of stream order, events or waits leads from op 5 to op 7",
        "common": {"op": 4, "call": "op 4 (event_record)"},
        "nearly": {"kind": "late", "wait": 9, "words": "op 9 waits for op 5, but after op 7"},
    },
    fingerprint="0123456789abcdef",
    witness={"schedules": ["ab.1", "ab.2"], "reader": 5, "got": [3, None]},
)  # fmt: skip
REUSE = Finding(
    rule="SO202", name="foreign-first-use", severity="error", confidence="possible", kind="WAW",
    ops=(3, 8), nodes=(0, 2), message="op 8 writes memory that op 3 may still write",
    hint="allocate under the using stream", buffer="new", range=(512, 3 << 20),
    streams=("s0", "s1"),
    details={
        "accesses": [
            access(3, "launch", "s0", does="writes", name="void gemm<" + "float, " * 30 + ">()"),
            access(8, "launch", "s1", does="writes", thread="loader"),
        ],
        "reuse": {"former": "old", "free": 5, "malloc": 6},
    },
)  # fmt: skip
WAIT = Finding(
    rule="SO404", name="over-synchronisation", severity="warning", confidence="certain",
    kind="oversync", ops=(9,), message="op 9 waits for 12 ops that nobody needs",
    hint="wait for the event of op 2 instead", streams=("host:main",),
    details={"accesses": [access(9, "device_synchronize", "host:main")], "needless_ops": 12},
)  # fmt: skip
ADVICE = Finding(
    rule="SO302", name="edge-misses-producer", severity="info", confidence="certain",
    kind="missed-producer", ops=(), message="a wait exists", hint="",
)  # fmt: skip
OUTCOMES = [
    Outcome("a.trace.jsonl", source="hand", ops=12, streams=3, findings=(WAIT, ADVICE)),
    Outcome(
        "b.trace.jsonl", source="kineto", ops=400, streams=13, findings=(OVERWRITE, REUSE),
        unknown=(Unknown("SO501", "the trace does not hold the reads and writes of host code"),),
    ),
    Outcome("c.trace.jsonl", failed=True, line=7, reason="unknown op 'lunch'"),
    Outcome("d/x.json", folder="d", skipped=True),
]  # fmt: skip
HOSTILE = "a\x1b[31mred\x07\r\nnext\u202egnp.exe[bold]:smile:[/bold]\u2028\x9b2J\ud800"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.parametrize("width", [50, 80, 100])
def test_text(golden: Check, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))

    text = findings_text(worst_first(OUTCOMES), summary_lines(OUTCOMES))

    golden(f"findings_{width}.txt", text)
    assert max(len(line) for line in text.splitlines()) <= width


def test_statistics(golden: Check) -> None:
    text = statistics_text(tallies(OUTCOMES), summary_lines(OUTCOMES))

    golden("statistics.txt", text)


def test_concise(golden: Check) -> None:
    golden("findings.concise", "".join(concise_lines(worst_first(OUTCOMES))))


def test_json(golden: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamsan.__version__", "0.0.0")

    text = lint_json(OUTCOMES, statistics=True)

    golden("findings.json", text)
    shape = json.loads(text)
    assert list(shape) == ["version", "tool", "traces", "summary", "errors", "statistics"]
    assert shape["summary"] == {"error": 2, "warning": 1, "info": 1, "unknown": 1}
    assert shape["errors"] == [
        {"path": "c.trace.jsonl", "error": {"line": 7, "reason": "unknown op 'lunch'"}}
    ]


def test_json_without_failures_has_the_keys_of_the_format_and_no_more() -> None:
    shape = json.loads(lint_json(OUTCOMES[:2]))

    assert list(shape) == ["version", "tool", "traces", "summary"]


def test_colour_is_only_for_those_who_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = worst_first(OUTCOMES)
    plain_text = findings_text(found, ["end"])
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = findings_text(found, ["end"])
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b[" not in plain_text
    assert "\x1b[1;31merror[SO112]" in coloured
    assert findings_text(found, ["end"]) == plain_text


def test_names_from_a_trace_never_steer_the_terminal() -> None:
    hostile = replace(
        OVERWRITE, buffer=HOSTILE, message=HOSTILE, hint=HOSTILE, name=HOSTILE, kind=HOSTILE,
        details={
            "accesses": [
                access(1, HOSTILE, HOSTILE, does="reads", name=HOSTILE * 9, stack=[HOSTILE] * 3),
                access(2, "launch", "s", thread=HOSTILE, via=HOSTILE),
            ],
            "missing": HOSTILE, "common": {"call": HOSTILE}, "nearly": {"words": HOSTILE},
            "reuse": {"former": HOSTILE}, HOSTILE: HOSTILE,
        },
        witness={"schedules": [HOSTILE], "reader": HOSTILE, "got": [HOSTILE]},
    )  # fmt: skip
    outcomes = [Outcome(HOSTILE, findings=(hostile,), ops=1)]
    found = worst_first(outcomes)

    text = findings_text(found, summary_lines(outcomes))
    concise = "".join(concise_lines(found))

    assert all(line.isprintable() for line in text.splitlines())
    assert "\\x1b[31mred" in text
    assert "[bold]:smile:[/bold]" in text
    assert len(concise.splitlines()) == 1
    assert concise.rstrip("\n").isprintable()
    assert as_json(HOSTILE).isascii()
    assert lint_json(outcomes).replace("\n", "").isprintable()


def test_visible_keeps_what_can_be_read_and_cuts_what_is_endless() -> None:
    assert visible("größe 大小") == "größe 大小"
    assert visible("a\tb") == "a\\tb"
    assert visible("x" * 5000).endswith("x...")
    assert len(visible("x" * 5000)) == 2000


@pytest.mark.parametrize("text", ["plain", "大" * 40, "mixed 大小 " * 9])
@pytest.mark.parametrize("width", [8, 21, 40])
def test_cells_are_never_wider_than_their_column(text: str, width: int) -> None:
    from rich.cells import cell_len

    assert cell_len(fit(text, width)) <= width
    assert cell_len(fit_end(text, width)) <= width
    assert fit_end(text, width)[-1] == text[-1]


def test_wide_characters_keep_the_columns_apart() -> None:
    pair = [access(1, "大小" * 30, "s"), access(2, "launch", "t")]

    lines = [line.plain for line in access_lines(pair, 78)]

    assert "| B  op 2" in lines[0]


def test_three_accesses_and_none() -> None:
    three = [access(i, "launch", "s") for i in range(3)]

    lines = [line.plain.split() for line in access_lines(three, 90)]

    assert lines[0] == ["A", "op", "0", "launch", "|", "B", "op", "1", "launch"]
    assert lines[3] == ["C", "op", "2", "launch", "|"]
    assert list(access_lines([], 90)) == []


def test_numbers_that_json_lacks_become_null() -> None:
    import numpy as np

    shape = {"a": float("nan"), "b": [float("inf"), np.int64(3)], "c": {2, 1}}

    assert json.loads(as_json(shape)) == {"a": None, "b": [None, 3], "c": [1, 2]}


def test_the_worst_come_first_whatever_file_they_are_in() -> None:
    found = [(at.path[0], at.finding.rule) for at in worst_first(OUTCOMES)]

    assert found == [("b", "SO112"), ("b", "SO202"), ("a", "SO404"), ("a", "SO302")]
    assert severities(OUTCOMES) == {"error": 2, "warning": 1, "info": 1}


CLEAN = Outcome("clean", ops=1, streams=1)
WARNED = Outcome("warned", findings=(WAIT,))
BAD = Outcome("bad", findings=(OVERWRITE,))
DAMAGED = Outcome("damaged", damage="cut")
BROKEN = Outcome("broken", failed=True)


@pytest.mark.parametrize(
    ("outcomes", "options", "status"),
    [
        ([CLEAN], {}, 0),
        ([WARNED], {}, 0),
        ([WARNED], {"fail_on": "warning"}, 1),
        ([WARNED], {"fail_on": "info"}, 1),
        ([BAD, CLEAN], {}, 1),
        ([BAD], {"exit_zero": True}, 0),
        ([DAMAGED], {}, 2),
        ([DAMAGED], {"exit_zero": True}, 2),
        ([DAMAGED], {"allow_damaged": True}, 0),
        ([DAMAGED, BAD], {"allow_damaged": True}, 1),
        ([BROKEN, BAD], {}, 2),
        ([BROKEN], {"allow_damaged": True, "exit_zero": True}, 2),
        ([], {}, 0),
    ],
)
def test_exit_status(outcomes: list[Outcome], options: dict[str, Any], status: int) -> None:
    given = {"fail_on": "error", "exit_zero": False, "allow_damaged": False, **options}

    assert exit_status(outcomes, **given) == status


def test_a_clean_run_says_what_it_looked_at() -> None:
    assert summary_lines([CLEAN]) == ["No findings in 1 trace (1 op, 1 stream)."]
    assert summary_lines([BROKEN]) == ["1 file could not be linted."]
