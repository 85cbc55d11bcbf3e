"""A comparison from its grid to its tables: the cells are done where they are not, then everything is put side by side.

runs/NAME/
  settings.yaml          the recipe, with its grid
  cells/VARIANT/...      one run folder per cell
  compare.parquet        a row per cell, test and metric
  compare.json           everything that the tables and the page show
  compare.md             the tables
  report/index.html      the page
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coresift import files
from coresift.budget import Budget
from coresift.errors import RunError
from coresift.execution.base import Executor
from coresift.execution.local import LocalExecutor
from coresift.pipeline.cells import Shared, run_cell, score_base, share_features
from coresift.pipeline.controls import CONTROL, of_equal_cost, of_equal_lengths
from coresift.pipeline.grid import Cell, Grid, cells, variants
from coresift.pipeline.recipes import Resolved
from coresift.pipeline.runs import store_folder
from coresift.statistics.overlap import overlaps
from coresift.statistics.paired import Better, Difference, compare
from coresift.statistics.words import summary, verdict

Say = Callable[[str], None]
METRICS: dict[str, tuple[str, Better]] = {
    "loss": ("response", "lower"),
    "knowledge loss": ("knowledge", "lower"),
    "accuracy": ("exact", "higher"),
}
"""What models are compared by: name in tables -> score of a test example, and which is better."""


@dataclass(frozen=True)
class Comparison:
    """A grid of cells in one folder.

    Attributes:
        resolved: The recipe, with a grid.
        folder: Where everything goes.
    """

    resolved: Resolved
    folder: Path

    @property
    def grid(self) -> Grid:
        """What is compared."""
        return self.resolved.recipe.grid or Grid()

    def execute(self, executor: Executor | None = None, *, say: Say = print) -> dict[str, Any]:
        """Do all cells that are not done and put everything side by side.

        Args:
            executor: Runs the cells; this process by default.
            say: Told what is done.

        Returns:
            What stands in `compare.json`.

        Raises:
            SettingsError: If the grid is not possible.
            RunError: If no cell of random went through: there is nothing to compare with.
        """
        engine = executor or LocalExecutor()
        recipe, folder = self.resolved.recipe, str(self.folder)
        if recipe.train is None:
            raise RunError("the recipe has no `train` section, so there is nothing to compare. Add it.")
        store = str(store_folder(recipe.store, self.folder))
        of = variants(recipe, self.grid)
        planned = list(cells(recipe, self.grid, folder, store, of))
        files.write_text(self.folder / "settings.yaml", self.resolved.to_yaml())
        say(f"comparison: {len(of)} variants, {len(planned)} cells in {self.folder}")
        shared = _shared_work(planned, folder)
        list(engine.map(share_features, shared, label="features", unit="draws"))
        results = list(engine.map(run_cell, planned, label="cells", unit="cells"))
        extra = list(of_equal_cost(self.resolved, self.grid, results, folder, store)) if self.grid.equal_cost else []
        if "length-matched" in self.grid.controls:
            extra += of_equal_lengths(self.resolved, self.grid, results, folder, store)
        results += list(engine.map(run_cell, extra, label="cells of further controls", unit="cells"))
        base = score_base(planned[0])
        found = gather(results, base, self.grid, name=recipe.name)
        files.write_json(self.folder / "compare.json", found)
        _write_parquet(self.folder / "compare.parquet", results)
        for line in _failures(results):
            say(line)
        return found


def _shared_work(planned: Sequence[Cell], folder: str) -> list[Shared]:
    """One item per draw: what its methods look at is computed in one pass over the pool."""
    draws: dict[int, list[Cell]] = {}
    for cell in planned:
        draws.setdefault(cell.draw, []).append(cell)
    return [Shared(dict(of[0].recipe), f"{folder}/draws/{draw}", _methods(of)) for draw, of in draws.items()]


def _methods(of: Sequence[Cell]) -> tuple[str, ...]:
    chosen = [cell.variant.method for cell in of if not cell.variant.control]
    return tuple(dict.fromkeys(json.dumps(dict(method), sort_keys=True) for method in chosen))


def _failures(results: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"failed: {each['label']}, budget {each['budget']}, draw {each['draw']}: {each['error']}"
        for each in results
        if not each["ok"]
    ]


def gather(results: Sequence[Mapping[str, Any]], base: Mapping[str, Any], grid: Grid, *, name: str) -> dict[str, Any]:
    """Tables of every budget and test from the results of the cells.

    Raises:
        RunError: If no cell of random went through.
    """
    budgets = [str(each) for each in grid.budgets]
    tables = []
    for budget in budgets:
        of = [
            each
            for each in results
            if each["ok"] and (each["budget"] == budget or each["label"].endswith(f"({budget})"))
        ]
        if not any(each["label"] == CONTROL for each in of):
            raise RunError(f"budget {budget}: no cell of {CONTROL} went through, so there is nothing to compare with.")
        for test in of[0]["tests"]:
            tables += [table for metric in METRICS if (table := _table(of, base, budget, test, metric)) is not None]
    return {
        "name": name,
        "summary": [table["summary"] for table in tables],
        "tables": tables,
        "overlap": [
            _overlap([each for each in results if each["ok"] and each["budget"] == budget], budget)
            for budget in budgets
        ],
        "failed": [
            {key: each[key] for key in ("label", "budget", "draw", "training_seed", "error")}
            for each in results
            if not each["ok"]
        ],
        "cells": [_cell_facts(each) for each in results if each["ok"]],
    }


def _cell_facts(result: Mapping[str, Any]) -> dict[str, Any]:
    tests = {test: {key: its[key] for key in ("loss", "accuracy", "metrics")} for test, its in result["tests"].items()}
    kept = (
        "label",
        "method",
        "control",
        "budget",
        "draw",
        "training_seed",
        "training",
        "selection",
        "examples",
        "steps",
        "alpha",
        "trials",
        "errors",
    )
    return {**{key: result[key] for key in kept}, "tests": tests}


def _table(
    of: Sequence[Mapping[str, Any]], base: Mapping[str, Any], budget: str, test: str, metric: str
) -> dict[str, Any] | None:
    """One metric on one test at one budget: every variant against random; None if not measured."""
    column, better = METRICS[metric]
    scores = {label: _scores([each for each in of if each["label"] == label], test, column) for label in _labels(of)}
    if any(its is None for its in scores.values()):
        return None
    known = {label: its for label, its in scores.items() if its is not None}
    control = known.pop(CONTROL)
    if test in base:
        known["none (base model)"] = _items(base[test], column)[None]
    fixed = [label for label, its in known.items() if len(its) == 1 and not _drawn(of, label)]
    compared = compare(known, control, name=CONTROL, fixed=fixed, better=better)
    rows = [_row(of, CONTROL, control, None)]
    rows += [_row(of, label, its, compared.differences[label]) for label, its in known.items()]
    return {
        "budget": budget,
        "test": test,
        "metric": metric,
        "better": better,
        "items": compared.items,
        "summary": f"{metric} on the {test}, budget {budget}: {summary(compared, digits=3)}",
        "rows": rows,
    }


def _drawn(of: Sequence[Mapping[str, Any]], label: str) -> bool:
    return any(each["label"] == label and each["method"] not in ("full", "longest") for each in of)


def _row(
    of: Sequence[Mapping[str, Any]], label: str, scores: np.ndarray, difference: Difference | None
) -> dict[str, Any]:
    cells_of = [each for each in of if each["label"] == label]

    def mean(part: str, key: str) -> float:
        return float(np.mean([each[part][key] for each in cells_of])) if cells_of else 0.0

    per_draw = scores.mean(axis=1)
    return {
        "label": label,
        "control": bool(cells_of[0]["control"]) if cells_of else True,
        "draws": len(scores),
        "mean": float(per_draw.mean()),
        "spread": float(per_draw.std(ddof=1)) if len(per_draw) > 1 else None,
        "difference": None if difference is None else difference.value,
        "error": None if difference is None else difference.error,
        "low": None if difference is None else difference.low,
        "high": None if difference is None else difference.high,
        "p": None if difference is None else difference.adjusted,
        "verdict": "" if difference is None else verdict(difference),
        "resolvable": None if difference is None else difference.resolvable,
        "examples": int(np.mean([each["examples"] for each in cells_of])) if cells_of else 0,
        "steps": float(np.mean([each["steps"] for each in cells_of])) if cells_of else 0.0,
        "training_tokens": mean("training", "tokens"),
        "tokens": mean("training", "tokens") + mean("selection", "tokens"),
        "seconds": mean("training", "seconds") + mean("selection", "seconds"),
        "selection_seconds": mean("selection", "seconds"),
        "flops": mean("training", "flops") + mean("selection", "flops"),
    }


def _labels(of: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(each["label"]) for each in of))


def _scores(of: Sequence[Mapping[str, Any]], test: str, column: str) -> np.ndarray | None:
    """[draws, items]: means over training seeds; None where the column was not measured."""
    draws = []
    for draw in sorted({each["draw"] for each in of}):
        found = [_items(each["tests"][test], column) for each in of if each["draw"] == draw]
        if any(len(each) == 0 for each in found):
            return None
        draws.append(np.mean(found, axis=0))
    return np.array(draws)


def _items(scores: Mapping[str, Any], column: str) -> np.ndarray:
    return np.array(files.read_object(Path(scores["items"])).get(column, []), dtype=np.float64)


def _overlap(of: Sequence[Mapping[str, Any]], budget: str) -> dict[str, Any]:
    """How much of their picks the variants share at the first draw, as Jaccard indices."""
    first = {
        each["label"]: np.array(each["picks"])
        for each in reversed(of)
        if each["draw"] == 0 and each["method"] != "full"
    }
    names = [label for label in _labels(of) if label in first]
    return {"budget": budget, "labels": names, "jaccard": overlaps([first[name] for name in names]).tolist()}


def _write_parquet(path: Path, results: Sequence[Mapping[str, Any]]) -> None:
    """A row per cell, test and metric."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for each in results:
        shared = {key: each[key] for key in ("label", "method", "control", "budget", "draw", "training_seed", "ok")}
        if not each["ok"]:
            rows.append({**shared, "test": "", "metric": "", "value": None, "error": each["error"]})
            continue
        costs = {f"training_{key}": float(each["training"][key]) for key in ("tokens", "seconds", "flops")}
        costs |= {f"selection_{key}": float(each["selection"][key]) for key in ("tokens", "seconds", "flops")}
        for test, its in each["tests"].items():
            values = {**{f"loss {part}": value for part, value in (its["loss"] or {}).items()}}
            values |= {f"accuracy {part}": value for part, value in (its["accuracy"] or {}).items()}
            values |= (its["metrics"] or {}).get("means", {})
            for metric, value in values.items():
                sizes = {"examples": each["examples"], "steps": each["steps"]}
                rows.append({**shared, "test": test, "metric": metric, "value": value, "error": "", **sizes, **costs})
    files.write_whole(path, lambda temporary: pq.write_table(pa.Table.from_pylist(rows), temporary))


def size_in_words(budget: str | int | float, n: int) -> str:
    """A budget in examples, for example `5% (200 of 4,000)`."""
    parsed = Budget.parse(budget)
    return str(parsed) if parsed.kind == "tokens" else f"{parsed} ({parsed.count(n):,} of {n:,})"
