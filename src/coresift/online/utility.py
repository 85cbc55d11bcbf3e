"""Instance-level dynamic uncertainty: a smoothed loss, corrected for what training has done since it was measured.

Utilities, losses and changes are nats per response token; squared gradient norms are such that learning rate times
squared norm is a loss.
"""

import numpy as np

FLAT = 1e-12
"""Two gradients closer than this are the same: every mixture of them is."""
GRID = np.arange(1000) / 1000.0
"""History weights tried for the best smoothing."""
PRIOR = 1.0
"""Strength, in squared nats, of the belief that first-order estimates are right as they are."""


def smoothed(history: np.ndarray, losses: np.ndarray, changes: np.ndarray | float, b: float) -> np.ndarray:
    """(1 - b) * (loss + change) + b * history.

    A loss is never below 0, so neither is one that an estimate has corrected.

    Args:
        history: Utilities before.
        losses: Losses measured before their step.
        changes: Estimates of how they have moved since.
        b: Weight of the history, in [0, 1).
    """
    corrected: np.ndarray = np.maximum(losses + changes, 0.0)
    return (1.0 - b) * corrected + b * history


def mixing(arm: float, previous: float, cosine: float) -> float:
    """The share of the arm's gradient in the shortest mixture of it and the previous round's, in [0, 1].

    Args:
        arm: Squared norm of the gradient when the arm was last drawn.
        previous: Squared norm of the previous round's.
        cosine: Cosine between the two.
    """
    cross = float(np.sqrt(arm * previous)) * cosine
    apart = arm + previous - 2.0 * cross
    return 0.5 if apart < FLAT else float(np.clip((previous - cross) / apart, 0.0, 1.0))


def mixed_norm2(arm: float, previous: float, cosine: float, share: float) -> float:
    """Squared norm of share * (the arm's gradient) + (1 - share) * (the previous round's)."""
    rest = 1.0 - share
    cross = float(np.sqrt(arm * previous)) * cosine
    return share**2 * arm + rest**2 * previous + 2.0 * share * rest * cross


def norm2_of_losses(losses: np.ndarray, path: float) -> float:
    """Squared norm of a typical gradient, as the fall in loss over a round says: fall = path * norm².

    The fall is from the first quarter of the losses to the last, 0 where they rise.

    Args:
        losses: Losses in the order trained; those that are not finite are left out.
        path: Learning rate times number of steps; 0 gives 0.
    """
    known = np.asarray(losses, dtype=np.float64)
    known = known[np.isfinite(known)]
    if len(known) < 2 or path <= 0.0:
        return 0.0
    part = max(1, len(known) // 4)
    return max(0.0, float(known[:part].mean() - known[-part:].mean())) / path


def transfer(products: float, squares: float) -> float:
    """How much of a first-order estimate arrives, in [0, 1]: a ridge regression with 1 as what is believed before.

    Args:
        products: Sum over examples seen again of estimate times realised change.
        squares: Sum of the squared estimates.
    """
    return float(np.clip((products + PRIOR) / (squares + PRIOR), 0.0, 1.0))


def smoothing_error(b: np.ndarray | float, noise: float, drift: float) -> np.ndarray | float:
    """Steady mean squared error of an exponential average with history weight b of a loss that drifts under noise.

    noise² (1 - b) / (1 + b) + drift² b² / (1 - b)²

    Args:
        b: History weight, in [0, 1).
        noise: Standard deviation of one measurement.
        drift: How far the loss moves from one measurement to the next.
    """
    return noise**2 * (1.0 - b) / (1.0 + b) + drift**2 * b**2 / (1.0 - b) ** 2


def best_smoothing(noise: float, drift: float) -> float:
    """The history weight on a grid of thousandths with the least steady error; the smallest of equals."""
    return float(GRID[int(np.argmin(smoothing_error(GRID, noise, drift)))])
