"""Greedy picks on stored matrices of distances."""

import numpy as np
from numba import njit

from coresift.submodular.compiled.heap import refreshed, stale, take
from coresift.submodular.compiled.types import Array, Real, Whole

SHORT = 256
"""So many whole numbers of 16 bits add up to at most 2^24, which float32 holds."""
STRIP = 32
"""Distances looked at together before they are looked at one by one."""


@njit(nogil=True, cache=True)
def gain(first: Array, second: Array, share: Real, rest: Real, reach: Array) -> Whole:
    """sum_i max(0, reach_i - d_i) for one row of distances."""
    if first.itemsize > 2:
        return long_gain(first, second, share, rest, reach)
    total = np.int64(0)
    for start in range(0, len(reach), SHORT):
        stop = start + SHORT
        if share == 1.0:
            total += np.int64(short_gain(first[start:stop], reach[start:stop]))
        else:
            total += np.int64(short_blend_gain(first[start:stop], second[start:stop], share, rest, reach[start:stop]))
    return total


@njit(nogil=True, cache=True)
def long_gain(first: Array, second: Array, share: Real, rest: Real, reach: Array) -> Whole:
    """Of 24-bit distances."""
    total = np.int64(0)
    if share == 1.0:
        for i in range(len(reach)):
            total += np.int64(max(np.float32(0.0), reach[i] - np.float32(first[i])))
        return total
    for i in range(len(reach)):
        whole = np.rint(np.float32(first[i]) * share + np.float32(second[i]) * rest)
        total += np.int64(max(np.float32(0.0), reach[i] - whole))
    return total


@njit(nogil=True, cache=True, fastmath={"reassoc"})
def short_gain(row: Array, reach: Array) -> Real:
    """Of at most SHORT 16-bit distances."""
    total = np.float32(0.0)
    for i in range(len(reach)):
        total += max(np.float32(0.0), reach[i] - np.float32(row[i]))
    return total


@njit(nogil=True, cache=True, fastmath={"reassoc"})
def short_blend_gain(first: Array, second: Array, share: Real, rest: Real, reach: Array) -> Real:
    """Of at most SHORT blends of 16-bit distances."""
    total = np.float32(0.0)
    for i in range(len(reach)):
        whole = np.rint(np.float32(first[i]) * share + np.float32(second[i]) * rest)
        total += max(np.float32(0.0), reach[i] - whole)
    return total


@njit(nogil=True, cache=True)
def gains(first: Array, second: Array, share: Real, rest: Real, reach: Array, out: Array) -> None:
    """The gains of several rows."""
    for j in range(len(out)):
        out[j] = gain(first[j], second[j], share, rest, reach)


@njit(nogil=True, cache=True)
def row_facts(rows: Array, sums: Array, tops: Array) -> None:
    """Sum and largest of every row."""
    for j in range(len(rows)):
        total, top, row = np.int64(0), rows[j, 0], rows[j]
        for i in range(len(row)):
            total += np.int64(row[i])
            top = max(top, row[i])
        sums[j], tops[j] = total, top


@njit(nogil=True, cache=True)
def some_gains(
    first: Array, second: Array, share: Real, rest: Real, reach: Array, which: Array, out: Array, begin: int, end: int
) -> None:
    """The gains of the candidates `which[begin:end]`."""
    for place in range(begin, end):
        out[place] = gain(first[which[place]], second[which[place]], share, rest, reach)


@njit(nogil=True, cache=True)
def lower(first: Array, second: Array, share: Real, rest: Real, reach: Array) -> None:
    """The reach once a row is picked too, in place."""
    for i in range(len(reach)):
        whole = np.rint(np.float32(first[i]) * share + np.float32(second[i]) * rest)
        reach[i] = min(reach[i], whole)


@njit(nogil=True, cache=True)
def lazily(
    first: Array,
    second: Array,
    share: Real,
    rest: Real,
    reach: Array,
    bounds: Array,
    seen: Array,
    heap: Array,
    order: Array,
    found: Array,
    begin: int,
    end: int,
) -> None:
    """Picks number `begin` to `end` - 1 by lazy evaluation.

    `bounds` (int64) are never below the true gains, and are exact where `seen` is the number of the pick; picked ones
    are negative.
    """
    for number in range(begin, end):
        top = heap[0]
        while stale(top, bounds, seen, number):
            top = refreshed(heap, bounds, seen, number, gain(first[top], second[top], share, rest, reach))
        take(heap, bounds, order, found, number)
        lower(first[top], second[top], share, rest, reach)


@njit(nogil=True, cache=True)
def incrementally(
    first: Array,
    second: Array,
    share: Real,
    rest: Real,
    reach: Array,
    exact: Array,
    order: Array,
    found: Array,
    begin: int,
    end: int,
) -> None:
    """The same picks from gains kept exact: each point whose reach falls is taken off all of them, by its row."""
    for number in range(begin, end):
        top = np.argmax(exact)
        order[number], found[number] = top, exact[top]
        for i in range(len(reach)):
            old = reach[i]
            new = np.rint(np.float32(first[top, i]) * share + np.float32(second[top, i]) * rest)
            if new >= old:
                continue
            reach[i] = new
            near, far = first[i], second[i]
            for j in range(len(exact)):
                whole = np.rint(np.float32(near[j]) * share + np.float32(far[j]) * rest)
                exact[j] -= np.int64(max(np.float32(0.0), old - whole) - max(np.float32(0.0), new - whole))
        for chosen in order[: number + 1]:
            exact[chosen] = -1


@njit(nogil=True, cache=True)
def count_near(
    first: Array, second: Array, share: Real, rest: Real, radius: Array, counts: Array, begin: int, end: int
) -> None:
    """How many points of each of the rows `begin` to `end` - 1 are closer than their radius."""
    for j in range(begin, end):
        near, a, b = 0, first[j], second[j]
        for i in range(len(radius)):
            near += np.rint(np.float32(a[i]) * share + np.float32(b[i]) * rest) < radius[i]
        counts[j] = near


@njit(nogil=True, cache=True)
def list_near(
    first: Array,
    second: Array,
    share: Real,
    rest: Real,
    radius: Array,
    starts: Array,
    points: Array,
    whole: Array,
    begin: int,
    end: int,
) -> None:
    """Write these points and their distances where the lists of the rows begin."""
    for j in range(begin, end):
        place, a, b = starts[j], first[j], second[j]
        for begin_strip in range(0, len(radius), STRIP):
            end_strip = min(begin_strip + STRIP, len(radius))
            near = 0
            for i in range(begin_strip, end_strip):  # on whole vectors
                near += np.rint(np.float32(a[i]) * share + np.float32(b[i]) * rest) < radius[i]
            if near == 0:
                continue
            for i in range(begin_strip, end_strip):
                distance = np.rint(np.float32(a[i]) * share + np.float32(b[i]) * rest)
                if distance < radius[i]:
                    points[place], whole[place] = i, distance
                    place += 1
