"""Atoms of memory: the smallest sets of bytes that no access of the trace tells apart.

Two bytes belong to one atom where exactly the same places cover them. A detector that keeps its
state per atom is exact about ranges, strided ones included, at the price of whole buffers: a
buffer that is only ever touched whole is one atom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.order.placed import Places

Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Atoms:
    """The atoms of place ``p`` are ``atom[start[p]:start[p + 1]]``."""

    count: int
    start: Ints
    atom: Ints


def find_atoms(places: Places) -> Atoms:
    """Split memory into atoms."""
    count = len(places)
    if not count:
        return Atoms(0, np.zeros(1, np.int32), np.zeros(0, np.int32))
    owner, base, low, high = _spell_out(places)
    if not len(owner):  # only empty ranges, as in profiles
        return Atoms(0, np.zeros(count + 1, np.int32), np.zeros(0, np.int32))
    edges_base = np.concatenate([base, base])
    edges_at = np.concatenate([low, high])
    order = np.lexsort((edges_at, edges_base))
    b, at = edges_base[order], edges_at[order]
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (b[1:] != b[:-1]) | (at[1:] != at[:-1])
    segment = np.empty(len(order), dtype=np.int64)
    segment[order] = np.cumsum(fresh) - 1
    signature = _signatures(owner, order, fresh, count)
    known, atom_of_segment = np.unique(signature, return_inverse=True)
    first, last = segment[: len(owner)], segment[len(owner) :]
    return _collect(owner, first, last, atom_of_segment, len(known), count)


def _spell_out(places: Places) -> tuple[NDArray[np.int64], ...]:
    """Give every non-empty interval of every place: owner, base, low, high."""
    strided = places.trace.ranges.strided[places.range] >= 0
    plain = np.flatnonzero(~strided & (places.low < places.high))
    parts = [(plain.astype(np.int64), places.low[plain], places.high[plain])]
    for place in np.flatnonzero(strided).tolist():
        low, high = places.pieces(place)
        parts.append((np.full(len(low), place, np.int64), low, high))
    owner, low, high = (np.concatenate([p[k] for p in parts]) for k in range(3))
    return owner, places.base[owner].astype(np.int64), low, high


def _signatures(
    owner: NDArray[np.int64], order: NDArray[np.intp], fresh: NDArray[np.bool_], count: int
) -> NDArray[np.uint64]:
    """Give, for the segment after each distinct edge, a hash of the set of places covering it.

    The hash is the exclusive or of one random word a place: entering and leaving are the same.
    """
    words = np.random.default_rng(20240229).integers(1, 2**63, size=count, dtype=np.uint64)
    toggles = words[np.concatenate([owner, owner])][order]
    running: NDArray[np.uint64] = np.bitwise_xor.accumulate(toggles)
    last_of_edge = np.append(np.flatnonzero(fresh)[1:] - 1, len(order) - 1)
    found: NDArray[np.uint64] = running[last_of_edge]
    return found


def _collect(  # noqa: PLR0917 - intervals as parallel arrays
    owner: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    atom_of_segment: NDArray[np.intp],
    known: int,
    count: int,
) -> Atoms:
    """Gather each place's atoms, in order, each once."""
    length = last - first
    total = int(length.sum())
    step = np.arange(total) - np.repeat(np.cumsum(length) - length, length)
    atoms = atom_of_segment[np.repeat(first, length) + step]
    pairs = np.repeat(owner, length) * known + atoms
    pairs = np.unique(pairs) if total > len(owner) else pairs[np.argsort(pairs // known)]
    start = np.searchsorted(pairs // known, np.arange(count + 1))
    return Atoms(known, start.astype(np.int32), (pairs % known).astype(np.int32))
