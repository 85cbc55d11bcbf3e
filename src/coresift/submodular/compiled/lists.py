"""Greedy picks on lists of the pairs that still matter."""

import numpy as np
from numba import njit

from coresift.submodular.compiled.heap import refreshed, stale, take
from coresift.submodular.compiled.types import Array, Real, Whole


@njit(nogil=True, cache=True)
def list_gain(starts: Array, points: Array, whole: Array, reach: Array, j: int) -> Whole:
    """The gain of candidate j from the list of its points."""
    return np.int64(sum_left(points[starts[j] : starts[j + 1]], whole[starts[j] : starts[j + 1]], reach))


@njit(nogil=True, cache=True, fastmath={"reassoc"})
def sum_left(points: Array, whole: Array, reach: Array) -> Real:
    """sum of max(0, reach - d) over some pairs, in float64: whole numbers, so it is exact in any order."""
    total = np.float64(0.0)
    for pair in range(len(points)):
        total += np.float64(max(np.float32(0.0), reach[points[pair]] - whole[pair]))
    return total


@njit(nogil=True, cache=True)
def list_gains(starts: Array, points: Array, whole: Array, reach: Array, out: Array, begin: int, end: int) -> None:
    """The gains of the candidates `begin` to `end` - 1."""
    for j in range(begin, end):
        out[j] = list_gain(starts, points, whole, reach, j)


@njit(nogil=True, cache=True)
def lists_lazily(
    starts: Array,
    points: Array,
    whole: Array,
    reach: Array,
    bounds: Array,
    seen: Array,
    heap: Array,
    order: Array,
    found: Array,
    begin: int,
    end: int,
) -> None:
    """Picks number `begin` to `end` - 1 by lazy evaluation on lists of the pairs that still matter.

    `bounds` (int64) are never below the true gains, and are exact where `seen` is the number of the pick; picked ones
    are negative.
    """
    for number in range(begin, end):
        top = heap[0]
        while stale(top, bounds, seen, number):
            top = refreshed(heap, bounds, seen, number, list_gain(starts, points, whole, reach, top))
        take(heap, bounds, order, found, number)
        for pair in range(starts[top], starts[top + 1]):
            reach[points[pair]] = min(reach[points[pair]], whole[pair])


@njit(nogil=True, cache=True)
def sort_pairs(
    candidates: Array,
    points: Array,
    near: Array,
    far: Array,
    places: Array,
    points_out: Array,
    near_out: Array,
    far_out: Array,
) -> None:
    """Move pairs to where their candidates' lists go on (`places`, moved on)."""
    for pair in range(len(candidates)):
        place = places[candidates[pair]]
        points_out[place], far_out[place], near_out[place] = points[pair], far[pair], near[pair]
        places[candidates[pair]] += 1


@njit(nogil=True, cache=True)
def blend(first: Array, second: Array, share: Real, rest: Real, out: Array, begin: int, end: int) -> None:
    """Blended distances of the pairs `begin` to `end` - 1."""
    for pair in range(begin, end):
        out[pair] = np.rint(first[pair] * share + second[pair] * rest)
