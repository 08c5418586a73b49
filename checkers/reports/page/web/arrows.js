// @ts-check
/** Arrows between boxes: edges of the order, and their reasons. */

import { firstAt } from "./order.js";
import { boxOf } from "./scene.js";

const MOST = 1200;
const MOST_OPS = 20000;
const LABELLED = 14;
const ISSUE = 2;
const LEAST_SCALE = 2.5;

/**
 * Draw the edges near what is seen; give whether some were left out.
 * @param {CanvasRenderingContext2D} pen
 * @param {any} see
 */
export function drawEdges(pen, see) {
  const { scene, camera, theme, options, data } = see;
  if (scene.view !== "lanes" || !options.edges) return false;
  if (scene.axis !== "time" && camera.scale < LEAST_SCALE) return true;
  const [low, high] = opsSeen(see);
  if (scene.axis !== "slice" && high - low > MOST_OPS) return true;
  const found = seenEdges(see, low, high);
  if (found.length > MOST) return true;
  for (const [edge, a, b] of found) {
    const reason = data.columns.edgeReason[edge];
    const issue = reason === ISSUE;
    const words = found.length <= LABELLED && !issue ? data.meta.reasons[reason].words : "";
    arrow(pen, see, a, b, { colour: issue ? theme.faint : theme.edgeLine, words });
  }
  return false;
}

/**
 * Edges are sorted by target, and targets by and large by op: look at those near what is seen.
 * @returns {[number, any, any][]}
 */
function seenEdges(see, low, high) {
  const { scene, data, options } = see;
  const { edgeSource, edgeTarget, edgeReason, nodeOp } = data.columns;
  /** @type {[number, any, any][]} */
  const found = [];
  for (let e = firstAt(see.edgeOps, low); e < edgeTarget.length; e++) {
    const to = nodeOp[edgeTarget[e]];
    if (to > high || found.length > MOST) break;
    const from = nodeOp[edgeSource[e]];
    if (from === to || (edgeReason[e] === ISSUE && !options.issue)) continue;
    const a = boxOf(scene, data, from);
    const b = boxOf(scene, data, to);
    if (a && b && a.row !== b.row) found.push([e, a, b]);
  }
  return found;
}

/** The first and the last op that may be seen. */
export function opsSeen({ scene, camera, data }) {
  if (scene.axis === "order") return [Math.floor(camera.from), Math.ceil(camera.to)];
  if (scene.axis === "slice") return [0, data.count];
  let low = Infinity;
  let high = -1;
  for (const row of scene.rows) {
    const first = firstAt(row.from, camera.from);
    const last = Math.min(firstAt(row.from, camera.to), row.ops.length - 1);
    if (first < row.ops.length) low = Math.min(low, row.ops[first]);
    if (last >= 0) high = Math.max(high, row.ops[last]);
  }
  return [low === Infinity ? 0 : low, high];
}

/**
 * An arrow from the end of one box to the beginning of another.
 * @param {CanvasRenderingContext2D} pen
 * @param {any} see
 * @param {any} a
 * @param {any} b
 * @param {{colour: string, dash?: number[], wide?: number, words?: string, strong?: boolean,
 *   cross?: boolean, bend?: number}} how
 */
export function arrow(pen, see, a, b, how) {
  const { camera } = see;
  const [x1, y1] = startOf(camera, a, b);
  const [x2, y2] = [camera.x(b.from), middle(camera, b)];
  const reach = Math.max(14, Math.min(70, Math.abs(x2 - x1) / 2));
  const bend = how.bend ?? 0;
  pen.strokeStyle = how.colour;
  pen.lineWidth = how.wide ?? 1.2;
  pen.setLineDash(how.dash ?? []);
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.bezierCurveTo(x1 + reach / 3, (y1 * 2 + y2) / 3 + bend, x2 - reach, y2 + bend, x2 - 5, y2);
  pen.stroke();
  pen.setLineDash([]);
  head(pen, how.colour, x2, y2, how.strong ? 8 : 6);
  const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2 + bend * 0.75];
  if (how.cross) crossAt(pen, how.colour, x, y);
  if (how.words) label(see, { ...how, words: how.words }, x, y - (how.cross ? 20 : 0));
}

/** An arrow leaves a box at the side that faces its target, so that it crosses no name. */
function startOf(camera, a, b) {
  const wide = Math.min(camera.x(a.to) - camera.x(a.from), camera.scale);
  const x = camera.x(a.from) + Math.max(1, wide * 0.8);
  const down = b.row.y - a.row.y;
  const y = a.row.y - camera.down;
  return [x, down === 0 ? y + 4 : down > 0 ? y + a.row.height - 4 : y + 4];
}

function middle(camera, box) {
  return box.row.y - camera.down + box.row.height / 2;
}

function head(pen, colour, x, y, size) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x - size * 1.2, y - size * 0.6);
  pen.lineTo(x - size * 1.2, y + size * 0.6);
  pen.closePath();
  pen.fill();
}

function crossAt(pen, colour, x, y) {
  pen.lineWidth = 3;
  pen.strokeStyle = colour;
  pen.beginPath();
  pen.moveTo(x - 6, y - 6);
  pen.lineTo(x + 6, y + 6);
  pen.moveTo(x + 6, y - 6);
  pen.lineTo(x - 6, y + 6);
  pen.stroke();
}

/** Note words for a plate; all plates of a frame are placed together, the strong ones first. */
export function label(see, { words, colour, strong = false }, x, y) {
  see.plates.push({ words, colour, strong, x, y });
}

const SHIFTS = [0, -20, 20, -40, 40, -60, 60];
const TALL = 18;

/** Draw the plates so that none covers another, nor a box in question; a weak one without room is left out. */
export function drawPlates(pen, see) {
  const { camera, theme, plates } = see;
  const taken = [...see.solid, ...see.letters.map(({ x, y }) => [x - 9, y, 20, TALL])];
  plates.sort((a, b) => Number(b.strong) - Number(a.strong));
  for (const plate of plates) {
    pen.font = plate.strong ? theme.bold : theme.small;
    const wide = pen.measureText(plate.words).width + 10;
    const left = Math.max(camera.left + 2, Math.min(plate.x - wide / 2, camera.width - wide - 2));
    const free = (shift) =>
      !taken.some(
        ([x, y, w, h]) =>
          left < x + w && x < left + wide && Math.abs(y - (plate.y + shift)) < (h + TALL) / 2,
      );
    const shift = SHIFTS.find(free) ?? (plate.strong ? 0 : undefined);
    if (shift === undefined || (!plate.strong && Math.abs(shift) > 20)) continue;
    taken.push([left, plate.y + shift, wide, TALL]);
    drawPlate(pen, theme, plate, left, plate.y + shift, wide);
  }
  plates.length = 0;
  see.solid.length = 0;
}

function drawPlate(pen, theme, { words, colour, strong }, left, y, wide) {
  pen.fillStyle = theme.plate;
  pen.strokeStyle = colour;
  pen.lineWidth = strong ? 1.5 : 0.5;
  pen.beginPath();
  pen.roundRect(left, y - TALL / 2, wide, TALL, 4);
  pen.fill();
  pen.stroke();
  pen.fillStyle = strong ? colour : theme.ink;
  pen.textBaseline = "middle";
  pen.fillText(words, left + 5, y + 0.5);
}
