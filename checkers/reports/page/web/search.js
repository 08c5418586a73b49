// @ts-check
/** Search: words that must all be met, each perhaps for one field only (stream:F, buffer:x). */

const FIELDS = new Set(["name", "stream", "lane", "buffer", "rule", "kind", "op", "thread"]);

/** Read a query as [field or "", word] pairs. @param {string} text */
export function readQuery(text) {
  return text
    .trim()
    .split(/\s+/)
    .filter(Boolean)
    .map((part) => {
      const colon = part.indexOf(":");
      const field = part.slice(0, colon).toLowerCase();
      return FIELDS.has(field)
        ? [field, part.slice(colon + 1).toLowerCase()]
        : ["", part.toLowerCase()];
    });
}

/**
 * Give a mask of the ops that a query means, and how many they are; null for an empty query.
 * @param {import("./data.js").Data} data
 * @param {string} text
 */
export function searchOps(data, text) {
  const terms = readQuery(text).filter(([field]) => field !== "rule");
  const ofRules = readQuery(text).filter(([field]) => field === "rule");
  if (!terms.length && !ofRules.length) return null;
  const mask = new Uint8Array(data.count).fill(1);
  for (const [field, word] of terms) keep(mask, matcher(data, field, word));
  for (const [, word] of ofRules) keep(mask, opsOfRule(data, word));
  let count = 0;
  for (const each of mask) count += each;
  return { mask, count };
}

function keep(mask, test) {
  for (let op = 0; op < mask.length; op++) if (mask[op] && !test(op)) mask[op] = 0;
}

function opsOfRule(data, word) {
  const mine = data.meta.findings.filter((f) => `${f.rule} ${f.name}`.toLowerCase().includes(word));
  const ops = new Set(mine.flatMap((f) => f.ops));
  return (op) => ops.has(op);
}

/** Names are looked at once each: a million ops have few of them. */
function matcher(data, field, word) {
  const { names, words, lanes } = data.meta;
  const { kind, name, obj, thread, accessStart, accessBuffer, bufferName } = data.columns;
  const hit = (texts) =>
    Uint8Array.from(texts, (text) => Number(text.toLowerCase().includes(word)));
  const [named, spoken, laned] = [hit(names), hit(words), hit(lanes.map((lane) => lane.label))];
  const touches = (op) => {
    for (let a = accessStart[op]; a < accessStart[op + 1]; a++) {
      if (named[bufferName[accessBuffer[a]]]) return true;
    }
    return (
      data.word(op).match(/alloc|free|record_stream|register/) !== null && named[obj[op]] === 1
    );
  };
  const tests = {
    op: (op) => String(op) === word,
    kind: (op) => spoken[kind[op]] === 1,
    name: (op) => named[name[op]] === 1,
    thread: (op) => named[thread[op]] === 1,
    stream: (op) => laned[data.lane(op)] === 1,
    lane: (op) => laned[data.lane(op)] === 1,
    buffer: touches,
  };
  if (field) return tests[field];
  return (op) =>
    spoken[kind[op]] === 1 ||
    named[name[op]] === 1 ||
    named[obj[op]] === 1 ||
    laned[data.lane(op)] === 1 ||
    touches(op);
}

/** Whether a finding meets a query. */
export function findingMeets(finding, text) {
  const all = [
    finding.rule,
    finding.name,
    finding.kind,
    finding.severity,
    finding.buffer,
    finding.message,
    ...finding.streams,
  ]
    .join(" ")
    .toLowerCase();
  const fields = {
    rule: `${finding.rule} ${finding.name}`,
    buffer: finding.buffer ?? "",
    stream: finding.streams.join(" "),
    lane: finding.streams.join(" "),
  };
  return readQuery(text).every(([field, word]) => {
    if (field === "op") return finding.ops.map(String).includes(word);
    return (fields[field]?.toLowerCase() ?? all).includes(word);
  });
}
