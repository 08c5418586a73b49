"""The interactive report as a file: what is packed, what the HTML holds, what the slices say."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import random_trace

from streamsan.checkers import check
from streamsan.checkers.finding import Finding
from streamsan.checkers.reports.page import Contents, build_page, bundle
from streamsan.checkers.reports.page import page as page_module
from streamsan.checkers.reports.page.columns import DIRECTIONS, columns_of, engines
from streamsan.checkers.reports.page.costs import costs_of
from streamsan.checkers.reports.page.pack import pack, unpack
from streamsan.checkers.reports.page.slice import MOST, slice_of
from streamsan.checkers.reports.page.words import headline
from streamsan.cli import main
from streamsan.traces import load
from streamsan.traces.order import HappensBefore
from streamsan.traces.text import parse

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
WEB = ROOT / "checkers" / "reports" / "page" / "web"
BUGGY = sorted(EXAMPLES.glob("*_buggy.trace.jsonl"))
HOSTILE = "</script><img src=x onerror=alert(1)>"
RACES = ("SO1", "SO2", "SO3", "SO7")
EDGES = [0, 1, -1, 127, 128, -128, -129, 2**15, 2**31 - 1, 2**31, -(2**31) - 1, 2**52]


class Reader(HTMLParser):
    """Reads a page as a browser would: its elements, and what stands in each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "img"):
            self._inside.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside[-1]][-1] += data


def contents(text: str) -> Contents:
    trace = parse(text)
    return Contents(HappensBefore(trace), check(trace).findings)


def packed(page: str) -> tuple[dict[str, Any], dict[str, Any]]:
    found = re.search(r'<script type="text/plain" id="data">([A-Za-z0-9+/=]*)</script>', page)

    assert found is not None

    return unpack(found[1])


@given(st.lists(st.sampled_from(EDGES) | st.integers(-(2**62), 2**62), max_size=50))
def test_a_column_is_unpacked_as_it_was(values: list[int]) -> None:
    column = np.array(values, np.int64)
    meta, columns = unpack(pack({"a": "\ud800</script>"}, {"x": column, "y": column[::-1]}))

    assert meta == {"a": "\ud800</script>"}
    assert columns["x"].tolist() == values
    assert columns["y"].tolist() == values[::-1]


def test_regular_columns_take_next_to_nothing() -> None:
    count = 100_000
    rising = pack({}, {"x": np.arange(count) * 1000})
    random = pack({}, {"x": np.random.default_rng(1).integers(0, 2**15, count)})

    assert len(rising) < 2_000
    assert 200_000 < len(random) < 300_000


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_page_holds_the_trace_and_its_graph(seed: int) -> None:
    trace = random_trace(seed, 30)
    order = HappensBefore(trace, engine="python")
    meta, columns = packed(build_page(Contents(order, check(trace).findings)))
    graph = order.graph

    assert [meta["words"][k] for k in columns["kind"]] == [op.word for op in trace]
    assert [meta["names"][n] for n in columns["thread"]] == [op.thread for op in trace]
    edges = zip(columns["edgeSource"], columns["edgeTarget"], columns["edgeReason"], strict=True)
    mine = zip(graph.edge_source, graph.edge_target, graph.edge_reason, strict=True)
    assert sorted(edges) == sorted(mine)
    assert columns["edgeTarget"].tolist() == sorted(columns["edgeTarget"])
    for op in trace:
        start, stop = columns["accessStart"][op.id], columns["accessStart"][op.id + 1]
        assert columns["accessMode"][start:stop].tolist() == [a.mode for a in op.accesses]
        assert columns["accessBuffer"][start:stop].tolist() == [a.buffer for a in op.accesses]


def test_times_are_told_from_the_first_one_on() -> None:
    trace = parse(
        "s: launch k t=1000 t_end=1500 begin=2000 end=3000\ns: launch k t=1700 t_end=1800"
    )
    columns = columns_of(HappensBefore(trace))

    assert columns["t"].tolist() == [0, 700]
    assert columns["begin"].tolist() == [1000, -1]
    assert "begin" not in columns_of(HappensBefore(parse("s: launch k")))


def test_copies_have_an_engine_by_their_direction() -> None:
    trace = parse("""
        malloc h pinned 4
        malloc p pageable 4
        malloc d device 4
        s: memcpy h -> d
        s: memcpy d -> p
        s: memcpy d -> d
        s: memcpy d -> d P2P
        s: memcpy h -> p
        s: launch k
    """)
    found = [DIRECTIONS[i] if i >= 0 else None for i in engines(trace)[3:]]

    assert found == ["H2D", "D2H", "D2D", "P2P", "H2H", None]


# --- the HTML


def test_only_the_pages_own_script_and_style_may_run() -> None:
    page = build_page(contents("s: launch a w=x\nt: launch b r=x"))
    read = Reader(page)
    policy = next(
        str(given["content"])
        for tag, given in read.elements
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy"
    )
    scripts = [given for tag, given in read.elements if tag == "script"]

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert [given.get("type") for given in scripts] == ["text/plain", None]
    assert f"script-src 'sha256-{digest(read.texts['script'][1])}'" in policy
    assert f"style-src 'sha256-{digest(read.texts['style'][0])}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    # Nothing that loads, and no inline handler or style, which the policy would refuse.
    for tag, held in read.elements:
        assert tag not in ("link", "img", "iframe", "object", "base", "form")
        assert not {"src", "href", "style"} & set(held), tag
        assert not [key for key in held if key.startswith("on")]


def test_hostile_names_stay_text() -> None:
    name, odd = json.dumps(HOSTILE), json.dumps("@@DATA@@")
    page = build_page(contents(f"s: launch {name} w={name}\nt: launch {odd} r={name}"))
    read = Reader(page)

    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page  # in the table for readers without script
    assert [tag for tag, _ in read.elements].count("script") == 2
    assert "img" not in [tag for tag, _ in read.elements]
    assert HOSTILE in packed(page)[0]["names"]


def test_many_findings_are_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "KEPT", 2)
    given_ = contents("\n".join(f"s: launch a{i} w=x{i}\nt: launch b{i} r=x{i}" for i in range(5)))
    meta, _ = packed(build_page(given_))

    assert len(meta["findings"]) == 2
    assert meta["totals"] == {"error": 5}


def test_the_table_says_it_without_script() -> None:
    page = build_page(contents("s: launch a w=x\nt: launch b r=x"))

    assert "Stream t may read x before stream s has written it." in page
    assert Reader(page).texts["th"] == ["Severity", "Rule", "What", "Fix"]


def test_the_same_trace_gives_the_same_bytes() -> None:
    pages = [build_page(contents("s: launch a w=x\nt: launch b r=x")) for _ in range(2)]

    assert pages[0] == pages[1]


def test_the_script_is_made_of_every_module() -> None:
    script = bundle.script()

    for path in WEB.glob("*.js"):
        assert f"const {path.stem}_ = (() => {{" in script, f"nothing imports {path.name}"
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)


def test_modules_are_small_and_safe() -> None:
    for path in WEB.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 350, path.name
        banned = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write\b|\beval\(|new Function"
        assert not re.search(banned, text), path.name
        code = re.sub(r"/\*\*.*?\*/", "", text, flags=re.DOTALL)
        assert not re.search(r"\bfetch\(|XMLHttpRequest|WebSocket|import\(", code), path.name


# --- what is said


def finding(**given: Any) -> Finding:
    usual: dict[str, Any] = {
        "rule": "SO101", "name": "n", "severity": "error", "confidence": "certain", "kind": "RAW",
        "ops": (1, 2), "message": "m", "hint": "h", "buffer": "x", "streams": ("s", "host:main"),
    }  # fmt: skip
    return Finding(**{**usual, **given})


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({}, "Host thread main may read x before stream s has written it."),
        ({"kind": "WAR"}, "Host thread main may overwrite x while stream s still reads it."),
        ({"kind": "WAW"}, "Stream s and host thread main both write x, and either may come last."),
        ({"rule": "SO201"}, "Host thread main gives x back while stream s may still use it."),
        ({"streams": ("s", "s"), "kind": "WAR"},
         "Stream s (op 2) may overwrite x while stream s (op 1) still reads it."),
        ({"kind": "oversync"}, "m"),
        ({"nodes": (0, 1)}, "m"),
        ({"ops": (1,), "streams": ("s",)}, "m"),
    ],
)  # fmt: skip
def test_a_headline_says_it_in_one_breath(given_: dict[str, Any], expected: str) -> None:
    assert headline(finding(**given_)) == expected


def test_gains_are_what_a_replay_predicts_the_dearest_first() -> None:
    replay = {"run_ns": 900, "gain_ns": 300, "host_wait_gain_ns": 0, "unexplained": 0.0}
    found = [
        finding(rule="SO101"),
        finding(rule="SO401", details={"avoidable_ns": 100, "wait_ns": 120}),
        finding(rule="SO501", details={"predicted": replay, "bytes": 64}),
    ]
    gains = costs_of(parse("s: launch k"), found)["gains"]

    assert [(gain["finding"], gain["ns"]) for gain in gains] == [(2, 300), (1, 100)]
    assert "64 bytes" in gains[0]["words"][0]


# --- slices


@pytest.mark.parametrize("path", BUGGY, ids=lambda path: path.name.partition("_buggy")[0])
def test_a_slice_shows_the_same_hazard_and_no_other(path: Path) -> None:
    trace = load(str(path))
    order = HappensBefore(trace)
    for each in check(trace).findings:
        part = slice_of(order, each)
        assert set(each.ops) <= set(part.ops)
        assert len(part.ops) <= MOST
        if not each.rule.startswith(RACES):
            continue
        numbers = [int(n) for n in re.findall(r"# op (\d+)", part.text)]
        found = check(parse(part.text)).findings
        pairs = {(f.rule, tuple(numbers[op] for op in f.ops)) for f in found}
        assert (each.rule, each.ops) in pairs
        for one in found:
            if one.rule.startswith(("SO1", "SO2")):
                assert not order.ordered(*(numbers[op] for op in one.ops)), one.message


def test_a_slice_as_text(golden: Callable[[str, str], None]) -> None:
    trace = load(str(EXAMPLES / "swa_war_buggy.trace.jsonl"))
    (each,) = check(trace).findings

    golden("report_slice.txt", slice_of(HappensBefore(trace), each).text)


def test_the_parts_that_ops_play() -> None:
    trace = load(str(EXAMPLES / "event_moved_buggy.trace.jsonl"))
    first = check(trace).findings[0]

    assert slice_of(HappensBefore(trace), first).roles == {
        "common": 18, "near wait": 36, "near record": 33, "near covering": 50,
    }  # fmt: skip


def test_a_large_slice_is_cut_to_what_is_near() -> None:
    lines = [f"s: launch k{i} r=x{i % 3}" for i in range(300)]
    text = "\n".join(["s: launch a w=x0", *lines, "t: launch b w=x0"])
    order = HappensBefore(parse(text))
    found = check(order.trace).findings
    part = slice_of(order, found[0])

    assert set(found[0].ops) <= set(part.ops)
    assert len(part.ops) <= MOST


# --- the command


def test_the_command_writes_witnesses(tmp_path: Path) -> None:
    path = tmp_path / "r.html"

    assert main(["report", str(EXAMPLES / "swa_war_buggy.trace.jsonl"), "-o", str(path)]) == 0

    (found,) = packed(path.read_text(encoding="utf-8"))[0]["findings"]
    assert found["runs"]["reader"] == 16
    assert len(set(found["runs"]["words"])) == 2
    assert [[step["op"] for step in run] for run in found["runs"]["runs"]] == [[16, 25], [25, 16]]
    assert found["slice"]["roles"]["common"] == 15


def test_the_command_can_leave_witnesses_and_rules_out(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    trace = str(EXAMPLES / "event_moved_buggy.trace.jsonl")

    assert main(["report", trace, "-o", str(path), "--no-confirm", "--select", "SO1"]) == 0

    found = packed(path.read_text(encoding="utf-8"))[0]["findings"]
    assert {each["rule"] for each in found} == {"SO101"}
    assert all("runs" not in each for each in found)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.trace.jsonl", "-o", "x.html"], "no such file"),
        ([str(EXAMPLES / "n2.trace.jsonl"), "-o", "/nowhere/x.html"], "/nowhere/x.html"),
        ([str(EXAMPLES / "n2.trace.jsonl"), "-o", "x.html", "--select", "XX"], "no rule matches"),
    ],
)
def test_mistakes_are_one_line_and_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)

    assert main(["report", *arguments]) == 2

    error = capsys.readouterr().err
    assert words.lower() in error.lower()
    assert error.count("\n") == 1


def test_a_damaged_trace_is_reported_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (EXAMPLES / "swa_war_buggy.trace.jsonl").read_text(encoding="utf-8")
    cut = tmp_path / "cut.trace.jsonl"
    cut.write_text(whole[:-30], encoding="utf-8")
    path = tmp_path / "r.html"

    assert main(["report", str(cut), "-o", str(path)]) == 2
    assert "damaged" in capsys.readouterr().err
    assert packed(path.read_text(encoding="utf-8"))[0]["damage"]
    assert main(["report", str(cut), "-o", str(path), "--allow-damaged"]) == 0
