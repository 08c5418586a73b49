// @ts-check
/** What stands above the picture and beside it. */

import { findingPanel, rulePage, slicePanel } from "./detail.js";
import { el } from "./dom.js";
import { opPanel, whyPanel } from "./whypanel.js";

/** The finding in a few lines: what goes wrong, the two ops, the fix. */
export function storyOf(finding, meta) {
  if (!finding) {
    const words = meta.findings.length ? "Choose a finding." : "No findings in this trace.";
    return el("p", { class: "headline" }, words);
  }
  const [a, b] = finding.details.accesses ?? [];
  return [
    el("p", { class: "headline" }, finding.headline),
    b ? [who("A", a), who("B", b)] : null,
    el("p", { class: "mend" }, el("b", {}, "Fix: "), finding.hint),
  ];
}

function who(letter, { op, name, does, line }) {
  const sign = el("span", { class: "letter" }, letter);
  const doing = does ? ` ${does} it on ` : " is on ";
  return el("p", { class: "who" }, sign, ` op ${op} `, el("b", {}, name), doing, el("b", {}, line));
}

/** The op that is chosen, why it is ordered with another, and the finding in full. */
export function detailOf(app, selected, witness) {
  const { data, order, state, finding, act } = app;
  const one = state.compared ?? (selected === null ? (finding?.ops[0] ?? null) : null);
  const other = selected ?? finding?.ops[1] ?? null;
  const asked = whyPanel(data, order, one, other, act);
  const about = finding && [
    findingPanel(finding, data, act, witness),
    slicePanel(finding.slice?.text),
    rulePage(finding.rule, data.meta.rules[finding.rule]),
  ];
  if (selected === null) return [about, asked];
  return [opPanel(selected, data, order, act), pinButton(app), asked, about];
}

function pinButton(app) {
  const { pinning } = app.state;
  return el(
    "button",
    { type: "button", "aria-pressed": String(pinning), onclick: () => app.pin() },
    pinning ? "Now choose the other op" : "Why? Choose another op (m)",
  );
}
