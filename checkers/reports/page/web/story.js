// @ts-check
/** Draws what a finding says: its two ops, the edge that is missing, the one that almost did it. */

import { arrow, label } from "./arrows.js";
import { boxOf } from "./scene.js";

const NEAR = "near wait";

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {any} see
 * @param {any} finding
 */
export function drawFinding(pen, see, finding) {
  const { scene, data, theme } = see;
  const box = (op) => (op === undefined ? null : boxOf(scene, data, op));
  const roles = finding.slice?.roles ?? {};
  const [a, b] = [box(finding.ops[0]), box(finding.ops[1])];
  if (scene.view === "lanes") {
    drawCommon(pen, see, box(roles.common), a, b, roles.common);
    drawAlmost(pen, see, finding, box(roles["near record"]), box(roles[NEAR]));
    if (a && b && "missing" in finding.details) drawMissing(pen, see, finding, a, b);
  }
  if (a) frame(pen, see, a, theme.bad, finding.ops.length > 1 ? "A" : "");
  if (b && finding.ops[1] !== finding.ops[0]) frame(pen, see, b, theme.bad, "B");
}

function drawMissing(pen, see, finding, a, b) {
  const { theme } = see;
  const bend = a.row === b.row ? -34 : 0;
  arrow(pen, see, a, b, {
    colour: theme.bad,
    dash: [7, 5],
    wide: 2.5,
    strong: true,
    cross: true,
    bend,
    words: "missing: A before B",
  });
  if (finding.fix?.record) drawFix(pen, see, a, b);
}

/** The narrowest fix: a record right after A, a wait right before B. */
function drawFix(pen, see, a, b) {
  const { camera, theme } = see;
  const [x1, x2] = [camera.x(a.to), camera.x(b.from)];
  if (x2 < camera.x(a.from)) return;
  const [y1, y2] = [a, b].map((box) => box.row.y - camera.down + box.row.height - 3);
  for (const [x, y, words] of [
    [x1, y1, "+ record"],
    [x2, y2, "+ wait"],
  ]) {
    pen.fillStyle = theme.good;
    pen.beginPath();
    pen.moveTo(x, y - 6);
    pen.lineTo(x + 6, y);
    pen.lineTo(x, y + 6);
    pen.lineTo(x - 6, y);
    pen.closePath();
    pen.fill();
    label(see, { colour: theme.good, words, strong: true }, x, y + 15);
  }
}

function drawAlmost(pen, see, finding, record, wait) {
  const { theme } = see;
  if (!wait) return;
  const kind = finding.details.nearly?.kind ?? "";
  if (record && record.row !== wait.row) {
    arrow(pen, see, record, wait, { colour: theme.almost, dash: [2, 4], wide: 2 });
  }
  frame(pen, see, wait, theme.almost, "");
  const { camera } = see;
  const x = (camera.x(wait.from) + camera.x(wait.to)) / 2;
  label(
    see,
    { colour: theme.almost, words: `almost: ${kind}`, strong: true },
    x,
    wait.row.y - camera.down - 5,
  );
}

function drawCommon(pen, see, common, a, b, op) {
  const { theme } = see;
  if (!common || op === undefined) return;
  for (const end of [a, b]) {
    if (end && end.row !== common.row)
      arrow(pen, see, common, end, { colour: theme.faint, dash: [1, 3], wide: 2 });
  }
  frame(pen, see, common, theme.common, "");
  const { camera } = see;
  label(
    see,
    { colour: theme.common, words: "before both", strong: true },
    (camera.x(common.from) + camera.x(common.to)) / 2,
    common.row.y - camera.down - 5,
  );
}

/** A frame around a box, with a letter on it. */
export function frame(pen, see, box, colour, letter) {
  const { camera } = see;
  const x = camera.x(box.from) - 1;
  const wide = Math.max(5, camera.x(box.to) - camera.x(box.from) + 1);
  const y = box.row.y - camera.down;
  pen.strokeStyle = colour;
  pen.lineWidth = 3;
  pen.strokeRect(x, y + 2, wide, box.row.height - 4);
  if (!letter) return;
  see.letters.push({ x, y, colour, letter });
  see.solid.push([x + 1, y + box.row.height / 2, wide - 2, box.row.height - 10]);
}

/** Draw the letters of frames: above all else. */
export function drawLetters(pen, { letters, theme }) {
  for (const each of letters) drawLetter(pen, theme, each);
  letters.length = 0;
}

function drawLetter(pen, theme, { x, y, colour, letter }) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x + 2, y + 3, 9, 0, 7);
  pen.fill();
  pen.fillStyle = theme.paper;
  pen.font = theme.bold;
  pen.textBaseline = "middle";
  pen.textAlign = "center";
  pen.fillText(letter, x + 2, y + 3.5);
  pen.textAlign = "start";
}
