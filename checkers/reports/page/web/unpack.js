// @ts-check
/** The other side of checkers/reports/page/pack.py. */

const WIDE = new Set(["t", "t_end", "begin", "end", "rangeOffset", "rangeLength", "bufferSize"]);

/**
 * Give the pack's JSON and its columns.
 * @param {string} text base64
 * @returns {Promise<{meta: any, columns: Record<string, Int32Array | Float64Array>}>}
 */
export async function unpack(text) {
  const content = await inflate(fromBase64(text.trim()));
  const length = new DataView(content.buffer).getUint32(0, true);
  const meta = JSON.parse(new TextDecoder().decode(content.subarray(4, 4 + length)));
  /** @type {Record<string, Int32Array | Float64Array>} */
  const columns = {};
  let place = 4 + length;
  for (const { name, length: count, width, delta } of meta.columns) {
    const size = count * width;
    columns[name] = column(content.subarray(place, place + size), count, width, delta, name);
    place += size;
  }
  return { meta, columns };
}

function fromBase64(text) {
  if ("fromBase64" in Uint8Array) return /** @type {any} */ (Uint8Array).fromBase64(text);
  const raw = atob(text);
  const found = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) found[i] = raw.charCodeAt(i);
  return found;
}

async function inflate(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function column(planes, count, width, delta, name) {
  const found = width === 8 || WIDE.has(name) ? new Float64Array(count) : new Int32Array(count);
  const entry = READERS[width](planes, count);
  let last = 0;
  for (let i = 0; i < count; i++) {
    const value = entry(i);
    last = delta ? last + value : value;
    found[i] = last;
  }
  return found;
}

const READERS = {
  1: (p) => (i) => (p[i] << 24) >> 24,
  2: (p, n) => (i) => ((p[i] | (p[n + i] << 8)) << 16) >> 16,
  4: (p, n) => (i) => p[i] | (p[n + i] << 8) | (p[2 * n + i] << 16) | (p[3 * n + i] << 24),
  8: (p, n) => (i) => {
    const low = p[i] | (p[n + i] << 8) | (p[2 * n + i] << 16) | (p[3 * n + i] << 24);
    const high = p[4 * n + i] | (p[5 * n + i] << 8) | (p[6 * n + i] << 16) | (p[7 * n + i] << 24);
    return high * 4294967296 + (low >>> 0);
  },
};
