"""A small comparison by hand, in the shape of `compare.json`."""

from typing import Any


def row(label: str, mean: float, verdict: str = "", *, control: bool = False, **changes: Any) -> dict[str, Any]:
    """One row of a table; a difference only where there is a verdict."""
    gap = round(mean - 0.5, 3) if verdict else None
    values = {
        "label": label, "control": control, "draws": 3, "mean": mean, "spread": 0.01, "difference": gap,
        "error": gap and 0.01, "low": gap and gap - 0.02, "high": gap and gap + 0.02, "p": gap and 0.5,
        "verdict": verdict, "resolvable": gap and 0.03, "examples": 20, "steps": 5.0, "training_tokens": 1000.0,
        "tokens": 1000.0, "seconds": 2.0, "selection_seconds": 0.0, "flops": 1e9,
    }  # fmt: skip
    return {**values, **changes}


def cell(label: str, draw: int, **changes: Any) -> dict[str, Any]:
    """One cell without a search."""
    values = {
        "label": label, "method": label, "control": False, "budget": "0.05", "draw": draw, "training_seed": 0,
        "alpha": None, "trials": None, "errors": {}, "tests": {"test": {"loss": {"response": 1.0}, "accuracy": None}},
    }  # fmt: skip
    return {**values, **changes}


def found(**changes: Any) -> dict[str, Any]:
    """BRIEF resolved better, CRAIG not, full in the table; one search, one failed cell."""
    rows = [
        row("random", 0.5, control=True),
        row("brief", 0.58, "resolved better", tokens=9000.0, seconds=12.0, selection_seconds=10.0, flops=9e9),
        row("craig", 0.51, "not resolved (smallest resolvable ±0.030)"),
        row("full", 0.8, "resolved better", control=True, examples=400, seconds=7.0, flops=2e10),
    ]
    table = {"budget": "0.05", "test": "test", "metric": "accuracy", "better": "higher", "items": 100, "rows": rows}
    loss = {**table, "metric": "loss", "better": "lower", "summary": "loss on the test: nothing is resolved."}
    trials = [{"alpha": a, "B_KN": 10 + a, "B_IF": 9 - 2 * a} for a in (0.2, 0.5, 0.8)]
    errors = {"e_KN": 3.0, "e_IF": 2.0}
    values = {
        "name": "small",
        "summary": ["loss on the test: nothing is resolved.", "accuracy on the test: brief is resolved better."],
        "tables": [loss, {**table, "summary": "accuracy on the test: brief is resolved better."}],
        "overlap": [{"budget": "0.05", "labels": ["brief", "craig"], "jaccard": [[1.0, 0.25], [0.25, 1.0]]}],
        "failed": [{"label": "mint", "budget": "0.05", "draw": 0, "training_seed": 0, "error": "no <b>room</b>"}],
        "cells": [cell("brief", d, alpha=0.8, trials=trials, errors=errors) for d in (0, 1)] + [cell("craig", 0)],
    }
    return {**values, **changes}
