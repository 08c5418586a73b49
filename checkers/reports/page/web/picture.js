// @ts-check
/** The two canvases: kept as large as their places, drawn once a frame, asked what is where. */

import { Marks } from "./boxes.js";
import { Camera } from "./camera.js";
import { MiniMap } from "./minimap.js";
import { firstAt } from "./order.js";
import { regionsOf } from "./regions.js";
import { boxOf, makeScene } from "./scene.js";
import { readTheme } from "./theme.js";
import { drawTimeline } from "./timeline.js";

const NEAR = 5;
const NARROW = 620;

export class Picture {
  constructor(parts, data, order, drawn) {
    this.parts = parts;
    this.drawn = drawn;
    this.pending = 0;
    this.camera = new Camera(() => this.later());
    this.pen = parts.canvas.getContext("2d", { alpha: false });
    this.see = {
      data,
      order,
      camera: this.camera,
      theme: readTheme(),
      scene: makeScene(data, {
        view: "lanes",
        axis: "slice",
        chosen: new Int32Array(0),
        focus: [],
      }),
      regions: regionsOf(data),
      findings: data.meta.findings,
      marks: new Marks(),
      finding: null,
      selected: null,
      compared: null,
      playing: [],
      chain: [],
      plates: [],
      letters: [],
      solid: [],
      chosen: new Int32Array(0),
      options: { edges: true, issue: false },
      look: () => 0,
      edgeOps: targetOps(data),
    };
    this.mini = new MiniMap(parts.mini, this.see, (from, to) => this.camera.set(from, to));
    new ResizeObserver(() => this.resize()).observe(parts.canvas);
  }

  /** Show a scene, whole. */
  enter(wanted) {
    this.measure();
    this.wanted = wanted;
    this.see.scene = makeScene(this.see.data, { ...wanted, room: this.camera.height });
    this.see.chosen = wanted.chosen;
    this.camera.enter(this.see.scene);
    this.mini.paint();
  }

  /** Zoom so that ops are seen with some room around them. */
  focus(ops, glide = true) {
    const boxes = ops.map((op) => boxOf(this.see.scene, this.see.data, op)).filter((box) => box);
    if (!boxes.length) return;
    const from = Math.min(...boxes.map((box) => box.from));
    const to = Math.max(...boxes.map((box) => box.to));
    const room = this.see.scene.axis === "slice" ? 0.3 : 0.25;
    const margin = Math.max((to - from) * room, this.see.scene.axis === "time" ? 0 : 2);
    for (const box of [...boxes].reverse()) this.camera.reveal(box.row);
    this.camera.show(from - margin, to + margin, glide);
  }

  measure() {
    const { canvas, mini } = this.parts;
    const box = canvas.getBoundingClientRect();
    this.ratio = window.devicePixelRatio || 1;
    for (const [each, size] of [
      [canvas, box],
      [mini, mini.getBoundingClientRect()],
    ]) {
      const [wide, tall] = [
        Math.max(1, Math.round(size.width * (each === mini ? 1 : this.ratio))),
        Math.max(1, Math.round(size.height * (each === mini ? 1 : this.ratio))),
      ];
      if (each.width !== wide || each.height !== tall) [each.width, each.height] = [wide, tall];
    }
    this.camera.width = box.width;
    this.camera.height = box.height;
    this.camera.left = box.width < NARROW ? 96 : 150;
  }

  resize() {
    const before = this.camera.height;
    this.measure();
    if (this.wanted && this.camera.height !== before) {
      this.see.scene = makeScene(this.see.data, { ...this.wanted, room: this.camera.height });
      this.camera.scene = this.see.scene;
    }
    this.camera.set(this.camera.from, this.camera.to);
    this.mini.paint();
    this.later();
  }

  restyle() {
    this.see.theme = readTheme();
    this.mini.paint();
    this.later();
  }

  later() {
    if (!this.pending) this.pending = requestAnimationFrame(() => this.draw());
  }

  /** Draw now; give the milliseconds it took. */
  draw() {
    cancelAnimationFrame(this.pending);
    this.pending = 0;
    const start = performance.now();
    this.pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    const hidden = drawTimeline(this.pen, this.see);
    this.mini.draw();
    this.drawn(hidden);
    return performance.now() - start;
  }

  /** The op at a place, or null. */
  opAt(x, y) {
    const { scene, camera } = this.see;
    if (x < camera.left) return null;
    const row = scene.rows.find((r) => y + camera.down >= r.y && y + camera.down < r.y + r.height);
    if (!row) return null;
    const at = camera.at(x);
    const next = firstAt(row.from, at);
    for (const i of [next - 1, next]) {
      if (row.ops[i] === undefined) continue;
      const [a, b] = [camera.x(row.from[i]), camera.x(row.to[i])];
      if (x >= a - NEAR && x <= Math.max(b, a) + NEAR) return row.ops[i];
    }
    return null;
  }

  /** The op beside another: on its row, or the nearest on the row above or below. */
  beside(op, key) {
    const { scene, data } = this.see;
    const box = op === null ? null : boxOf(scene, data, op);
    if (!box) return scene.rows.find((row) => row.ops.length)?.ops[0] ?? null;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (step) {
      const place = box.row.ops.indexOf(op);
      return box.row.ops[place + step] ?? op;
    }
    const rows = scene.rows.filter((row) => row.ops.length);
    const other = rows[rows.indexOf(box.row) + (key === "ArrowUp" ? -1 : 1)];
    if (!other) return op;
    const main = [...other.ops.keys()].filter((i) => !other.call[i] || key === "ArrowUp");
    if (!main.length) return op;
    const near = main.reduce((best, i) =>
      Math.abs(other.from[i] - box.from) < Math.abs(other.from[best] - box.from) ? i : best,
    );
    return other.ops[near];
  }
}

/** By edge, the op of its target, never falling: edges are sorted by target. */
function targetOps(data) {
  const { edgeTarget, nodeOp } = data.columns;
  const found = new Int32Array(edgeTarget.length);
  let most = 0;
  for (let e = 0; e < found.length; e++) found[e] = most = Math.max(most, nodeOp[edgeTarget[e]]);
  return found;
}
