"""How the rows of a score table differ from random: paired over the test examples that all of them were scored on."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from coresift import files
from coresift.pipeline.runs import Run
from coresift.statistics.paired import Better, Difference, compare

CONTROL = "random"
BASE = "none (base model)"
MEASURES: tuple[tuple[str, str, Better], ...] = (("accuracy", "exact", "higher"), ("loss", "response", "lower"))
"""What decides, first what comes first: its name, its column in the scores of every test example, which is better."""
FIXED = ("full", BASE)
"""Rows that no draw could have made different."""


def against_random(run: Run) -> dict[str, Any]:
    """The differences, as `RunView.against`; empty without scores of random on two examples or more.

    Seeds of a row are its draws. The method has one: how far others could be from it is judged by the spread of random.
    """
    items = _item_scores(run)
    for metric, column, better in MEASURES:
        scores = {name: _table(its, column) for name, its in items.items()}
        known = {name: its for name, its in scores.items() if its is not None}
        control = known.get(CONTROL)
        if control is None or len(known) < 2 or control.shape[1] < 2:
            continue
        rest = {name: its for name, its in known.items() if name != CONTROL}
        found = compare(rest, control, name=CONTROL, fixed=[name for name in FIXED if name in rest], better=better)
        return {
            "metric": metric,
            "better": better,
            "items": found.items,
            "rows": {name: _facts(difference) for name, difference in found.differences.items()},
            "unweighted": _unweighted(run, known, better),
            "item_errors": {name: _over_items(its) for name, its in known.items()},
        }
    return {}


def _unweighted(run: Run, known: Mapping[str, np.ndarray], better: Better) -> dict[str, Any] | None:
    """The same picks trained on without weights, against with them: one draw each, so about these two models only."""
    method = run.recipe.selector.name
    without = known.get(f"{method}, unweighted")
    if without is None or method not in known:
        return None
    found = compare({"unweighted": without}, known[method], name=method, shared_draws=True, better=better)
    return _facts(found.differences["unweighted"])


def _facts(difference: Difference) -> dict[str, Any]:
    return {
        "value": difference.value,
        "error": difference.error,
        "verdict": difference.verdict,
        "resolvable": difference.resolvable,
    }


def _over_items(scores: np.ndarray) -> float:
    """Standard error of a mean over test examples, seeds averaged before."""
    means = scores.mean(axis=0)
    return float(means.std(ddof=1) / np.sqrt(len(means)))


def _item_scores(run: Run) -> dict[str, list[dict[str, Any]]]:
    """Name of a row of the table -> the scores of every test example of each of its models."""
    method = run.recipe.selector.name
    rows: dict[str, list[dict[str, Any]]] = {}
    for role in run.uses.names:
        place = role.removeprefix("scores/")
        if place == role or place.endswith("-in-context"):
            continue
        names = {"final": method, "base": BASE, "unweighted": f"{method}, unweighted"}
        repeat = place.rpartition("-")[0]
        name = names.get(place, repeat if repeat in ("random", "balanced-random") else place)
        found = files.read_object(run.folder / role / "items.json")
        if found:
            rows.setdefault(name, []).append(found)
    return rows


def _table(items: list[dict[str, Any]], column: str) -> np.ndarray | None:
    """[draws, items]; None where a model was not scored by it."""
    if any(len(each.get(column, ())) == 0 for each in items):
        return None
    return np.array([each[column] for each in items], dtype=np.float64)
