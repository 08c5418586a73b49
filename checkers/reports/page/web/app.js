// @ts-check
/** Puts the parts together: one state, and what changes with it. */

import { Data } from "./data.js";
import { costsPanel } from "./costs.js";
import { canvasKey, pageKey } from "./keys.js";
import { detailOf, storyOf } from "./sides.js";
import { counted, fill } from "./dom.js";
import { helpDialog } from "./help.js";
import { listen } from "./input.js";
import { makeLayout } from "./layout.js";
import { fillList } from "./list.js";
import { Order } from "./order.js";
import { Picture } from "./picture.js";
import { witnessPanel } from "./play.js";
import { chainOf, chosenOps, findOps, findingId, firstState, looker } from "./state.js";

/** Pixels below which even a slice is shown in part. */
const NARROW = 620;

export class App {
  constructor(meta, columns) {
    this.data = new Data(meta, columns);
    this.order = new Order(this.data);
    this.state = firstState(this.data, location.hash);
    this.found = null;
    this.match = -1;
    this.player = null;
    this.help = helpDialog();
    this.parts = makeLayout(meta, {
      view: (view) => this.change({ view }),
      axis: (axis) => this.change({ axis }),
      search: (text) => this.search(text),
      searchKey: (event) => this.searchKey(event),
      option: (name, value) => this.option(name, value),
      theme: () => this.turnTheme(),
      help: () => this.help.showModal(),
    });
    fill(/** @type {Element} */ (document.getElementById("app")), ...this.parts.all, this.help);
    this.picture = new Picture(this.parts, this.data, this.order, (hidden) => this.note(hidden));
    listen(this.parts.canvas, this.picture.camera, {
      hover: (x, y, event) => this.hover(x, y, event),
      leave: () => this.parts.tip.setAttribute("hidden", ""),
      tap: (x, y, event) => this.tap(x, y, event),
      key: (key) => canvasKey(this, key),
    });
    document.addEventListener("keydown", (event) => pageKey(this, event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
      this.picture.restyle(),
    );
    this.act = {
      goto: (op) => this.select(op),
      why: (one, other) => this.pair(one, other),
      pair: (one, other) => this.pair(one, other, false),
      finding: (number) => this.choose(number),
    };
    this.refresh(true);
  }

  get finding() {
    return this.data.meta.findings[this.state.finding] ?? null;
  }

  /** Take a change of view, axis or finding: the scene is another one. */
  change(part) {
    Object.assign(this.state, part);
    this.refresh(true);
  }

  choose(number) {
    if (!this.data.meta.findings[number]) return;
    this.change({
      finding: number,
      selected: null,
      compared: null,
      axis: "slice",
      view: this.state.view === "costs" ? "lanes" : this.state.view,
    });
    this.parts.list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
    history.replaceState(null, "", `#f=${findingId(this.finding)}`);
    this.say(`Finding ${number + 1}: ${this.finding.headline}`);
  }

  select(op) {
    const compared = this.state.pinning ? this.state.compared : null;
    Object.assign(this.state, {
      selected: op,
      compared,
      view: this.state.view === "costs" ? "lanes" : this.state.view,
    });
    const absent = this.state.axis === "slice" && !this.picture.see.scene.place?.has(op);
    this.refresh(absent || compared !== null);
    if (!absent) this.picture.camera.set(...this.kept(op));
    this.say(this.data.tell(op));
  }

  /** The stretch that is seen, moved as little as needed for an op to be seen. */
  kept(op) {
    const { camera, see } = this.picture;
    const at = see.scene.place
      ? see.scene.place.get(op)
      : see.scene.axis === "time"
        ? this.data.span(op)?.[0]
        : op;
    const size = camera.to - camera.from;
    if (at === undefined || (at >= camera.from && at + Math.min(1, size) <= camera.to))
      return [camera.from, camera.to];
    return [at - size / 2, at + size / 2];
  }

  pair(one, other, announce = true) {
    Object.assign(this.state, { compared: one, selected: other, pinning: false });
    this.refresh(true);
    if (announce) this.parts.detail.querySelector(".why")?.scrollIntoView({ block: "nearest" });
  }

  refresh(scene) {
    const { state, data, order, picture, parts } = this;
    const had = this.focusHome();
    this.player?.stop();
    state.playing = [];
    const { see } = picture;
    Object.assign(see, {
      finding: this.finding,
      selected: state.selected,
      compared: state.compared,
      playing: [],
      chain: chainOf(order, state),
      look: looker(data, order, state, this.found),
    });
    const costs = state.view === "costs";
    parts.costs.toggleAttribute("hidden", !costs);
    for (const each of [parts.canvas, parts.mini, parts.story, parts.note])
      each.toggleAttribute("hidden", costs);
    parts.views.show(state.view);
    parts.axes.show(state.axis, data.timed ? [] : ["time"]);
    if (costs) fill(parts.costs, costsPanel(data.meta, { finding: (n) => this.choose(n) }));
    fillList(parts.list, data.meta, state, (number) => this.choose(number));
    this.fillStory();
    this.fillDetail();
    if (scene && !costs) this.enter();
    else if (!costs) picture.mini.paint();
    picture.later();
    had?.();
  }

  /** What is filled anew loses the focus: give what puts it where it belongs. */
  focusHome() {
    const { list, detail, canvas } = this.parts;
    const was = document.activeElement;
    if (!was) return null;
    if (list.contains(was)) return () => list.querySelector("[aria-current]")?.focus();
    if (!detail.contains(was)) return null;
    if (was.closest(".why")) return () => detail.querySelector(".why [type=submit]")?.focus();
    return () => canvas.focus({ preventScroll: true });
  }

  enter() {
    const { state, data, order, picture } = this;
    const chosen = chosenOps(data, order, state, this.found);
    picture.enter({
      view: state.view,
      axis: state.axis,
      chosen,
      focus: this.focusBuffers(),
      main: this.pictured(),
    });
    if (state.axis !== "slice" || picture.camera.width < NARROW)
      picture.focus(this.pictured(), false);
  }

  /** The ops that the picture is about. */
  pictured() {
    const pair = [this.state.compared, this.state.selected].filter((op) => op !== null);
    return pair.length ? pair : (this.finding?.ops ?? []);
  }

  focusBuffers() {
    if (!this.finding) return [];
    const touched = this.finding.ops.flatMap((op) =>
      this.data.accesses(op).map((each) => each.buffer),
    );
    return touched.filter((buffer) => this.data.bufferName(buffer) === this.finding.buffer);
  }

  fillStory() {
    fill(this.parts.story, storyOf(this.finding, this.data.meta));
  }

  fillDetail() {
    const { data, state, finding, parts } = this;
    this.player = finding?.runs ? witnessPanel(finding, data, (ops) => this.playing(ops)) : null;
    fill(parts.detail, detailOf(this, state.selected, this.player?.panel));
  }

  pin() {
    this.state.pinning = !this.state.pinning;
    if (this.state.pinning) this.state.compared = this.state.selected;
    this.refresh(false);
  }

  playing(ops) {
    this.state.playing = ops;
    if (this.picture) {
      this.picture.see.playing = ops;
      this.picture.later();
    }
  }

  search(text) {
    this.state.query = text;
    this.found = findOps(this.data, text);
    this.match = -1;
    fill(this.parts.matches, this.found ? counted(this.found.count, "op") : "");
    this.refresh(this.state.axis === "slice" && !this.finding);
  }

  searchKey(event) {
    if (event.key === "Enter") this.nextMatch(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") this.parts.canvas.focus();
  }

  nextMatch(step) {
    if (!this.found?.count) return;
    const { mask } = this.found;
    let op = this.match;
    do op = (op + step + mask.length) % mask.length;
    while (!mask[op]);
    this.match = op;
    this.select(op);
  }

  hover(x, y, event) {
    const op = this.picture.opAt(x, y);
    const { tip } = this.parts;
    tip.toggleAttribute("hidden", op === null);
    if (op === null) return;
    fill(tip, this.data.tell(op));
    tip.style.left = `${Math.min(event.clientX + 12, innerWidth - 260)}px`;
    tip.style.top = `${event.clientY + 16}px`;
  }

  tap(x, y, event) {
    const op = this.picture.opAt(x, y);
    if (op === null) return;
    if (event.shiftKey && this.state.selected !== null) this.pair(this.state.selected, op);
    else this.select(op);
  }

  letGo() {
    Object.assign(this.state, { selected: null, compared: null, pinning: false });
    this.refresh(true);
  }

  option(name, value) {
    this.picture.see.options[name] = value;
    this.picture.later();
  }

  turnTheme() {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    this.picture.restyle();
  }

  note(hidden) {
    fill(this.parts.note, hidden ? "Zoom in to see the edges." : "");
  }

  say(words) {
    fill(this.parts.said, words);
  }
}
