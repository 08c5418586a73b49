// @ts-check
/** Puts the boxes of a row on the axis. */

const WIDE = 2.6;

/** Put a row's boxes on the axis, in its order: own ones, and calls for other lanes. */
export function along(data, draft, axis, place) {
  const { ops, call, own } = merged(draft);
  const from = new Float64Array(ops.length);
  const to = new Float64Array(ops.length);
  const access = draft.access ? Int32Array.from(own, (i) => draft.access[i]) : null;
  if (axis !== "time") {
    for (let i = 0; i < ops.length; i++) {
      from[i] = place ? place.get(ops[i]) : ops[i];
      to[i] = from[i] + 1;
    }
    if (place) widen(from, to, call);
    return { ops, from, to, call, access };
  }
  return byTime(data, { ops, from, to, call, access });
}

/** In a slice only order counts: a box may reach to the next one of its row, so its name is read. */
function widen(from, to, call) {
  let next = Infinity;
  for (let i = from.length - 1; i >= 0; i--) {
    if (call[i]) continue;
    to[i] = Math.min(next, from[i] + WIDE);
    next = from[i];
  }
}

/** Merge two lists of ascending ops. */
function merged({ ops: mine, calls }) {
  const size = mine.length + calls.length;
  const ops = new Int32Array(size);
  const call = new Uint8Array(size);
  const own = new Int32Array(size);
  for (let i = 0, m = 0, c = 0; i < size; i++) {
    const isCall = m === mine.length || (c < calls.length && calls[c] < mine[m]);
    call[i] = Number(isCall);
    own[i] = m;
    ops[i] = isCall ? calls[c++] : mine[m++];
  }
  return { ops, call, own };
}

/** Keep the boxes whose times are known, in the order of their beginnings. */
function byTime(data, row) {
  const kept = [];
  for (let i = 0; i < row.ops.length; i++) {
    const span = data.span(row.ops[i], row.call[i] === 1);
    if (!span) continue;
    [row.from[i], row.to[i]] = span;
    kept.push(i);
  }
  kept.sort((a, b) => row.from[a] - row.from[b]);
  const picked = {};
  for (const key of ["ops", "from", "to", "call", "access"]) {
    picked[key] = row[key] && row[key].constructor.from(kept, (i) => row[key][i]);
  }
  return picked;
}
