"""The inner loops of selection on a CPU, compiled when first called (numba) and kept for the next process.

Everything here is sums of whole numbers: distances come as whole numbers of a step (uint16 or float32, see
`distances`), gains are int64. So no order of summation, no vector width and no number of threads changes a result.

A blend is computed while it is read, round(a * share + b * rest) in float32, two products and one sum, each rounded by
itself, as everywhere. One space alone is blended with itself at share 1.
"""

import numpy as np
from numba import njit

Array = np.ndarray
Real = float | np.floating
Whole = int | np.integer
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


# Sums of SHORT numbers of 16 bits are exact in float32 in any order, so the compiler may choose one: "reassoc".
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
) -> Whole:
    """Picks number `begin` to `end` - 1 by lazy evaluation; returns how many rows were looked at.

    `bounds` (int64) are never below the true gains, and are exact where `seen` is the number of the pick; picked ones
    are negative.
    """
    looked = 0
    for number in range(begin, end):
        top = heap[0]
        while seen[top] != number and bounds[top] > 0:
            bounds[top] = gain(first[top], second[top], share, rest, reach)
            seen[top] = number
            looked += 1
            sink(heap, 0, bounds)
            top = heap[0]
        order[number], found[number] = top, bounds[top]
        lower(first[top], second[top], share, rest, reach)
        bounds[top] = -1
        sink(heap, 0, bounds)
    return looked


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
) -> Whole:
    """The same picks from gains kept exact: each point whose reach falls is taken off all of them, by its row."""
    looked = 0
    for number in range(begin, end):
        top = np.argmax(exact)
        order[number], found[number] = top, exact[top]
        for i in range(len(reach)):
            old = reach[i]
            new = np.rint(np.float32(first[top, i]) * share + np.float32(second[top, i]) * rest)
            if new >= old:
                continue
            reach[i] = new
            looked += 1
            near, far = first[i], second[i]
            for j in range(len(exact)):
                whole = np.rint(np.float32(near[j]) * share + np.float32(far[j]) * rest)
                exact[j] -= np.int64(max(np.float32(0.0), old - whole) - max(np.float32(0.0), new - whole))
        for chosen in order[: number + 1]:
            exact[chosen] = -1
    return looked


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


@njit(nogil=True, cache=True)
def list_gain(starts: Array, points: Array, whole: Array, reach: Array, j: int) -> Whole:
    """The gain of candidate j from the list of its points."""
    total = np.int64(0)
    for pair in range(starts[j], starts[j + 1]):
        total += np.int64(max(np.float32(0.0), reach[points[pair]] - whole[pair]))
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
) -> Whole:
    """`lazily` on lists of the pairs that still matter."""
    looked = 0
    for number in range(begin, end):
        top = heap[0]
        while seen[top] != number and bounds[top] > 0:
            bounds[top] = list_gain(starts, points, whole, reach, top)
            seen[top] = number
            looked += 1
            sink(heap, 0, bounds)
            top = heap[0]
        order[number], found[number] = top, bounds[top]
        for pair in range(starts[top], starts[top + 1]):
            reach[points[pair]] = min(reach[points[pair]], whole[pair])
        bounds[top] = -1
        sink(heap, 0, bounds)
    return looked


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
    """(row - mean) / scale in float32, its squared length, and the row's key (see `rows`)."""
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
