// @ts-check
/** One op, and any two: what comes before, what after, and why or why not. */

import { why } from "./chain.js";
import { FAMILIES, READ, WRITE } from "./data.js";
import { bytes, counted, duration, el, fill } from "./dom.js";
import { facts, opLink, stack } from "./detail.js";

const MOST_EDGES = 20;

/** What is known of an op. */
export function opPanel(op, data, order, act) {
  const times = data.span(op);
  const call = data.span(op, true);
  const node = data.columns.opNode[op];
  return el(
    "article",
    { class: "opinfo" },
    el("h2", {}, `op ${op} ${data.title(op)}`),
    facts([
      ["Kind", `${FAMILIES[data.familyOf(op)].sign} ${data.word(op)}`],
      ["Where", data.laneName(data.lane(op))],
      ["Issued by", `host thread ${data.thread(op)}`],
      ["Ran", times && `${duration(times[1] - times[0])}, from ${duration(times[0])}`],
      ["Call", call && `${duration(call[1] - call[0])}, from ${duration(call[0])}`],
      ["Waits for", waited(op, data, act)],
      ["Memory", memory(op, data)],
      ["Comes after", edges(op, data, order, act, true)],
      ["Comes before", edges(op, data, order, act, false)],
      [
        "Before it",
        node >= 0 &&
          counted(
            size(order.past(node), (n) => n),
            "step",
          ),
      ],
      ["After it", node >= 0 && counted(after(order, node), "step")],
    ]),
    stack(data.stack(op)),
  );
}

function size(clock, part) {
  return clock.reduce((sum, n) => sum + part(n), 0);
}

function after(order, node) {
  const clock = order.future(node);
  return order.nodes.reduce((sum, lane, i) => sum + Math.max(0, lane.length - clock[i] + 1), 0);
}

function waited(op, data, act) {
  const bound = data.columns.binding[op];
  return bound >= 0 ? opLink(bound, data, act) : null;
}

/** The edges into or out of an op, each with its reason. */
function edges(op, data, order, act, into) {
  const { edgeSource, edgeTarget, edgeReason, nodeOp } = data.columns;
  const found = [];
  for (const node of order.nodesOf(op)) {
    const [low, high] = into
      ? [order.into[node], order.into[node + 1]]
      : [order.outOf[node], order.outOf[node + 1]];
    for (let i = low; i < high && found.length < MOST_EDGES; i++) {
      const edge = into ? i : order.outgoing[i];
      const other = nodeOp[into ? edgeSource[edge] : edgeTarget[edge]];
      const reason = data.meta.reasons[edgeReason[edge]];
      if (other !== op)
        found.push(el("li", {}, opLink(other, data, act), ` ${reason.words} (${reason.rule})`));
    }
  }
  return found.length ? el("ul", {}, found) : null;
}

function memory(op, data) {
  const words = { [READ]: "reads", [WRITE]: "writes", 2: "may touch", 3: "names" };
  const found = data.accesses(op);
  if (!found.length) return null;
  return el(
    "ul",
    {},
    found
      .slice(0, 40)
      .map(({ mode, buffer, offset, length }) =>
        el(
          "li",
          {},
          `${words[mode]} `,
          el("b", {}, data.bufferName(buffer)),
          length < 0 ? "" : ` bytes ${offset} to ${offset + length} (${bytes(length)})`,
        ),
      ),
  );
}

/** Two number fields and an answer. */
export function whyPanel(data, order, one, other, act) {
  const field = (value, name) =>
    el("input", {
      type: "number",
      min: "0",
      max: String(data.count - 1),
      value,
      "aria-label": name,
      class: "number",
    });
  const [a, b] = [field(one ?? "", "first op"), field(other ?? "", "second op")];
  const answer = el("div", { class: "answer", role: "status" });
  const ask = (event) => {
    event?.preventDefault();
    const [x, y] = [a.valueAsNumber, b.valueAsNumber];
    const good = [x, y].every((op) => Number.isInteger(op) && op >= 0 && op < data.count);
    fill(
      answer,
      good
        ? answerFor(data, order, x, y, act)
        : el("p", {}, `Give two op numbers from 0 to ${data.count - 1}.`),
    );
    if (good && event) act.pair(x, y);
  };
  const form = el(
    "form",
    { class: "ask", onsubmit: ask },
    "Why is op ",
    a,
    " ordered with op ",
    b,
    "? ",
    el("button", { type: "submit" }, "Why"),
  );
  if (one !== null && other !== null) ask();
  return el(
    "section",
    { class: "why", "aria-label": "Why" },
    el("h3", {}, "Why, or why not"),
    form,
    answer,
  );
}

function answerFor(data, order, x, y, act) {
  if (x === y) return el("p", {}, "That is one and the same op.");
  if (order.ordered(x, y)) return ordered(data, order, x, y, act);
  if (order.ordered(y, x)) return ordered(data, order, y, x, act);
  return [
    el("p", { class: "verdict bad" }, "Concurrent: neither comes before the other."),
    whyNot(data, order, x, y, act),
    whyNot(data, order, y, x, act),
  ];
}

function ordered(data, order, x, y, act) {
  return [
    el("p", { class: "verdict good" }, `Ordered: op ${x} comes before op ${y}, by this chain.`),
    el(
      "ol",
      { class: "chain" },
      why(order, x, y).map((step) =>
        el(
          "li",
          {},
          opLink(step.from, data, act),
          " → ",
          opLink(step.to, data, act),
          el("br"),
          el(
            "span",
            { class: "hint" },
            `${step.words} (${step.rule})${step.via >= 0 ? `, by op ${step.via}` : ""}`,
          ),
        ),
      ),
    ),
  ];
}

/** Say what of the first op's lane the second does come after. */
function whyNot(data, order, x, y, act) {
  const lane = data.laneName(data.lane(x));
  const known = order.lastKnown(x, y);
  if (known === null) {
    return el("p", {}, `Op ${x} is not before op ${y}: nothing on ${lane} is before op ${y}.`);
  }
  return el(
    "p",
    {},
    `Op ${x} is not before op ${y}: of ${lane}, op ${y} only comes after what was there up to `,
    opLink(known, data, act),
    known === x ? " (part of it)." : `, and op ${x} is later than that.`,
  );
}
