"""The figure of growth: seconds and peak memory against the size of the pool."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from coresift.report.theme import LIGHT, legend, new_figure, thousands

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = Sequence[Mapping[str, Any]]
Law = tuple[float, float]


def growth_figure(
    measured: Points, extrapolated: Points, laws: Mapping[str, Law], names: Mapping[str, str]
) -> "Figure":
    """Both axes logarithmic; what was not measured is hollow and says so.

    Args:
        measured: One mapping per size with `n` and the values of `names`.
        extrapolated: The same, from the laws.
        laws: Base and factor of `base + factor * n^2` for each value.
        names: Value -> label of its axis, one panel each.
    """
    figure, axes = new_figure(LIGHT, 4.2 * len(names), 3.6, columns=len(names))
    for axis, (value, label) in zip(axes, names.items(), strict=True):
        _law(axis, [point["n"] for point in [*measured, *extrapolated]], laws[value])
        style: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 6, "color": LIGHT.chosen}
        axis.plot(*_places(measured, value), label="measured", **style)
        if extrapolated:
            hollow: dict[str, Any] = {"markerfacecolor": "none", "label": "extrapolated by the fitted law"}
            axis.plot(*_places(extrapolated, value), **style, **hollow)
        _dress(axis, label)
    return figure


def _law(axis: "Axes", ns: list[int], law: Law) -> None:
    places = np.geomspace(min(ns), max(ns), 100)
    heights = law[0] + law[1] * places**2
    label = f"{law[0]:.2g} + {law[1]:.2g} n²"
    axis.plot(places, heights, color=LIGHT.muted, linewidth=1.0, linestyle=(0, (4, 3)), label=label, zorder=1)


def _places(points: Points, value: str) -> tuple[list[int], list[float]]:
    return [point["n"] for point in points], [point[value] for point in points]


def _dress(axis: "Axes", label: str) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("examples in the pool")
    axis.set_ylabel(label)
    for which in ("x", "y"):
        thousands(axis, which)
        getattr(axis, f"{which}axis").set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        getattr(axis, f"{which}axis").set_minor_formatter(NullFormatter())
    legend(axis, LIGHT, loc="upper left")
