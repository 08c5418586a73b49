// @ts-check
/** Regions: iterations, hot paths. */

/** Stretches of a thread's work with a name: [name, first op, last op, depth]. */
export function regionsOf(data) {
  const { kind, thread } = data.columns;
  const begin = data.meta.words.indexOf("region_begin");
  const end = data.meta.words.indexOf("region_end");
  const open = new Map();
  const found = [];
  for (let op = 0; op < data.count; op++) {
    if (kind[op] === begin) {
      if (!open.has(thread[op])) open.set(thread[op], []);
      open.get(thread[op]).push(op);
    } else if (kind[op] === end && open.get(thread[op])?.length) {
      const first = open.get(thread[op]).pop();
      found.push([data.name(first), first, op, open.get(thread[op]).length]);
    }
  }
  for (const left of open.values()) {
    left.forEach((first, depth) => found.push([data.name(first), first, data.count - 1, depth]));
  }
  return found.sort((a, b) => a[1] - b[1]);
}
