"""A heap of candidates by their bounds: lazy evaluation looks again only at what comes first (Minoux, 1978)."""

import numpy as np
from numba import njit

from coresift.submodular.compiled.types import Array, Whole


@njit(nogil=True, cache=True)
def before(j: int, k: int, bounds: Array) -> bool:
    """Whether candidate j comes before k: the larger bound, of equal ones the lower index."""
    return bounds[j] > bounds[k] or (bounds[j] == bounds[k] and j < k)


@njit(nogil=True, cache=True)
def sink(heap: Array, place: int, bounds: Array) -> None:
    """Put right a heap of candidates of which the one at `place` may have become smaller."""
    n, moved = len(heap), heap[place]
    while True:
        child = 2 * place + 1
        if child >= n:
            break
        if child + 1 < n and before(heap[child + 1], heap[child], bounds):
            child += 1
        if not before(heap[child], moved, bounds):
            break
        heap[place] = heap[child]
        place = child
    heap[place] = moved


@njit(nogil=True, cache=True)
def heaped(bounds: Array) -> Array:
    """A heap of all candidates."""
    heap = np.arange(len(bounds), dtype=np.int32)
    for place in range(len(heap) // 2 - 1, -1, -1):
        sink(heap, place, bounds)
    return heap


@njit(nogil=True, cache=True)
def stale(top: int, bounds: Array, seen: Array, number: int) -> bool:
    """Whether the first candidate's bound is older than pick `number`; a bound of 0 is exact: gains are never less."""
    return seen[top] != number and bounds[top] > 0


@njit(nogil=True, cache=True)
def refreshed(heap: Array, bounds: Array, seen: Array, number: int, gain: Whole) -> int:
    """Give the first candidate its gain at pick `number`; returns the candidate that is first now."""
    top = heap[0]
    bounds[top], seen[top] = gain, number
    sink(heap, 0, bounds)
    return heap[0]


@njit(nogil=True, cache=True)
def take(heap: Array, bounds: Array, order: Array, found: Array, number: int) -> None:
    """Make the first candidate pick `number`; it is never first again."""
    top = heap[0]
    order[number], found[number] = top, bounds[top]
    bounds[top] = -1
    sink(heap, 0, bounds)
