// @ts-check
/** The timeline's canvas: bands, rows, arrows, names of rows, an axis. */

import { arrow, drawEdges, drawPlates } from "./arrows.js";
import { drawRows } from "./boxes.js";
import { counted, duration, shorten } from "./dom.js";
import { HEAD, boxOf } from "./scene.js";
import { drawFinding, drawLetters, frame } from "./story.js";

/**
 * Draw one frame; give whether edges were left out.
 * @param {CanvasRenderingContext2D} pen
 * @param {any} see
 */
export function drawTimeline(pen, see) {
  const { camera, theme } = see;
  pen.fillStyle = theme.paper;
  pen.fillRect(0, 0, camera.width, camera.height);
  stripes(pen, see);
  bands(pen, see);
  pen.save();
  pen.beginPath();
  pen.rect(camera.left, HEAD, camera.width - camera.left, camera.height - HEAD);
  pen.clip();
  drawRows(pen, see);
  const hidden = drawEdges(pen, see);
  if (see.finding) drawFinding(pen, see, see.finding);
  chosenOps(pen, see);
  drawPlates(pen, see);
  drawLetters(pen, see);
  pen.restore();
  rowNames(pen, see);
  axis(pen, see);
  return hidden;
}

function stripes(pen, { scene, camera, theme }) {
  scene.rows.forEach((row, i) => {
    pen.fillStyle = i % 2 ? theme.stripe : theme.paper;
    pen.fillRect(camera.left, row.y - camera.down, camera.width, row.height);
  });
}

/** Regions as bands behind the rows, each with its name on top. */
function bands(pen, { scene, camera, theme, regions, data }) {
  let shade = 0;
  let last = -Infinity;
  for (const [name, first, end, depth] of regions) {
    const span = stretch(scene, data, first, end);
    if (!span || depth > 0) continue;
    shade ^= 1;
    const [from, to] = [
      Math.max(camera.left, camera.x(span[0])),
      Math.min(camera.width, camera.x(span[1])),
    ];
    if (to <= from || to - last < 1) continue;
    last = to;
    pen.fillStyle = shade ? theme.band : theme.band2;
    pen.fillRect(from, HEAD, to - from, camera.height);
    if (to - from < 30) continue;
    pen.fillStyle = theme.quiet;
    pen.font = theme.small;
    pen.textBaseline = "middle";
    pen.fillText(shorten(name, Math.floor((to - from - 6) / 6)), from + 4, HEAD + 8);
  }
}

function stretch(scene, data, first, end) {
  if (scene.axis === "order") return [first, end + 1];
  if (scene.axis === "slice") {
    const inside = [...scene.place.keys()].filter((op) => op >= first && op <= end);
    return inside.length ? [scene.place.get(inside[0]), scene.place.get(inside.at(-1)) + 1] : null;
  }
  const [a, b] = [data.span(first, true), data.span(end, true)];
  return a && b && [a[0], b[1]];
}

/** What is chosen, the chain between two chosen ops, and where the two runs are. */
function chosenOps(pen, see) {
  const { scene, data, theme, selected, compared, playing, chain } = see;
  for (const step of chain) {
    const [a, b] = [boxOf(scene, data, step.from), boxOf(scene, data, step.to)];
    if (a && b && scene.view === "lanes")
      arrow(pen, see, a, b, {
        colour: theme.good,
        wide: 3,
        words: step.words,
        bend: a.row === b.row ? -16 : 0,
      });
  }
  for (const [op, letter] of [
    [selected, ""],
    [compared, ""],
  ]) {
    const box = op === null ? null : boxOf(scene, data, op);
    if (box) frame(pen, see, box, theme.ink, letter);
  }
  playing.forEach((op, i) => {
    const box = op === null ? null : boxOf(scene, data, op);
    if (box) frame(pen, see, box, theme.play, String(i + 1));
  });
}

function rowNames(pen, { scene, camera, theme }) {
  pen.fillStyle = theme.side;
  pen.fillRect(0, 0, camera.left, camera.height);
  pen.save();
  pen.beginPath();
  pen.rect(0, HEAD, camera.left, camera.height);
  pen.clip();
  let group = null;
  for (const row of scene.rows) {
    const y = row.y - camera.down;
    if (row.group !== group) {
      group = row.group;
      pen.font = theme.small;
      pen.fillStyle = theme.quiet;
      pen.textBaseline = "middle";
      pen.fillText(group.toUpperCase(), 8, y - 8);
    }
    pen.font = theme.font;
    pen.fillStyle = theme.ink;
    pen.textBaseline = "middle";
    pen.fillText(shorten(row.label, Math.floor((camera.left - 14) / 6.4)), 8, y + row.height / 2);
  }
  pen.restore();
  pen.fillStyle = theme.line;
  pen.fillRect(camera.left - 1, 0, 1, camera.height);
}

function axis(pen, { scene, camera, theme, chosen }) {
  pen.fillStyle = theme.side;
  pen.fillRect(0, 0, camera.width, HEAD);
  pen.fillStyle = theme.line;
  pen.fillRect(0, HEAD - 1, camera.width, 1);
  pen.font = theme.small;
  pen.fillStyle = theme.quiet;
  pen.textBaseline = "middle";
  const heads = {
    order: "issue order, op",
    time: "time",
    slice: `${counted(chosen.length, "op")} that matter`,
  };
  pen.fillText(heads[scene.axis], 8, HEAD / 2);
  if (scene.axis === "slice") {
    let free = camera.left;
    for (const [op, at] of scene.place) {
      const x = camera.x(at);
      if (x < free) continue;
      tick(pen, x, `op ${op}`);
      free = x + 44;
    }
    return;
  }
  const step = nice(
    (camera.to - camera.from) / Math.max(2, (camera.width - camera.left) / 90),
    scene.axis,
  );
  for (let at = Math.ceil(camera.from / step) * step; at < camera.to; at += step) {
    const x = camera.x(at);
    if (x < camera.left) continue;
    if (scene.axis !== "time" && at < 0) continue;
    tick(pen, x, scene.axis === "time" ? duration(at) : `op ${at}`);
  }
}

function tick(pen, x, words) {
  pen.fillRect(x, HEAD - 6, 1, 6);
  pen.fillText(words, x + 3, HEAD / 2);
}

function nice(raw, kind) {
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((part) => part * power).find((each) => each >= raw) ?? raw;
  return kind === "time" ? step : Math.max(1, Math.round(step));
}
