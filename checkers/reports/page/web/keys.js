// @ts-check
/** The keys of the page, and those of the timeline that move between ops. */

/** @param {any} app @param {string} key */
export function canvasKey(app, key) {
  if (!key.startsWith("Arrow")) return false;
  const { selected } = app.state;
  const from = selected ?? app.finding?.ops[0] ?? null;
  const to = selected === null && from !== null ? from : app.picture.beside(from, key);
  if (to !== null) app.select(to);
  return true;
}

/** @param {any} app @param {KeyboardEvent} event */
export function pageKey(app, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = /** @type {Element} */ (event.target);
  if (target.closest("input:not([type=checkbox]), textarea, dialog")) return;
  if (event.key === " " && target.closest("button, summary, input")) return;
  const keys = { ...findings(app), ...views(app), ...(app.player ? steps(app.player) : {}) };
  const act = Object.hasOwn(keys, event.key) ? keys[event.key] : undefined;
  if (!act) return;
  event.preventDefault();
  act();
}

function findings(app) {
  return {
    j: () => app.choose(app.state.finding + 1),
    k: () => app.choose(app.state.finding - 1),
    "/": () => app.parts.search.focus(),
    "?": () => app.help.showModal(),
    n: () => app.nextMatch(1),
    N: () => app.nextMatch(-1),
    m: () => app.state.selected !== null && app.pin(),
    f: () => app.picture.focus(app.pictured()),
    Escape: () => app.letGo(),
  };
}

function views(app) {
  return {
    1: () => app.change({ axis: "slice" }),
    2: () => app.change({ axis: "order" }),
    3: () => app.data.timed && app.change({ axis: "time" }),
    l: () => app.change({ view: "lanes" }),
    b: () => app.change({ view: "buffers" }),
    c: () => app.change({ view: "costs" }),
  };
}

function steps(player) {
  return {
    " ": () => player.panel.querySelector(".play").click(),
    ",": () => player.to(player.step - 1),
    ".": () => player.to(player.step + 1),
  };
}
