// @ts-check
/** What it cost: who waited and for how long, what was copied, and what could be saved. */

import { bytes, counted, duration, el } from "./dom.js";

/**
 * @param {any} meta
 * @param {{finding: (number: number) => void}} act
 */
export function costsPanel(meta, act) {
  const { costs } = meta;
  const timed = Object.keys(costs.blocked).length > 0;
  return el(
    "div",
    { class: "costs", tabindex: "0", role: "region", "aria-label": "Costs" },
    el("h2", {}, "What it costs"),
    timed
      ? null
      : el("p", { class: "hint" }, "The trace has no host times: waits are counted, not timed."),
    table(
      "Host threads blocked",
      ["Thread", "Blocked"],
      Object.entries(costs.blocked).map(([thread, ns]) => [
        thread,
        bar(ns, Math.max(...Object.values(costs.blocked).map(Number)), duration),
      ]),
    ),
    table(
      "On whose account",
      ["Call", "Thread", "Where", "Times", "Blocked"],
      costs.payers.map((row) => [
        row.via ? `${row.name} (${row.via})` : row.name,
        row.thread,
        row.site ?? "",
        row.count,
        row.host_ns === null
          ? "not known"
          : bar(row.host_ns, costs.payers[0].host_ns || 1, duration),
      ]),
    ),
    table(
      "What could be saved",
      ["Finding", "What to do", "Gain"],
      costs.gains.map((row) => [
        el(
          "button",
          { type: "button", class: "op", onclick: () => act.finding(row.finding) },
          `${meta.findings[row.finding].rule} ${meta.findings[row.finding].name}`,
        ),
        row.hint,
        gain(row, costs.gains[0].ns || 1),
      ]),
    ),
    table(
      "Copies and fills",
      ["Direction", "Host memory", "Call", "Count", "Bytes", "On the link"],
      costs.copies.map((row) => [
        row.kind,
        row.memory,
        row.call,
        row.count,
        row.bytes === null
          ? "not known"
          : bar(row.bytes, Math.max(...costs.copies.map((each) => each.bytes ?? 0)) || 1, bytes),
        row.link_ns === null ? "not known" : duration(row.link_ns),
      ]),
    ),
    table(
      "Synchronisations",
      ["Kind", "Count", "Blocked", "Longest"],
      costs.syncs.map((row) => [
        row.kind,
        row.count,
        row.host_ns === null ? "not known" : duration(row.host_ns),
        row.longest_ns === null ? "" : duration(row.longest_ns),
      ]),
    ),
  );
}

function gain(row, most) {
  const words = row.words.length
    ? row.words.map((each) => el("div", {}, each))
    : "no price: the trace has no times";
  return [row.ns ? el("div", {}, bar(row.ns, most, duration)) : null, words];
}

function table(caption, heads, rows) {
  if (!rows.length) return null;
  return el(
    "div",
    { class: "scroll" },
    el(
      "table",
      {},
      el("caption", {}, `${caption} (${counted(rows.length, "row")})`),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          heads.map((head) => el("th", { scope: "col" }, head)),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((cells) =>
          el(
            "tr",
            {},
            cells.map((cell) => el("td", {}, cell)),
          ),
        ),
      ),
    ),
  );
}

function bar(value, most, words) {
  const made = el("span", { class: "bar" });
  made.style.width = `${Math.max(1, (value / most) * 80)}px`;
  return [made, ` ${words(value)}`];
}
