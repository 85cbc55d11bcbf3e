"""The inner loops of greedy coverage on a CPU, compiled when first called (numba) and kept for the next process.

Worths are whole numbers up to 2^24 held in float32 (see `worth.kernels`), so sums in float64 are exact in any order,
and the compiler may choose one: "reassoc".
"""

import numpy as np
from numba import njit

from coresift.submodular.compiled.heap import refreshed, stale, take
from coresift.submodular.compiled.types import Array, Real, Whole


@njit(nogil=True, cache=True, fastmath={"reassoc"})
def row_gain(row: Array, reach: Array) -> Real:
    """sum_i max(0, s_i - reach_i) for one example."""
    total = np.float64(0.0)
    for i in range(len(reach)):
        total += np.float64(max(np.float32(0.0), row[i] - reach[i]))
    return total


@njit(nogil=True, cache=True)
def gains(whole: Array, bonus: Array, reach: Array, out: Array, begin: int, end: int) -> None:
    """The gains of the examples `begin` to `end` - 1 (int64)."""
    for j in range(begin, end):
        out[j] = np.int64(row_gain(whole[j], reach)) + bonus[j]


@njit(nogil=True, cache=True)
def lazily(
    whole: Array,
    bonus: Array,
    reach: Array,
    bounds: Array,
    seen: Array,
    heap: Array,
    order: Array,
    found: Array,
    begin: int,
    end: int,
) -> Whole:
    """Picks number `begin` to `end` - 1 by lazy evaluation; returns how many gains were computed again.

    `bounds` (int64) are never below the true gains, and are exact where `seen` is the number of the pick; picked ones
    are negative.
    """
    looked = 0
    for number in range(begin, end):
        top = heap[0]
        while stale(top, bounds, seen, number):
            top = refreshed(heap, bounds, seen, number, np.int64(row_gain(whole[top], reach)) + bonus[top])
            looked += 1
        take(heap, bounds, order, found, number)
        for i in range(len(reach)):
            reach[i] = max(reach[i], whole[top, i])
    return looked


@njit(nogil=True, cache=True)
def list_gain(starts: Array, rows: Array, whole: Array, reach: Array, j: int) -> Real:
    """`row_gain` from the list of the rows that example j may help."""
    total = np.float64(0.0)
    for pair in range(starts[j], starts[j + 1]):
        total += np.float64(max(np.float32(0.0), whole[pair] - reach[rows[pair]]))
    return total


@njit(nogil=True, cache=True)
def list_gains(
    starts: Array, rows: Array, whole: Array, bonus: Array, reach: Array, out: Array, begin: int, end: int
) -> None:
    """`gains` from lists."""
    for j in range(begin, end):
        out[j] = np.int64(list_gain(starts, rows, whole, reach, j)) + bonus[j]


@njit(nogil=True, cache=True)
def lists_lazily(
    starts: Array,
    rows: Array,
    whole: Array,
    bonus: Array,
    reach: Array,
    bounds: Array,
    seen: Array,
    heap: Array,
    order: Array,
    found: Array,
    begin: int,
    end: int,
) -> Whole:
    """`lazily` on lists."""
    looked = 0
    for number in range(begin, end):
        top = heap[0]
        while stale(top, bounds, seen, number):
            top = refreshed(
                heap, bounds, seen, number, np.int64(list_gain(starts, rows, whole, reach, top)) + bonus[top]
            )
            looked += 1
        take(heap, bounds, order, found, number)
        for pair in range(starts[top], starts[top + 1]):
            reach[rows[pair]] = max(reach[rows[pair]], whole[pair])
    return looked
