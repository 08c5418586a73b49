// @ts-check
/** What is drawn where: rows of boxes along an axis, for a view and an axis.
 *
 * Views: "lanes" (threads, streams, copy engines) and "buffers". Axes: "order" (issue order, one
 * unit an op), "time" (ns) and "slice" (chosen ops only, one unit each).
 */

import { WRITE } from "./data.js";

export const ROW = 34;
export const BUFFER_ROW = 46;
export const HEAD = 22;
const MOST_BUFFERS = 200;

/**
 * A row: its boxes by op, with their beginnings and ends on the axis.
 * @typedef {{label: string, group: string, lane: number, buffer: number, y: number, height: number,
 *   ops: Int32Array, from: Float64Array, to: Float64Array, call: Uint8Array,
 *   access: Int32Array | null}} Row
 */

/**
 * @param {import("./data.js").Data} data
 * @param {{view: string, axis: string, chosen: Int32Array, focus: number[]}} wanted
 */
export function makeScene(data, { view, axis, chosen, focus }) {
  const place = axis === "slice" ? placesOf(chosen) : null;
  const drafts = view === "buffers" ? bufferDrafts(data, chosen, axis, focus)
    : laneDrafts(data, axis === "slice" ? chosen : null);
  const rows = [];
  let y = HEAD;
  let group = null;
  for (const draft of drafts) {
    if (draft.group !== group) {
      group = draft.group;
      y += 18;
    }
    const height = view === "buffers" ? BUFFER_ROW : ROW;
    rows.push({ ...draft, y, height, ...along(data, draft, axis, place) });
    y += height;
  }
  const [low, high] = extent(data, rows, axis, chosen);
  return { view, axis, rows, height: y + 8, low, high, place, rowOfLane: byLane(rows) };
}

function byLane(rows) {
  const found = new Map();
  for (const row of rows) if (row.lane >= 0) found.set(row.lane, row);
  return found;
}

function placesOf(chosen) {
  const found = new Map();
  chosen.forEach((op, i) => found.set(op, i));
  return found;
}

function extent(data, rows, axis, chosen) {
  if (axis === "slice") return [0, Math.max(1, chosen.length)];
  if (axis === "order") return [0, Math.max(1, data.count)];
  let low = Infinity;
  let high = -Infinity;
  for (const row of rows) {
    if (!row.ops.length) continue;
    low = Math.min(low, row.from[0]);
    for (const at of [row.to[row.to.length - 1], row.from[row.from.length - 1]]) {
      high = Math.max(high, at);
    }
  }
  return low < high ? [low, high] : [0, 1];
}

/** Threads first, then what else runs on the host, then streams, then copy engines. */
function laneDrafts(data, only) {
  const { lanes, engines } = data.meta;
  const buckets = collect(data, only);
  const rank = { thread: 0, task: 1, agent: 1, stream: 2, side: 3 };
  const group = ["Host threads", "Tasks and agents", "Streams", "Reads that may run ahead"];
  const found = lanes
    .map((lane, i) => ({
      label: data.laneName(i), group: group[rank[lane.line]], rank: rank[lane.line], lane: i,
      buffer: -1, access: null, ops: buckets.lanes[i], calls: buckets.calls[i],
    }))
    .filter((row) => row.ops.length || row.calls.length);
  for (const [key, ops] of [...buckets.engines].sort((a, b) => a[0] - b[0])) {
    const label = engines[key % 8].replace("{}", String(Math.floor(key / 8)));
    found.push({ label, group: "Copy engines", rank: 4, lane: -1, buffer: -1, access: null, ops, calls: [] });
  }
  return found.sort((a, b) => a.rank - b.rank);
}

/** Give the ops of each lane, the calls each thread made for other lanes, and the copies. */
function collect(data, only) {
  const { kind, engine, device } = data.columns;
  const threads = data.meta.names.map((name) => data.threadLane.get(name) ?? -1);
  const lanes = data.meta.lanes.map(() => []);
  const calls = data.meta.lanes.map(() => []);
  const engines = new Map();
  const count = only ? only.length : kind.length;
  for (let i = 0; i < count; i++) {
    const op = only ? only[i] : i;
    const lane = data.lane(op);
    const thread = threads[data.columns.thread[op]];
    if (lane >= 0) lanes[lane].push(op);
    if (thread >= 0 && thread !== lane) calls[thread].push(op);
    if (engine[op] >= 0) {
      const key = device[op] * 8 + engine[op];
      if (!engines.has(key)) engines.set(key, []);
      engines.get(key).push(op);
    }
  }
  return { lanes, calls, engines };
}

/** The memory in question first, then the most used. */
function bufferDrafts(data, chosen, axis, focus) {
  const { accessBuffer, accessStart } = data.columns;
  const wanted = axis === "slice" ? new Set(chosen) : null;
  const entries = new Map();
  for (let op = 0; op < data.count; op++) {
    if (wanted && !wanted.has(op)) continue;
    for (let a = accessStart[op]; a < accessStart[op + 1]; a++) {
      const list = entries.get(accessBuffer[a]);
      if (list) list.push(a, op);
      else entries.set(accessBuffer[a], [a, op]);
    }
  }
  const first = new Set(focus);
  const sorted = [...entries].sort(
    (a, b) => Number(first.has(b[0])) - Number(first.has(a[0])) || b[1].length - a[1].length,
  );
  return sorted.slice(0, MOST_BUFFERS).map(([buffer, list]) => ({
    label: bufferLabel(data, buffer), group: first.has(buffer) ? "In question" : "Other buffers",
    lane: -1, buffer, calls: [],
    ops: list.filter((_, i) => i % 2), access: Int32Array.from(list.filter((_, i) => i % 2 === 0)),
  }));
}

function bufferLabel(data, buffer) {
  return `${data.bufferName(buffer)} (${data.meta.spaces[buffer]})`;
}

/** Put a row's boxes on the axis, in its order: own ones, and calls for other lanes. */
function along(data, draft, axis, place) {
  const { ops, call, own } = merged(draft);
  const from = new Float64Array(ops.length);
  const to = new Float64Array(ops.length);
  const access = draft.access ? Int32Array.from(own, (i) => draft.access[i]) : null;
  if (axis !== "time") {
    for (let i = 0; i < ops.length; i++) {
      from[i] = place ? place.get(ops[i]) : ops[i];
      to[i] = from[i] + 1;
    }
    return { ops, from, to, call, access };
  }
  return byTime(data, { ops, from, to, call, access });
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

/** Where an op's main box is: on the axis and down the page; null where it is not drawn. */
export function boxOf(scene, data, op) {
  const row = scene.view === "lanes" ? scene.rowOfLane.get(data.lane(op)) : bufferRow(scene, op);
  if (!row) return null;
  if (scene.axis === "time") {
    const span = data.span(op);
    return span && { from: span[0], to: span[1], row };
  }
  const at = scene.place ? scene.place.get(op) : op;
  return at === undefined ? null : { from: at, to: at + 1, row };
}

function bufferRow(scene, op) {
  return scene.rows.find((row) => row.ops.includes(op));
}

/** Where within its row an access stands, by its bytes: [top, height] as parts of 1. */
export function bytesOf(data, access) {
  const { accessRange, accessBuffer, bufferSize, rangeOffset, rangeLength } = data.columns;
  const size = bufferSize[accessBuffer[access]];
  const length = rangeLength[accessRange[access]];
  if (size <= 0 || length < 0) return [0, 1];
  const part = Math.max(0.18, Math.min(1, length / size));
  return [Math.min(rangeOffset[accessRange[access]] / size, 1 - part), part];
}

/** Whether an access writes. */
export function writes(data, access) {
  return data.columns.accessMode[access] === WRITE;
}

/** Stretches of a thread's work with a name: [name, first op, last op, depth]. */
export function regionsOf(data) {
  const { kind, thread } = data.columns;
  const begin = data.meta.words.indexOf("region_begin");
  const end = data.meta.words.indexOf("region_end");
  const open = new Map();
  const found = [];
  for (let op = 0; op < data.count; op++) {
    if (kind[op] === begin) {
      if (!open.has(thread[op])) open.set(thread[op], []);
      open.get(thread[op]).push(op);
    } else if (kind[op] === end && open.get(thread[op])?.length) {
      const first = open.get(thread[op]).pop();
      found.push([data.name(first), first, op, open.get(thread[op]).length]);
    }
  }
  for (const left of open.values()) {
    left.forEach((first, depth) => found.push([data.name(first), first, data.count - 1, depth]));
  }
  return found.sort((a, b) => a[1] - b[1]);
}
