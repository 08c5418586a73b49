// @ts-check
/** One finding in full: its two ops, what is missing, what almost did it, the fix, the rule. */

import { bytes, el } from "./dom.js";

/**
 * @param {any} finding
 * @param {import("./data.js").Data} data
 * @param {{goto: (op: number) => void, why: (one: number, other: number) => void}} act
 * @param {Element | undefined} witness what the two runs show, if there are two
 */
export function findingPanel(finding, data, act, witness) {
  const { details } = finding;
  return el(
    "article",
    { class: "finding" },
    el(
      "p",
      { class: "kind" },
      badge(finding.severity),
      ` ${finding.rule} ${finding.name} · ${finding.kind} · ${finding.confidence}`,
      finding.count > 1 ? ` · seen ${finding.count} times` : "",
    ),
    sides(finding, data, act),
    el("div", { class: "fix" }, el("h3", {}, "Fix"), el("p", {}, finding.hint)),
    witness,
    el("h3", {}, "Evidence"),
    facts([
      ["Bytes", range(finding)],
      ["Missing", details.missing],
      ["Before both", details.common && opLink(details.common.op, data, act)],
      ["Almost", details.nearly && [el("b", {}, `${details.nearly.kind}: `), details.nearly.words]],
      [
        "Reuse",
        details.reuse &&
          `the memory was given back by op ${details.reuse.free} and handed out again by op ${details.reuse.malloc}`,
      ],
      ["Circle", details.circle?.join("; ")],
      ["In the machine", details.machine],
      ...(finding.cost ?? []),
      ...further(details, data.meta.costKeys),
    ]),
    finding.ops.length === 2 && finding.ops[0] !== finding.ops[1]
      ? el(
          "button",
          { type: "button", onclick: () => act.why(finding.ops[0], finding.ops[1]) },
          "missing" in details ? "Why are they not ordered?" : "How are they ordered?",
        )
      : null,
  );
}

const TOLD = new Set([
  "accesses",
  "missing",
  "common",
  "nearly",
  "reuse",
  "circle",
  "machine",
  "schedule",
]);

function further(details, told) {
  return Object.entries(details)
    .filter(
      ([key, value]) =>
        !TOLD.has(key) &&
        !told.includes(key) &&
        (typeof value === "string" || typeof value === "number"),
    )
    .map(([key, value]) => [key.replaceAll("_", " "), value]);
}

export function badge(severity) {
  const sign = { error: "✖", warning: "▲", info: "ℹ" }[severity];
  return el("span", { class: `badge ${severity}` }, `${sign} ${severity}`);
}

function sides(finding, data, act) {
  const accounts = finding.details.accesses ?? [];
  const letters = accounts.length > 1 ? ["A", "B"] : [""];
  return el(
    "div",
    { class: "sides" },
    accounts
      .slice(0, 2)
      .map((account, i) =>
        el(
          "div",
          { class: "side" },
          el(
            "h3",
            {},
            letters[i] ? el("span", { class: "letter" }, letters[i]) : null,
            opLink(account.op, data, act),
          ),
          el(
            "p",
            {},
            account.does ? `${account.does} it ` : "",
            "on ",
            el("b", {}, account.line),
            account.thread ? `, issued by ${account.thread}` : "",
            account.via ? `, via ${account.via}` : "",
          ),
          stack(account.stack),
        ),
      ),
  );
}

export function stack(frames) {
  if (!frames?.length) return el("p", { class: "hint" }, "no stack recorded");
  return el(
    "ol",
    { class: "stack", "aria-label": "stack, innermost first" },
    frames.map((frame) => el("li", { title: frame }, shortFrame(frame))),
  );
}

/** The function, and below it the last two parts of its file; the whole stands in the title. */
function shortFrame(frame) {
  const space = frame.indexOf(" ", frame.lastIndexOf("/"));
  if (space < 0) return frame;
  const place = frame.slice(0, space).split("/").slice(-2).join("/");
  return [frame.slice(space + 1), el("span", { class: "place" }, place)];
}

/** A button that shows an op. */
export function opLink(op, data, act) {
  return el(
    "button",
    { type: "button", class: "op", onclick: () => act.goto(op) },
    `op ${op} ${data.title(op)}`,
  );
}

function range(finding) {
  if (!finding.buffer) return null;
  if (!finding.range) return finding.buffer;
  const [offset, length] = finding.range;
  return [
    el("b", {}, finding.buffer),
    `, bytes ${offset} to ${offset + length} (${bytes(length)})`,
  ];
}

export function facts(rows) {
  const known = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el(
    "dl",
    {},
    known.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

/** The rule's own page, folded. */
export function rulePage(code, rule) {
  if (!rule) return null;
  return el(
    "details",
    { class: "rule" },
    el("summary", {}, `The rule: ${code} ${rule.name}`),
    el("p", {}, el("b", {}, rule.title)),
    Object.entries(rule.sections).map(([heading, text]) => [
      el("h4", {}, heading),
      el("pre", { tabindex: "0", "aria-label": heading }, text),
    ]),
  );
}

/** The trace slice as text, ready for an issue. */
export function slicePanel(text) {
  if (!text) return null;
  const area = el("textarea", {
    readonly: true,
    rows: Math.min(14, text.split("\n").length),
    spellcheck: "false",
    "aria-label": "The slice of the trace in the mini-language",
  });
  area.value = text;
  const said = el("span", { role: "status", class: "said" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      area.select();
      document.execCommand("copy");
    }
    said.textContent = "Copied.";
  };
  return el(
    "details",
    { class: "slice" },
    el("summary", {}, "Copy as text"),
    el(
      "p",
      { class: "hint" },
      "A trace of its own, for an issue or a test: streamsan lint reads it (save as x.txt).",
    ),
    el("button", { type: "button", class: "copy", onclick: copy }, "Copy"),
    " ",
    said,
    area,
  );
}
