"""The pairs that still matter, out of stored matrices of distances."""

import numpy as np
from numba import njit

from coresift.submodular.compiled.types import Array, Real

WORD = 8
"""Marks of one byte that are looked at together."""


@njit(nogil=True, cache=True)
def near_rows(
    first: Array,
    second: Array,
    share: Real,
    rest: Real,
    radius: Array,
    marks: Array,
    words: Array,
    hits: Array,
    points: Array,
    whole: Array,
    counts: Array,
) -> int:
    """Write the points that are closer than their radius to each of some rows, and their distances; returns how many.

    `marks` are the bytes of `words`, `hits` has room for all words, `points` and `whole` for all distances of the rows
    and one WORD more.
    """
    place = 0
    for j in range(len(first)):
        mark(first[j], second[j], share, rest, radius, marks[: len(radius)])
        found = marked(marks, words, hits, points[place:])
        for pair in range(place, place + found):
            i = np.uint32(points[pair])
            distance = np.float32(first[j][i])
            whole[pair] = distance if share == 1.0 else np.rint(distance * share + np.float32(second[j][i]) * rest)
        counts[j] = found
        place += found
    return place


@njit(nogil=True, cache=True)
def mark(first: Array, second: Array, share: Real, rest: Real, radius: Array, marks: Array) -> None:
    """Which points are closer than their radius to one row."""
    if share == 1.0:
        for i in range(len(radius)):
            marks[i] = first[i] < radius[i]
    else:
        for i in range(len(radius)):
            marks[i] = np.rint(np.float32(first[i]) * share + np.float32(second[i]) * rest) < radius[i]


@njit(nogil=True, cache=True)
def marked(marks: Array, words: Array, hits: Array, points: Array) -> int:
    """Write the places of the marks that are set; returns how many.

    Without a branch that a processor could guess wrongly: what is written is passed over where the mark is not set.
    """
    few = 0
    for word in range(len(words)):
        hits[few] = word
        few += words[word] != 0
    found = 0
    for hit in range(few):
        for i in range(WORD * hits[hit], WORD * hits[hit] + WORD):
            points[found] = i
            found += marks[i]
    return found
