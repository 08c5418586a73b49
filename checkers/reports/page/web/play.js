// @ts-check
/** Two runs that the program allows and that disagree, side by side and step by step. */

import { READ } from "./data.js";
import { el, fill } from "./dom.js";

const PACE = 1100;

/**
 * @param {any} finding
 * @param {import("./data.js").Data} data
 * @param {(ops: (number | null)[]) => void} show the op of each run at this step
 */
export function witnessPanel(finding, data, show) {
  const { runs } = finding;
  const about = { buffer: finding.buffer, readers: readersOf(finding, data) };
  const state = { step: 0, timer: 0 };
  const most = Math.max(...runs.runs.map((run) => run.length));
  const columns = runs.runs.map((run, i) => runColumn(runs, run, i, about));
  const say = el("p", { class: "step", role: "status" });
  const to = (step, seen = true) => {
    state.step = Math.max(0, Math.min(most, step));
    columns.forEach((column) => column.at(state.step));
    if (seen) show(runs.runs.map((run) => (state.step ? (run[state.step - 1]?.op ?? null) : null)));
    fill(say, told(runs, state.step, most, about));
    if (state.step === most) stop();
  };
  const stop = () => {
    clearInterval(state.timer);
    state.timer = 0;
    fill(play, "▶ Play");
  };
  const toggle = () => {
    if (state.timer) return stop();
    if (state.step === most) to(0);
    fill(play, "⏸ Pause");
    state.timer = window.setInterval(() => to(state.step + 1), PACE);
    return to(state.step + 1);
  };
  const play = el("button", { type: "button", class: "play", onclick: toggle }, "▶ Play");
  const panel = el(
    "section",
    { class: "witness", "aria-label": "Two runs that disagree" },
    el("h3", {}, "Two runs that the program allows"),
    el(
      "p",
      { class: "hint" },
      "Both are legal. The same steps in another order give other values.",
    ),
    el(
      "div",
      { class: "buttons" },
      el("button", { type: "button", "aria-label": "To the start", onclick: () => to(0) }, "⏮"),
      el(
        "button",
        { type: "button", "aria-label": "One step back", onclick: () => to(state.step - 1) },
        "◀",
      ),
      play,
      el(
        "button",
        {
          type: "button",
          "aria-label": "One step on",
          class: "on",
          onclick: () => to(state.step + 1),
        },
        "▶|",
      ),
      el("button", { type: "button", "aria-label": "To the end", onclick: () => to(most) }, "⏭"),
    ),
    say,
    runs.common.length ? commonPart(runs) : null,
    el(
      "div",
      { class: "runs" },
      columns.map((column) => column.node),
    ),
  );
  to(most, false);
  return {
    panel,
    stop,
    to,
    get step() {
      return state.step;
    },
    most,
  };
}

function told(runs, step, most, about) {
  if (!step) return "Before the runs part.";
  const got = runs.runs
    .map((run) => gotOf(run[step - 1], about))
    .map((words, i) => words && `run ${i + 1} gets ${words}`);
  const news = got.filter(Boolean).join("; ");
  return `Step ${step} of ${most}${news ? `: ${news}` : "."}`;
}

function commonPart(runs) {
  return el(
    "details",
    { class: "common" },
    el("summary", {}, "Before: the same in both runs"),
    el(
      "ol",
      {},
      runs.common.map((beat) => el("li", {}, beat.does, beat.got ? ` → ${beat.got}` : "")),
    ),
  );
}

/** Of what an op got, the part about the memory in question; nothing where it reads none of it. */
function gotOf(beat, about) {
  if (!beat?.got || !about.readers.has(beat.op)) return "";
  const start = about.buffer ? beat.got.indexOf(`${about.buffer}: `) : -1;
  if (start < 0) return beat.got;
  return beat.got.slice(start + about.buffer.length + 2).split("; ")[0];
}

/** The ops of the runs that read the memory in question. */
function readersOf(finding, data) {
  const ops = finding.runs.runs.flat().map((beat) => beat.op);
  const reads = ({ mode, buffer }) => mode === READ && data.bufferName(buffer) === finding.buffer;
  const found = ops.filter((op) => !finding.buffer || data.accesses(op).some(reads));
  return new Set([...found, finding.runs.reader]);
}

function runColumn(runs, run, i, about) {
  const items = run.map((beat) =>
    el(
      "li",
      {},
      el("span", { class: "line" }, beat.line),
      el("span", { class: "does" }, beat.does),
      gotOf(beat, about)
        ? el("span", { class: "got", title: beat.got }, `→ gets ${gotOf(beat, about)}`)
        : null,
    ),
  );
  const end = el("p", { class: `outcome ${i ? "second" : "first"}` }, outcome(runs, i));
  const node = el(
    "div",
    { class: "run" },
    el("h4", {}, `Run ${i + 1}`),
    el("ol", {}, items),
    end,
    el(
      "code",
      { class: "schedule", title: "Replay it: streamsan explore TRACE --replay SCHEDULE" },
      runs.schedules[i] ?? "",
    ),
  );
  const at = (step) => {
    items.forEach((item, n) => {
      item.classList.toggle("done", n < step);
      item.classList.toggle("now", n === step - 1);
      item.toggleAttribute("aria-current", n === step - 1);
    });
    end.classList.toggle("done", step >= run.length);
  };
  return { node, at };
}

function outcome(runs, i) {
  const words = runs.words?.[i];
  if (!words) return "";
  return runs.reader === null
    ? `In the end there is ${words}.`
    : `Op ${runs.reader} gets ${words}.`;
}
