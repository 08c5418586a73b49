// @ts-check
/** The findings by severity, and what no rule could say. */

import { badge } from "./detail.js";
import { counted, el, fill } from "./dom.js";
import { findingMeets } from "./search.js";

const MOST = 300;

/**
 * @param {Element} place
 * @param {any} meta
 * @param {{finding: number, query: string}} state
 * @param {(number: number) => void} choose
 */
export function fillList(place, meta, state, choose) {
  const shown = meta.findings
    .map((finding, number) => ({ finding, number }))
    .filter(
      ({ finding }) =>
        !state.query ||
        findingMeets(finding, state.query) ||
        !meta.findings.some((f) => findingMeets(f, state.query)),
    );
  const items = shown.slice(0, MOST).map(({ finding, number }) =>
    el(
      "li",
      {},
      el(
        "button",
        {
          type: "button",
          class: "choice",
          "aria-current": number === state.finding ? "true" : null,
          "data-finding": number,
          onclick: () => choose(number),
        },
        el(
          "span",
          { class: "row" },
          badge(finding.severity),
          ` ${finding.rule}`,
          finding.count > 1 ? ` ×${finding.count}` : "",
        ),
        el("span", { class: "headline" }, finding.headline),
      ),
    ),
  );
  fill(
    place,
    el("h2", {}, meta.findings.length ? counted(shown.length, "finding") : "No findings"),
    meta.findings.length
      ? null
      : el("p", { class: "hint" }, "The rules that could look found nothing wrong."),
    el("ol", { class: "choices" }, items),
    shown.length > MOST
      ? el("p", { class: "hint" }, `and ${shown.length - MOST} more: search to see them`)
      : null,
    leftOut(meta),
    notes(meta),
  );
}

function leftOut(meta) {
  const all = Object.values(meta.totals).reduce((sum, count) => sum + count, 0);
  const more = all - meta.findings.length;
  if (!more) return null;
  return el("p", { class: "hint" }, `${counted(more, "more finding")} not in this file: see lint`);
}

function notes(meta) {
  const unknown = meta.unknown.map((each) => `${each.rule}: ${each.reason}`);
  const gaps = meta.gaps.map(([reason, times]) => `${reason} (${times})`);
  const all = [
    ...(meta.damage ? [`The trace is damaged: ${meta.damage}`] : []),
    ...unknown,
    ...gaps,
  ];
  if (!all.length) return null;
  return el(
    "details",
    { class: "unknown" },
    el("summary", {}, `What is not known (${all.length})`),
    el(
      "ul",
      {},
      all.map((words) => el("li", {}, words)),
    ),
  );
}
