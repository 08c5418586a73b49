// @ts-check
/** A trace as the page sees it: columns, and words made of them when somebody looks. */

import { visible } from "./dom.js";

export const KERNEL = 0;
export const COPY = 1;
export const WAIT = 2;
export const RECORD = 3;
export const HOST = 4;
export const MEMORY = 5;
export const OTHER = 6;
/** The families of ops: each has a colour, a pattern and a sign of its own. */
export const FAMILIES = [
  { name: "kernel, graph, collective", sign: "■" },
  { name: "copy or fill", sign: "⇄" },
  { name: "wait, synchronise", sign: "◆" },
  { name: "record, signal", sign: "●" },
  { name: "host reads, writes, fields", sign: "✎" },
  { name: "allocate, free", sign: "▤" },
  { name: "other", sign: "·" },
];
const FAMILY_OF = {
  launch: KERNEL,
  graph_launch: KERNEL,
  collective: KERNEL,
  host_func: KERNEL,
  memcpy: COPY,
  memset: COPY,
  stream_wait_event: WAIT,
  event_synchronize: WAIT,
  stream_synchronize: WAIT,
  device_synchronize: WAIT,
  event_query: WAIT,
  stream_query: WAIT,
  stream_wait_value: WAIT,
  await: WAIT,
  thread_join: WAIT,
  host_task_done: WAIT,
  event_record: RECORD,
  signal: RECORD,
  stream_write_value: RECORD,
  thread_start: RECORD,
  host_task_submit: RECORD,
  host_read: HOST,
  host_write: HOST,
  host_escape: HOST,
  slot_defer: HOST,
  slot_resolve: HOST,
  slot_read: HOST,
  slot_consume: HOST,
  malloc: MEMORY,
  free: MEMORY,
  malloc_async: MEMORY,
  free_async: MEMORY,
  record_stream: MEMORY,
  host_register: MEMORY,
  host_unregister: MEMORY,
};
export const READ = 0;
export const WRITE = 1;
export const ESCAPE = 2;

export class Data {
  /**
   * @param {any} meta
   * @param {Record<string, any>} columns
   */
  constructor(meta, columns) {
    this.meta = meta;
    this.columns = columns;
    this.count = meta.ops;
    this.family = Uint8Array.from(meta.words, (word) => FAMILY_OF[word] ?? OTHER);
    this.threadLane = new Map();
    meta.lanes.forEach((lane, i) => {
      if (lane.line === "thread") this.threadLane.set(lane.label.slice("host:".length), i);
    });
  }

  /** Whether ops have times on the device or the host. */
  get timed() {
    return "begin" in this.columns || "t" in this.columns;
  }

  /** @param {number} op */
  word(op) {
    return this.meta.words[this.columns.kind[op]];
  }

  /** @param {number} op */
  familyOf(op) {
    return this.family[this.columns.kind[op]];
  }

  /** The op's own name, or its word. @param {number} op */
  name(op) {
    const at = this.columns.name[op];
    return at < 0 ? this.word(op) : this.meta.names[at];
  }

  /** What stands in a box: the name, or the word with what it acts on. @param {number} op */
  title(op) {
    const at = this.columns.name[op];
    if (at >= 0) return visible(this.meta.names[at]);
    const object = this.object(op);
    return object === null ? this.word(op) : `${this.word(op)} ${visible(object)}`;
  }

  /** @param {number} op */
  object(op) {
    const at = this.columns.obj[op];
    if (at >= 0) return this.meta.names[at];
    const first = this.columns.accessStart[op];
    const wants = this.familyOf(op) === COPY || this.familyOf(op) === HOST;
    if (!wants || first === this.columns.accessStart[op + 1]) return null;
    return this.bufferName(this.columns.accessBuffer[first]);
  }

  /** @param {number} op */
  thread(op) {
    return this.meta.names[this.columns.thread[op]];
  }

  /** The lane on which an op happens; that of its thread where it happens nowhere. */
  lane(op) {
    const node = this.columns.opNode[op];
    return node >= 0 ? this.columns.nodeLane[node] : (this.threadLane.get(this.thread(op)) ?? -1);
  }

  /** Name a lane as a reader knows it. @param {number} lane */
  laneName(lane) {
    if (lane < 0) return "nowhere";
    const { label, line } = this.meta.lanes[lane];
    if (line === "thread") return `host thread ${visible(label.slice("host:".length))}`;
    return line === "stream" ? `stream ${visible(label)}` : visible(label);
  }

  /** @param {number} op */
  stack(op) {
    return this.meta.sites[this.columns.site[op]] ?? [];
  }

  /** @param {number} buffer */
  bufferName(buffer) {
    return this.meta.names[this.columns.bufferName[buffer]];
  }

  /** @param {number} op */
  accesses(op) {
    const { accessStart, accessRange, accessMode, accessBuffer } = this.columns;
    const found = [];
    for (let a = accessStart[op]; a < accessStart[op + 1]; a++) {
      found.push({
        mode: accessMode[a],
        buffer: accessBuffer[a],
        offset: this.columns.rangeOffset[accessRange[a]],
        length: this.columns.rangeLength[accessRange[a]],
      });
    }
    return found;
  }

  /** Say an op in a line. @param {number} op */
  tell(op) {
    return `op ${op} ${this.title(op)} on ${this.laneName(this.lane(op))}`;
  }

  /** When an op ran on its lane (device time, or its call on the host): null where unknown. */
  span(op, call = false) {
    const { t, t_end: tEnd, begin, end } = this.columns;
    if (!call && begin && begin[op] >= 0) return [begin[op], Math.max(end?.[op] ?? -1, begin[op])];
    if (t && t[op] >= 0 && (call || this.isHost(op)))
      return [t[op], Math.max(tEnd?.[op] ?? -1, t[op])];
    return null;
  }

  /** Whether an op happens on a host thread. @param {number} op */
  isHost(op) {
    return this.meta.lanes[this.lane(op)]?.line !== "stream";
  }
}
