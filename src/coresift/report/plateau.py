"""The figure of a plateau search: the following error, and its steps against the size that counts as flat."""

from typing import TYPE_CHECKING

import numpy as np

from coresift.report.sections import chosen_trial
from coresift.report.theme import WIDTH, Theme, legend, new_figure, thousands
from coresift.report.view import RunView

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plateau_figure(view: RunView, theme: Theme) -> "Figure | None":
    """Above, following error against alpha with a star at the chosen one; below, absolute steps and sigma."""
    place, sigma = chosen_trial(view), (view.diagnostics.get("search") or {}).get("sigma")
    if view.diagnostics.get("alpha_mode") != "plateau" or place is None or sigma is None or len(view.trials) < 2:
        return None
    alphas = np.array([trial["alpha"] for trial in view.trials])
    following = np.array([trial["B_IF"] for trial in view.trials])
    figure, (above, below) = new_figure(theme, WIDTH, 5.6, rows=2)
    above.plot(alphas, following, "-", color=theme.third, linewidth=1.3)
    above.plot(alphas[place], following[place], "*", color=theme.ink, markersize=13, zorder=5)
    below.plot(alphas[1:], np.abs(np.diff(following)), "o", color=theme.chosen, markersize=3.5, label="step")
    below.axhline(sigma, color=theme.weight, linewidth=1.3, label="σ")
    for axis, label in ((above, "following error"), (below, "step from the α before")):
        axis.axvline(alphas[place], color=theme.muted, linewidth=0.9, linestyle=(0, (3, 3)), zorder=0)
        axis.set_xlabel("α")
        axis.set_ylabel(label)
        axis.margins(0.06, 0.1)
    thousands(above, "y")
    legend(below, theme, loc="lower center", bbox_to_anchor=(0.5, 0.98), ncols=2)
    return figure
