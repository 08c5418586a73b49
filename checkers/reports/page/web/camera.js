// @ts-check
/** The part of a scene that is seen: a stretch of the axis, and how far down. */

const LEAST = { order: 4, slice: 2, time: 20 };
const GLIDE = 260;

export class Camera {
  /** @param {() => void} redraw */
  constructor(redraw) {
    this.redraw = redraw;
    this.from = 0;
    this.to = 1;
    this.down = 0;
    this.width = 1;
    this.height = 1;
    this.left = 0;
    this.scene = { low: 0, high: 1, height: 1, axis: "order" };
    this.glide = 0;
  }

  /** Pixels a unit. */
  get scale() {
    return Math.max(1, this.width - this.left) / (this.to - this.from);
  }

  /** @param {number} at on the axis */
  x(at) {
    return this.left + (at - this.from) * this.scale;
  }

  /** @param {number} x in pixels */
  at(x) {
    return this.from + (x - this.left) / this.scale;
  }

  /** Look at another scene, whole. */
  enter(scene) {
    this.scene = scene;
    this.down = 0;
    this.show(scene.low, scene.high, false);
  }

  /** Zoom about a place. @param {number} factor below 1 zooms in */
  zoom(factor, x = this.left + (this.width - this.left) / 2) {
    const at = this.at(x);
    this.set(at - (at - this.from) * factor, at + (this.to - at) * factor);
  }

  /** @param {number} pixels @param {number} down */
  pan(pixels, down = 0) {
    const by = pixels / this.scale;
    this.down += down;
    this.set(this.from + by, this.to + by);
  }

  /** Go to a stretch, gliding there unless motion is unwanted. */
  show(from, to, glide = true) {
    cancelAnimationFrame(this.glide);
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!glide || still) {
      this.set(from, to);
      return;
    }
    const [a, b, start] = [this.from, this.to, performance.now()];
    const move = (now) => {
      const part = Math.min(1, Math.max(0, (now - start) / GLIDE));
      const eased = 1 - (1 - part) ** 3;
      this.set(a + (from - a) * eased, b + (to - b) * eased);
      if (part < 1) this.glide = requestAnimationFrame(move);
    };
    this.glide = requestAnimationFrame(move);
  }

  set(from, to) {
    const { low, high, axis } = this.scene;
    const least = Math.min(LEAST[axis], high - low);
    const margin = (high - low) * 0.02;
    let size = Math.min(Math.max(to - from, least), high - low + 2 * margin);
    if (!Number.isFinite(size)) size = high - low;
    const middle = (from + to) / 2;
    const start = Math.min(Math.max(middle - size / 2, low - margin), high + margin - size);
    this.from = start;
    this.to = start + size;
    this.down = Math.max(0, Math.min(this.down, this.scene.height - this.height));
    this.redraw();
  }

  /** Scroll down until a row is seen. */
  reveal(row) {
    if (row.y < this.down + 20) this.down = row.y - 20;
    if (row.y + row.height > this.down + this.height) this.down = row.y + row.height - this.height;
    this.set(this.from, this.to);
  }
}
