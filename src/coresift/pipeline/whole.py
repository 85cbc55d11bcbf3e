"""All stages of a recipe, one after the other."""

from collections.abc import Callable
from typing import Any

from coresift.pipeline.reporting import report
from coresift.pipeline.runs import Run
from coresift.pipeline.scoring import evaluate
from coresift.pipeline.stages import Say, extract, select, train, warmup

STAGES: dict[str, Callable[..., Any]] = {
    "warmup": warmup,
    "extract": extract,
    "select": select,
    "train": train,
    "evaluate": evaluate,
    "report": report,
}
"""Stage name -> function of a run; each does what it needs of the ones before it."""


def execute(run: Run, *, say: Say = print) -> list[dict[str, Any]]:
    """Run every stage that is not done yet.

    Returns:
        The rows of the score table; empty when nothing was trained.
    """
    rows = evaluate(run, say=say)
    report(run, say=say)
    return rows
