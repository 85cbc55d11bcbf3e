"""Whom each pick stands for, how far everybody is from a pick, and what that would be with random picks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from coresift.seeds import generator

ROWS = 2048
"""Candidates whose distances to all picks are held at once."""
SAMPLE = 2000
"""Candidates from which the mean distance to random picks is taken."""
DRAWS = 3
SPACES = ("response", "knowledge", "following")


@dataclass(frozen=True)
class Coverage:
    """Of the candidates, in their order.

    Attributes:
        nearest: Place among the picks of the nearest one, int64 `[n]`.
        distances: How far that is, float64 `[n]`, in the unit of the gradients.
        spread: Space -> mean distance of two random candidates.
        chosen: Mean of `distances` over the sample that `random` is taken from.
        random: The same with as many random candidates for picks, mean over three draws.
    """

    nearest: np.ndarray
    distances: np.ndarray
    spread: Mapping[str, float]
    chosen: float
    random: float


def factors(spaces: Mapping[str, torch.Tensor], diagnostics: Mapping[str, Any]) -> dict[str, float]:
    """How much each space counts in a method's distance: its coefficients, 1 - alpha and alpha, or a single space."""
    given = diagnostics.get("coefficients")
    if given is not None:
        found = dict(zip(SPACES, map(float, given), strict=True))
    elif diagnostics.get("alpha") is not None:
        alpha = float(diagnostics["alpha"])
        found = {"knowledge": 1 - alpha, "following": alpha}
    else:
        found = dict.fromkeys(spaces, 1.0 / max(1, len(spaces)))
    return {space: factor for space, factor in found.items() if space in spaces and factor > 0}


def cover(spaces: Mapping[str, torch.Tensor], weights: Mapping[str, float], picks: np.ndarray) -> Coverage:
    """Measure distances to the picks.

    Args:
        spaces: Space -> rows of all candidates, `[n, d]`.
        weights: Space -> how much it counts; at least one.
        picks: Places of the picks among the candidates, `[k]`.

    Costs n·k distances, and as much again on a sample for random picks.
    """
    n = len(next(iter(spaces.values())))
    nearest, distances = _nearest(spaces, weights, np.arange(n), picks)
    distances[picks], nearest[picks] = 0.0, np.arange(len(picks))
    chance = generator(0, "report", "coverage", n)
    sample = np.sort(chance.choice(n, min(n, SAMPLE), replace=False))
    drawn = [chance.choice(n, len(picks), replace=False) for _ in range(DRAWS)]
    plain = []
    for each in drawn:
        away = _nearest(spaces, weights, sample, each)[1]
        plain.append(np.where(np.isin(sample, each), 0.0, away).mean())
    return Coverage(
        nearest=nearest,
        distances=distances,
        spread={space: _spread(rows, sample, chance.permutation(sample)) for space, rows in spaces.items()},
        chosen=float(distances[sample].mean()),
        random=float(np.mean(plain)),
    )


def _nearest(
    spaces: Mapping[str, torch.Tensor], weights: Mapping[str, float], of: np.ndarray, picks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Place of the nearest pick and how far it is, for every candidate of `of`."""
    places, distances = [], []
    chosen = {space: spaces[space][torch.from_numpy(picks)].float() for space in weights}
    for first in range(0, len(of), ROWS):
        rows = torch.from_numpy(of[first : first + ROWS])
        total = sum(
            factor * torch.cdist(spaces[space][rows].float(), chosen[space]) for space, factor in weights.items()
        )
        assert isinstance(total, torch.Tensor), "at least one space counts"
        away, place = total.min(dim=1)
        places.append(place.numpy())
        distances.append(away.double().numpy())
    return np.concatenate(places), np.concatenate(distances)


def _spread(rows: torch.Tensor, first: np.ndarray, second: np.ndarray) -> float:
    """Mean distance of pairs, those of an example with itself left out."""
    apart = first != second
    gaps = rows[torch.from_numpy(first[apart])].float() - rows[torch.from_numpy(second[apart])].float()
    return float(gaps.norm(dim=1).double().mean()) if apart.any() else 0.0
