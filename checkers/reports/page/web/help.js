// @ts-check
/** What the signs mean, and the keys. */

import { FAMILIES } from "./data.js";
import { el } from "./dom.js";

const KEYS = [
  ["j / k", "next, previous finding"],
  ["/", "search: words, or stream:F buffer:x rule:SO1 kind:memcpy name:k op:16"],
  ["n / N", "next, previous match of the search"],
  ["w s / + −", "zoom in, out (on the timeline)"],
  ["a d", "pan (on the timeline)"],
  ["← → ↑ ↓", "previous, next op of the row; the row above, below (on the timeline)"],
  ["m", "keep this op, and choose another: why are the two ordered, or why not"],
  ["f / 0", "the finding; everything"],
  ["1 2 3", "slice, issue order, time"],
  ["l b c", "lanes, buffers, costs"],
  ["Space", "play or pause the two runs"],
  [", .", "one step back, on"],
  ["Esc", "let go of what is chosen"],
];

/** The legend and the keys, in a dialogue. */
export function helpDialog() {
  const dialog = el(
    "dialog",
    { "aria-label": "Help" },
    el("h2", {}, "How to read this"),
    el(
      "p",
      {},
      "Each row is a line of work: a host thread, a stream, a copy engine. Time goes to the right. Arrows say what waits for what. Two ops that no chain of arrows joins may run in either order.",
    ),
    el("h3", {}, "Signs"),
    el(
      "ul",
      { class: "legend" },
      FAMILIES.map((family, i) =>
        el("li", {}, el("span", { class: `swatch family-${i}` }, family.sign), ` ${family.name}`),
      ),
    ),
    el(
      "ul",
      { class: "legend" },
      el("li", {}, "A, B framed in red: the two ops of the finding"),
      el("li", {}, "dashed red arrow with a cross: the order that is missing"),
      el("li", {}, "dotted amber: a wait that almost made it"),
      el("li", {}, "green diamonds: where the fix goes"),
      el(
        "li",
        {},
        "a bar above a box: comes before the chosen op; below: after it; faded: neither",
      ),
      el("li", {}, "a small mark on a host thread: the call that issued work to a stream"),
      el("li", {}, "buffers: filled boxes write, hollow ones read; their height is the byte range"),
    ),
    el("h3", {}, "Keys"),
    el(
      "dl",
      { class: "keys" },
      KEYS.map(([key, words]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)]),
    ),
    el("form", { method: "dialog" }, el("button", {}, "Close")),
  );
  return dialog;
}
