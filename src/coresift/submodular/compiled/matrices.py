"""Greedy picks on stored matrices of distances."""

import numpy as np
from numba import njit

from coresift.submodular.compiled.types import Array, Real, Whole

SHORT = 128
"""So many whole numbers of 17 bits add up to at most 2^24, which float32 holds: a reach may be twice a distance."""
WIDE = 1 << 16
"""So many of them add up to less than 2^32."""


@njit(nogil=True, cache=True)
def gain(first: Array, second: Array, share: Real, rest: Real, reach: Array) -> Whole:
    """sum_i max(0, reach_i - d_i) for one row of distances; of 16-bit ones in one space `reach` may be 16-bit too."""
    total = np.int64(0)
    if reach.itemsize == 2:
        for start in range(0, len(reach), WIDE):
            total += np.int64(wide_gain(first[start : start + WIDE], reach[start : start + WIDE]))
    elif first.itemsize == 2:
        for start in range(0, len(reach), SHORT):
            stop = start + SHORT
            total += np.int64(short_gain(first[start:stop], second[start:stop], share, rest, reach[start:stop]))
    else:
        total += np.int64(long_gain(first, second, share, rest, reach))
    return total


@njit(nogil=True, cache=True)
def wide_gain(row: Array, reach: Array) -> Whole:
    """Of at most WIDE 16-bit distances, in 16-bit numbers: twice as many at once as in float32."""
    total = np.uint32(0)
    for i in range(len(reach)):
        if reach[i] > row[i]:
            total = np.uint32(total + np.uint32(np.uint16(reach[i] - row[i])))
    return total


@njit(nogil=True, cache=True, fastmath={"reassoc"})
def short_gain(first: Array, second: Array, share: Real, rest: Real, reach: Array) -> Real:
    """Of at most SHORT 16-bit distances or blends of them."""
    total = np.float32(0.0)
    if share == 1.0:
        for i in range(len(reach)):
            total += max(np.float32(0.0), reach[i] - np.float32(first[i]))
        return total
    for i in range(len(reach)):
        whole = np.rint(np.float32(first[i]) * share + np.float32(second[i]) * rest)
        total += max(np.float32(0.0), reach[i] - whole)
    return total


@njit(nogil=True, cache=True, fastmath={"reassoc"})
def long_gain(first: Array, second: Array, share: Real, rest: Real, reach: Array) -> Real:
    """Of 24-bit distances, in float64: whole numbers, so their sum is exact in any order."""
    total = np.float64(0.0)
    if share == 1.0:
        for i in range(len(reach)):
            total += np.float64(max(np.float32(0.0), reach[i] - np.float32(first[i])))
        return total
    for i in range(len(reach)):
        whole = np.rint(np.float32(first[i]) * share + np.float32(second[i]) * rest)
        total += np.float64(max(np.float32(0.0), reach[i] - whole))
    return total


@njit(nogil=True, cache=True)
def some_gains(
    first: Array, second: Array, share: Real, rest: Real, reach: Array, which: Array, out: Array, begin: int, end: int
) -> None:
    """The gains of the candidates `which[begin:end]`."""
    for place in range(begin, end):
        out[place] = gain(first[which[place]], second[which[place]], share, rest, reach)


@njit(nogil=True, cache=True)
def row_facts(rows: Array, words: Array, sums: Array, tops: Array) -> None:
    """Sum and largest of every row; `words` are the distances as integers of the same order."""
    for j in range(len(rows)):
        sums[j] = whole_sum(rows[j]) if rows.itemsize == 2 else long_sum(rows[j])
        tops[j] = largest(words[j])


@njit(nogil=True, cache=True)
def whole_sum(row: Array) -> Real:
    """Of 16-bit distances."""
    total = np.int64(0)
    for i in range(len(row)):
        total += np.int64(row[i])
    return np.float64(total)


@njit(nogil=True, cache=True, fastmath={"reassoc"})
def long_sum(row: Array) -> Real:
    """Of 24-bit distances."""
    total = np.float64(0.0)
    for i in range(len(row)):
        total += np.float64(row[i])
    return total


@njit(nogil=True, cache=True)
def largest(row: Array) -> Whole:
    """The largest of some integers."""
    top = row[0]
    for i in range(len(row)):
        top = max(top, row[i])
    return top


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
