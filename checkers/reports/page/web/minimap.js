// @ts-check
/** The whole scene in a strip: where there is work, where the findings are, what is seen. */

import { firstAt } from "./order.js";
import { boxOf } from "./scene.js";

export class MiniMap {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {any} see
   * @param {(from: number, to: number) => void} go
   */
  constructor(canvas, see, go) {
    this.canvas = canvas;
    this.see = see;
    this.go = go;
    this.picture = document.createElement("canvas");
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.jump(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) this.jump(event);
    });
  }

  jump(event) {
    const { scene, camera } = this.see;
    const box = this.canvas.getBoundingClientRect();
    const at = scene.low + ((event.clientX - box.left) / box.width) * (scene.high - scene.low);
    const half = (camera.to - camera.from) / 2;
    this.go(at - half, at + half);
  }

  /** Draw the rows once a scene and size; the frame of what is seen each time. */
  paint() {
    const { scene, theme } = this.see;
    const { width, height } = this.canvas;
    this.picture.width = width;
    this.picture.height = height;
    const pen = /** @type {CanvasRenderingContext2D} */ (this.picture.getContext("2d"));
    pen.fillStyle = theme.side;
    pen.fillRect(0, 0, width, height);
    const scale = width / (scene.high - scene.low);
    const tall = (height - 8) / Math.max(1, scene.rows.length);
    scene.rows.forEach((row, i) => this.strip(pen, row, 6 + i * tall, tall, scale));
    this.markers(pen, scale);
    this.draw();
  }

  strip(pen, row, y, tall, scale) {
    const { scene, theme, data } = this.see;
    for (let i = 0; i < row.ops.length;) {
      const x = Math.floor((row.from[i] - scene.low) * scale);
      const next = firstAt(row.from, scene.low + (x + 1) / scale, i + 1);
      const till = (row.to[next - 1] - scene.low) * scale;
      pen.fillStyle = row.call[i] ? theme.faint : theme.family[data.familyOf(row.ops[i])];
      pen.fillRect(x, y, Math.max(1, till - x), Math.max(1, tall - 1));
      i = next;
    }
  }

  markers(pen, scale) {
    const { scene, theme, data, findings } = this.see;
    for (const finding of findings.slice(0, 500)) {
      const box = finding.ops.length ? boxOf(scene, data, finding.ops.at(-1)) : null;
      if (!box) continue;
      const x = (box.from - scene.low) * scale;
      pen.fillStyle = theme.severity[finding.severity];
      pen.beginPath();
      pen.moveTo(x - 4, 0);
      pen.lineTo(x + 4, 0);
      pen.lineTo(x, 7);
      pen.fill();
    }
  }

  draw() {
    const { scene, camera, theme } = this.see;
    const { width, height } = this.canvas;
    const pen = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    pen.clearRect(0, 0, width, height);
    pen.drawImage(this.picture, 0, 0);
    const scale = width / (scene.high - scene.low);
    const x = (camera.from - scene.low) * scale;
    const wide = Math.max(4, (camera.to - camera.from) * scale);
    pen.fillStyle = theme.shade;
    pen.fillRect(0, 0, x, height);
    pen.fillRect(x + wide, 0, width, height);
    pen.strokeStyle = theme.ink;
    pen.lineWidth = 2;
    pen.strokeRect(Math.max(1, x), 1, Math.min(wide, width - 2), height - 2);
  }
}
