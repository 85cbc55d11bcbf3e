"""The figures of a run. Each function draws one, or gives None when the run has nothing for it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from coresift.report.pareto import pareto_front, with_room
from coresift.report.plateau import plateau_figure
from coresift.report.rounds import arms_figure, progress_figure
from coresift.report.scatter import drawn_positions, spaces_of
from coresift.report.sections import chosen_trial, relative_trials, response_lengths, source_mix, weight_facts
from coresift.report.tables import ACCURACY, LOSS, spread_of, value_of
from coresift.report.theme import DARK, LIGHT, WIDTH, Theme, legend, new_figure, plain, png, thousands
from coresift.report.view import RunView
from coresift.units import count, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SOURCES = 18


def scores_figure(view: RunView, theme: Theme) -> "Figure | None":
    """Accuracy (or the loss, when no accuracy was measured) per row, with its spread over seeds."""
    rows, choices = list(view.scores), {"accuracy": ACCURACY, "loss": LOSS}
    measured = [k for k in choices if any(value_of(row, k, part) is not None for row in rows for part in choices[k])]
    if len(measured) == 0:
        return None
    kind, parts = measured[0], choices[measured[0]]
    figure, (axis,) = new_figure(theme, WIDTH, 1.25 + 0.5 * len(rows))
    looks = zip(parts, ((theme.chosen, "o"), (theme.weight, "s"), (theme.third, "D")), (-0.2, 0.0, 0.2), strict=True)
    for part, (colour, marker), shift in looks:
        found = [(row, value) for row, score in enumerate(rows) if (value := value_of(score, kind, part)) is not None]
        if len(found) == 0:
            continue
        spreads = [spread_of(rows[row], kind, part) or 0.0 for row, _ in found]
        places = [row + shift for row, _ in found]
        values = [value for _, value in found]
        axis.errorbar(
            values,
            places,
            xerr=spreads,
            fmt=marker,
            color=colour,
            markersize=6,
            elinewidth=1.4,
            label=part,
            clip_on=False,
        )
    axis.set_yticks(range(len(rows)), [plain(str(score["name"])) for score in rows], color=theme.ink)
    for label in axis.get_yticklabels():
        label.set_parse_math(False)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel("accuracy (more is better)" if kind == "accuracy" else "held-out loss, nats (less is better)")
    if kind == "accuracy":
        axis.set_xlim(left=0)
    axis.grid(False, axis="y")
    legend(axis, theme, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def alpha_figure(view: RunView, theme: Theme) -> "Figure | None":
    """Above, the searched sum of both errors against alpha; below, its two parts; the chosen trial is ringed."""
    if len(view.trials) < 2:
        return None
    trials = sorted(view.trials, key=lambda trial: trial["alpha"])
    relative = sorted(relative_trials(view), key=lambda row: row["alpha"])
    alphas = [trial["alpha"] for trial in trials]
    if relative:
        keys = ("knowledge", "following", "sum")
        knowledge, following, total = (np.array([100 * row[key] for row in relative]) for key in keys)
    else:
        knowledge = np.array([trial["B_KN"] for trial in trials])
        following = np.array([trial["B_IF"] for trial in trials])
        total = knowledge + following
    figure, (above, below) = new_figure(theme, WIDTH, 4.8, rows=2)
    above.plot(alphas, total, "o-", color=theme.chosen, markersize=4.5, linewidth=1.3)
    below.plot(alphas, knowledge, "s-", color=theme.weight, markersize=3.5, linewidth=1.3, label="knowledge")
    below.plot(alphas, following, "D-", color=theme.third, markersize=3.5, linewidth=1.3, label="following")
    place = chosen_trial(view)
    if place is not None:
        best = float(view.trials[place]["alpha"])
        ring: dict[str, Any] = {"markersize": 13, "markerfacecolor": "none", "markeredgecolor": theme.ink}
        above.plot([best], [total[int(np.argmin(np.abs(np.array(alphas) - best)))]], "o", **ring)
        for axis in (above, below):
            axis.axvline(best, color=theme.muted, linewidth=0.9, linestyle=(0, (3, 3)), zorder=0)
    above.set_ylabel("both errors" + (", % of spread" if relative else ", summed"))
    below.set_ylabel("each error" + (", % of spread" if relative else ", summed"))
    below.set_xlabel("α")
    for axis in (above, below):
        axis.margins(0.06, 0.14)
        thousands(axis, "y")
    _not_steeper(above, total)
    legend(below, theme, loc="lower center", bbox_to_anchor=(0.5, 0.97), ncols=2, columnspacing=1.0)
    return figure


def _not_steeper(axis: "Axes", values: np.ndarray, least: float = 0.05) -> None:
    """An axis that spans at least a part of its values: differences of a thousandth should not look like a valley."""
    middle, span = float(values.max() + values.min()) / 2, float(np.ptp(values))
    if span < least * middle:
        axis.set_ylim(middle * (1 - 0.6 * least), middle * (1 + 0.6 * least))


def pareto_figure(view: RunView, theme: Theme) -> "Figure | None":
    """Following error against knowledge error of all trials with their front; the chosen ringed, some alphas named."""
    if len(view.trials) < 2:
        return None
    points = [(float(trial["B_KN"]), float(trial["B_IF"])) for trial in view.trials]
    front = [points[i] for i in pareto_front(points)]
    figure, (axis,) = new_figure(theme, WIDTH, 4.4)
    axis.step(*zip(*front, strict=True), where="post", color=theme.chosen, linewidth=1.2, alpha=0.8, zorder=1)
    beaten = [point for point in points if point not in front]
    if beaten:
        axis.plot(*zip(*beaten, strict=True), "o", color=theme.pool, markersize=5, label="beaten on both")
    axis.plot(*zip(*front, strict=True), "o", color=theme.chosen, markersize=5.5, label="on the front")
    place = chosen_trial(view)
    if place is not None:
        axis.plot(*points[place], "o", markersize=13, markerfacecolor="none", markeredgecolor=theme.ink, zorder=5)
        note = f"chosen, α = {number(float(view.trials[place]['alpha']), digits=3)}"
        axis.annotate(note, points[place], (9, 8), textcoords="offset points", color=theme.ink, fontsize=9)
    for i in with_room(points, [place or 0, 0, len(points) - 1]):
        if i != place:
            alpha = number(float(view.trials[i]["alpha"]), digits=2)
            axis.annotate(alpha, points[i], (5, 4), textcoords="offset points", color=theme.muted, fontsize=7.5)
    axis.set_xlabel("knowledge error")
    axis.set_ylabel("following error")
    axis.margins(0.12)
    axis.locator_params(axis="x", nbins=4)  # sums over a pool are long numbers: more of them would run together
    thousands(axis, "x")
    thousands(axis, "y")
    legend(axis, theme, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure


def spaces_figure(view: RunView, theme: Theme) -> "Figure | None":
    """Each gradient space: the pool in grey, the picks in colour, their area growing with their weight."""
    spaces = spaces_of(view)
    if not spaces:
        return None
    figure, axes = new_figure(theme, WIDTH, 4.4 * len(spaces), rows=len(spaces))
    unchosen = drawn_positions(view)[: -len(view.indices) or None]
    areas = 8 + 110 * view.weights / max(float(view.weights.max(initial=0.0)), 1e-12)
    for axis, (name, (points, _)) in zip(axes, spaces.items(), strict=True):
        x, y = points.T
        axis.scatter(x[unchosen], y[unchosen], s=3, color=theme.pool, linewidths=0, alpha=0.7)
        look: dict[str, Any] = {"color": theme.chosen, "alpha": 0.6, "edgecolor": theme.paper, "linewidth": 0.5}
        axis.scatter(x[view.indices], y[view.indices], s=areas, **look)
        axis.set_title(f"{name} gradients", fontsize=10, color=theme.ink)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_aspect("equal", adjustable="datalim")
    return figure


def sources_figure(view: RunView, theme: Theme) -> "Figure | None":
    """Share of each source in the pool, among the picks, and by weight; the largest sources, the rest together."""
    rows = source_mix(view)
    if len(rows) < 2:
        return None
    shown = rows[:MOST_SOURCES]
    if len(rows) > MOST_SOURCES:
        rest = rows[MOST_SOURCES:]
        shares = {key: sum(row[key] for row in rest) for key in ("pool_share", "pick_share", "weight_share")}
        shown = [*shown, {"source": f"{len(rest)} smaller sources", **shares}]
    figure, (axis,) = new_figure(theme, WIDTH, 1.3 + 0.27 * len(shown))
    places = np.arange(len(shown))
    parts = {key: np.array([100 * row[key] for row in shown]) for key in ("pool_share", "pick_share", "weight_share")}
    axis.hlines(places, np.min([*parts.values()], axis=0), np.max([*parts.values()], axis=0), color=theme.grid, lw=3)
    axis.plot(parts["pool_share"], places, "|", color=theme.ink, markersize=11, markeredgewidth=2, label="pool")
    axis.plot(parts["pick_share"], places, "o", color=theme.chosen, markersize=6, label="by count")
    axis.plot(parts["weight_share"], places, "s", color=theme.weight, markersize=5, label="by weight")
    axis.set_yticks(places, [plain(row["source"]) for row in shown], color=theme.ink)
    for label in axis.get_yticklabels():
        label.set_parse_math(False)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.set_xlim(left=0)
    axis.set_xlabel("share, %")
    axis.grid(False, axis="y")
    legend(axis, theme, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def length_bins(lengths: np.ndarray) -> tuple[np.ndarray, bool]:
    """Edges between whole token counts, and whether they grow geometrically because the longest dwarfs the shortest."""
    low, high = max(1.0, float(lengths.min())), float(lengths.max())
    long_tail = high / low > 20
    steps = np.geomspace(low, high + 1, 21) if long_tail else np.linspace(low, high + 1, 31)
    return np.unique(np.round(steps)) - 0.5, long_tail


def lengths_figure(view: RunView, theme: Theme) -> "Figure | None":
    """Response length of the pool, of the picks, and of the picks by weight; each sums to 100 %."""
    from matplotlib.ticker import LogLocator, NullLocator

    found = response_lengths(view)
    if found is None:
        return None
    pool, picked, weights = found
    bins, long_tail = length_bins(pool)
    figure, (axis,) = new_figure(theme, WIDTH, 3.0)
    share = [np.histogram(pool, bins)[0], np.histogram(picked, bins)[0], np.histogram(picked, bins, weights=weights)[0]]
    heights = [100 * part / max(float(part.sum()), 1e-12) for part in share]
    axis.stairs(heights[0], bins, fill=True, color=theme.pool, alpha=0.55, label="pool")
    axis.stairs(heights[1], bins, color=theme.chosen, linewidth=1.8, label="by count")
    axis.stairs(heights[2], bins, color=theme.weight, linewidth=1.8, linestyle=(0, (4, 1.5)), label="by weight")
    if long_tail:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_minor_locator(NullLocator())
    thousands(axis, "x")
    axis.set_xlabel("response tokens" + (" (log scale)" if long_tail else ""))
    axis.set_ylabel("share, %")
    legend(axis, theme, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def weights_figure(view: RunView, theme: Theme) -> "Figure | None":
    """Weights in falling order, and the share of the total that the heaviest picks carry."""
    facts = weight_facts(view)
    if not facts:
        return None
    weights = np.sort(view.weights)[::-1]
    ranks = np.arange(1, len(weights) + 1)
    figure, (above, below) = new_figure(theme, WIDTH, 5.2, rows=2)
    steep = facts["largest"] > 30 * facts["smallest"]
    above.stairs(
        weights,
        np.arange(len(weights) + 1) + 0.5,
        fill=not steep,
        baseline=None if steep else 0,
        color=theme.weight,
        linewidth=1.8,
    )
    above.set_ylabel("weight (log scale)" if steep else "weight")
    above.set_yscale("log" if steep else "linear")
    above.set_ylim(bottom=0.8 * facts["smallest"] if steep else 0)
    below.plot([0, *ranks], [0, *(100 * np.cumsum(weights) / facts["sum"])], color=theme.weight, linewidth=1.8)
    below.plot([0, len(weights)], [0, 100], color=theme.muted, linewidth=0.9, linestyle=(0, (3, 3)))
    below.annotate("equal weights", (0.62 * len(weights), 56), color=theme.muted, fontsize=8.5)
    below.set_ylabel("share of the total weight, %")
    below.set_ylim(0, 103)
    for axis in (above, below):
        axis.set_xlabel("picks, heaviest first")
        axis.set_xlim(0, len(weights) + 0.5)
        thousands(axis, "x")
    thousands(above, "y")
    return figure


FIGURES: dict[str, Callable[[RunView, Theme], "Figure | None"]] = {
    "scores": scores_figure,
    "arms": arms_figure,
    "rounds": progress_figure,
    "alpha_search": alpha_figure,
    "pareto": pareto_figure,
    "plateau": plateau_figure,
    "spaces": spaces_figure,
    "sources": sources_figure,
    "lengths": lengths_figure,
    "weights": weights_figure,
}


def draw(view: RunView) -> dict[str, tuple[bytes, bytes]]:
    """Every figure this run has something for: name -> (light PNG, dark PNG)."""
    drawn: dict[str, tuple[bytes, bytes]] = {}
    for name, figure in FIGURES.items():
        light, dark = figure(view, LIGHT), figure(view, DARK)
        if light is not None and dark is not None:
            drawn[name] = (png(light), png(dark))
    return drawn


def alt_texts(view: RunView) -> dict[str, str]:
    """What each figure shows, in words, for readers who do not see it."""
    facts = weight_facts(view)
    half = f"the heaviest {count(facts['half'])} of {count(facts['picks'])} carry half of the total" if facts else ""
    trials, picks = len(view.trials), count(len(view.indices))
    return {
        "scores": "Dot chart of the scores in the table above, with error bars over seeds.",
        "arms": f"Line charts over {len(view.rounds)} rounds: the probability of every cluster, and mean utilities.",
        "rounds": f"Line charts over {len(view.rounds)} rounds: the loss of each, and the budget spent.",
        "alpha_search": f"Line charts of the covering errors at the {trials} values of alpha tried.",
        "pareto": f"Scatter of following error against knowledge error for {trials} trials, the chosen one ringed.",
        "plateau": f"Following error at {trials} values of alpha, and its change from one to the next against sigma.",
        "spaces": f"Scatter charts of the pool's gradients with {picks} picks marked.",
        "sources": "Dot chart of each source's share in the pool, by count and by weight; figures in the table.",
        "lengths": "Histograms of response length for the pool, the picks and the weighted picks.",
        "weights": f"Weights of the picks in falling order, and their running share: {half}.",
    }
