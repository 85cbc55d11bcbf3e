"""What the figures of a comparison show, as rows: the same rows are drawn, and offered as CSV.

`found` is always what stands in `compare.json`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from coresift.statistics.payoff import break_even

Row = dict[str, Any]
Found = Mapping[str, Any]
DECIDING = ("accuracy", "loss")
"""Metrics by which of them decides where both were measured."""


def leading(found: Found) -> list[Mapping[str, Any]]:
    """The table that decides, one per budget: accuracy where it was measured, else the loss, on the first test."""
    tables: Sequence[Mapping[str, Any]] = found["tables"]
    metric = next((each for each in DECIDING if any(table["metric"] == each for table in tables)), None)
    by_budget: dict[str, Mapping[str, Any]] = {}
    for table in tables:
        if metric is None or table["metric"] == metric:
            by_budget.setdefault(table["budget"], table)
    return list(by_budget.values())


def differences(found: Found) -> list[Row]:
    """Every variant against random, with its interval, in the tables that decide."""
    keys = ("label", "control", "difference", "error", "low", "high", "resolvable", "verdict")
    return [
        {"budget": table["budget"], "metric": table["metric"], "better": table["better"], **_picked(row, keys)}
        for table in leading(found)
        for row in table["rows"]
        if row["difference"] is not None
    ]


def score_against_cost(found: Found) -> list[Row]:
    """Score and what it cost, selection included; what ran no model is not among them."""
    keys = ("label", "control", "mean", "spread", "verdict", "tokens", "flops", "seconds")
    return [
        {"budget": table["budget"], "metric": table["metric"], **_picked(row, keys)}
        for table in leading(found)
        for row in table["rows"]
        if row["flops"] > 0
    ]


def score_against_budget(found: Found) -> list[Row]:
    """Scores of what is there at several budgets, by size; empty with a single budget."""
    tables = leading(found)
    if len(tables) < 2:
        return []
    rows = [
        {"budget": table["budget"], "metric": table["metric"], **_picked(row, ("label", "examples", "mean", "spread"))}
        for table in tables
        for row in table["rows"]
        if row["examples"] > 0
    ]
    times: dict[str, int] = {}
    for row in rows:
        times[row["label"]] = times.get(row["label"], 0) + 1
    return [row for row in rows if times[row["label"]] > 1]


def overlap(found: Found) -> list[Row]:
    """Jaccard index of the picks of every two variants."""
    return [
        {"budget": its["budget"], "first": first, "second": second, "jaccard": its["jaccard"][i][j]}
        for its in found["overlap"]
        for i, first in enumerate(its["labels"])
        for j, second in enumerate(its["labels"])
    ]


def gradient_errors(found: Found) -> list[Row]:
    """Error of the weighted gradient sum in both spaces, one row per cell whose method measured them."""
    rows = []
    for cell in _selections(found):
        errors = cell["errors"] or {}
        if errors.get("e_KN") is not None and errors.get("e_IF") is not None:
            rows.append({**_where(cell), "knowledge": errors["e_KN"], "following": errors["e_IF"]})
    return rows


def alpha_trials(found: Found) -> list[Row]:
    """Every α that a search tried: both covering errors, and whether it was chosen."""
    return [
        {
            **_where(cell),
            "alpha": trial["alpha"],
            "B_KN": trial["B_KN"],
            "B_IF": trial["B_IF"],
            "sum": trial["B_KN"] + trial["B_IF"],
            "chosen": cell["alpha"] is not None and abs(trial["alpha"] - cell["alpha"]) < 1e-6,
        }
        for cell in _selections(found)
        if len(cell["trials"] or ()) > 1
        for trial in sorted(cell["trials"], key=lambda trial: trial["alpha"])
    ]


def alpha_scores(found: Found) -> list[Row]:
    """Scores of the models trained at different α, and whether α was searched; empty with fewer than three values."""
    tables = leading(found)
    if not tables:
        return []
    test, metric = tables[0]["test"], tables[0]["metric"]
    part = ("accuracy", "all") if metric == "accuracy" else ("loss", "response")
    rows = []
    for cell in found["cells"]:
        score = (cell["tests"].get(test, {}).get(part[0]) or {}).get(part[1])
        if cell["alpha"] is not None and score is not None:
            searched = len(cell["trials"] or ()) > 1
            rows.append({**_where(cell), "alpha": cell["alpha"], metric: score, "searched": searched})
    return rows if len({round(row["alpha"], 6) for row in rows}) > 2 else []


def trainings_until_it_pays(table: Mapping[str, Any]) -> dict[str, int | None]:
    """Variant -> the number of trainings after which choosing cost less time than training on the whole pool.

    None where it never does; variants without a selection, and tables without the full pool, have no entry.
    """
    full = next((row for row in table["rows"] if row["label"] == "full"), None)
    if full is None:
        return {}
    return {
        row["label"]: break_even(
            row["selection_seconds"],
            training=max(0.0, row["seconds"] - row["selection_seconds"]),
            instead=max(0.0, full["seconds"] - full["selection_seconds"]),
        )
        for row in table["rows"]
        if not row["control"] and row["selection_seconds"] > 0
    }


DATA = {
    "differences": differences,
    "cost": score_against_cost,
    "budget": score_against_budget,
    "overlap": overlap,
    "errors": gradient_errors,
    "alpha": alpha_trials,
    "alpha_scores": alpha_scores,
}
"""Figure -> its rows; no rows, no figure."""


def _selections(found: Found) -> list[Mapping[str, Any]]:
    """One cell for every selection: several trainings of one share it."""
    return [cell for cell in found["cells"] if cell["training_seed"] == 0]


def _where(cell: Mapping[str, Any]) -> Row:
    return {"label": cell["label"], "budget": cell["budget"], "draw": cell["draw"]}


def _picked(row: Mapping[str, Any], keys: Sequence[str]) -> Row:
    return {key: row[key] for key in keys}
