"""Search for the lowest value of a function on an interval, with a record of every evaluation.

The functions searched here are piecewise constant and seldom have a single valley, so the answer is the lowest value
ever evaluated (the first of equals), not the last interval.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

GOLDEN = (3.0 - math.sqrt(5.0)) / 2.0
"""0.381966: where the inner points divide the interval."""


Prepare = Callable[[list[float]], None]
"""Is told of places that are cheaper together than one by one, before they are asked for."""


@dataclass(frozen=True, slots=True)
class Searched:
    """Every (place, value) in the order evaluated."""

    trials: tuple[tuple[float, float], ...]

    @property
    def best(self) -> float:
        """The place of the lowest value; of equal ones, the first evaluated."""
        return min(self.trials, key=lambda trial: trial[1])[0]


class _Asked:
    """What a search has asked for, and the places that `prepare` was told of last."""

    def __init__(self, f: Callable[[float], float], prepare: Prepare | None) -> None:
        self._f, self._prepare = f, prepare
        self._trials: list[tuple[float, float]] = []
        self._told: list[float] = []

    def at(self, place: float, coming: Callable[[], list[float]]) -> tuple[float, float]:
        """Evaluate a place; `coming` lists those that may be asked for with it or soon after it."""
        if self._prepare is not None and place not in self._told:
            self._told = list(dict.fromkeys([place, *coming()]))
            self._prepare(self._told)
        self._trials.append((place, self._f(place)))
        return self._trials[-1]

    @property
    def searched(self) -> Searched:
        return Searched(tuple(self._trials))


def golden_section(
    f: Callable[[float], float],
    *,
    precision: float,
    max_iterations: int,
    low: float = 0.0,
    high: float = 1.0,
    prepare: Prepare | None = None,
    ahead: int = 3,
) -> Searched:
    """Two inner points, then one new point per iteration, until the interval is at most `precision` wide.

    The left part is kept when its value is strictly lower, the right part otherwise. Where several places are cheaper
    together than one by one, `prepare` is told, before a place is asked for that was not among those it was told of
    last, that place and all that could be asked for in the next `ahead` - 1 iterations; the search itself is the same.
    """
    asked = _Asked(f, prepare)

    def at(place: float, *others: float, interval: tuple[float, float, float, float]) -> tuple[float, float]:
        return asked.at(place, lambda: [*others, *_ahead(*interval, levels=ahead - 1, precision=precision)])

    near, far = low + GOLDEN * (high - low), high - GOLDEN * (high - low)
    left = at(near, far, interval=(low, near, far, high))
    right = at(far, interval=(low, near, far, high))
    for _ in range(max_iterations):
        if high - low <= precision:
            break
        if left[1] < right[1]:
            high, right = right[0], left
            place = low + GOLDEN * (high - low)
            left = at(place, interval=(low, place, right[0], high))
        else:
            low, left = left[0], right
            place = high - GOLDEN * (high - low)
            right = at(place, interval=(low, left[0], place, high))
    return asked.searched


def _ahead(low: float, left: float, right: float, high: float, *, levels: int, precision: float) -> list[float]:
    """Every place that golden section could ask for in the next iterations, by the same arithmetic."""
    if levels <= 0 or high - low <= precision:
        return []
    nearer, farther = low + GOLDEN * (right - low), high - GOLDEN * (high - left)
    return [
        *(nearer, farther),
        *_ahead(low, nearer, left, right, levels=levels - 1, precision=precision),
        *_ahead(left, right, farther, high, levels=levels - 1, precision=precision),
    ]


def ternary(
    f: Callable[[float], float],
    *,
    precision: float,
    max_iterations: int,
    low: float = 0.0,
    high: float = 1.0,
    prepare: Prepare | None = None,
    ahead: int = 1,
) -> Searched:
    """Two points per iteration at a third and two thirds, until the interval is at most `precision` wide.

    The middle of the last interval is evaluated too, so it can be the answer. `prepare` and `ahead` are as for
    `golden_section`; the two places of an iteration are always told together.
    """
    asked = _Asked(f, prepare)

    def at(place: float, left: int, interval: tuple[float, float]) -> float:
        return asked.at(place, lambda: _thirds(*interval, levels=ahead, left=left, precision=precision))[1]

    left = max_iterations
    while left > 0 and high - low > precision:
        third, interval = (high - low) / 3.0, (low, high)
        if at(low + third, left, interval) < at(high - third, left, interval):
            high -= third
        else:
            low += third
        left -= 1
    at((low + high) / 2.0, 0, (low, high))
    return asked.searched


def _thirds(low: float, high: float, *, levels: int, left: int, precision: float) -> list[float]:
    """Every place that ternary search could ask for in the next iterations, `left` in all, by the same arithmetic."""
    if levels <= 0:
        return []
    if left == 0 or high - low <= precision:
        return [(low + high) / 2.0]
    third = (high - low) / 3.0
    near, far = low + third, high - third
    return [
        *(near, far),
        *_thirds(low, far, levels=levels - 1, left=left - 1, precision=precision),
        *_thirds(near, high, levels=levels - 1, left=left - 1, precision=precision),
    ]


def flat_part(trials: Sequence[tuple[float, float]], *, tolerance: float) -> tuple[float, float]:
    """From where to where every place evaluated has a value within a part `tolerance` of the lowest, around its place.

    A precision finer than this is finer than the function tells apart.
    """
    ordered = sorted(trials)
    values = [value for _, value in ordered]
    lowest = min(range(len(values)), key=values.__getitem__)
    limit = values[lowest] + tolerance * abs(values[lowest])
    first = last = lowest
    while first > 0 and values[first - 1] <= limit:
        first -= 1
    while last + 1 < len(values) and values[last + 1] <= limit:
        last += 1
    return ordered[first][0], ordered[last][0]


def evaluations(method: str, *, precision: float, max_iterations: int) -> int:
    """How many evaluations a search of [0, 1] takes."""
    shrink = 1.0 - GOLDEN if method == "golden" else 2.0 / 3.0
    needed = max(0, math.ceil(math.log(precision) / math.log(shrink) - 1e-9))
    iterations = min(max_iterations, needed)
    return 2 + iterations if method == "golden" else 2 * iterations + 1
