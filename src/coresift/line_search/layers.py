"""The inner loop of exact k-means on a line, compiled when first called (numba) and kept for the next process."""

import numpy as np
from numba import njit

Array = np.ndarray


@njit(nogil=True, cache=True)
def _cost(count: Array, total: Array, square: Array, i: int, j: int) -> float:
    """Sum of squared distances to the mean of values i to j, both included."""
    sum_ = total[j + 1] - total[i]
    apart: float = square[j + 1] - square[i] - sum_ * sum_ / (count[j + 1] - count[i])
    return max(apart, 0.0)


@njit(nogil=True, cache=True)
def layers(count: Array, total: Array, square: Array, clusters: int) -> Array:
    """For each number of intervals k + 1 and each last value j, where the last interval begins (clusters x m)."""
    m = len(count) - 1
    last = np.zeros((clusters, m), dtype=np.int32)
    before = np.empty(m)
    now = np.empty(m)
    for j in range(m):
        before[j] = _cost(count, total, square, 0, j)
    todo = np.empty((128, 4), dtype=np.int64)  # halving nests once per binary digit of m
    for k in range(1, clusters):
        size = 1
        todo[0] = (k, m - 1, k, m - 1)
        while size > 0:
            size -= 1
            low, high, first, end = todo[size]
            j = (low + high) // 2
            best, start = np.inf, first
            for i in range(first, min(j, end) + 1):
                found = before[i - 1] + _cost(count, total, square, i, j)
                if found < best:
                    best, start = found, i
            now[j], last[k, j] = best, start
            if low < j:
                todo[size] = (low, j - 1, first, start)
                size += 1
            if j < high:
                todo[size] = (j + 1, high, start, end)
                size += 1
        before, now = now, before
    return last
