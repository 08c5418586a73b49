// @ts-check
/** What is chosen, and what follows from it for the picture. */

import { why } from "./chain.js";
import { searchOps } from "./search.js";
import { lookOf } from "./boxes.js";

const MOST_CHOSEN = 400;
const SMALL = 120;

/** Start with the worst finding, if there is one. */
export function firstState(data, hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const wanted = given.get("f");
  const found = data.meta.findings.findIndex((f) => findingId(f) === wanted);
  const finding = data.meta.findings.length ? Math.max(0, found) : -1;
  return {
    view:
      given.get("view") === "buffers" || given.get("view") === "costs"
        ? given.get("view")
        : "lanes",
    axis: finding >= 0 ? "slice" : "order",
    finding,
    selected: null,
    compared: null,
    pinning: false,
    query: "",
    playing: [],
  };
}

/** A short name of a finding for links. */
export function findingId(finding) {
  return `${finding.rule}-${finding.fingerprint.slice(0, 8)}`;
}

/** The ops of the slice: those of the finding, of the pair's chain, of the search. */
export function chosenOps(data, order, state, found) {
  const finding = data.meta.findings[state.finding];
  const ops = new Set(finding?.slice?.ops ?? finding?.ops ?? []);
  for (const op of [state.selected, state.compared]) if (op !== null) ops.add(op);
  for (const step of chainOf(order, state)) {
    for (const op of [step.from, step.to, step.via]) if (op >= 0) ops.add(op);
  }
  if (found && !finding) {
    for (let op = 0; op < data.count && ops.size < MOST_CHOSEN; op++)
      if (found.mask[op]) ops.add(op);
  }
  if (!ops.size) for (let op = 0; op < Math.min(data.count, SMALL); op++) ops.add(op);
  return Int32Array.from([...ops].sort((a, b) => a - b));
}

/** The chain between the two ops picked, whichever comes first. */
export function chainOf(order, { selected, compared }) {
  if (selected === null || compared === null || selected === compared) return [];
  const chain = why(order, compared, selected);
  return chain.length ? chain : why(order, selected, compared);
}

/** Give how each op looks: dimmed where the search or the chosen op leaves it out. */
export function looker(data, order, state, found) {
  const { opNode, nodeLane } = data.columns;
  const at = state.selected === null ? -1 : opNode[state.selected];
  const past = at < 0 ? null : order.past(at);
  const future = at < 0 ? null : order.future(at);
  return (op, call) => {
    let side = 0;
    if (past && future && opNode[op] >= 0) {
      const lane = nodeLane[opNode[op]];
      const place = order.position[opNode[op]];
      side = place <= past[lane] ? 1 : place >= future[lane] ? 2 : 0;
    }
    const alone = past !== null && side === 0 && op !== state.selected && op !== state.compared;
    const dim = alone || (found !== null && !found.mask[op]);
    return lookOf(data.familyOf(op), call, dim ? 1 : 0, side);
  };
}

/** @param {import("./data.js").Data} data */
export function findOps(data, query) {
  return query.trim() ? searchOps(data, query) : null;
}
