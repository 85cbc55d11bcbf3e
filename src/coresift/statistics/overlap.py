"""How much two coresets have in common, and how far the rest of the pool is from one."""

from collections.abc import Sequence

import numpy as np

from coresift.errors import ComparisonError


def jaccard(first: np.ndarray, second: np.ndarray) -> float:
    """Common picks over all picks of two sets of positions: 1 where they are the same, 0 where they share none."""
    one, two = np.unique(first), np.unique(second)
    union = len(np.union1d(one, two))
    return len(np.intersect1d(one, two, assume_unique=True)) / union if union else 1.0


def weighted_jaccard(
    first: np.ndarray, first_weights: np.ndarray, second: np.ndarray, second_weights: np.ndarray
) -> float:
    """Common weight over all weight: sum of the smaller by sum of the larger, weights of each side made to sum to 1.

    Args:
        first, second: Positions, each once.
        first_weights, second_weights: Their weights, at least 0 and not all 0.

    Raises:
        ComparisonError: If positions and weights do not match, or there is no weight.
    """
    shares = [_shares(*each) for each in ((first, first_weights), (second, second_weights))]
    places = set(shares[0]) | set(shares[1])
    pairs = [(shares[0].get(place, 0.0), shares[1].get(place, 0.0)) for place in sorted(places)]
    return sum(map(min, pairs)) / sum(map(max, pairs))


def _shares(places: np.ndarray, weights: np.ndarray) -> dict[int, float]:
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != np.shape(places) or not (given >= 0).all() or not np.isfinite(given).all() or given.sum() == 0:
        raise ComparisonError(
            f"{np.size(places)} picks with weights of shape {given.shape} and sum {given.sum():g}. "
            "Give one finite weight of at least 0 per pick, and not only zeros."
        )
    return dict(zip(np.asarray(places).tolist(), (given / given.sum()).tolist(), strict=True))


def overlaps(coresets: Sequence[np.ndarray]) -> np.ndarray:
    """[k, k] Jaccard of every pair."""
    found = np.eye(len(coresets))
    for row in range(len(coresets)):
        for column in range(row):
            found[row, column] = found[column, row] = jaccard(coresets[row], coresets[column])
    return found


def overlap_by_chance(first: int, second: int, n: int) -> float:
    """The Jaccard of two independent random subsets of those sizes, with the expected number of common picks.

    >>> round(overlap_by_chance(200, 200, 4000), 4)
    0.0256
    """
    common = first * second / n
    return common / (first + second - common)


def distance_parts(distances: np.ndarray, picks: np.ndarray, parts: int = 10) -> list[np.ndarray]:
    """The examples that were not picked, from the nearest tenth to the farthest.

    Training on each tenth shows whether distance means anything: where scores do not fall, the features do not either.

    Args:
        distances: [n] distance of every example to its nearest pick.
        picks: Positions left out.
        parts: How many parts; their sizes differ by at most one.

    Returns:
        Positions of each part, by ascending distance, ties by position.

    Raises:
        ComparisonError: If a distance is not finite, or fewer examples than parts are left.
    """
    away = np.asarray(distances, dtype=np.float64)
    if not np.isfinite(away).all():
        place = int(np.flatnonzero(~np.isfinite(away))[0])
        raise ComparisonError(f"the distance of example {place} is {away[place]}. Distances are finite.")
    rest = np.setdiff1d(np.arange(len(away)), picks)
    if len(rest) < parts:
        raise ComparisonError(f"{len(rest)} examples are left beside the picks, too few for {parts} parts.")
    return np.array_split(rest[away[rest].argsort(kind="stable")], parts)
