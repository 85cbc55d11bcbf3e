"""Search for the lowest value of a function on an interval, with a record of every evaluation.

The functions searched here are piecewise constant and seldom have a single valley, so the answer is the lowest value
ever evaluated (the first of equals), not the last interval.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

GOLDEN = (3.0 - math.sqrt(5.0)) / 2.0
"""0.381966: where the inner points divide the interval."""


@dataclass(frozen=True, slots=True)
class Searched:
    """Every (place, value) in the order evaluated."""

    trials: tuple[tuple[float, float], ...]

    @property
    def best(self) -> float:
        """The place of the lowest value; of equal ones, the first evaluated."""
        return min(self.trials, key=lambda trial: trial[1])[0]


def golden_section(
    f: Callable[[float], float], *, precision: float, max_iterations: int, low: float = 0.0, high: float = 1.0
) -> Searched:
    """Two inner points, then one new point per iteration, until the interval is at most `precision` wide.

    The left part is kept when its value is strictly lower, the right part otherwise.
    """
    trials: list[tuple[float, float]] = []

    def at(place: float) -> tuple[float, float]:
        trials.append((place, f(place)))
        return trials[-1]

    left, right = at(low + GOLDEN * (high - low)), at(high - GOLDEN * (high - low))
    for _ in range(max_iterations):
        if high - low <= precision:
            break
        if left[1] < right[1]:
            high, right = right[0], left
            left = at(low + GOLDEN * (high - low))
        else:
            low, left = left[0], right
            right = at(high - GOLDEN * (high - low))
    return Searched(tuple(trials))


def ternary(
    f: Callable[[float], float], *, precision: float, max_iterations: int, low: float = 0.0, high: float = 1.0
) -> Searched:
    """Two points per iteration at a third and two thirds, until the interval is at most `precision` wide.

    The middle of the last interval is evaluated too, so it can be the answer.
    """
    trials: list[tuple[float, float]] = []

    def at(place: float) -> float:
        trials.append((place, f(place)))
        return trials[-1][1]

    for _ in range(max_iterations):
        if high - low <= precision:
            break
        third = (high - low) / 3.0
        if at(low + third) < at(high - third):
            high -= third
        else:
            low += third
    at((low + high) / 2.0)
    return Searched(tuple(trials))


def evaluations(method: str, *, precision: float, max_iterations: int) -> int:
    """How many evaluations a search of [0, 1] takes."""
    shrink = 1.0 - GOLDEN if method == "golden" else 2.0 / 3.0
    needed = max(0, math.ceil(math.log(precision) / math.log(shrink) - 1e-9))
    iterations = min(max_iterations, needed)
    return 2 + iterations if method == "golden" else 2 * iterations + 1
