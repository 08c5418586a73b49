// @ts-check
/** What is drawn where: rows of boxes along an axis, for a view and an axis.
 *
 * Views: "lanes" (threads, streams, copy engines) and "buffers". Axes: "order" (issue order, one
 * unit an op), "time" (ns) and "slice" (chosen ops only, one unit each).
 */

import { WRITE } from "./data.js";

export const ROW = 34;
const TALL = 88;
const WIDE = 2.6;
const MAIN = 2.2;
const GROUP = 18;
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
 * @param {{view: string, axis: string, chosen: Int32Array, focus: number[],
 *   main?: number[], room?: number}} wanted
 */
export function makeScene(data, { view, axis, chosen, focus, main = [], room = 0 }) {
  const place = axis === "slice" ? placesOf(chosen, new Set(main)) : null;
  const drafts = view === "buffers" ? bufferDrafts(data, chosen, axis, focus)
    : laneDrafts(data, axis === "slice" ? chosen : null);
  const rows = [];
  const height = rowHeight(drafts, view, axis, room);
  let y = HEAD;
  let group = null;
  for (const draft of drafts) {
    if (draft.group !== group) {
      group = draft.group;
      y += GROUP;
    }
    rows.push({ ...draft, calls: draft.calls.length > 0, y, height, ...along(data, draft, axis, place) });
    y += height;
  }
  const [low, high] = extent(data, rows, axis);
  return { view, axis, rows, height: y + 8, low, high, place, rowOfLane: by(rows, "lane"), rowOfBuffer: by(rows, "buffer") };
}

/** A slice has few rows: they take the room there is. */
function rowHeight(drafts, view, axis, room) {
  const least = view === "buffers" ? BUFFER_ROW : ROW;
  if (axis !== "slice" || !drafts.length) return least;
  const groups = new Set(drafts.map((draft) => draft.group)).size;
  return Math.max(least, Math.min(TALL, Math.floor((room - HEAD - 10 - groups * GROUP) / drafts.length)));
}

function by(rows, key) {
  const found = new Map();
  for (const row of rows) if (row[key] >= 0) found.set(row[key], row);
  return found;
}

/** Where each op of a slice begins; the ops that it is about get more room. */
function placesOf(chosen, main) {
  const found = new Map();
  let at = 0;
  for (const op of chosen) {
    found.set(op, at);
    at += main.has(op) ? MAIN : 1;
  }
  return found;
}

function extent(data, rows, axis) {
  if (axis === "order") return [0, Math.max(1, data.count)];
  let low = Infinity;
  let high = -Infinity;
  for (const row of rows) {
    if (!row.ops.length) continue;
    low = Math.min(low, row.from[0]);
    high = Math.max(high, row.to[row.to.length - 1]);
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

/** Where an op's main box is: on the axis and down the page; null where it is not drawn. */
export function boxOf(scene, data, op) {
  const row = scene.view === "lanes" ? scene.rowOfLane.get(data.lane(op)) : bufferRow(scene, data, op);
  if (!row) return null;
  if (scene.axis === "time") {
    const span = data.span(op);
    return span && { from: span[0], to: span[1], row };
  }
  const at = scene.place ? scene.place.get(op) : op;
  if (at === undefined) return null;
  const to = scene.place ? row.to[firstOwn(row, op)] : at + 1;
  return { from: at, to: to ?? at + 1, row };
}

function firstOwn(row, op) {
  return row.ops.findIndex((each, i) => each === op && !row.call[i]);
}

/** The row of the first buffer that an op touches; rows in question come first. */
function bufferRow(scene, data, op) {
  let best = null;
  for (const { buffer } of data.accesses(op)) {
    const row = scene.rowOfBuffer.get(buffer);
    if (row && (!best || row.y < best.y)) best = row;
  }
  return best;
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
