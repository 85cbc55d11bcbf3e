"""Two models on the same items, right or wrong: the exact test of McNemar (1947) on the items where they differ."""

from dataclasses import dataclass
from math import comb

import numpy as np

from coresift.errors import ComparisonError


@dataclass(frozen=True, slots=True)
class McNemar:
    """Items that only one of two models has right.

    Attributes:
        first, second: Items that only the first, only the second has right.
        p: Two-sided chance of a division at least as uneven, were both equally good; 1 where they never differ.
    """

    first: int
    second: int
    p: float


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Compare two models, one draw and one training each: it says nothing about other draws.

    Args:
        first, second: [items] right (1, True) or wrong (0, False).

    Raises:
        ComparisonError: If they differ in length, or a score is neither right nor wrong.
    """
    pair = [np.asarray(each, dtype=np.float64) for each in (first, second)]
    if pair[0].ndim != 1 or pair[0].shape != pair[1].shape:
        raise ComparisonError(
            f"scores of shapes {pair[0].shape} and {pair[1].shape}. Give one score per item, the same items for both."
        )
    for each in pair:
        neither = each[(each != 0) & (each != 1)]
        if len(neither) > 0:
            raise ComparisonError(f"a score is {neither[0]}. McNemar's test compares right (1) and wrong (0) answers.")
    only_first, only_second = int((pair[0] > pair[1]).sum()), int((pair[1] > pair[0]).sum())
    return McNemar(only_first, only_second, _even_coin(only_first, only_second))


def _even_coin(heads: int, tails: int) -> float:
    """Two-sided exact chance of a division at least as uneven under an even coin."""
    tosses, fewer = heads + tails, min(heads, tails)
    if heads == tails:
        return 1.0
    return 2 * sum(comb(tosses, each) for each in range(fewer + 1)) / 2**tosses
