"""k-means of numbers, exact: on a line clusters are intervals, so dynamic programming finds the best of all divisions.

Layer by layer, the best division of the first j values into k intervals follows from those into k - 1. The last
interval of the best division begins no earlier for more values, so each layer is found by halving: O(k m log m) for m
different values.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from coresift.errors import SelectionError

Array = np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Attributes:
    label: For each of n values the number of its cluster, 0 to k - 1, rising with the values.
    centres: Mean of every cluster, rising.
    spread: Sum of squared distances to the centres.
    """

    label: np.ndarray
    centres: np.ndarray
    spread: float


def interval_means(values: np.ndarray, clusters: int, *, name: str = "value") -> Intervals:
    """Divide numbers into clusters with the least sum of squared distances to the clusters' means.

    Equal values share a cluster; among equally good divisions, the one whose last clusters begin first.

    Args:
        values: n finite numbers.
        clusters: Number of clusters, at least 1; every one of them holds a value.
        name: What a value is called in messages.

    Raises:
        SelectionError: If a value is not finite, or there are fewer different values than clusters.
    """
    numbers = np.asarray(values, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad) > 0:
        raise SelectionError(f"{name}[{bad[0]}] is {numbers[bad[0]]}. Clusters are made of finite numbers.")
    distinct, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    if len(distinct) < clusters:
        raise SelectionError(
            f"{len(distinct)} different values of {name} cannot fill {clusters} clusters. "
            f"Ask for at most {len(distinct)}."
        )
    shift = numbers.mean()  # small numbers keep the digits of their squares
    sums = _sums(distinct - shift, counts)
    starts = _traced(_layers(*sums, clusters), clusters)
    ends = np.append(starts[1:], len(distinct))
    label = np.repeat(np.arange(clusters), ends - starts)
    centres = (sums[1][ends] - sums[1][starts]) / (sums[0][ends] - sums[0][starts])
    spread = float((counts * np.square(distinct - shift - centres[label])).sum())
    return Intervals(label[place.reshape(-1)], centres + shift, spread)


def _sums(values: Array, counts: Array) -> tuple[Array, Array, Array]:
    """Running sums, from 0, of the counts, the values and their squares."""
    terms = (counts.astype(np.float64), counts * values, counts * values * values)
    first, second, third = (np.concatenate([[0.0], np.cumsum(term)]) for term in terms)
    return first, second, third


def _traced(last: Array, clusters: int) -> Array:
    """Where the intervals begin, from the beginnings of the last intervals of every layer."""
    starts = np.zeros(clusters, dtype=np.int64)
    end = last.shape[1]
    for k in range(clusters - 1, 0, -1):
        end = starts[k] = last[k, end - 1]
    return starts


@njit(nogil=True, cache=True)
def _cost(count: Array, total: Array, square: Array, i: int, j: int) -> float:
    """Sum of squared distances to the mean of values i to j, both included."""
    sum_ = total[j + 1] - total[i]
    apart: float = square[j + 1] - square[i] - sum_ * sum_ / (count[j + 1] - count[i])
    return max(apart, 0.0)


@njit(nogil=True, cache=True)
def _layers(count: Array, total: Array, square: Array, clusters: int) -> Array:
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
