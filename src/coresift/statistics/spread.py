"""Where the spread of scores comes from: the items, the draws, and what is left of both.

A table of scores [draws, items] is read as a two-way layout with one value per cell,

    score(d, i) = mean + draw(d) + item(i) + rest(d, i)

with independent effects of mean 0. The classical estimates (Searle, Casella and McCulloch, "Variance Components", 1992,
section 4.2) take the rest from what the margins leave over, and the draws from the spread of the draws' means beyond
what the rest explains.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coresift.errors import ComparisonError


@dataclass(frozen=True, slots=True)
class DrawSpread:
    """How much the mean score over the items differs from draw to draw.

    Attributes:
        variance: Of the draws' means, with the part that the rest explains; 0 for a single draw.
        noise: The part of `variance` that the rest explains: its variance over the number of items.
        freedom: Degrees of freedom of `variance`: draws - 1, or their sum over what was pooled.
    """

    variance: float
    noise: float
    freedom: int

    @property
    def excess(self) -> float:
        """Variance of a draw's own effect, at least 0."""
        return max(0.0, self.variance - self.noise)


def scores_of(values: np.ndarray | Sequence[Sequence[float]], *, what: str) -> np.ndarray:
    """Scores as float64 [draws, items]; a single list of items is one draw.

    Raises:
        ComparisonError: If there are none, or one is not finite.
    """
    scores = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if scores.ndim != 2 or scores.size == 0:
        raise ComparisonError(
            f"scores of {what} have shape {scores.shape}. Give one row per draw and one column per test item."
        )
    bad = np.argwhere(~np.isfinite(scores))
    if len(bad) > 0:
        draw, item = bad[0]
        raise ComparisonError(
            f"scores of {what}: draw {draw}, item {item} is {scores[draw, item]}. Leave the item out for all methods."
        )
    return scores


def draw_spread(scores: np.ndarray) -> DrawSpread:
    """The spread of the draws of one method.

    Args:
        scores: [draws, items], as `scores_of` gives.
    """
    draws, items = scores.shape
    if draws == 1:
        return DrawSpread(0.0, 0.0, 0)
    means = scores.mean(axis=1)
    rest = scores - means[:, None] - scores.mean(axis=0) + scores.mean()
    freedom = (draws - 1) * (items - 1)
    noise = float(np.square(rest).sum()) / freedom / items if freedom > 0 else 0.0
    return DrawSpread(float(means.var(ddof=1)), noise, draws - 1)


def pooled(spreads: Sequence[DrawSpread]) -> DrawSpread:
    """What several methods show together, each counted by its degrees of freedom."""
    freedom = sum(each.freedom for each in spreads)
    if freedom == 0:
        return DrawSpread(0.0, 0.0, 0)
    return DrawSpread(
        sum(each.freedom * each.variance for each in spreads) / freedom,
        sum(each.freedom * each.noise for each in spreads) / freedom,
        freedom,
    )


def cautious(own: DrawSpread, together: DrawSpread) -> DrawSpread:
    """The larger of a method's own spread and of all methods together, at the degrees of freedom of all.

    Few draws often lie close to each other by chance: what all methods show together is the least that is believed.
    """
    larger = own if own.excess > together.excess else together
    return DrawSpread(larger.variance, larger.noise, together.freedom)
