// @ts-check
/** Elements. Strings become text nodes, so no name from a trace is ever read as HTML. */

/**
 * Make an element. Keys of `given` that begin with "on" are listeners, the others attributes.
 * @param {string} tag
 * @param {Record<string, any>} [given]
 * @param {...any} children nodes and texts, in lists or not; null and false are left out
 * @returns {any}
 */
export function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  put(made, children);
  return made;
}

/**
 * Replace what an element holds.
 * @param {Element} parent
 * @param {...any} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren();
  put(parent, children);
}

function put(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : visible(String(child)));
  }
}

const STEERING =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/**
 * Show characters that are not seen, or that turn the writing direction, as their numbers.
 * @param {string} text
 */
export function visible(text) {
  return text.replace(STEERING, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * Cut a text in its middle.
 * @param {string} text
 * @param {number} most
 */
export function shorten(text, most) {
  const whole = visible(text);
  if (whole.length <= most) return whole;
  const head = Math.ceil((most - 1) * 0.65);
  return `${whole.slice(0, head)}…${whole.slice(whole.length - (most - 1 - head))}`;
}

/**
 * Break a text into lines of so many characters, at spaces and underscores where there are any.
 * @param {string} text
 * @param {number} wide
 * @param {number} most
 */
export function wrapped(text, wide, most) {
  const lines = [];
  let rest = text;
  while (rest.length > wide && lines.length < most - 1) {
    const near = Math.max(rest.lastIndexOf(" ", wide), rest.lastIndexOf("_", wide - 1) + 1);
    const cut = near > wide / 3 ? near : wide;
    lines.push(rest.slice(0, cut).trim());
    rest = rest.slice(cut).trim();
  }
  lines.push(rest.length > wide ? shorten(rest, wide) : rest);
  return lines;
}

/** @param {number} ns */
export function duration(ns) {
  for (const [unit, size] of [
    ["s", 1e9],
    ["ms", 1e6],
    ["µs", 1e3],
  ]) {
    if (Math.abs(ns) >= Number(size)) return `${figures(ns / Number(size))} ${unit}`;
  }
  return `${Math.round(ns)} ns`;
}

/** @param {number} count */
export function bytes(count) {
  for (const [unit, size] of [
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
  ]) {
    if (count >= Number(size)) return `${figures(count / Number(size))} ${unit}`;
  }
  return `${count} B`;
}

function figures(value) {
  return String(Number(value.toPrecision(3)));
}

/**
 * @param {number} count
 * @param {string} noun
 */
export function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
