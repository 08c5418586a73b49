// @ts-check
/** Which rows there are, and which ops are on each: for lanes, and for buffers. */

const MOST_BUFFERS = 200;

/** Threads first, then what else runs on the host, then streams, then copy engines. */
export function laneDrafts(data, only) {
  const { lanes, engines } = data.meta;
  const buckets = collect(data, only);
  const rank = { thread: 0, task: 1, agent: 1, stream: 2, side: 3 };
  const group = ["Host threads", "Tasks and agents", "Streams", "Reads that may run ahead"];
  const found = lanes
    .map((lane, i) => ({
      label: data.laneName(i),
      group: group[rank[lane.line]],
      rank: rank[lane.line],
      lane: i,
      buffer: -1,
      access: null,
      ops: buckets.lanes[i],
      calls: buckets.calls[i],
    }))
    .filter((row) => row.ops.length || row.calls.length);
  for (const [key, ops] of [...buckets.engines].sort((a, b) => a[0] - b[0])) {
    const label = engines[key % 8].replace("{}", String(Math.floor(key / 8)));
    found.push({
      label,
      group: "Copy engines",
      rank: 4,
      lane: -1,
      buffer: -1,
      access: null,
      ops,
      calls: [],
    });
  }
  return found.sort((a, b) => a.rank - b.rank);
}

/** Give the ops of each lane, the calls each thread made for other lanes, and the copies. */
function collect(data, only) {
  const { kind, engine, device } = data.columns;
  const threads = data.meta.names.map((name) => data.threadLane.get(name) ?? -1);
  const lanes = data.meta.lanes.map(() => []);
  const calls = data.meta.lanes.map(() => []);
  const engines = new Map();
  const count = only ? only.length : kind.length;
  for (let i = 0; i < count; i++) {
    const op = only ? only[i] : i;
    const lane = data.lane(op);
    const thread = threads[data.columns.thread[op]];
    if (lane >= 0) lanes[lane].push(op);
    if (thread >= 0 && thread !== lane) calls[thread].push(op);
    if (engine[op] >= 0) {
      const key = device[op] * 8 + engine[op];
      if (!engines.has(key)) engines.set(key, []);
      engines.get(key).push(op);
    }
  }
  return { lanes, calls, engines };
}

/** The memory in question first, then the most used. */
export function bufferDrafts(data, chosen, axis, focus) {
  const { accessBuffer, accessStart } = data.columns;
  const wanted = axis === "slice" ? new Set(chosen) : null;
  const entries = new Map();
  for (let op = 0; op < data.count; op++) {
    if (wanted && !wanted.has(op)) continue;
    for (let a = accessStart[op]; a < accessStart[op + 1]; a++) {
      const list = entries.get(accessBuffer[a]);
      if (list) list.push(a, op);
      else entries.set(accessBuffer[a], [a, op]);
    }
  }
  const first = new Set(focus);
  const sorted = [...entries].sort(
    (a, b) => Number(first.has(b[0])) - Number(first.has(a[0])) || b[1].length - a[1].length,
  );
  return sorted.slice(0, MOST_BUFFERS).map(([buffer, list]) => ({
    label: bufferLabel(data, buffer),
    group: first.has(buffer) ? "In question" : "Other buffers",
    lane: -1,
    buffer,
    calls: [],
    ops: list.filter((_, i) => i % 2),
    access: Int32Array.from(list.filter((_, i) => i % 2 === 0)),
  }));
}

function bufferLabel(data, buffer) {
  return `${data.bufferName(buffer)} (${data.meta.spaces[buffer]})`;
}
