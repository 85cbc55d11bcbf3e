"""EXP3: weights that grow with reward, a floor of exploration, and rewards brought to [-1, 1].

Auer, Cesa-Bianchi, Freund and Schapire, "The nonstochastic multiarmed bandit problem" (2002). Weights are kept as
logarithms, so no number of updates overflows.
"""

from dataclasses import dataclass

import numpy as np

FLAT = 1e-12
"""Rewards that differ by less than this are equal."""


@dataclass(frozen=True, slots=True)
class History:
    """The rewards so far: how many, and the least and greatest of them."""

    count: int = 0
    low: float = 0.0
    high: float = 0.0

    def with_reward(self, reward: float) -> "History":
        """The history with one more reward."""
        if self.count == 0:
            return History(1, reward, reward)
        return History(self.count + 1, min(self.low, reward), max(self.high, reward))


def probabilities(log_weights: np.ndarray, gamma: float, open_arms: np.ndarray | None = None) -> np.ndarray:
    """p_k = (1 - gamma) w_k / sum w + gamma / K, renormalised over the arms that are open.

    Every open arm has at least gamma / K; closed ones have 0, and so have all when none is open.

    Args:
        log_weights: K logarithms of weights; a constant added to all changes nothing.
        gamma: Share of exploration, above 0 and at most 1.
        open_arms: K booleans, False where an arm has nothing to give; None: all are open.
    """
    allowed = np.ones(len(log_weights), dtype=bool) if open_arms is None else np.asarray(open_arms, dtype=bool)
    if not allowed.any():
        return np.zeros(len(log_weights))
    # The largest weight of an open arm is the unit: that of a closed one could make all others vanish.
    weights = np.where(allowed, np.exp(np.minimum(log_weights - log_weights[allowed].max(), 0.0)), 0.0)
    mixed = np.where(allowed, (1.0 - gamma) * weights / weights.sum() + gamma / len(log_weights), 0.0)
    return mixed / mixed.sum()


def draw(chances: np.ndarray, uniform: float) -> int:
    """The first arm whose cumulative probability exceeds `uniform`, a number in [0, 1); never an arm of chance 0."""
    place = int(np.searchsorted(np.cumsum(chances), uniform, side="right"))
    return min(place, int(np.flatnonzero(chances)[-1]))


def normalised(reward: float, history: History) -> float:
    """2 (reward - low) / (high - low) - 1 with the extremes of all rewards, this one included; in [-1, 1].

    The first reward stands as it is; so the second is always at an end. Equal rewards so far give 0.
    """
    now = history.with_reward(reward)
    if now.count == 1:
        return clipped(reward)
    if now.high - now.low < FLAT:
        return 0.0
    return clipped(2.0 * (reward - now.low) / (now.high - now.low) - 1.0)


def clipped(reward: float) -> float:
    """A reward brought to [-1, 1], so that one update never multiplies a weight by more than e."""
    return float(np.clip(reward, -1.0, 1.0))


def updated(log_weights: np.ndarray, arm: int, reward: float, chance: float, gamma: float) -> np.ndarray:
    """Log-weights after the arm drawn with probability `chance` earned `reward`; the others are unchanged."""
    after = np.array(log_weights, dtype=np.float64)
    after[arm] += gamma / len(after) * reward / chance
    return after
