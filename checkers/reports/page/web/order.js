// @ts-check
/** Happens-before, in the page: what comes before and after an op, and by which chain of edges.
 *
 * Nodes stand on lanes; along a lane they are ordered; edges join lanes. What comes before a node
 * is a first part of every lane, so it is told as one position a lane (a vector clock), found by
 * walking back over the edges when somebody asks. Positions count from 1.
 */

const KEPT = 64;

export class Order {
  /** @param {import("./data.js").Data} data */
  constructor(data) {
    this.data = data;
    const { nodeLane, edgeSource, edgeTarget } = data.columns;
    this.lanes = data.meta.lanes.length;
    this.position = new Int32Array(nodeLane.length);
    const counts = new Int32Array(this.lanes);
    for (let n = 0; n < nodeLane.length; n++) this.position[n] = ++counts[nodeLane[n]];
    this.nodes = Array.from(counts, (count) => new Int32Array(count));
    for (let n = 0; n < nodeLane.length; n++) this.nodes[nodeLane[n]][this.position[n] - 1] = n;
    this.into = starts(edgeTarget, nodeLane.length);
    this.outOf = starts(edgeSource, nodeLane.length);
    this.outgoing = byKey(edgeSource, this.outOf);
    this.moved = new Map();
    data.columns.movedAccess.forEach((access, i) => {
      this.moved.set(access, data.columns.movedNode[i]);
    });
    this.pasts = new Map();
    this.futures = new Map();
  }

  /** By lane, the position of the last node before a node; 0 for none. @param {number} node */
  past(node) {
    return kept(this.pasts, node, () => this.walk(node, true));
  }

  /** By lane, the position of the first node after a node; beyond the last for none. */
  future(node) {
    return kept(this.futures, node, () => this.walk(node, false));
  }

  walk(node, back) {
    const { nodeLane, edgeSource, edgeTarget } = this.data.columns;
    const bound = new Int32Array(this.lanes);
    if (!back) for (let l = 0; l < this.lanes; l++) bound[l] = this.nodes[l].length + 1;
    const todo = [];
    const reach = (other, at) => {
      const lane = nodeLane[other];
      const far = this.position[other] + at;
      if (back ? far <= bound[lane] : far >= bound[lane]) return;
      todo.push([lane, bound[lane], far]);
      bound[lane] = far;
    };
    const cross = (at) => {
      if (back) for (let e = this.into[at]; e < this.into[at + 1]; e++) reach(edgeSource[e], 0);
      else {
        for (let i = this.outOf[at]; i < this.outOf[at + 1]; i++) {
          reach(edgeTarget[this.outgoing[i]], 0);
        }
      }
    };
    reach(node, back ? -1 : 1);
    cross(node);
    while (todo.length) {
      const [lane, from, to] = /** @type {number[]} */ (todo.pop());
      const step = back ? 1 : -1;
      for (let p = from + step; p !== to + step; p += step) {
        const at = this.nodes[lane][p - 1];
        if (at !== undefined) cross(at);
      }
    }
    return bound;
  }

  /** Whether one node comes before another. */
  isBefore(one, other) {
    const lane = this.data.columns.nodeLane[one];
    if (lane === this.data.columns.nodeLane[other])
      return this.position[one] < this.position[other];
    return this.past(other)[lane] >= this.position[one];
  }

  /** The nodes at which an op's accesses happen. @param {number} op */
  nodesOf(op) {
    const { opNode, accessStart } = this.data.columns;
    const found = new Set(opNode[op] >= 0 ? [opNode[op]] : []);
    if (this.moved.size) {
      for (let a = accessStart[op]; a < accessStart[op + 1]; a++) {
        if (this.moved.has(a)) found.add(this.moved.get(a));
      }
    }
    return [...found].sort((a, b) => a - b);
  }

  /** For ops that carry no order of their call: the last host node before it; else -1. */
  issuer(op) {
    const { kind, binding, opNode } = this.data.columns;
    const [record, wait] = this.data.meta.quiet;
    if (kind[op] !== record && !(kind[op] === wait && binding[op] < 0)) return -1;
    const lane = this.data.threadLane.get(this.data.thread(op));
    if (lane === undefined) return -1;
    const mine = this.nodes[lane];
    const place = firstAt(mine, opNode[op]) - 1;
    return place >= 0 ? mine[place] : -1;
  }

  /** Whether one op has completed before another can start. */
  ordered(one, other) {
    const call = this.issuer(other);
    return this.nodesOf(one).every((x) =>
      this.nodesOf(other).every(
        (y) => this.isBefore(x, y) || (call >= 0 && (x === call || this.isBefore(x, call))),
      ),
    );
  }

  /** The op before which, on the lane of `one`, everything comes before `other`; null for none. */
  lastKnown(one, other) {
    const lane = this.data.lane(one);
    const node = this.data.columns.opNode[other];
    if (lane < 0 || node < 0 || lane === this.data.lane(other)) return null;
    const at = this.past(node)[lane];
    return at > 0 ? this.data.columns.nodeOp[this.nodes[lane][at - 1]] : null;
  }
}

function kept(store, key, make) {
  let found = store.get(key);
  if (found === undefined) {
    if (store.size >= KEPT) store.delete(store.keys().next().value);
    found = make();
    store.set(key, found);
  }
  return found;
}

function starts(keys, count) {
  const found = new Int32Array(count + 1);
  for (let i = 0; i < keys.length; i++) found[keys[i] + 1]++;
  for (let i = 0; i < count; i++) found[i + 1] += found[i];
  return found;
}

function byKey(keys, start) {
  const next = start.slice();
  const found = new Int32Array(keys.length);
  for (let i = 0; i < keys.length; i++) found[next[keys[i]]++] = i;
  return found;
}

/** The first place in a sorted array whose value is not below a value. */
export function firstAt(values, value, low = 0, high = values.length) {
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
