// @ts-check
/** Draws rows of boxes: each op by itself where there is room, else one mark a pixel. */

import { bytesOf, writes } from "./accesses.js";
import { COPY, FAMILIES, HOST, KERNEL, MEMORY, RECORD, WAIT } from "./data.js";
import { wrapped } from "./dom.js";
import { firstAt } from "./order.js";

/** Pixels from which ops are drawn one by one. */
const APART = 3;
const LINE = 14;

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {any} see camera, scene, data, theme, mask
 */
export function drawRows(pen, see) {
  const { scene, camera } = see;
  for (const row of scene.rows) {
    const y = row.y - camera.down;
    if (y + row.height < 0 || y > camera.height) continue;
    if (row.buffer >= 0) drawLife(pen, see, row, y);
    drawRow(pen, see, row, y);
  }
}

function drawRow(pen, see, row, y) {
  const { camera } = see;
  const { from, to } = row;
  let i = firstAt(from, camera.from);
  while (i > 0 && to[i - 1] > camera.from) i--;
  const end = from.length;
  const single = [];
  const marks = see.marks;
  marks.reset();
  while (i < end && from[i] < camera.to) {
    const x = camera.x(from[i]);
    const wide = (to[i] - from[i]) * camera.scale;
    if (wide >= APART) {
      single.push(i++);
      continue;
    }
    const next = Math.floor(x) + 1;
    const last = firstAt(from, camera.at(next), i + 1, end) - 1;
    const till = Math.min(camera.x(to[last]), camera.width);
    marks.add(see.look(row.ops[i], row.call[i]), Math.floor(x), Math.max(1, till - Math.floor(x)));
    i = last + 1;
  }
  marks.flush(pen, see, y + 6, row.height - 12);
  for (const one of single) drawBox(pen, see, row, one, y);
}

/** Marks of one pixel or little more, gathered by look so that the pen changes seldom. */
export class Marks {
  constructor() {
    this.lists = new Map();
  }

  reset() {
    for (const list of this.lists.values()) list.length = 0;
  }

  add(look, x, wide) {
    let list = this.lists.get(look);
    if (!list) this.lists.set(look, (list = []));
    list.push(x, wide);
  }

  flush(pen, see, y, height) {
    for (const [look, list] of this.lists) {
      if (!list.length) continue;
      const { family, call, dim } = unlook(look);
      pen.fillStyle = see.theme.family[family];
      pen.globalAlpha = dim ? 0.18 : call ? 0.55 : 0.9;
      const [top, tall] = call ? [y + height - 4, 4] : [y, height];
      for (let i = 0; i < list.length; i += 2) pen.fillRect(list[i], top, list[i + 1], tall);
    }
    pen.globalAlpha = 1;
  }
}

/** A look in one number: family, whether a mere call, whether dimmed, and its place in time. */
export function lookOf(family, call, dim, side) {
  return family | (call << 3) | (dim << 4) | (side << 5);
}

function unlook(look) {
  return { family: look & 7, call: (look >> 3) & 1, dim: (look >> 4) & 1, side: look >> 5 };
}

function drawBox(pen, see, row, i, y) {
  const { camera, data, theme } = see;
  const op = row.ops[i];
  const { family, call, dim, side } = unlook(see.look(op, row.call[i]));
  const x = Math.max(camera.x(row.from[i]), camera.left - 20);
  const right = Math.min(camera.x(row.to[i]), camera.width + 20);
  const wide = right - x - (right - x > 6 ? 2 : 0);
  if (wide <= 0) return;
  let [top, tall] = [y + 4, row.height - 8];
  if (call) [top, tall] = [y + row.height - 7, 5];
  else if (row.calls) tall -= 6;
  let hollow = false;
  if (row.access) {
    const [part, size] = bytesOf(data, row.access[i]);
    [top, tall] = [y + 4 + part * (row.height - 8), Math.max(4, size * (row.height - 8))];
    hollow = !writes(data, row.access[i]);
  }
  pen.globalAlpha = dim ? 0.22 : 1;
  outline(pen, call ? KERNEL : family, x, top, wide, tall);
  pen.fillStyle = hollow ? theme.paper : theme.family[family];
  pen.fill();
  pen.lineWidth = hollow ? 2 : 1;
  pen.strokeStyle = hollow ? theme.family[family] : theme.edge[family];
  pen.setLineDash(family === MEMORY && !call ? [3, 2] : []);
  pen.stroke();
  pen.setLineDash([]);
  if (!call && !hollow && family === COPY && wide > 6) hatch(pen, theme, x, top, wide, tall);
  if (!call) sideMark(pen, theme, side, x, top, wide, tall);
  if (!call && wide > 16 && tall > 11)
    caption(pen, see, op, family, hollow, x, top, wide, tall, row, i);
  pen.globalAlpha = 1;
}

function outline(pen, family, x, y, wide, tall) {
  pen.beginPath();
  const cut = Math.min(wide / 2, tall / 2, 7);
  if (family === WAIT) {
    pen.moveTo(x + cut, y);
    pen.lineTo(x + wide - cut, y);
    pen.lineTo(x + wide, y + tall / 2);
    pen.lineTo(x + wide - cut, y + tall);
    pen.lineTo(x + cut, y + tall);
    pen.lineTo(x, y + tall / 2);
    pen.closePath();
  } else if (family === RECORD) {
    pen.moveTo(x, y);
    pen.lineTo(x + wide - cut, y);
    pen.lineTo(x + wide, y + tall / 2);
    pen.lineTo(x + wide - cut, y + tall);
    pen.lineTo(x, y + tall);
    pen.closePath();
  } else if (family === HOST) pen.roundRect(x, y, wide, tall, cut);
  else pen.rect(x, y, wide, tall);
}

function hatch(pen, theme, x, y, wide, tall) {
  pen.save();
  pen.clip();
  pen.beginPath();
  pen.strokeStyle = theme.hatch;
  pen.lineWidth = 1;
  const first = Math.ceil((x - tall) / 7) * 7;
  const last = Math.min(x + wide, first + 4000);
  for (let at = first; at < last; at += 7) {
    pen.moveTo(at, y + tall);
    pen.lineTo(at + tall, y);
  }
  pen.stroke();
  pen.restore();
}

/** What comes before the chosen op has a bar above, what comes after it a bar below. */
function sideMark(pen, theme, side, x, y, wide, tall) {
  if (!side) return;
  pen.fillStyle = theme.ink;
  if (side & 1) pen.fillRect(x, y - 3, wide, 3);
  if (side & 2) pen.fillRect(x, y + tall, wide, 3);
}

function caption(pen, see, op, family, hollow, x, y, wide, tall, row, i) {
  const { theme, data } = see;
  const room = Math.floor((wide - 8) / 6.2);
  if (room < 1) return;
  const doing = row.access ? `${writes(data, row.access[i]) ? "writes" : "reads"}: ` : "";
  const most = Math.max(1, Math.floor((tall - 2) / LINE));
  const lines =
    room < 3
      ? [FAMILIES[family].sign]
      : wrapped(`${FAMILIES[family].sign} ${doing}${data.title(op)}`, room, most);
  pen.fillStyle = hollow ? theme.ink : theme.text[family];
  pen.font = theme.font;
  pen.textBaseline = "middle";
  pen.save();
  pen.beginPath();
  pen.rect(x, y, wide, tall);
  pen.clip();
  const first = y + tall / 2 + 0.5 - ((lines.length - 1) * LINE) / 2;
  lines.forEach((line, n) =>
    pen.fillText(line, Math.max(x, see.camera.left) + 5, first + n * LINE),
  );
  pen.restore();
}

/** A buffer's life: a line from its allocation to its free. */
function drawLife(pen, see, row, y) {
  const { data, camera, scene, theme } = see;
  if (scene.axis === "time") return;
  const at = (op, otherwise) => {
    if (op < 0) return otherwise;
    return scene.place ? (scene.place.get(op) ?? otherwise) : op;
  };
  const from = at(data.columns.bufferMalloc[row.buffer], scene.low);
  const to = at(data.columns.bufferFree[row.buffer], scene.high);
  pen.fillStyle = theme.life;
  const x = Math.max(camera.left, camera.x(from));
  pen.fillRect(x, y + 3, Math.max(0, Math.min(camera.width, camera.x(to)) - x), row.height - 6);
}
