// @ts-check
/** Colours and fonts of the canvas, read from the style sheet, so that both speak one language. */

const NAMES = [
  "paper",
  "stripe",
  "side",
  "ink",
  "quiet",
  "line",
  "faint",
  "edge-line",
  "plate",
  "band",
  "band2",
  "bad",
  "good",
  "almost",
  "common",
  "play",
  "life",
  "hatch",
  "shade",
];
const COUNT = 7;

export function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(`--${name}`).trim();
  const found = {};
  for (const name of NAMES) found[name.replace("-line", "Line")] = value(name);
  found.family = Array.from({ length: COUNT }, (_, i) => value(`family-${i}`));
  found.edge = Array.from({ length: COUNT }, (_, i) => value(`family-edge-${i}`));
  found.text = Array.from({ length: COUNT }, (_, i) => value(`family-text-${i}`));
  found.severity = { error: value("error"), warning: value("warning"), info: value("info") };
  const family = value("font");
  found.font = `12px ${family}`;
  found.small = `11px ${family}`;
  found.bold = `bold 12px ${family}`;
  return found;
}
