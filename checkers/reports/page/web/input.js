// @ts-check
/** Mouse, touch and keyboard on the timeline. */

const TAP = 6;
const STEP = 0.12;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import("./camera.js").Camera} camera
 * @param {{hover: (x: number, y: number, event: PointerEvent) => void, leave: () => void,
 *   tap: (x: number, y: number, event: PointerEvent) => void, key: (key: string) => boolean}} to
 */
export function listen(canvas, camera, to) {
  wheel(canvas, camera);
  pointers(canvas, camera, to);
  canvas.addEventListener("dblclick", (event) => camera.zoom(0.4, event.offsetX));
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (moveByKey(camera, event.key) || to.key(event.key)) event.preventDefault();
  });
}

function wheel(canvas, camera) {
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      const [dx, dy] = [event.deltaX * lines, event.deltaY * lines];
      if (event.offsetX < camera.left) camera.pan(0, dy);
      else if (event.shiftKey) camera.pan(dy || dx);
      else if (Math.abs(dx) > Math.abs(dy)) camera.pan(dx);
      else camera.zoom(Math.exp(dy * 0.0016), event.offsetX);
    },
    { passive: false },
  );
}

/** One pointer pans, two zoom; a press that does not move is a tap. */
function pointers(canvas, camera, to) {
  const down = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (down.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) {
      to.hover(event.offsetX, event.offsetY, event);
      return;
    }
    const now = [event.offsetX, event.offsetY];
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    moved += Math.abs(dx) + Math.abs(dy);
    if (down.size === 1) camera.pan(-dx, -dy);
    else pinch(camera, down, event.pointerId, now);
    down.set(event.pointerId, now);
  });
  const up = (event) => {
    if (down.delete(event.pointerId) && moved < TAP && event.type === "pointerup") {
      to.tap(event.offsetX, event.offsetY, event);
    }
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", to.leave);
}

function pinch(camera, down, id, now) {
  const other = [...down].find(([each]) => each !== id);
  if (!other) return;
  const before = down.get(id);
  const gap = (a, b) => Math.max(10, Math.abs(a[0] - b[0]));
  camera.zoom(gap(before, other[1]) / gap(now, other[1]), (now[0] + other[1][0]) / 2);
}

function moveByKey(camera, key) {
  const wide = camera.width * STEP;
  const moves = {
    w: () => camera.zoom(0.7),
    s: () => camera.zoom(1 / 0.7),
    "+": () => camera.zoom(0.7),
    "=": () => camera.zoom(0.7),
    "-": () => camera.zoom(1 / 0.7),
    a: () => camera.pan(-wide),
    d: () => camera.pan(wide),
    PageUp: () => camera.pan(0, -camera.height * 0.8),
    PageDown: () => camera.pan(0, camera.height * 0.8),
    0: () => camera.show(camera.scene.low, camera.scene.high),
  };
  const move = Object.hasOwn(moves, key) ? moves[key] : null;
  move?.();
  return move !== null;
}
