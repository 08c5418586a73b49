"""The baseline: what it holds, what it forgives, and the fingerprints that it is made of."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from expectations import CASES
from test_reports import OVERWRITE, WAIT

from streamsan import cli
from streamsan.checkers import check
from streamsan.checkers.frames import Frame, own, parse
from streamsan.checkers.policy import baseline
from streamsan.checkers.policy.baseline import Entry, entries_of, merged, pruned, read, render
from streamsan.checkers.policy.errors import PolicyError
from streamsan.checkers.policy.judge import judge
from streamsan.checkers.policy.policy import Policy
from streamsan.checkers.reports.outcome import Outcome
from streamsan.traces import load

Run = Callable[..., tuple[int, str, str]]


# --- the file


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    known = entries_of([[OVERWRITE, replace(WAIT, fingerprint="feed")], [OVERWRITE]])
    known["0123456789abcdef"] = replace(known["0123456789abcdef"], reason="ticket 3")
    (tmp_path / "b").write_text(render(known), encoding="utf-8")

    assert read(str(tmp_path / "b")) == known


def test_the_file_is_sorted_and_readable() -> None:
    lines = [json.loads(line) for line in render(entries_of([[WAIT, OVERWRITE]])).splitlines()]

    assert lines == [
        {"format": "streamsan-baseline", "version": 1},
        {
            "rule": "SO112", "fingerprint": "0123456789abcdef", "findings": 1,
            "where": "forward_0 on h_pos",
        },
        {"rule": "SO404", "fingerprint": "", "findings": 1, "where": ""},
    ]  # fmt: skip
    assert render(entries_of([[OVERWRITE, WAIT]])) == render(entries_of([[WAIT], [OVERWRITE]]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "b:1: no streamsan baseline"),
        (b"{}", "b:1: no streamsan baseline"),
        (b"[]", "b:1: no JSON object"),
        (b"\xff", "b: not UTF-8, so no baseline"),
        (b'{"format": "streamsan-trace", "version": 1}', "b:1: no streamsan baseline"),
        (
            b'{"format": "streamsan-baseline", "version": 7}',
            "b:1: a baseline of version 7, this streamsan reads version 1: write it anew",
        ),
        (b"HEAD\n<<<<<<< ours", "b:2: no JSON (a conflict of a merge?)"),
        (b"HEAD\n\n{}", "b:3: fingerprint and rule must be strings"),
        (b'HEAD\n{"fingerprint": "a", "rule": "SO1", "findings": 0}', "b:2: findings must be"),
        (b'HEAD\n{"fingerprint": "a", "rule": "SO1", "findings": true}', "b:2: findings must be"),
        (b'HEAD\n{"fingerprint": "a", "rule": "SO1", "reason": 1}', "b:2: where and reason must"),
        (b"HEAD\nLINE\nLINE", "b:3: this fingerprint stands here twice"),
        (b"HEAD\n" + b"[" * 99999, "b:2: no JSON"),
    ],
)
def test_a_baseline_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    head = b'{"format": "streamsan-baseline", "version": 1}'
    line = b'{"fingerprint": "a", "rule": "SO1"}'
    Path("b").write_bytes(content.replace(b"HEAD", head).replace(b"LINE", line))

    with pytest.raises(PolicyError, match=re.escape(message)) as caught:
        read("b")

    assert "\n" not in str(caught.value)


def test_a_baseline_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="no such baseline; `streamsan baseline write` makes one"):
        read(str(tmp_path / "none"))


def test_reasons_are_kept_and_what_is_gone_goes() -> None:
    old = {"a": Entry("a", "SO1", 3, "f", "why"), "b": Entry("b", "SO1", 1)}
    now = {"a": Entry("a", "SO1", 2, "g"), "c": Entry("c", "SO1", 1)}

    assert merged(old, now) == {"a": Entry("a", "SO1", 2, "g", "why"), "c": now["c"]}
    assert pruned(old, now) == {"a": Entry("a", "SO1", 2, "f", "why")}


def test_a_baseline_forgives_as_many_as_it_holds_and_no_more() -> None:
    known = {OVERWRITE.fingerprint: Entry(OVERWRITE.fingerprint, "SO112", 2)}
    three = Outcome("t", findings=(OVERWRITE, OVERWRITE, OVERWRITE))

    (outcome, other) = judge([three, three], Policy(), known).outcomes

    for each in (outcome, other):  # each trace by itself
        assert (len(each.findings), len(each.accepted)) == (1, 2)


def test_what_is_gone_is_told() -> None:
    known = {"x": Entry("x", "SO112", 1, "f on h"), "y": Entry("y", "SO999", 1)}

    (note,) = judge([Outcome("t")], Policy(), known).notes

    assert note.words.startswith("1 of 2 causes are no longer found (SO112 f on h); ")
    assert judge([Outcome("t", damage="cut")], Policy(), known).notes == ()


# --- the command


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    for name in ("ring_depth1_buggy", "ring_depth1_fixed", "staging_missing_buggy"):
        text = (CASES.parent.parent / "examples" / f"{name}.trace.jsonl").read_text("utf-8")
        (tmp_path / f"{name}.trace.jsonl").write_text(text, encoding="utf-8")

    def command(*arguments: str) -> tuple[int, str, str]:
        try:
            status = cli.main(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return command


RING, RING_FIXED = "ring_depth1_buggy.trace.jsonl", "ring_depth1_fixed.trace.jsonl"
STAGING = "staging_missing_buggy.trace.jsonl"
ERRORS = ("--select", "SO1,SO2,SO3,SO6,SO7")


def test_write_check_prune(run: Run) -> None:
    assert run("lint", RING, *ERRORS)[0] == 1
    status, out, _ = run("baseline", "write", RING, *ERRORS)
    assert (status, out) == (0, "Wrote streamsan-baseline.jsonl: 1 cause (1 new, 0 gone).\n")

    assert run("baseline", "check", RING, *ERRORS)[0] == 0
    status, out, err = run("baseline", "check", RING, STAGING, *ERRORS)
    assert status == 1
    assert "1 in the baseline" in out
    assert err == "streamsan: gate: failed at severity error or above\n"

    status, _, err = run("baseline", "check", RING_FIXED, *ERRORS)
    assert status == 0
    assert "1 of 1 causes are no longer found" in err
    _, out, _ = run("baseline", "prune", RING_FIXED, *ERRORS)
    assert out == "Wrote streamsan-baseline.jsonl: 0 causes (0 new, 1 gone).\n"


def test_writing_again_keeps_the_reasons(run: Run, tmp_path: Path) -> None:
    run("baseline", "write", RING, *ERRORS)
    file = tmp_path / baseline.DEFAULT
    file.write_text(file.read_text().replace('"}\n', '", "reason": "ticket 3"}\n'))

    run("baseline", "write", RING, STAGING, *ERRORS)

    reasons = [entry.reason for entry in read(str(file)).values()]
    assert Counter(reasons) == {"ticket 3": 1, "": len(reasons) - 1}
    assert len(reasons) > 1


def test_no_baseline_is_written_from_half_a_trace(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cut.trace.jsonl").write_text((tmp_path / RING).read_text()[:-30])

    status, out, err = run("baseline", "write", RING, "cut.trace.jsonl")

    assert (status, out) == (2, "")
    assert err.endswith("error: no baseline was written: not every trace could be read\n")
    assert not (tmp_path / baseline.DEFAULT).exists()


def test_a_baseline_of_another_version_is_replaced_by_write(run: Run, tmp_path: Path) -> None:
    (tmp_path / baseline.DEFAULT).write_text('{"format": "streamsan-baseline", "version": 0}\n')

    assert run("baseline", "check", RING)[0] == 2
    status, _, err = run("baseline", "write", RING)

    assert status == 0
    assert "it is replaced, and its reasons are lost" in err
    assert run("baseline", "check", RING)[0] == 0


def test_the_configuration_names_the_baseline_from_its_own_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "streamsan.toml").write_text('baseline = "ci/known.jsonl"\n')
    (tmp_path / "ci").mkdir()
    monkeypatch.chdir(tmp_path / "ci")

    assert run("baseline", "write", f"../{RING}")[1].startswith("Wrote known.jsonl: ")
    assert run("gate", f"../{RING}")[0] == 0


# --- fingerprints

TRACES = sorted(path for path in CASES.glob("*/*.trace.jsonl"))
FRAMES = re.compile(r"^(.*?):(\d+)( .*)?$")


def marks(text: str, tmp_path: Path) -> Counter[tuple[str, str]]:
    file = tmp_path / "x.trace.jsonl"
    file.write_text(text, encoding="utf-8")
    return Counter((each.rule, each.fingerprint) for each in check(load(file)))


def with_sites(path: Path) -> list[dict[str, Any]]:
    """Read a case; each op without a site gets one of its own, as a recorder would give it."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    sites = list(lines[0].get("sites", ()))
    for i, op in enumerate(lines[1:]):
        if "site" not in op:
            op["site"] = len(sites)
            sites.append([f"/home/me/project/app.py:{10 * i + 3} step_{i}",
                          "/home/me/project/main.py:7 main"])  # fmt: skip
    lines[0]["sites"] = sites
    return lines


def rerecorded(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Record the same program again: elsewhere, with lines moved and other ids and addresses."""
    new: list[dict[str, Any]] = json.loads(json.dumps(lines))
    new[0]["sites"] = [
        [re.sub(r"^(?:/home/me/project/)?(.*?):(\d+)", r"/builds/ci 7/w/\1:4\2", frame)
         for frame in stack]
        for stack in new[0]["sites"]
    ]  # fmt: skip
    for op in new[1:]:
        if isinstance(op.get("address"), int):
            op["address"] += 1 << 33
        for key in ("t", "t_end", "begin", "end"):
            if key in op:
                op[key] += 12345
    extra: list[dict[str, Any]] = [
        {"op": "malloc", "buffer": "streamsan_unrelated", "bytes": 64, "site": 0},
        {"op": "launch", "stream": "an unrelated stream", "name": "warm_up"},
    ]
    return [new[0], *extra, *new[1:]]


def renamed(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give streams other ids."""
    new: list[dict[str, Any]] = json.loads(json.dumps(lines))

    def name(stream: Any) -> Any:
        same = str(stream) in {"0", "ptds"}
        return stream if same else f"stream {stream} of 0x7f{hash(stream):x}"

    def walk(op: Any) -> None:
        for key, value in op.items():
            if key == "stream" and not isinstance(value, dict):
                op[key] = name(value)
            elif key == "streams":
                op[key] = [name(each) for each in value]
            elif key == "nodes" and isinstance(value, list):
                for node in value:
                    if isinstance(node, dict):
                        walk(node)

    for op in new[1:]:
        walk(op)
    return new


def text_of(lines: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.name.partition(".")[0])
def test_a_fingerprint_survives(tmp_path: Path, path: Path) -> None:
    lines = with_sites(path)

    before = marks(text_of(lines), tmp_path)

    assert marks(text_of(renamed(lines)), tmp_path) == before
    # What was added may be worth a finding of its own; none of before may be lost.
    assert before - marks(text_of(rerecorded(lines)), tmp_path) == Counter()


def test_the_survival_is_tested_on_many_findings(tmp_path: Path) -> None:
    found = [key for path in TRACES for key in marks(text_of(with_sites(path)), tmp_path)]

    assert len(found) > 100
    assert len({rule for rule, _ in found}) > 20


def test_different_causes_have_different_fingerprints(tmp_path: Path) -> None:
    shared = []
    for path in TRACES:
        for finding in check(load(path)).findings:
            assert re.fullmatch("[0-9a-f]{16}", finding.fingerprint), finding
        found = marks(text_of(with_sites(path)), tmp_path)
        shared += [(path.name, key, n) for key, n in found.items() if n > 1]

    assert shared == []


HEADER = """{"format": "streamsan-trace", "version": 1, """
BUGGY = (
    HEADER
    + """"sites": [["m/a.py:1 up"], ["m/a.py:2 fill"]]}
{"op": "malloc", "buffer": "h", "space": "pinned", "bytes": 64, "site": 0}
{"op": "host_write", "buffer": "h", "site": 1}
{"op": "memcpy", "stream": "s", "src": "h", "dst": "a", "kind": "H2D", "site": 0}
{"op": "host_write", "buffer": "h", "site": 1}
"""
)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("a.py:1 up", "a.py:77 up", True),
        ("m/a.py", "/x/y/a.py", True),
        ('"stream": "s"', '"stream": 9', True),
        ('"h"', '"h#2"', True),
        ('"h"', '"h7"', True),  # allocated at the same place: the number is a recorder's
        ("a.py:2 fill", "a.py:2 fill_all", False),
        ("a.py:2 fill", "b.py:2 fill", False),
        ('"h"', '"other"', False),
        ('"op": "memcpy",', '"op": "memcpy", "name": "positions",', False),
    ],
)
def test_what_a_fingerprint_is_made_of(tmp_path: Path, old: str, new: str, same: bool) -> None:
    changed = BUGGY.replace(old, new)
    assert changed != BUGGY

    assert (marks(BUGGY, tmp_path) == marks(changed, tmp_path)) is same


def test_frames_are_read() -> None:
    assert parse("/a b/c.py:12 Pool.put") == Frame("/a b/c.py", 12, "Pool.put")
    assert parse("c.py(12): put") == Frame("c.py", 12, "put")
    assert parse("c.py:3") == Frame("c.py", 3, "")
    assert parse("no line\n") == Frame("no line\n", 0, "")
    assert parse("x.py:" + "9" * 50 + " f").line == 999_999_999
    assert Frame("/a/b/__init__.py").stem == "b/__init__.py"
    assert own(["/v/site-packages/t.py:1 f", "a.py:2 g"]) == [Frame("a.py", 2, "g")]
    assert own(["/v/site-packages/t.py:1 f"]) == [Frame("/v/site-packages/t.py", 1, "f")]
