// @ts-check
/** How an access looks in the row of its buffer. */

import { WRITE } from "./data.js";

/** Where within its row an access stands, by its bytes: [top, height] as parts of 1. */
export function bytesOf(data, access) {
  const { accessRange, accessBuffer, bufferSize, rangeOffset, rangeLength } = data.columns;
  const size = bufferSize[accessBuffer[access]];
  const length = rangeLength[accessRange[access]];
  if (size <= 0 || length < 0) return [0, 1];
  const part = Math.max(0.18, Math.min(1, length / size));
  return [Math.min(rangeOffset[accessRange[access]] / size, 1 - part), part];
}

/** Whether an access writes. */
export function writes(data, access) {
  return data.columns.accessMode[access] === WRITE;
}
