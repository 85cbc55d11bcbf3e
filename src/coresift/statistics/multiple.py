"""Many claims from one table: Holm's step-down adjustment."""

from collections.abc import Sequence

import numpy as np


def holm(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values: those at most alpha may all be claimed, and the chance of any false claim is at most alpha.

    Holm, "A simple sequentially rejective multiple test procedure" (1979). Whatever the dependence of the claims.

    Args:
        values: [m] p-values in [0, 1].

    Returns:
        [m] in the same order; never below the values.

    >>> holm([0.01, 0.04, 0.03, 0.005]).round(6).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    given = np.asarray(values, dtype=np.float64)
    order = given.argsort(kind="stable")
    stepped = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
