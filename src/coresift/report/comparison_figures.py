"""The figures of a comparison; each draws the rows of the same name in `comparison_data`."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from coresift.report.comparison_data import DATA, Found, Row
from coresift.report.theme import DARK, LIGHT, WIDTH, Theme, legend, new_figure, plain, png
from coresift.units import prefixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "osD^vPX*<>ph"
SCORE = {"accuracy": "accuracy (more is better)", "loss": "held-out loss, nats (less is better)"}


def differences_figure(rows: Sequence[Row], theme: Theme) -> "Figure":
    """Each variant's difference to random with its interval; what is resolved is filled."""
    budgets = _distinct(rows, "budget")
    figure, axes = new_figure(theme, WIDTH, 0.9 * len(budgets) + 0.27 * len(rows), rows=len(budgets))
    for axis, budget in zip(axes, budgets, strict=True):
        of = [row for row in rows if row["budget"] == budget]
        for place, row in enumerate(of):
            resolved = row["verdict"].startswith("resolved")
            colour = theme.muted if row["control"] else theme.chosen
            axis.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.5)
            face = colour if resolved else theme.paper
            axis.plot([row["difference"]], [place], "o", color=colour, markerfacecolor=face, markersize=6)
        axis.axvline(0, color=theme.ink, linewidth=0.9, linestyle=(0, (3, 3)), zorder=0)
        axis.set_yticks(range(len(of)), [plain(row["label"]) for row in of], color=theme.ink)
        _as_text(axis)
        axis.set_ylim(len(of) - 0.5, -0.5)
        axis.grid(False, axis="y")
        axis.set_title(f"budget {budget}", fontsize=9.5, color=theme.ink)
    axes[-1].set_xlabel(f"{rows[0]['metric']}, difference to random ({rows[0]['better']} is better)")
    return figure


def cost_figure(rows: Sequence[Row], theme: Theme) -> "Figure":
    """Score against all FLOPs, selection included; what is up (accuracy) or down (loss) and left is better."""
    budgets = _distinct(rows, "budget")
    labels = _distinct(rows, "label")
    figure, axes = new_figure(theme, WIDTH, 0.8 + 2.7 * len(budgets) + 0.17 * len(labels), rows=len(budgets))
    looks = _looks(labels, theme)
    for axis, budget in zip(axes, budgets, strict=True):
        for row in (row for row in rows if row["budget"] == budget):
            axis.errorbar(
                row["flops"], row["mean"], yerr=row["spread"] or 0.0, **looks[row["label"]], label=plain(row["label"])
            )
        _log(axis)
        axis.set_ylabel(_score_axis(rows))
        axis.set_title(f"budget {budget}", fontsize=9.5, color=theme.ink)
    axes[-1].set_xlabel("FLOPs, selection included (log scale)")
    _below(axes[-1], theme)
    return figure


def budget_figure(rows: Sequence[Row], theme: Theme) -> "Figure":
    """Score against the number of examples, a line per variant."""
    labels = _distinct(rows, "label")
    figure, (axis,) = new_figure(theme, WIDTH, 3.6 + 0.17 * len(labels))
    for label, look in _looks(labels, theme).items():
        of = sorted((row for row in rows if row["label"] == label), key=lambda row: row["examples"])
        axis.errorbar(
            [row["examples"] for row in of],
            [row["mean"] for row in of],
            yerr=[row["spread"] or 0.0 for row in of],
            **{**look, "fmt": f"{look['fmt']}-"},
            label=plain(label),
        )
    _log(axis)
    axis.set_xlabel("examples trained on (log scale)")
    axis.set_ylabel(_score_axis(rows))
    _below(axis, theme)
    return figure


def overlap_figure(rows: Sequence[Row], theme: Theme) -> "Figure":
    """How much of their picks every two variants share: 0 nothing, 1 all."""
    from matplotlib.colors import LinearSegmentedColormap

    budgets = _distinct(rows, "budget")
    tallest = max(len(_distinct([row for row in rows if row["budget"] == each], "first")) for each in budgets)
    figure, axes = new_figure(theme, WIDTH, (1.6 + 0.34 * tallest) * len(budgets), rows=len(budgets))
    shades = LinearSegmentedColormap.from_list("shades", [theme.paper, theme.chosen])
    for axis, budget in zip(axes, budgets, strict=True):
        of = [row for row in rows if row["budget"] == budget]
        labels = _distinct(of, "first")
        share = np.array([row["jaccard"] for row in of]).reshape(len(labels), len(labels))
        axis.imshow(share, cmap=shades, vmin=0, vmax=1)
        for i, j in np.ndindex(share.shape):
            ink = theme.paper if share[i, j] > 0.55 else theme.ink
            axis.text(j, i, f"{share[i, j]:.2f}", ha="center", va="center", fontsize=7.5, color=ink)
        names = [plain(label, longest=18) for label in labels]
        axis.set_xticks(range(len(labels)), names, rotation=60, ha="right", color=theme.ink)
        axis.set_yticks(range(len(labels)), names, color=theme.ink)
        _as_text(axis)
        axis.grid(False)
        axis.set_title(f"budget {budget}", fontsize=9.5, color=theme.ink)
    return figure


def errors_figure(rows: Sequence[Row], theme: Theme) -> "Figure":
    """Following error against knowledge error of every selection that has both."""
    return _scatter(rows, "knowledge", "following", ("error of the knowledge gradient", "of the following one"), theme)


def alpha_figure(rows: Sequence[Row], theme: Theme) -> "Figure":
    """The searched sum against alpha, as a part of its least value, a line per selection; the chosen one ringed."""
    labels = _distinct(rows, "label")
    figure, (axis,) = new_figure(theme, WIDTH, 3.4 + 0.17 * len(labels))
    looks = _looks(labels, theme)
    named: set[str] = set()
    for label, budget, draw in dict.fromkeys((row["label"], row["budget"], row["draw"]) for row in rows):
        of = [row for row in rows if (row["label"], row["budget"], row["draw"]) == (label, budget, draw)]
        least = min(row["sum"] for row in of) or 1.0
        heights = [100 * (row["sum"] / least - 1) for row in of]
        look = {**looks[label], "fmt": "-", "linewidth": 1.1}
        axis.errorbar([row["alpha"] for row in of], heights, **look, label=None if label in named else plain(label))
        for row, height in zip(of, heights, strict=True):
            if row["chosen"]:
                axis.plot(row["alpha"], height, "o", markersize=9, markerfacecolor="none", markeredgecolor=theme.ink)
        named.add(label)
    axis.set_xlabel("α (the ring marks the one that was used)")
    axis.set_ylabel("sum of both errors, % above its least")
    _below(axis, theme)
    return figure


def alpha_scores_figure(rows: Sequence[Row], theme: Theme) -> "Figure":
    """Score of the trained model against alpha; where alpha was searched, the point is filled and ringed."""
    metric = next(key for key in rows[0] if key in SCORE)
    figure, (axis,) = new_figure(theme, WIDTH, 3.6)
    for row in rows:
        face = theme.chosen if row["searched"] else theme.paper
        size = 9 if row["searched"] else 6
        edge = theme.ink if row["searched"] else theme.chosen
        axis.plot(row["alpha"], row[metric], "o", markersize=size, markerfacecolor=face, markeredgecolor=edge)
    axis.set_xlabel("α (filled: chosen by the search)")
    axis.set_ylabel(SCORE[metric])
    return figure


FIGURES: dict[str, Callable[[Sequence[Row], Theme], "Figure"]] = {
    "differences": differences_figure,
    "cost": cost_figure,
    "budget": budget_figure,
    "overlap": overlap_figure,
    "errors": errors_figure,
    "alpha": alpha_figure,
    "alpha_scores": alpha_scores_figure,
}
ALTS = {
    "differences": "Dot chart of every difference to random with its interval; figures in the table.",
    "cost": "Scatter chart of score against FLOPs; figures in the table.",
    "budget": "Line chart of score against the number of examples.",
    "overlap": "Heat map of the share of picks that every two variants have in common.",
    "errors": "Scatter chart of following error against knowledge error of the selections.",
    "alpha": "Line chart of the sum of both errors against alpha.",
    "alpha_scores": "Scatter chart of the score against alpha.",
}


def draw(found: Found) -> dict[str, tuple[bytes, bytes]]:
    """Every figure that this comparison has rows for: name -> (light PNG, dark PNG)."""
    drawn = {}
    for name, figure in FIGURES.items():
        rows = DATA[name](found)
        if rows:
            drawn[name] = (png(figure(rows, LIGHT)), png(figure(rows, DARK)))
    return drawn


def _scatter(rows: Sequence[Row], x: str, y: str, names: tuple[str, str], theme: Theme) -> "Figure":
    labels = _distinct(rows, "label")
    figure, (axis,) = new_figure(theme, WIDTH, 3.6 + 0.17 * len(labels))
    for label, look in _looks(labels, theme).items():
        of = [row for row in rows if row["label"] == label]
        axis.errorbar([row[x] for row in of], [row[y] for row in of], **look, label=plain(label))
    axis.set_xlabel(names[0])
    axis.set_ylabel(names[1])
    _below(axis, theme)
    return figure


def _looks(labels: Sequence[str], theme: Theme) -> dict[str, dict[str, Any]]:
    """Marker and colour of every label: twelve markers times four colours before a pair comes twice."""
    colours = (theme.chosen, theme.weight, theme.third, theme.ink)
    return {
        label: {"fmt": MARKERS[place % len(MARKERS)], "color": colours[place % len(colours)], "markersize": 5.5}
        for place, label in enumerate(labels)
    }


def _log(axis: "Axes") -> None:
    """A logarithmic axis with few labels, such as 20 G."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=8))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: prefixed(value)))


def _score_axis(rows: Sequence[Row]) -> str:
    """What the scores of these rows are called on an axis."""
    metric = str(rows[0]["metric"])
    return SCORE.get(metric, metric)


def _below(axis: "Axes", theme: Theme) -> None:
    """The legend under the axis, in two columns."""
    legend(axis, theme, loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=2, columnspacing=1.0)


def _as_text(axis: "Axes") -> None:
    """Labels are names of the user's, not formulas."""
    for label in (*axis.get_xticklabels(), *axis.get_yticklabels()):
        label.set_parse_math(False)


def _distinct(rows: Sequence[Row], key: str) -> list[str]:
    return list(dict.fromkeys(str(row[key]) for row in rows))
