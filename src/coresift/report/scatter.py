"""The picks within the gradient spaces: which points are drawn, where, and the data block of the hover chart."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from coresift.report.view import RunView
from coresift.seeds import generator

SPACES = ("knowledge", "following", "response")
MOST_UNCHOSEN = 4000
LONGEST_TEXT = 280
FAR = 3.0


def drawn_positions(view: RunView) -> np.ndarray:
    """Pool positions to draw: at most `MOST_UNCHOSEN` unchosen ones (the same ones every time), then all picks."""
    unchosen = unchosen_positions(view)
    if len(unchosen) > MOST_UNCHOSEN:
        keep = generator(0, "report", "scatter", view.n).choice(len(unchosen), MOST_UNCHOSEN, replace=False)
        unchosen = unchosen[np.sort(keep)]
    return np.concatenate([unchosen, view.indices])


def unchosen_positions(view: RunView) -> np.ndarray:
    """Pool positions placed in some space and not chosen; examples that could not be chosen have no place."""
    placed = [np.isfinite(points).all(axis=1) for points in view.spaces.values() if len(points) > 0]
    return np.setdiff1d(np.flatnonzero(np.any(placed, axis=0)), view.indices)


def spread_out(points: np.ndarray) -> tuple[np.ndarray, bool]:
    """Draw far points nearer when a few of them would squeeze all others into one spot.

    Gradients are heavy-tailed. When the farthest point lies more than `FAR` times as far from the median point as 9 of
    10 points do, distances r from there become s·asinh(r/s), s their median; directions stay.

    Args:
        points: `[n, 2]`; NaN rows stay NaN.

    Returns:
        The points `[n, 2]`, and whether they were moved.
    """
    finite = np.isfinite(points).all(axis=1)
    if finite.sum() < 3:
        return points, False
    centred = points - np.median(points[finite], axis=0)
    radius = np.linalg.norm(centred, axis=1)
    scale, usual = float(np.median(radius[finite])), float(np.quantile(radius[finite], 0.9))
    if scale == 0 or radius[finite].max() <= FAR * usual:
        return points, False
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(radius > 0, scale * np.arcsinh(radius / scale) / radius, 1.0)
    return centred * factor[:, None], True


def spaces_of(view: RunView) -> dict[str, tuple[np.ndarray, bool]]:
    """The projections there are, spread out where needed, as float64 `[n, 2]`; empty without spaces."""
    found = {}
    for name in SPACES:
        points = view.spaces.get(name)
        if points is not None and len(points) > 0:
            array = np.asarray(points, dtype=np.float64)
            if np.isfinite(array).all(axis=1).any():
                found[name] = spread_out(array)
    return found


def scatter_data(view: RunView) -> dict[str, Any] | None:
    """Everything the hover chart needs, by drawn point: unchosen first, picks last; None when there is no space."""
    spaces = spaces_of(view)
    if not spaces:
        return None
    drawn = drawn_positions(view)
    ids = pool_ids(view)
    return {
        "spaces": [{"name": name, "points": _rounded(points[drawn])} for name, (points, _) in spaces.items()],
        "unchosen": int(len(drawn) - len(view.indices)),
        "ids": [ids[position] for position in drawn],
        "sources": [_at(view.example_sources, position) for position in drawn],
        "texts": [shorten(_at(view.texts, position)) for position in drawn],
        "weights": [round(float(weight), 4) for weight in view.weights],
    }


def pool_ids(view: RunView) -> list[str]:
    """The id of every pool example; where ids are unknown, that of the picks, else the position in words."""
    ids = [str(i) for i in view.ids] if len(view.ids) == view.n else [f"example {i}" for i in range(view.n)]
    for position, identity in zip(view.indices, view.coreset.get("ids") or (), strict=False):
        ids[position] = str(identity)
    return ids


def _at(values: Sequence[str], position: int) -> str:
    return str(values[position]) if len(values) else ""


def _rounded(points: np.ndarray) -> list[list[float] | None]:
    """Four significant digits of the largest coordinate are finer than a screen."""
    largest = float(np.nanmax(np.abs(points))) if np.isfinite(points).any() else 1.0
    digits = 4 - int(np.floor(np.log10(largest))) if largest > 0 else 4
    return [[round(float(x), digits), round(float(y), digits)] if np.isfinite(x + y) else None for x, y in points]


def shorten(text: str, *, longest: int = LONGEST_TEXT) -> str:
    """The beginning of a text, cut with an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
