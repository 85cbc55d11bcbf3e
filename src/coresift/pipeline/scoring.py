"""The evaluation stage: every trained model, and the base, on the same held-out examples; one table at the end."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coresift import files
from coresift.evaluation.scores import mean_and_spread, score
from coresift.models.load import load_model
from coresift.pipeline.runs import Run, read_json
from coresift.pipeline.stages import Say, train
from coresift.training.checkpoints import Checkpoint, load_trained

PREPARATION = ("warm-up", "gradients", "selection")
"""Stages that a method pays for before its final training."""


def evaluate(run: Run, *, say: Say = print) -> list[dict[str, Any]]:
    """Score the base model and every trained one; scores that are there are kept.

    Returns:
        The rows of the score table, as in scores.json; empty when nothing was trained or held out.
    """
    trained = train(run, say=say)
    if len(trained) == 0:
        return []
    if run.inputs.held_out is None:
        say("nothing is scored: pool.held_out is 0 and evaluate.test names no test examples")
        return []
    singles = {name: _score_one(run, name, checkpoint, say) for name, checkpoint in trained.items()}
    groups: dict[str, list[str]] = {}
    for name in trained:
        groups.setdefault(_without_repeat(name), []).append(name)
    rows = [
        _row(run, group, [singles[name] for name in names], [trained[name] for name in names])
        for group, names in groups.items()
    ]
    if run.recipe.compare.base:
        rows.append(_row(run, "none (base model)", [_score_one(run, "base", None, say)], []))
    files.write_json(run.folder / "scores.json", {"test_examples": len(run.inputs.held_out.pool), "rows": rows})
    return rows


def _without_repeat(name: str) -> str:
    """`random` for `random-0`, `random-1`, ...: repeats share a row."""
    row = name.rpartition("-")[0]
    return row if row in ("random", "balanced-random") else name


def _score_one(run: Run, name: str, checkpoint: Checkpoint | None, say: Say) -> dict[str, Any]:
    path = _scores_file(run, name)
    held_out = run.inputs.held_out
    assert held_out is not None, "callers check that something is held out"
    depends = {"test": held_out.fingerprint, "model": "base" if checkpoint is None else checkpoint.fingerprint}
    known = read_json(path, {})
    if known.get("depends") == depends:
        return known
    began = time.perf_counter()
    where = {"dtype": run.recipe.model.dtype, "device": run.recipe.model.device}
    base = run.inputs.base
    model = load_model(base, **where) if checkpoint is None else load_trained(base, checkpoint, **where)
    scores = score(model, held_out, run.inputs.renderer, batch_tokens=run.recipe.evaluate.batch_tokens).to_json()
    run.record("evaluation", seconds=time.perf_counter() - began)
    scores["depends"] = depends
    files.write_json(path, scores)
    exact = "" if scores["accuracy"] is None else f", exact answers {scores['accuracy']['all']:.3f}"
    say(f"scores of {name}: held-out loss {scores['loss']['response']:.4f}{exact}")
    return scores


def _scores_file(run: Run, name: str) -> Path:
    method = run.recipe.selector.name
    if name == method:
        return run.folder / "final" / "scores.json"
    return run.folder / "compare" / name.removeprefix(f"{method}, ") / "scores.json"


def _row(run: Run, name: str, scores: Sequence[Mapping[str, Any]], checkpoints: Sequence[Checkpoint]) -> dict[str, Any]:
    """One row of the table: means over repeats; a method's warm-up, gradients and selection count as its own."""
    summaries = [checkpoint.summary for checkpoint in checkpoints]
    paid = PREPARATION if name.startswith(run.recipe.selector.name) else ()
    before = {stage: cost for stage, cost in run.costs.items() if stage in paid}
    warm_up_tokens = before.get("warm-up", {}).get("tokens") or 0
    seconds = [summary["seconds"] for summary in summaries]
    return {
        "name": name,
        "seeds": len(scores),
        "examples": summaries[0]["examples"] if summaries else 0,
        "tokens": round(_mean([summary["tokens"] for summary in summaries]) + warm_up_tokens),
        "seconds": round(_mean(seconds) + sum(cost["seconds"] for cost in before.values()), 2),
        **_pooled(scores),
    }


def _pooled(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    means: dict[str, Any] = {}
    spreads: dict[str, Any] = {}
    for kind in ("accuracy", "loss"):
        if scores[0][kind] is None:
            means[kind] = None
            continue
        pairs = {part: mean_and_spread([score[kind][part] for score in scores]) for part in scores[0][kind]}
        means[kind] = {part: mean for part, (mean, _) in pairs.items()}
        spreads[kind] = {part: spread for part, (_, spread) in pairs.items()}
    return {**means, "spread": spreads if len(scores) > 1 else None}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if len(values) > 0 else 0
