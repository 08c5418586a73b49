// @ts-check
/** Why one op comes before another: a chain with the fewest edges (traces/order/explain.py). */

/**
 * Give the steps from one op to another; empty where the first is not before the second.
 * @param {import("./order.js").Order} order
 * @param {number} one
 * @param {number} other
 * @returns {{from: number, to: number, words: string, rule: string, via: number}[]}
 */
export function why(order, one, other) {
  if (one === other || !order.ordered(one, other)) return [];
  const { opNode } = order.data.columns;
  const source = opNode[one];
  const target = opNode[other];
  if (order.isBefore(source, target))
    return tellSteps(order, source, shortest(order, source, target), target);
  const call = order.issuer(other);
  const steps =
    call === source ? [] : tellSteps(order, source, shortest(order, source, call), call);
  return [...steps, tellStep(order, call, target, order.data.meta.reasons[2], -1)];
}

/** Breadth first, backwards: a node reaches all before it on its lane, so a lane is a state. */
function shortest(order, source, target) {
  const { nodeLane, edgeSource } = order.data.columns;
  const after = order.future(source);
  const start = nodeLane[source];
  const usable = (node) =>
    node === source ||
    (nodeLane[node] === start
      ? order.position[node] > order.position[source]
      : order.position[node] >= after[nodeLane[node]]);
  const reached = new Map([[nodeLane[target], target]]);
  const explored = new Map();
  let frontier = new Map([[nodeLane[target], { node: target, chain: [] }]]);
  while (frontier.size) {
    const next = new Map();
    for (const [lane, { node, chain }] of frontier) {
      if (lane === start) return chain;
      const low = Math.max(explored.get(lane) ?? 0, after[lane] - 1);
      explored.set(lane, order.position[node]);
      for (let p = low + 1; p <= order.position[node]; p++) {
        const at = order.nodes[lane][p - 1];
        for (let e = order.into[at]; e < order.into[at + 1]; e++) {
          const from = edgeSource[e];
          if (!usable(from)) continue;
          const other = nodeLane[from];
          const best = next.get(other)?.node ?? reached.get(other) ?? -1;
          if (from > best) next.set(other, { node: from, chain: [e, ...chain] });
        }
      }
    }
    for (const [lane, { node }] of next) reached.set(lane, node);
    frontier = next;
  }
  throw new Error("ordered nodes have a chain");
}

function tellSteps(order, source, chain, target) {
  const { edgeSource, edgeTarget, edgeReason, edgeVia, nodeLane } = order.data.columns;
  const { lanes, reasons } = order.data.meta;
  const steps = [];
  let node = source;
  const along = (to) => {
    if (to !== node) steps.push(tellStep(order, node, to, lanes[nodeLane[node]], -1));
  };
  for (const edge of chain) {
    along(edgeSource[edge]);
    const reason = reasons[edgeReason[edge]];
    steps.push(tellStep(order, edgeSource[edge], edgeTarget[edge], reason, edgeVia[edge]));
    node = edgeTarget[edge];
  }
  along(target);
  return steps;
}

function tellStep(order, source, target, reason, via) {
  const { nodeOp } = order.data.columns;
  return { from: nodeOp[source], to: nodeOp[target], words: reason.words, rule: reason.rule, via };
}
