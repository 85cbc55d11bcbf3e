"""The sentences of the page: what was chosen, how it was trained on, what is proved, who came out ahead."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from coresift.report.tables import spread_of, value_of
from coresift.report.units import count, is_number, number, percent_up
from coresift.report.view import RunView

METHOD_NAMES = {"brief": "BRIEF", "random": "Random selection", "full": "The full pool"}


def method_name(method: str) -> str:
    """How a method is called in prose."""
    return METHOD_NAMES.get(method, method)


def title(view: RunView) -> str:
    """The headline, e.g. "BRIEF chose 200 of 4,000 examples"."""
    picks = len(view.indices)
    if picks == view.n:
        return f"All {count(view.n)} examples were kept"
    return f"{method_name(view.method)} chose {count(picks)} of {count(view.n)} examples"


def chosen(view: RunView) -> str:
    """What was chosen, from what, under which budget and with which alpha."""
    picks, whole = count(len(view.indices)), count(view.n)
    start = f"Under a budget of {view.budget}, " if view.budget else ""
    if view.method == "full":
        sentence = f"{start}the whole pool was kept, {whole} examples"
    elif view.method == "random":
        sentence = f"{start}{picks} of the pool's {whole} examples were chosen at random"
    else:
        sentence = f"{start}{method_name(view.method)} chose {picks} of the pool's {whole} examples"
    return sentence[0].upper() + sentence[1:] + _alpha(view) + "."


def _alpha(view: RunView) -> str:
    alpha = view.diagnostics.get("alpha")
    if not is_number(alpha):
        return ""
    if view.diagnostics.get("alpha_mode") == "fixed":
        return f", with α fixed at {number(alpha, digits=3)}"
    tried = f", the best of {len(view.trials)} values tried" if len(view.trials) > 1 else ""
    return f", with α\u00a0=\u00a0{number(alpha, digits=3)}{tried}"


def trained(view: RunView) -> str:
    """Whether the final training was weighted, in words that cannot be misread."""
    if view.weighting is None:
        if len(view.scores) > 0:
            return "Whether the final training was weighted or unweighted is not recorded."
        return "No final model was trained in this run."
    if view.weighting == "none":
        return "The final training was unweighted: every pick counts the same, whatever its weight."
    how = {
        "loss": "a pick of weight 3 pulls on the loss as three copies of it would",
        "sampling": "a pick of weight 3 is drawn three times as often as one of weight 1",
    }[view.weighting]
    if len(view.weights) and np.ptp(view.weights) == 0:
        how = "but all weights are equal, so it is the same as unweighted"
        return f"The final training was weighted (by {view.weighting}), {how}."
    return f"The final training was weighted (by {view.weighting}): {how}."


def training_word(view: RunView) -> str:
    """One word for the tile: weighted, unweighted, none or not recorded."""
    if view.weighting is None:
        return "not recorded" if len(view.scores) > 0 else "none"
    return "unweighted" if view.weighting == "none" else "weighted"


def certificate(error: Any, lower_bound: Any, picks: int) -> list[str]:
    """What the lower bound proves about the composite error of this subset.

    With LB <= OPT <= error, no subset of the size can lie more than (error - LB) / error below the error found, and the
    error found lies at most (error - LB) / LB above the best possible. Percentages are rounded up, so they stay true.
    """
    if not (is_number(error) and is_number(lower_bound)):
        return []
    if lower_bound > error * (1 + 1e-6) + 1e-12:
        return [
            f"The recorded lower bound, {number(lower_bound)}, is above the error it bounds, {number(error)}:"
            " one of the two is wrong, and nothing follows from them."
        ]
    if error <= 0:
        return ["The composite error is zero: no subset of any size can do better."]
    if lower_bound <= 0:
        return [
            "The lower bound is zero, so nothing is proved about how close this subset is to the best one of its size."
        ]
    below, above = max(0.0, (error - lower_bound) / error), max(0.0, (error - lower_bound) / lower_bound)
    if below == 0:
        return [f"No subset of {count(picks)} examples has a lower composite error: this one is proved optimal."]
    return [
        f"No subset of {count(picks)} examples can have a composite error more than {percent_up(below)} lower"
        " than this one's.",
        f"The error is {number(error)}; no subset of this size can get below {number(lower_bound)}. Said the other way"
        f" round, the error found is at most {percent_up(above)} above the best possible.",
    ]


def outcome(scores: Sequence[Mapping[str, Any]], size: int) -> str:
    """Who came out ahead among rows trained on `size` examples, whoever it is; empty with nothing to compare."""
    peers = [
        score for score in scores if score.get("examples") == size and value_of(score, "accuracy", "all") is not None
    ]
    if len(peers) < 2:
        return ""
    ranked = sorted(peers, key=lambda score: -(value_of(score, "accuracy", "all") or 0.0))
    best, second = ranked[0], ranked[1]
    lead = (value_of(best, "accuracy", "all") or 0.0) - (value_of(second, "accuracy", "all") or 0.0)
    if lead == 0:
        return f"At {count(size)} examples, {best['name']} and {second['name']} reach the same accuracy on all items."
    sentence = (
        f"At {count(size)} examples, {best['name']} reaches the highest accuracy on all items, {lead:.3f} above"
        f" {second['name']}"
    )
    spreads = [spread for score in (best, second) if (spread := spread_of(score, "accuracy", "all")) is not None]
    if not spreads:
        return sentence + "; no spread over seeds is known."
    verdict = "less" if lead < max(spreads) else "more"
    return f"{sentence}: {verdict} than the larger standard deviation over seeds, {max(spreads):.3f}."
