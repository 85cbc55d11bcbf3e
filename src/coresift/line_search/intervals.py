"""k-means of numbers, exact: on a line clusters are intervals, so dynamic programming finds the best of all divisions.

Layer by layer, the best division of the first j values into k intervals follows from those into k - 1. The last
interval of the best division begins no earlier for more values, so each layer is found by halving: O(k m log m) for m
different values.
"""

from dataclasses import dataclass

import numpy as np

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
    from coresift.line_search.layers import layers  # numba is loaded when it is needed

    shift = numbers.mean()  # small numbers keep the digits of their squares
    sums = _sums(distinct - shift, counts)
    starts = _traced(layers(*sums, clusters), clusters)
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
