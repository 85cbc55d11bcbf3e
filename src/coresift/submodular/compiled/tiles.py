"""Blocks of distances from products, and what passes over them add up and list."""

import numpy as np
from numba import njit

from coresift.submodular.compiled.types import Array, Real, Whole

STRIP = 32
"""Distances looked at together before they are looked at one by one."""


@njit(nogil=True, cache=True)
def finish(tile: Array, left: Array, right: Array, noise: Real, inverse: Real, most: Real) -> Whole:
    """From products to whole distances, in place; returns how many are no larger than the noise of their products."""
    near = 0
    for a in range(tile.shape[0]):
        for b in range(tile.shape[1]):
            norms = left[a] + right[b]
            square = norms - np.float32(2.0) * tile[a, b]
            near += square < noise * norms
            tile[a, b] = min(most, np.rint(np.sqrt(max(np.float32(0.0), square)) * inverse))
    return near


@njit(nogil=True, cache=True)
def tile_sums(tile: Array, left: Array, right: Array, mirrored: bool) -> Real:
    """Add the row sums of a tile to `left` and, where it stands for two, its column sums to `right`; its largest."""
    largest = np.float32(0.0)
    column = np.zeros(tile.shape[1], dtype=np.float64)
    for a in range(tile.shape[0]):
        total = 0.0
        for b in range(tile.shape[1]):
            total += tile[a, b]
            column[b] += tile[a, b]
            largest = max(largest, tile[a, b])
        left[a] += total
    if mirrored:
        right += column
    return largest


@njit(nogil=True, cache=True)
def tile_gains(
    first: Array, second: Array, share: Real, rest: Real, above: Array, beside: Array, left: Array, right: Array
) -> None:
    """Add what rows gain at the columns' reach `above` to `left`, and the reverse at `beside` to `right`."""
    for a in range(first.shape[0]):
        total, own = np.int64(0), beside[a]
        for b in range(first.shape[1]):
            whole = np.rint(first[a, b] * share + second[a, b] * rest)
            total += np.int64(max(np.float32(0.0), above[b] - whole))
            right[b] += np.int64(max(np.float32(0.0), own - whole))
        left[a] += total


@njit(nogil=True, cache=True)
def tile_pairs(
    first: Array,
    second: Array,
    shares: Array,
    rests: Array,
    above: Array,
    beside: Array,
    candidates: Array,
    points: Array,
    near: Array,
    far: Array,
    row: int,
    column: int,
) -> Whole:
    """Write the pairs (candidate, point, both distances) closer than the point's radius under any blend; how many.

    `above` and `beside` hold the radii of the columns and the rows, a line per blend. With outputs too short for all
    pairs they are counted still.
    """
    count, room, width = 0, len(points), first.shape[1]
    hits = np.zeros(STRIP, dtype=np.int32)
    for a in range(first.shape[0]):
        for start in range(0, width, STRIP):
            stop = min(start + STRIP, width)
            hits[:] = 0
            for blend in range(len(shares)):
                share, rest, own = shares[blend], rests[blend], beside[blend, a]
                for b in range(start, stop):  # nearly all strips hold none, and this loop runs on whole vectors
                    distance = np.rint(first[a, b] * share + second[a, b] * rest)
                    hits[b - start] |= np.int32(distance < above[blend, b]) + np.int32(2) * np.int32(distance < own)
            if hits.max() == 0:
                continue
            for b in range(start, stop):
                if hits[b - start] & 1:
                    if count < room:
                        candidates[count], points[count] = row + a, column + b
                        near[count], far[count] = first[a, b], second[a, b]
                    count += 1
                if hits[b - start] & 2:
                    if count < room:
                        candidates[count], points[count] = column + b, row + a
                        near[count], far[count] = first[a, b], second[a, b]
                    count += 1
    return count
