"""Rows checked, centred, measured and keyed."""

import numpy as np
from numba import njit

from coresift.submodular.compiled.types import Array, Real


@njit(nogil=True, cache=True)
def unfinished(rows: Array, bad: Array, begin: int, end: int) -> None:
    """Mark the rows that hold NaN or infinity."""
    for j in range(begin, end):
        wrong, row = 0, rows[j]
        for c in range(len(row)):
            wrong += not np.isfinite(row[c])
        bad[j] = wrong > 0


@njit(nogil=True, cache=True)
def add_rows(rows: Array, total: Array) -> None:
    """Add rows to a sum in float64."""
    for j in range(len(rows)):
        row = rows[j]
        for c in range(len(row)):
            total[c] += row[c]


@njit(nogil=True, cache=True)
def farthest(rows: Array, mean: Array) -> Real:
    """The largest distance of an element from its column's mean."""
    largest = 0.0
    for j in range(len(rows)):
        row = rows[j]
        for c in range(len(row)):
            largest = max(largest, abs(row[c] - mean[c]))
    return largest


@njit(nogil=True, cache=True)
def centred(
    rows: Array, words: Array, mean: Array, scale: Real, odd: Array, values: Array, keys: Array, squares: Array
) -> None:
    """(row - mean) / scale in float32, its squared length, and the row's key (see `distances.rows`)."""
    for j in range(len(rows)):
        row, word, out, key = rows[j], words[j], values[j], np.int64(0)
        for c in range(len(row)):
            out[c] = np.float32((row[c] - mean[c]) / scale)
        for c in range(len(row)):
            # -0 counts as 0: its only set bit is the sign.
            key += np.int64(0 if word[c] == np.int32(-(2**31)) else word[c]) * odd[c]
        total = 0.0
        for c in range(len(row)):
            total += np.float64(out[c]) * np.float64(out[c])
        keys[j], squares[j] = key, total
