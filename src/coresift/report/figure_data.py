"""The data behind the figures of a run, as rows for CSV files. Sums are as in `coreset.json`."""

from collections.abc import Callable

import numpy as np

from coresift.report.scatter import drawn_positions, pool_ids, spaces_of
from coresift.report.sections import Facts, chosen_trial, relative_trials, response_lengths, source_mix
from coresift.report.tables import ACCURACY, LOSS, METRICS, seed_count, spread_of, value_of
from coresift.report.view import RunView


def scores(view: RunView) -> list[Facts]:
    """One row per model and measurement that was made."""
    return [
        {
            "trained on": str(score["name"]),
            "seeds": seed_count(score),
            "examples": score.get("examples"),
            "measure": f"{kind} {part}",
            "mean": value_of(score, kind, part),
            "standard deviation over seeds": spread_of(score, kind, part),
            "tokens": score.get("tokens"),
            "seconds": score.get("seconds"),
        }
        for score in view.scores
        for kind, parts in {"accuracy": ACCURACY, "metrics": tuple(METRICS), "loss": LOSS}.items()
        for part in parts
        if value_of(score, kind, part) is not None
    ]


def trials(view: RunView) -> list[Facts]:
    """Every α tried: both sums, and the errors per example relative to the pool's spread where that is known."""
    if len(view.trials) < 2:
        return []
    used, relative = chosen_trial(view), relative_trials(view)
    return [
        {
            "alpha": trial["alpha"],
            "B_KN": trial["B_KN"],
            "B_IF": trial["B_IF"],
            "sum": trial["B_KN"] + trial["B_IF"],
            **(
                {f"relative {key}": relative[place][key] for key in ("knowledge", "following", "sum")}
                if relative
                else {}
            ),
            "chosen": place == used,
        }
        for place, trial in enumerate(view.trials)
    ]


def points(view: RunView) -> list[Facts]:
    """Coordinates of the examples drawn in the gradient spaces."""
    spaces, ids = spaces_of(view), pool_ids(view)
    weight_of = dict(zip(view.indices.tolist(), view.weights.tolist(), strict=True))
    if not spaces:
        return []
    return [
        {
            "id": ids[position],
            "source": view.example_sources[position] if len(view.example_sources) else "",
            "weight": weight_of.get(position),
            **{
                f"{name} {axis}": values[position, k]
                for name, (values, _) in spaces.items()
                for k, axis in enumerate("xy")
            },
        }
        for position in drawn_positions(view).tolist()
    ]


def sources(view: RunView) -> list[Facts]:
    """The mix of sources before and after; nothing for a single source."""
    mix = source_mix(view)
    return mix if len(mix) > 1 else []


def lengths(view: RunView) -> list[Facts]:
    """How many examples have how many response tokens: in the pool, among the picks, and by weight."""
    found = response_lengths(view)
    if found is None:
        return []
    pool, picked, mass = found
    weights: dict[int, float] = {}
    for length, weight in zip(picked.astype(int).tolist(), mass.tolist(), strict=True):
        weights[length] = weights.get(length, 0.0) + weight
    there, counts = np.unique(pool.astype(int), return_counts=True)
    chosen = dict(zip(*(part.tolist() for part in np.unique(picked.astype(int), return_counts=True)), strict=True))
    return [
        {"response tokens": length, "pool": size, "chosen": chosen.get(length, 0), "weight": weights.get(length, 0.0)}
        for length, size in zip(there.tolist(), counts.tolist(), strict=True)
    ]


def weights(view: RunView) -> list[Facts]:
    """The weights in falling order."""
    order = np.argsort(-view.weights, kind="stable")
    return [{"rank": rank + 1, "weight": float(view.weights[place])} for rank, place in enumerate(order)]


def rounds(view: RunView) -> list[Facts]:
    """What every round did."""
    keys = ("round", "arm", "examples", "loss", "utility_before", "utility", "spent", "budget")
    return [{key: row.get(key) for key in keys} for row in view.rounds]


DATA: dict[str, Callable[[RunView], list[Facts]]] = {
    "scores": scores,
    "arms": rounds,
    "rounds": rounds,
    "alpha_search": trials,
    "pareto": trials,
    "plateau": trials,
    "spaces": points,
    "sources": sources,
    "lengths": lengths,
    "weights": weights,
}
"""Figure -> its data."""
