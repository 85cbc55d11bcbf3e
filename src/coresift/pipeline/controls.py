"""Controls that follow from what methods turned out to be: their cost, and the lengths that they chose."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from coresift.pipeline.grid import Cell, Grid, Variant, cells
from coresift.pipeline.recipes import Resolved
from coresift.pipeline.runs import Run
from coresift.selectors.matched import length_edges

CONTROL = "random"
Results = Sequence[Mapping[str, Any]]


def of_equal_cost(resolved: Resolved, grid: Grid, results: Results, folder: str, store: str) -> Iterator[Cell]:
    """Random subsets on which training costs what the dearest method costs, selection included."""
    for budget in grid.budgets:
        costs = [_flops(each) for each in _methods(results, budget)]
        plain = [each for each in results if each["ok"] and each["budget"] == str(budget) and each["label"] == CONTROL]
        if costs and plain:
            per_example = plain[0]["training"]["flops"] / plain[0]["examples"]
            size = min(len(Run(resolved).inputs.candidates), round(max(costs) / per_example))
            variant = Variant(f"random, equal cost ({budget})", {"name": "random"}, "none", control=True)
            yield from cells(resolved.recipe, grid.model_copy(update={"budgets": [size]}), folder, store, [variant])


def of_equal_lengths(resolved: Resolved, grid: Grid, results: Results, folder: str, store: str) -> Iterator[Cell]:
    """Random subsets with the response lengths that the first method of the grid chose, draw by draw."""
    packed = Run(resolved).inputs.rendered.packed
    for budget in grid.budgets:
        chosen = _methods(results, budget)
        first = [each for each in chosen if each["label"] == chosen[0]["label"]] if chosen else []
        for each in {each["draw"]: each for each in first}.values():
            edges = length_edges(packed.targets(np.array(each["picks"])))
            method = {"name": "length-matched", "edges": list(edges)}
            variant = Variant(f"random, lengths of {each['label']}", method, "none", control=True)
            of = cells(resolved.recipe, grid.model_copy(update={"budgets": [budget]}), folder, store, [variant])
            yield from (cell for cell in of if cell.draw == each["draw"])


def _methods(results: Results, budget: str | int | float) -> list[Mapping[str, Any]]:
    """The cells of methods that pay for their choice."""
    return [
        each
        for each in results
        if each["ok"] and each["budget"] == str(budget) and not each["control"] and each["selection"]["flops"] > 0
    ]


def _flops(result: Mapping[str, Any]) -> float:
    return float(result["training"]["flops"] + result["selection"]["flops"])
