// @ts-check
/** Where the script begins: unpack, put the parts together, draw. */

import { App } from "./app.js";
import { el, fill } from "./dom.js";
import { unpack } from "./unpack.js";

async function start() {
  const began = performance.now();
  const place = /** @type {Element} */ (document.getElementById("app"));
  const pack = /** @type {Element} */ (document.getElementById("data"));
  try {
    const { meta, columns } = await unpack(pack.textContent ?? "");
    pack.remove();
    const app = new App(meta, columns);
    app.picture.draw();
    performance.mark("streamsan-drawn");
    /** For tests and measurements. */
    Object.assign(window, { __streamsan: { app, ready: performance.now() - began } });
  } catch (error) {
    fill(place, el("p", { role: "alert" }, `The report could not be read: ${error}`));
    throw error;
  }
}

start();
