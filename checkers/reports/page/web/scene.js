// @ts-check
/** What is drawn where: rows of boxes along an axis, for a view and an axis.
 *
 * Views: "lanes" (threads, streams, copy engines) and "buffers". Axes: "order" (issue order, one
 * unit an op), "time" (ns) and "slice" (chosen ops only, one unit each).
 */

import { along } from "./axis.js";
import { bufferDrafts, laneDrafts } from "./drafts.js";

export const ROW = 34;
const TALL = 88;
const MIDDLE = 54;
const MAIN = 2.2;
const GROUP = 18;
export const BUFFER_ROW = 46;
export const HEAD = 22;

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
  const drafts =
    view === "buffers"
      ? bufferDrafts(data, chosen, axis, focus)
      : laneDrafts(data, axis === "slice" ? chosen : null);
  const rows = [];
  const height = rowHeight(drafts, view, axis, room);
  let y = HEAD;
  let group = null;
  for (const draft of drafts) {
    const boxes = along(data, draft, axis, place);
    if (!boxes.ops.length) continue;
    if (draft.group !== group) {
      group = draft.group;
      y += GROUP;
    }
    rows.push({ ...draft, calls: draft.calls.length > 0, y, height, ...boxes });
    y += height;
  }
  const [low, high] = extent(data, rows, axis);
  return {
    view,
    axis,
    rows,
    height: y + 8,
    low,
    high,
    place,
    rowOfLane: by(rows, "lane"),
    rowOfBuffer: by(rows, "buffer"),
  };
}

/** Few rows take the room there is. */
function rowHeight(drafts, view, axis, room) {
  const least = view === "buffers" ? BUFFER_ROW : ROW;
  if (!drafts.length) return least;
  const groups = new Set(drafts.map((draft) => draft.group)).size;
  const most = axis === "slice" ? TALL : MIDDLE;
  return Math.max(
    least,
    Math.min(most, Math.floor((room - HEAD - 10 - groups * GROUP) / drafts.length)),
  );
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

/** Where an op's main box is: on the axis and down the page; null where it is not drawn. */
export function boxOf(scene, data, op) {
  const row =
    scene.view === "lanes" ? scene.rowOfLane.get(data.lane(op)) : bufferRow(scene, data, op);
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
