"""The figures of training in rounds: which arm was drawn and how likely it was, utilities, losses, the budget."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from coresift.report.theme import WIDTH, Theme, legend, new_figure, thousands
from coresift.report.view import RunView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def arms_figure(view: RunView, theme: Theme) -> "Figure | None":
    """Above, the probability of every arm before each draw, the drawn one marked; below, the mean utility of what each
    arm gave to train on, before and after its rounds."""
    rounds = [row for row in view.rounds if row.get("probabilities")]
    if len(rounds) == 0:
        return None
    figure, (above, below) = new_figure(theme, WIDTH, 6.0, rows=2)
    chances = np.array([row["probabilities"] for row in rounds], dtype=float)
    numbers = [row["round"] + 1 for row in rounds]
    colours = _ramp(theme, chances.shape[1])
    for arm, colour in enumerate(colours):
        above.plot(numbers, 100 * chances[:, arm], "-", color=colour, linewidth=1.4, label=str(arm))
        drawn = [place for place, row in enumerate(rounds) if row["arm"] == arm]
        above.plot([numbers[place] for place in drawn], 100 * chances[drawn, arm], "o", color=colour, markersize=5.5)
        for place in drawn:
            moved = [rounds[place]["utility_before"], rounds[place]["utility"]]
            below.plot([numbers[place] - 0.3, numbers[place] + 0.3], moved, "-", color=colour, linewidth=2.2)
    above.set_ylabel("probability of the cluster, %")
    below.set_ylabel("mean utility of a round, nats")
    for axis in (above, below):
        _whole_rounds(axis, len(view.rounds))
        axis.set_ylim(bottom=0)
    legend(above, theme, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5, title=None, columnspacing=0.9)
    return figure


def progress_figure(view: RunView, theme: Theme) -> "Figure | None":
    """Above, the mean loss of each round's examples as training met them; below, how much of the budget is spent."""
    if len(view.rounds) == 0:
        return None
    figure, (above, below) = new_figure(theme, WIDTH, 5.6, rows=2)
    numbers = [row["round"] + 1 for row in view.rounds]
    above.plot(numbers, [row["loss"] for row in view.rounds], "o-", color=theme.chosen, markersize=4.5, linewidth=1.3)
    below.step(
        [0, *numbers], [0, *(row["spent"] for row in view.rounds)], where="post", color=theme.chosen, label="spent"
    )
    below.axhline(view.rounds[-1]["budget"], color=theme.weight, linewidth=1.3, linestyle=(0, (4, 2)), label="budget")
    above.set_ylabel("loss of the round's examples, nats")
    below.set_ylabel("different examples trained on")
    for axis in (above, below):
        _whole_rounds(axis, len(view.rounds))
        axis.set_ylim(bottom=0)
    thousands(below, "y")
    legend(below, theme, loc="lower center", bbox_to_anchor=(0.5, 0.98), ncols=2)
    return figure


def arm_rows(view: RunView) -> list[dict[str, Any]]:
    """One row per arm that was drawn: how often, what it gave, how its utilities moved in mean."""
    drawn: dict[int, list[Mapping[str, Any]]] = {}
    for row in view.rounds:
        if row.get("arm") is not None:
            drawn.setdefault(int(row["arm"]), []).append(row)
    return [
        {
            "arm": arm,
            "rounds": len(rows),
            "examples": sum(row["examples"] for row in rows),
            "before": _mean([row["utility_before"] for row in rows]),
            "after": _mean([row["utility"] for row in rows]),
            "probability": float(rows[-1]["probabilities"][arm]),
        }
        for arm, rows in sorted(drawn.items())
    ]


def estimate_rows(view: RunView) -> list[dict[str, Any]]:
    """One row per estimate of loss changes; empty where losses were not measured again."""
    return [{"name": name, **found} for name, found in (view.diagnostics.get("estimates") or {}).items()]


def _mean(values: Sequence[Any]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _ramp(theme: Theme, arms: int) -> list[tuple[float, ...]]:
    """Colours from easy to hard, between two of the theme's."""
    from matplotlib.colors import to_rgb

    easy, hard = np.array(to_rgb(theme.chosen)), np.array(to_rgb(theme.weight))
    return [tuple(easy + (hard - easy) * share) for share in np.linspace(0, 1, max(arms, 2))[:arms]]


def _whole_rounds(axis: "Axes", rounds: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_xlabel("round")
    axis.set_xlim(0, rounds + 0.6)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
