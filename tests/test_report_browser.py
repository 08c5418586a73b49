"""The interactive report in a real browser.

Needs Playwright (PyPI) and Chromium; where one is missing the tests are skipped, unless
``STREAMSAN_BROWSER=1`` says that they must run. axe-core (npm) is looked for at ``AXE_CORE``.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from strategies import random_trace

from streamsan.checkers import check
from streamsan.checkers.reports.page import Contents, build_page
from streamsan.cli import main
from streamsan.traces import load
from streamsan.traces import ops as o
from streamsan.traces.build import TraceBuilder
from streamsan.traces.model import Trace
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.explain import why
from streamsan.traces.text import parse

EXAMPLES = Path(__file__).parent.parent / "examples"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
HOSTILE = "</script><img src=x onerror=alert(1)>"
ODD_NAMES = [
    HOSTILE, "]]><!--", "${alert(1)}", "@@DATA@@", "核函数_注意力", "ядро", "نواة الضرب", "커널",
    "\u202etxet desrever", "a\u0000b\nc", "🚀" * 40, "x" * 5000, "__proto__", "constructor",
]  # fmt: skip


def playwright() -> Any:
    if CHROMIUM is None or os.environ.get("STREAMSAN_BROWSER") == "0":
        reason = "there is no chromium"
    else:
        try:
            return import_module("playwright.sync_api").sync_playwright
        except ImportError:
            reason = "playwright is not installed"
    if os.environ.get("STREAMSAN_BROWSER") == "1":
        pytest.fail(f"STREAMSAN_BROWSER=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright()() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


class Opened:
    """A page, and everything that it said or asked for."""

    def __init__(self, browser: Any, path: Path, link: str = "", **options: Any) -> None:
        self.page = browser.new_page(**{"viewport": WIDE, **options})
        self.page.set_default_timeout(15_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda _: self.complaints.append("a dialog opened"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri() + link)
        self.page.locator(".timeline").wait_for()
        while not self.page.evaluate("() => '__streamsan' in window"):
            self.page.wait_for_timeout(20)

    def state(self, key: str) -> Any:
        return self.page.evaluate(f"() => __streamsan.app.state.{key}")

    def texts(self, selector: str) -> list[str]:
        return [str(text) for text in self.page.locator(selector).all_inner_texts()]

    def seen(self, op: int) -> bool:
        """Whether an op's box is inside the picture."""
        return bool(self.page.evaluate(SEEN, op))

    def close(self) -> None:
        """Leave; nothing may have been said, and nothing asked of anybody."""
        self.page.close()
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith("file:")] == []


SEEN = """(op) => {
  const {camera, see} = __streamsan.app.picture;
  const row = see.scene.rows.find((r) => r.lane === __streamsan.app.data.lane(op));
  const i = row.ops.findIndex((each, n) => each === op && !row.call[n]);
  const [a, b] = [camera.x(row.from[i]), camera.x(row.to[i])];
  const y = row.y - camera.down;
  return a >= camera.left - 1 && b <= camera.width + 40 && y >= 0 && y < camera.height;
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    trace = EXAMPLES / "event_moved_buggy.trace.jsonl"

    assert main(["report", str(trace), "-o", str(path)]) == 0

    return path


def page_of(trace: Trace, folder: Path) -> Path:
    path = folder / "report.html"
    page = build_page(Contents(HappensBefore(trace), check(trace).findings))
    path.write_text(page, encoding="utf-8")
    return path


def test_it_opens_on_the_worst_finding_and_says_it_in_words(browser: Any, report: Path) -> None:
    opened = Opened(browser, report)

    assert opened.texts(".story .headline") == [
        "Stream P may read new_seq_lens_buf before stream F has written it."
    ]
    assert "record an event on F right after op 20" in opened.texts(".story .mend")[0]
    assert opened.seen(20)
    assert opened.seen(37)
    assert len(opened.texts(".choice")) == 6

    opened.close()


def test_choosing_a_finding_shows_its_ops_and_its_rule(browser: Any, report: Path) -> None:
    opened = Opened(browser, report)
    opened.page.locator(".choice").nth(1).click()

    assert opened.state("finding") == 1
    assert opened.seen(20)
    assert opened.seen(39)
    assert "SO101" in opened.texts(".rule summary")[0]
    opened.page.locator(".rule summary").click()
    assert "Limits" in opened.texts(".rule h4")
    assert "wrong generation" in opened.texts(".finding dl")[0]
    opened.page.get_by_role("button", name="Order", exact=True).click()
    assert opened.seen(20)
    assert opened.seen(39)

    opened.close()


def test_a_link_leads_to_a_finding(browser: Any, report: Path) -> None:
    findings = check(load(str(EXAMPLES / "event_moved_buggy.trace.jsonl"))).findings
    opened = Opened(browser, report, f"#f={findings[3].rule}-{findings[3].fingerprint[:8]}")

    assert opened.state("finding") == 3
    opened.page.locator(".choice").nth(1).click()
    assert opened.page.url.endswith(f"#f={findings[1].rule}-{findings[1].fingerprint[:8]}")

    opened.close()


def test_the_two_witness_runs_play_step_by_step(browser: Any, report: Path) -> None:
    opened = Opened(browser, report)
    outcome = opened.texts(".outcome")

    assert len(outcome) == 2
    assert outcome[0] != outcome[1]
    assert all(words.startswith("Op 37 gets ") for words in outcome)

    opened.page.get_by_role("button", name="To the start").click()
    assert opened.page.locator(".run li.done").count() == 0
    assert not opened.page.locator(".run .got").first.is_visible()
    opened.page.get_by_role("button", name="One step on").click()
    assert opened.page.locator(".run li.now").count() == 2
    assert opened.state("playing") == [20, 37]
    opened.page.get_by_role("button", name="To the end").click()
    assert opened.page.locator(".outcome.done").count() == 2

    opened.page.get_by_role("button", name="▶ Play").click()
    opened.page.locator(".run li.now").first.wait_for()
    opened.page.get_by_role("button", name="▶ Play").wait_for()  # it stops by itself

    opened.close()


def test_what_a_finding_says_is_drawn(browser: Any, report: Path) -> None:
    opened = Opened(browser, report)
    count = """(name) => {
      const {picture} = __streamsan.app;
      picture.draw();
      const {width, height} = picture.parts.canvas;
      const data = picture.pen.getImageData(0, 0, width, height).data;
      const hex = parseInt(picture.see.theme[name].slice(1), 16);
      let found = 0;
      for (let i = 0; i < data.length; i += 4) {
        found += Number(((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]) === hex);
      }
      return found;
    }"""
    colours = ("bad", "good", "almost", "common")
    drawn = {name: opened.page.evaluate(count, name) for name in colours}
    opened.page.evaluate("() => { __streamsan.app.picture.see.finding = null; }")
    left = {name: opened.page.evaluate(count, name) for name in colours}

    assert all(drawn[name] > left[name] + 100 for name in colours), (drawn, left)
    issue = opened.page.evaluate(count, "faint")
    opened.page.get_by_label("Issue edges").check()
    assert opened.page.evaluate(count, "faint") > issue
    opened.complaints.clear()  # the browser's advice on reading pixels back

    opened.close()


def test_search_narrows_ops_and_findings(browser: Any, report: Path) -> None:
    opened = Opened(browser, report)
    box = opened.page.get_by_role("searchbox")
    box.fill("rule:SO303")

    assert len(opened.texts(".choice")) == 1
    assert opened.texts(".matches") == ["1 op"]
    box.fill("stream:P kind:memcpy")
    expected = [
        op.id for op in load(str(EXAMPLES / "event_moved_buggy.trace.jsonl"))
        if op.stream == "P" and op.word == "memcpy"
    ]  # fmt: skip
    assert opened.texts(".matches") == [f"{len(expected)} op{'s' * (len(expected) != 1)}"]
    box.press("Enter")
    assert opened.state("selected") == expected[0]
    box.fill("no such thing")
    assert opened.texts(".matches") == ["0 ops"]

    opened.close()


def test_the_keyboard_alone_is_enough(browser: Any, report: Path) -> None:
    opened = Opened(browser, report)
    keys = opened.page.keyboard
    keys.press("j")
    assert opened.state("finding") == 1
    keys.press("k")
    assert opened.state("finding") == 0
    keys.press("2")
    assert opened.state("axis") == "order"
    keys.press("b")
    assert opened.state("view") == "buffers"
    keys.press("l")
    keys.press("/")
    keys.type("publish")
    keys.press("Enter")
    first = opened.state("selected")
    keys.press("Escape")  # leaves the search for the timeline
    keys.press("ArrowRight")
    assert opened.state("selected") > first
    width = "() => __streamsan.app.picture.camera.to - __streamsan.app.picture.camera.from"
    before = opened.page.evaluate(width)
    keys.press("w")
    assert opened.page.evaluate(width) < before
    keys.press("?")
    assert opened.page.locator("dialog[open]").count() == 1
    keys.press("Escape")
    keys.press("Escape")
    assert opened.state("selected") is None
    keys.press(",")
    assert opened.page.locator(".run li.now").count() == 2
    opened.page.locator(".rule summary").focus()
    keys.press("Space")  # opens what has the focus; it does not play
    assert opened.page.locator(".rule[open]").count() == 1
    keys.press("Escape")
    focused = "() => document.activeElement.matches('.choice:not([aria-current])')"
    for _ in range(60):
        if opened.page.evaluate(focused):
            break
        keys.press("Tab")
    assert opened.page.evaluate(focused)
    keys.press("Enter")
    assert opened.state("finding") != 0

    opened.close()


def test_any_two_ops_are_explained(browser: Any, report: Path) -> None:
    opened = Opened(browser, report)

    assert "Concurrent" in opened.texts(".why .answer")[0]
    assert "nothing on stream F is before op 37" in opened.texts(".why .answer")[0]
    opened.page.get_by_label("first op").fill("39")
    opened.page.get_by_label("second op").fill("37")
    opened.page.get_by_role("button", name="Why", exact=True).click()
    assert "up to op 33" in opened.texts(".why .answer")[0]
    assert "op 39 is later than that" in opened.texts(".why .answer")[0]
    opened.page.get_by_label("first op").fill("19")
    opened.page.get_by_label("second op").fill("50")
    opened.page.get_by_role("button", name="Why", exact=True).click()
    assert "Ordered: op 19 comes before op 50" in opened.texts(".why .answer")[0]
    assert opened.page.locator(".chain li").count() >= 1

    opened.close()


def test_a_click_lights_up_past_and_future(browser: Any, report: Path) -> None:
    opened = Opened(browser, report)
    opened.page.evaluate("() => __streamsan.app.select(36)")
    sides = opened.page.evaluate(
        "() => Array.from({length: __streamsan.app.data.count}, "
        "(_, op) => __streamsan.app.picture.see.look(op, 0) >> 5)"
    )
    order = HappensBefore(load(str(EXAMPLES / "event_moved_buggy.trace.jsonl")))
    graph = order.graph
    for op in range(len(order.trace)):
        before = order.clocks.is_before(int(graph.op_node[op]), int(graph.op_node[36]))
        after = order.clocks.is_before(int(graph.op_node[36]), int(graph.op_node[op]))
        assert sides[op] == (1 if before else 2 if after else 0), op

    opened.close()


@pytest.mark.parametrize("seed", range(3))
def test_the_page_orders_as_the_checker_does(browser: Any, tmp_path: Path, seed: int) -> None:
    trace = random_trace(seed, 60)
    order = HappensBefore(trace, engine="python")
    opened = Opened(browser, page_of(trace, tmp_path))
    found = opened.page.evaluate(
        "() => { const {order, data} = __streamsan.app; const n = data.count;"
        "return Array.from({length: n}, (_, a) => Array.from({length: n}, (_, b) => "
        "Number(a !== b && order.ordered(a, b)))); }"
    )
    pairs = [(a, b) for a in range(len(trace)) for b in range(len(trace)) if a != b]

    assert [(a, b) for a, b in pairs if found[a][b]] == [p for p in pairs if order.ordered(*p)]
    assert any(found[a][b] for a, b in pairs)
    ordered = [p for p in pairs if order.ordered(*p)]
    for a, b in random.Random(seed).sample(ordered, 10):  # noqa: S311
        opened.page.evaluate("([a, b]) => __streamsan.app.pair(a, b)", [a, b])
        steps = opened.page.evaluate(
            "() => __streamsan.app.picture.see.chain.map((s) => [s.from, s.to])"
        )
        assert len(steps) == len(why(order, a, b)), (a, b)

    opened.close()


def test_hostile_names_do_no_harm(browser: Any, tmp_path: Path) -> None:
    lines = []
    for i, name in enumerate(ODD_NAMES):
        lines += [
            f"{json.dumps(name)}: launch {json.dumps('k' + name)} w={json.dumps('b' + name)}",
            f"s{i}: launch {json.dumps(name)} r={json.dumps('b' + name)}",
        ]
    trace = parse("\n".join(lines))
    opened = Opened(browser, page_of(trace, tmp_path))

    assert len(opened.texts(".choice")) == len(ODD_NAMES)
    for number in range(len(ODD_NAMES)):
        opened.page.locator(".choice").nth(number).click()
    for view in ("Buffers", "Costs", "Lanes"):
        opened.page.get_by_role("button", name=view, exact=True).click()
    opened.page.get_by_role("searchbox").fill(HOSTILE)
    opened.page.get_by_role("searchbox").press("Enter")
    assert opened.page.locator("img").count() == 0
    assert opened.page.locator("script").count() <= 1
    assert HOSTILE in "".join(opened.texts(".opinfo h2"))
    assert opened.page.evaluate("() => document.body.scrollWidth <= innerWidth")

    opened.close()


def test_nothing_can_be_run_that_is_not_the_pages_own(browser: Any, report: Path) -> None:
    opened = Opened(browser, report)
    tries = """() => {
      const told = [];
      try { document.body.innerHTML = "<b>x</b>"; } catch { told.push("html"); }
      const script = document.createElement("script");
      try { script.textContent = "window.bad = 1"; document.body.append(script); } catch {}
      if (!window.bad) told.push("script");
      return told;
    }"""

    assert opened.page.evaluate(tries) == ["html", "script"]
    opened.complaints.clear()  # the policy says what it refused

    opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_and_both_schemes(browser: Any, report: Path, scheme: str) -> None:
    opened = Opened(browser, report, viewport=NARROW, color_scheme=scheme, has_touch=True)

    assert opened.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert opened.page.locator(".timeline").is_visible()
    assert opened.seen(20)
    paper = opened.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 200) == (scheme == "dark")
    shades = opened.page.evaluate(
        "() => { const c = document.querySelector('.timeline');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return new Set(new Uint32Array(d.buffer)).size; }"
    )
    assert shades > 10
    opened.page.get_by_role("button", name="◐ Theme").click()
    turned = opened.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert turned != paper

    opened.close()


def test_touch_pans_and_pinches(browser: Any, report: Path) -> None:
    opened = Opened(browser, report, viewport=NARROW, has_touch=True)
    opened.page.get_by_role("button", name="Order", exact=True).click()
    span = "() => [__streamsan.app.picture.camera.from, __streamsan.app.picture.camera.to]"
    start = opened.page.evaluate(span)
    send = """(moves) => { const c = document.querySelector('.timeline');
      c.setPointerCapture = () => {};
      const box = c.getBoundingClientRect();
      for (const [type, id, x] of moves) c.dispatchEvent(new PointerEvent(type,
        {pointerId: id, pointerType: 'touch', clientX: box.x + x, clientY: box.y + 90})); }"""
    opened.page.evaluate(send, [["pointerdown", 1, 300], ["pointermove", 1, 200]])
    panned = opened.page.evaluate(span)
    assert panned[0] > start[0]
    opened.page.evaluate(
        send, [["pointerdown", 2, 250], ["pointermove", 2, 380], ["pointerup", 2, 380]]
    )
    pinched = opened.page.evaluate(span)
    assert pinched[1] - pinched[0] < panned[1] - panned[0]

    opened.close()


def test_costs_and_buffers_are_told(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    trace = EXAMPLES / "hidden_d2h_redundant_buggy.trace.jsonl"
    assert main(["report", str(trace), "-o", str(path)]) == 0
    opened = Opened(browser, path)
    opened.page.get_by_role("button", name="Costs", exact=True).click()
    text = "".join(opened.texts(".costs"))

    assert "What could be saved" in text
    assert "leave the copy out" in text
    assert "8192 bytes" in text
    opened.page.locator(".costs button.op").first.click()
    assert opened.state("view") == "lanes"
    opened.page.get_by_role("button", name="Buffers", exact=True).click()
    rows = opened.page.evaluate("() => __streamsan.app.picture.see.scene.rows.map((r) => r.label)")
    assert any(label.startswith("hidden_states_cpu.0") for label in rows)

    opened.close()


def test_copy_as_text_gives_the_slice(browser: Any, report: Path) -> None:
    opened = Opened(browser, report)
    opened.page.locator(".slice summary").click()
    text = opened.page.locator(".slice textarea").input_value()

    assert "SO101" in {f.rule for f in check(parse(text)).findings}
    opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.page.get_by_role("button", name="Copy", exact=True).click()
    opened.page.get_by_text("Copied.").wait_for()

    opened.close()


def test_a_trace_without_findings_or_ops_opens(browser: Any, tmp_path: Path) -> None:
    for number, text in enumerate(("", "s: launch k")):
        folder = tmp_path / str(number)
        folder.mkdir()
        opened = Opened(browser, page_of(parse(text), folder))
        assert opened.texts(".story .headline") == ["No findings in this trace."]
        opened.close()


def test_many_ops_stay_smooth(browser: Any, tmp_path: Path) -> None:
    builder = TraceBuilder()
    builder.add([
        o.Launch(stream=f"s{i % 8}", name=f"k{i % 9}", begin=i * 500, end=i * 500 + 3900)
        for i in range(100_000)
    ])  # fmt: skip
    order = HappensBefore(builder.finish(o.Header(), "many"))
    path = tmp_path / "many.html"
    path.write_text(build_page(Contents(order, ())), encoding="utf-8")
    assert path.stat().st_size < 1_000_000
    opened = Opened(browser, path)

    assert opened.page.evaluate("() => __streamsan.ready") < 5_000
    for axis in ("order", "time"):
        opened.page.evaluate("(axis) => __streamsan.app.change({axis})", axis)
        frames = opened.page.evaluate(
            "() => Array.from({length: 9}, () => __streamsan.app.picture.draw())"
        )
        assert sorted(frames)[4] < 60
    assert opened.page.evaluate("() => __streamsan.app.order.ordered(0, 99992)")
    assert not opened.page.evaluate("() => __streamsan.app.order.ordered(0, 99993)")

    opened.close()


def axe_source() -> str:
    for place in (os.environ.get("AXE_CORE"), "node_modules/axe-core/axe.min.js"):
        if place and Path(place).is_file():
            return Path(place).read_text(encoding="utf-8")
    pytest.skip("axe-core is not there: npm install axe-core, and AXE_CORE=.../axe.min.js")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["Lanes", "Costs"])
def test_axe_finds_nothing_serious(browser: Any, report: Path, scheme: str, view: str) -> None:
    source = axe_source()
    context = browser.new_context(bypass_csp=True, color_scheme=scheme, viewport=WIDE)
    page = context.new_page()
    page.goto(report.as_uri())
    page.locator(".timeline").wait_for()
    page.get_by_role("button", name=view, exact=True).click()
    for summary in page.locator("aside summary").all():
        summary.click()
    page.evaluate(source)
    found = page.evaluate("() => axe.run()")
    context.close()

    serious = [
        (each["id"], each["nodes"][0]["html"][:200], each["nodes"][0]["failureSummary"])
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert len(found["passes"]) > 15
