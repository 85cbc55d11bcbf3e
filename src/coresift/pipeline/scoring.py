"""The evaluation stage: every trained model, and the base, on the same held-out examples; one table at the end."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from coresift import files
from coresift.artefacts.store import Work
from coresift.coreset import Coreset
from coresift.evaluation.scores import HeldOut, Scores, mean_and_spread, score, score_in_context
from coresift.evaluation.settings import InContext
from coresift.memory import fitting
from coresift.models.encoders import Encoder, read_layout
from coresift.models.load import load_model, model_fingerprint
from coresift.pipeline.inputs import model_path
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import comparisons, select, train
from coresift.pipeline.tuning import Say
from coresift.pipeline.utilities import encoder_of
from coresift.training.checkpoints import Checkpoint, load_trained

SELECTION_STAGES = (
    *("warm-up", "gradients", "embeddings", "similarities", "ratings", "losses", "labels", "importance"),
    *("pilot", "utilities", "difficulty", "selection"),
)
"""Stages that a method pays for before its final training."""
SCORES, ITEMS = "scores.json", "items.json"
"""Means over the test, and the score of every test example, in its order."""


def evaluate(run: Run, *, say: Say = print) -> list[dict[str, Any]]:
    """Score every trained model, and the base model alone and, if asked, in context; scores that are there are kept.

    Returns:
        The rows of the score table, as in scores.json; empty when nothing was trained or held out.
    """
    trained, in_context = train(run, say=say), run.recipe.evaluate.in_context
    if len(trained) == 0 and in_context is None:
        return []
    if run.inputs.held_out is None:
        say("nothing is scored: pool.held_out is 0 and evaluate.test names no test examples")
        return []
    singles = {name: score_one(run, name, checkpoint, say) for name, checkpoint in trained.items()}
    rows = [
        _row(run, group, [singles[name] for name in names], [trained[name].summary for name in names])
        for group, names in _grouped(trained).items()
    ]
    if in_context is not None:
        rows += _rows_in_context(run, in_context, say)
    if run.recipe.compare.base:
        rows.append(_row(run, "none (base model)", [score_one(run, "base", None, say)], []))
    files.write_json(run.folder / "scores.json", {"test_examples": len(run.inputs.held_out.pool), "rows": rows})
    return rows


def _grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """The names of each row of the table: repeats share one."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_without_repeat(name), []).append(name)
    return groups


def _without_repeat(name: str) -> str:
    """`random` for `random-0`, `random-1`, ...: repeats share a row."""
    row = name.rpartition("-")[0]
    return row if row in ("random", "balanced-random") else name


@fitting("Lower evaluate.batch_tokens (--set evaluate.batch_tokens=2048).")
def score_one(run: Run, name: str, checkpoint: Checkpoint | None, say: Say, *, test: str = "test") -> dict[str, Any]:
    """Scores of one model on one test of the run.

    Args:
        run: Begun.
        name: As in the table: the method, `random-0`, `base`, ...
        checkpoint: What was trained; None for the untuned model.
        say: Told scores that were made now.
        test: Which of `Inputs.tests`.

    Returns:
        `loss`, `accuracy`, `metrics`, and `items`, the file of the scores of every test example.
    """
    held_out = run.inputs.tests[test]
    depends = {
        "test": held_out.fingerprint,
        "model": model_fingerprint(run.inputs.base),
        "adapter": None if checkpoint is None else checkpoint.fingerprint,
        "dtype": run.recipe.model.dtype,
    }

    def scored() -> Scores:
        where = {"dtype": run.recipe.model.dtype, "device": run.recipe.model.device}
        base = run.inputs.base
        model = load_model(base, **where) if checkpoint is None else load_trained(base, checkpoint, **where)
        settings, encoder = run.recipe.evaluate, _encoder(run, _needs_encoder(run))
        tokens, judge = settings.batch_tokens, settings.judge
        return score(model, held_out, run.inputs.renderer, batch_tokens=tokens, encoder=encoder, judge=judge)

    role = f"scores/{_place(run, name)}" + ("" if test == "test" else f"-{test}")
    return _once(run, role, name, {**depends, **_metric_tools(run)}, scored, say)


def _rows_in_context(run: Run, settings: InContext, say: Say) -> list[dict[str, Any]]:
    """The base model with examples of the coreset in its context, and of each subset that it is compared with."""
    name, coreset = run.recipe.selector.name, select(run, say=say)
    subsets = {name: coreset, **comparisons(run, len(coreset))}
    singles = {each: _score_in_context(run, each, subset, settings, say) for each, subset in subsets.items()}
    return [
        _row(run, f"{group}, in context", [singles[each] for each in names], [], examples=len(subsets[names[0]]))
        for group, names in _grouped(subsets).items()
    ]


def _score_in_context(run: Run, name: str, subset: Coreset, settings: InContext, say: Say) -> dict[str, Any]:
    held_out, named = _held_out(run), run.recipe.evaluate.encoder
    depends = {
        "test": held_out.fingerprint,
        "model": model_fingerprint(run.inputs.base),
        "examples": run.inputs.pool.take(subset.indices).fingerprint,
        "in_context": settings.model_dump(mode="json"),
        "retrieval": "words" if named is None else read_layout(model_path(named)).fingerprint,
        **_metric_tools(run),
    }

    def scored() -> Scores:
        model = load_model(run.inputs.base, dtype=run.recipe.model.dtype, device=run.recipe.model.device)
        shown = [run.inputs.pool[int(position)] for position in subset.indices]
        encoder, judge = _encoder(run, named is not None), run.recipe.evaluate.judge
        return score_in_context(model, held_out, shown, run.inputs.renderer, settings, encoder=encoder, judge=judge)

    return _once(run, f"scores/{_place(run, name)}-in-context", f"{name}, in context", depends, scored, say)


def _once(
    run: Run, role: str, name: str, depends: dict[str, Any], scored: Callable[[], Scores], say: Say
) -> dict[str, Any]:
    """Scores as an artefact: found if somebody made them from the same things, else made now."""

    def make(work: Work) -> None:
        began = time.perf_counter()
        scores = scored()
        work.add(seconds=time.perf_counter() - began)
        files.write_json(work.folder / ITEMS, scores.each)
        files.write_json(work.folder / SCORES, scores.to_json())
        say(f"scores of {name}: {_in_words(scores.to_json())}")

    artefact = run.store.ensure(run.store.artefact("scores", depends), make, say=say)
    run.uses.note(role, artefact, stage="evaluation")
    return {**files.read_object(artefact.folder / SCORES), "items": str(artefact.folder / ITEMS)}


def _in_words(scores: Mapping[str, Any]) -> str:
    parts = [] if scores["loss"] is None else [f"held-out loss {scores['loss']['response']:.4f}"]
    parts += [] if scores["accuracy"] is None else [f"exact answers {scores['accuracy']['all']:.3f}"]
    means = _means(scores)
    parts += [f"{metric} {'none' if mean is None else format(mean, '.3f')}" for metric, mean in means.items()]
    for metric, count in (scores["metrics"] or {}).get("unscored", {}).items():
        parts.append(f"{count} answers without a score by {metric}")
    return ", ".join(parts)


def _means(scores: Mapping[str, Any]) -> dict[str, float | None]:
    """Means of the metrics asked for; exact match stands under accuracy."""
    means = (scores["metrics"] or {}).get("means", {})
    return {metric: mean for metric, mean in means.items() if metric != "exact"}


def _held_out(run: Run) -> HeldOut:
    held_out = run.inputs.held_out
    assert held_out is not None, "callers check that something is held out"
    return held_out


def _needs_encoder(run: Run) -> bool:
    return "similarity" in run.recipe.evaluate.metrics


def _encoder(run: Run, needed: bool) -> Encoder | None:
    name = run.recipe.evaluate.encoder
    return encoder_of(run, name) if needed and name is not None else None


def _metric_tools(run: Run) -> dict[str, Any]:
    """What scores depend on besides model and test, as far as a metric needs it."""
    settings = run.recipe.evaluate
    tools: dict[str, Any] = {}
    if _needs_encoder(run) and settings.encoder is not None:
        tools["encoder"] = read_layout(model_path(settings.encoder)).fingerprint
    if "judge" in settings.metrics and settings.judge is not None:
        tools["judge"] = {"url": settings.judge.url, "model": settings.judge.model}
    return tools


def _place(run: Run, name: str) -> str:
    """Where the scores of a row of the table are linked: `final`, `random-0`, `unweighted`, ..."""
    method = run.recipe.selector.name
    return "final" if name == method else name.removeprefix(f"{method}, ")


def _row(
    run: Run,
    name: str,
    scores: Sequence[Mapping[str, Any]],
    summaries: Sequence[Mapping[str, Any]],
    *,
    examples: int = 0,
) -> dict[str, Any]:
    """One row of the table: means over repeats; what a method's picks cost counts as its own.

    Args:
        run: The run.
        name: What was trained on, or shown.
        scores: Of each repeat.
        summaries: Of each repeat's training; none where nothing was trained.
        examples: How many examples there are where nothing was trained.
    """
    paid = SELECTION_STAGES if name.startswith(run.recipe.selector.name) else ()
    before = {stage: cost for stage, cost in run.costs.items() if stage in paid}
    tokens_before = sum(cost["tokens"] or 0 for cost in before.values())
    seconds = [summary["seconds"] for summary in summaries]
    return {
        "name": name,
        "seeds": len(scores),
        "examples": summaries[0]["examples"] if summaries else examples,
        "steps": round(_mean([summary["steps"] for summary in summaries])),
        "tokens": round(_mean([summary["tokens"] for summary in summaries]) + tokens_before),
        "seconds": round(_mean(seconds) + sum(cost["seconds"] for cost in before.values()), 2),
        **_pooled(scores),
        **({"in_context": True} if name.endswith(", in context") else {}),
    }


def _pooled(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means and spreads over repeats; `metrics` only where some were asked for."""
    means: dict[str, Any] = {}
    spreads: dict[str, Any] = {}
    asked = [_means(score) for score in scores]
    known = {"accuracy": [score["accuracy"] for score in scores], "loss": [score["loss"] for score in scores]}
    if len(asked[0]) > 0:
        there = [metric for metric in asked[0] if all(each[metric] is not None for each in asked)]
        known["metrics"] = [{metric: each[metric] for metric in there} for each in asked]
    for kind, found in known.items():
        if found[0] is None:
            means[kind] = None
            continue
        pairs = {part: mean_and_spread([each[part] for each in found]) for part in found[0]}
        means[kind] = {part: mean for part, (mean, _) in pairs.items()}
        spreads[kind] = {part: spread for part, (_, spread) in pairs.items()}
    return {**means, "spread": spreads if len(scores) > 1 else None}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if len(values) > 0 else 0
