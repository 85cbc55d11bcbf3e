"""MINT's choice of alpha: a grid that is finer near 1, and the first place where an error curve has gone flat."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WINDOW = 3
"""Differences in a row that must be small."""
PREFERRED = 0.95
"""The first flat place at or above this alpha is taken, if there is one."""
SPREAD = 1.4826
"""Turns a median absolute deviation into a standard deviation of a normal distribution."""
LEAST = 1e-8
"""Differences below this are small whatever their spread."""


@dataclass(frozen=True, slots=True)
class Plateau:
    """Attributes:
    place: Position of the alpha chosen.
    sigma: Differences at most this large count as flat.
    found: Whether there was a flat place; if not, the last alpha is taken.
    """

    place: int
    sigma: float
    found: bool


def alpha_grid() -> tuple[float, ...]:
    """174 values from 0.1: steps of 0.01 up to 0.9, then halved at every step down to 0.001, up to 0.999."""
    grid, value, step = [], 0.1, 0.01
    while value <= 0.999:
        grid.append(value)
        if value >= 0.9:
            step = max(step / 2.0, 0.001)
        value = round(value + step, 6)
    return tuple(grid)


def plateau(errors: Sequence[float], alphas: Sequence[float]) -> Plateau:
    """Where `errors`, in the order of ascending `alphas`, are flat.

    sigma = 1.4826 times the median absolute deviation of the absolute differences of neighbours. A place is flat where
    a run of three differences of at most sigma begins; the place after the first of them is a candidate. The first
    candidate with an alpha of at least 0.95 is chosen, else the first candidate, else the last alpha.
    """
    steps = np.abs(np.diff(np.asarray(errors, dtype=np.float64)))
    if len(steps) == 0:
        return Plateau(len(alphas) - 1, LEAST, False)
    sigma = max(SPREAD * float(np.median(np.abs(steps - np.median(steps)))), LEAST)
    flat = steps <= sigma
    starts = [place + 1 for place in range(len(steps) - WINDOW + 1) if flat[place : place + WINDOW].all()]
    preferred = [place for place in starts if alphas[place] >= PREFERRED]
    chosen = (preferred or starts or [len(alphas) - 1])[0]
    return Plateau(chosen, sigma, len(starts) > 0)
