// @ts-check
/** The page's parts, empty. */

import { el } from "./dom.js";

/**
 * @param {any} meta
 * @param {any} on what the controls do
 */
export function makeLayout(meta, on) {
  const counts = ["error", "warning", "info"]
    .map((severity) => [severity, meta.totals[severity] ?? 0])
    .filter(([, count]) => count);
  const parts = {
    views: choice(
      "View",
      [
        ["lanes", "Lanes"],
        ["buffers", "Buffers"],
        ["costs", "Costs"],
      ],
      on.view,
    ),
    axes: choice(
      "Axis",
      [
        ["slice", "Slice"],
        ["order", "Order"],
        ["time", "Time"],
      ],
      on.axis,
    ),
    search: el("input", {
      type: "search",
      placeholder: "Search  /",
      "aria-label": "Search ops and findings",
      oninput: (e) => on.search(e.target.value),
      onkeydown: on.searchKey,
    }),
    matches: el("span", { class: "matches", role: "status" }),
    list: el("nav", { class: "list", "aria-label": "Findings" }),
    story: el("div", {
      class: "story",
      role: "region",
      "aria-label": "The finding",
      tabindex: "0",
    }),
    canvas: el("canvas", {
      class: "timeline",
      tabindex: "0",
      role: "application",
      "aria-label":
        "Timeline: rows of ops. Arrow keys move between ops, w and s zoom, a and d pan, question mark for help.",
    }),
    mini: el("canvas", { class: "mini", "aria-hidden": "true" }),
    stage: el("div", { class: "stage" }),
    costs: el("div", { class: "costs-place", hidden: true }),
    detail: el("aside", { class: "detail", "aria-label": "Details" }),
    tip: el("div", { class: "tip", hidden: true, "aria-hidden": "true" }),
    said: el("p", { class: "visually-hidden", role: "status", "aria-live": "polite" }),
    note: el("p", { class: "note" }),
  };
  const check = (name, words, now) =>
    el(
      "label",
      { class: "check" },
      el("input", {
        type: "checkbox",
        checked: now,
        onchange: (e) => on.option(name, e.target.checked),
      }),
      words,
    );
  parts.head = el(
    "header",
    {},
    el("h1", {}, el("span", { class: "brand" }, "streamsan"), " ", meta.title),
    el(
      "p",
      { class: "summary" },
      meta.findings.length
        ? counts.map(([severity, count]) =>
            el(
              "span",
              { class: `chip ${severity}` },
              `${count.toLocaleString("en")} ${severity}${count > 1 && severity !== "info" ? "s" : ""}`,
            ),
          )
        : "no findings",
      ` ${meta.ops.toLocaleString("en")} ops, ${meta.lanes.length} lanes`,
    ),
    el(
      "div",
      { class: "controls" },
      parts.views.node,
      parts.axes.node,
      check("edges", "Edges", true),
      check("issue", "Issue edges", false),
      parts.search,
      parts.matches,
      el("button", { type: "button", onclick: on.theme }, "◐ Theme"),
      el("button", { type: "button", onclick: on.help, "aria-label": "Help" }, "?"),
    ),
  );
  parts.stage.append(parts.story, parts.note, parts.canvas, parts.mini, parts.costs);
  const main = el("main", {}, parts.list, parts.stage, parts.detail);
  return { ...parts, all: [parts.head, main, parts.tip, parts.said] };
}

function choice(name, entries, choose) {
  const buttons = entries.map(([key, words]) =>
    el("button", { type: "button", "data-key": key, onclick: () => choose(key) }, words),
  );
  return {
    node: el("div", { class: "group", role: "group", "aria-label": name }, buttons),
    show(key, disabled = []) {
      for (const button of buttons) {
        button.setAttribute("aria-pressed", String(button.dataset.key === key));
        button.disabled = disabled.includes(button.dataset.key);
      }
    },
  };
}
