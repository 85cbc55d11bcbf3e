"""What a mean over items and draws could have been by chance: deviations, resampled on two levels.

items   drawn with replacement, the same ones for every method (paired bootstrap; Efron and Tibshirani, "An Introduction
        to the Bootstrap", 1993), and stretched as a t distribution is, which matters for few items only. Their spread
        holds also what is left between draws and items.
draws   normal, with the variance of a draw's own effect,

            variance * freedom / chi-squared(freedom) - noise, at least 0,

        its chi-squared drawn anew each time, so that few draws mean long tails (a generalised pivot; Tsui and
        Weerahandi, 1989). Three draws drawn with replacement would show two thirds of their variance and never leave
        their range: where draws are all that differs, intervals of 95 % then hold the truth in three of four tables.
"""

from math import sqrt

import numpy as np

from coresift.seeds import generator
from coresift.statistics.spread import DrawSpread

BLOCK = 2_000_000
"""Resampled items held at a time."""


def item_deviations(means: np.ndarray, resamples: int, *, seed: int = 0) -> np.ndarray:
    """Mean over resampled items minus the mean over all.

    Args:
        means: [items, k], the same items in every column; a resample takes the same ones for all columns.
        resamples: How many.
        seed: Root of the resamples.

    Returns:
        [resamples, k].
    """
    items, columns = means.shape
    source = generator(seed, "resampled items")
    found, step = np.empty((resamples, columns)), max(1, BLOCK // items)
    for begin in range(0, resamples, step):
        size = min(step, resamples - begin)
        places = source.integers(0, items, (size, items)) + items * np.arange(size)[:, None]
        counts = np.bincount(places.ravel(), minlength=size * items).reshape(size, items)
        found[begin : begin + size] = counts @ means
    return found / items - means.mean(axis=0)


def draw_deviations(spread: DrawSpread, draws: int, resamples: int, *, seed: int = 0, part: int = 0) -> np.ndarray:
    """What the draws may add to a mean over them.

    Args:
        spread: Of the draws' means; nothing is added where its freedom is 0, which says that nothing is known.
        draws: How many draws the mean is over.
        resamples: How many.
        seed: Root of the resamples.
        part: Number of the sum's part; different parts are independent.

    Returns:
        [resamples].
    """
    if spread.freedom == 0:
        return np.zeros(resamples)
    source = generator(seed, "resampled draws", part)
    scale = spread.freedom / source.chisquare(spread.freedom, resamples)
    effect = np.maximum(spread.variance * scale - spread.noise, 0.0)
    return source.standard_normal(resamples) * np.sqrt(effect / draws)


def stretch(items: int, resamples: int, *, seed: int = 0) -> np.ndarray:
    """By how much deviations of items are stretched, since the spread of a few of them is not known exactly.

    Args:
        items: At least 2.
        resamples: How many.
        seed: Root of the resamples.

    Returns:
        [resamples], near 1 for many items.
    """
    return np.sqrt(items / generator(seed, "spread of items").chisquare(items - 1, resamples))


def standard_error(means: np.ndarray, spreads: list[tuple[DrawSpread, int]]) -> float:
    """Of a mean over items and draws.

    Args:
        means: [items], the means over draws; at least two.
        spreads: The spread of the draws and their number, for every part of the difference.
    """
    items = float(means.var(ddof=1)) / len(means)
    return sqrt(items + sum(spread.excess / draws for spread, draws in spreads))
