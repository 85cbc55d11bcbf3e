"""Training in rounds as stages of a run: score the pool, let the policy and the trainer take turns, keep the picks.

The picks of a run are what was trained on, in the order of their first use; the weight of a pick is how often it was
used. What every round did is in final/trace.parquet.
"""

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from coresift import __version__, files, fingerprints
from coresift.artefacts.store import Work
from coresift.budget import Budget
from coresift.coreset import Coreset
from coresift.errors import DataError, SettingsError
from coresift.extract.difficulty import Difficulty, measure_difficulty
from coresift.features.base import Features
from coresift.features.utilities import EmbeddingSpec
from coresift.memory import fitting
from coresift.models.load import load_model, model_fingerprint
from coresift.models.lora import load_adapter
from coresift.models.losses import response_losses
from coresift.pipeline.estimates import errors_in_words, estimate_errors
from coresift.pipeline.features import fill
from coresift.pipeline.online_settings import NEEDS
from coresift.pipeline.runs import Run
from coresift.pipeline.tuning import Say, asks_the_warm_up, training_seed, warm_up
from coresift.policy import OnlineProblem, Policy
from coresift.savepoints import InFolder, Savepoints
from coresift.seeds import generator
from coresift.submodular.clustering import k_means
from coresift.training.costs import forward_flops
from coresift.training.rounds import Rounds, rounds_inputs, train_rounds
from coresift.training.trace import FILE, read_trace

SCORES = "difficulty.npz"


def is_online(run: Run) -> bool:
    """Whether the recipe's method chooses while the model is trained."""
    return isinstance(run.recipe.method, Policy)


def trained_in_rounds(run: Run, *, say: Say = print) -> Rounds:
    """The model that the policy trained, with its state and trace; a finished one is returned as it is.

    Raises:
        SettingsError: If the recipe asks for what training in rounds cannot do.
        DataError: If examples cannot be grouped as asked.
        SelectionError: If policy and pool do not fit together.
    """
    settings = _possible(run)
    run.begin(say=say)
    known = problem(run, scored(run, say=say), say=say)
    base, rows, policy = run.inputs.base, run.inputs.rows, run.recipe.method
    shared: dict[str, Any] = {
        "settings": settings,
        "loop": run.recipe.online.loop,
        "seed": training_seed(run, "online training"),
        "device": run.recipe.model.device,
    }

    def make(work: Work) -> None:
        result = train_rounds(base, rows, policy, known, out=work.folder, say=say, **shared)
        summary = result.checkpoint.summary
        work.add(seconds=summary["seconds"], tokens=summary["tokens"], flops=summary["flops"])
        for line in result_in_words(result):
            say(line)

    identity = rounds_inputs(base, rows, policy, known, **shared)
    artefact = run.store.ensure(run.store.artefact("training", identity), make, say=say)
    run.uses.note("final", artefact, stage="training in rounds")
    return train_rounds(base, rows, policy, known, out=artefact.folder, say=say, **shared)


def _possible(run: Run) -> Any:
    """The training settings. Raises SettingsError as `trained_in_rounds` says."""
    name = run.recipe.method.name
    if run.recipe.train is None:
        raise SettingsError(
            f"{name} chooses while the model is trained, but the recipe has no `train` section. Add it."
        )
    if len(run.recipe.budgets) > 1:
        raise SettingsError(f"{name} takes one budget, found {len(run.recipe.budgets)}. Use one run for each.")
    if Budget.parse(run.recipe.budgets[0]).kind == "tokens":
        raise SettingsError(f"{name} counts examples, not tokens. Give the budget as a count or a fraction.")
    return run.recipe.train


def prepared(run: Run, *, say: Say = print) -> None:
    """Everything that is computed before the first round."""
    run.begin(say=say)
    scored(run, say=say)
    _features(run, say)


def problem(run: Run, scores: Difficulty | None, *, say: Say = print) -> OnlineProblem:
    """What the policy knows before the first round."""
    n = len(run.inputs.rows)
    known = set(NEEDS.get(run.recipe.method.name, ()))
    return OnlineProblem(
        n=n,
        budget=Budget.parse(run.recipe.budgets[0]).count(n),
        utilities=scores.utilities if scores is not None else None,
        difficulty=scores.values if scores is not None and "difficulty" in known else None,
        groups=tasks(run, say=say),
        features=_features(run, say),
        pool=fingerprints.of_json(run.inputs.row_identity),
    )


def _features(run: Run, say: Say) -> Features | None:
    specs = run.recipe.required
    return fill(run, specs, say=say) if len(specs) > 0 else None


def tasks(run: Run, *, say: Say = print) -> list[str] | None:
    """The task of every candidate, as `online.groups` says; None for one task.

    Raises:
        DataError: If a row has no such column.
    """
    wanted, pool = run.recipe.online.groups, run.inputs.chosen_from
    if wanted == "none":
        return None
    if wanted == "embedding":
        return _clusters(run, say)
    if wanted == "source":
        sources = list(pool.sources)
        if not any(sources):
            say("tasks: no example has a source, so all are one task (online.groups names a column or embedding)")
        return sources
    rows = [pool.row(place) for place in range(len(pool))]
    missing = [place for place, row in enumerate(rows) if row.get(wanted) is None]
    if missing:
        known = ", ".join(sorted({key for row in rows[:100] for key in row}))
        raise DataError(
            f"online.groups is {wanted!r}, but example {pool[missing[0]].id} has no such column ({len(missing)} of "
            f"{len(pool)} have none). Columns: {known}. Name one of these, or source, embedding or none."
        )
    return [str(row[wanted]) for row in rows]


def _clusters(run: Run, say: Say) -> list[str]:
    settings = run.recipe.online
    assert settings.encoder is not None, "settings are checked"
    spec = EmbeddingSpec(model=settings.encoder)
    rows = fill(run, [spec], say=say)[spec]
    source = generator(run.recipe.seed, "tasks")
    found = k_means(rows, settings.embedding_clusters, source=source).label
    return [f"cluster {int(label)}" for label in found]


def scored(run: Run, *, say: Say = print) -> Difficulty | None:
    """Difficulty and first utility of every candidate, measured once; None where the policy needs neither."""
    needed = NEEDS.get(run.recipe.method.name, ())
    if len(needed) == 0:
        return None

    def make(work: Work) -> None:
        began = time.perf_counter()
        parts = InFolder(work.folder / "parts", {"batch_tokens": run.recipe.online.batch_tokens})
        found, flops = _measure(run, "difficulty" in needed, parts, say)
        work.add(seconds=time.perf_counter() - began, tokens=found.tokens, flops=flops)
        _write(work.folder / SCORES, found)
        shutil.rmtree(parts.folder, ignore_errors=True)
        say(scores_in_words(found, "difficulty" in needed))

    artefact = run.store.ensure(run.store.artefact("difficulty", _identity(run, say)), make, say=say)
    run.uses.note("difficulty", artefact, stage="difficulty")
    return _read(artefact.folder / SCORES)


def _identity(run: Run, say: Say) -> dict[str, Any]:
    """What the scores depend on."""
    settings = run.recipe.online
    warm = warm_up(run, say=say) if asks_the_warm_up(run) else None
    return {
        **run.inputs.row_identity,
        "model": model_fingerprint(run.inputs.base),
        "adapter": None if warm is None else warm.fingerprint,
        "dtype": run.recipe.model.dtype,
        "ratio": settings.ratio,
        "keep_unhelpful": settings.keep_unhelpful,
        "needed": list(NEEDS[run.recipe.method.name]),
    }


@fitting("Lower online.batch_tokens (--set online.batch_tokens=2048).")
def _measure(run: Run, difficulty: bool, savepoints: Savepoints, say: Say) -> tuple[Difficulty, float]:
    """The scores, and the floating-point operations they took."""
    inputs, settings = run.inputs, run.recipe.online
    model: Any = load_model(inputs.base, dtype=run.recipe.model.dtype, device=run.recipe.model.device)
    shared: dict[str, Any] = {
        "start_token": inputs.renderer.start_token,
        "pad_token": inputs.renderer.pad_token,
        "batch_tokens": settings.batch_tokens,
        "savepoints": savepoints,
    }
    if not difficulty:
        utilities = response_losses(model, inputs.rows, label="first utilities", **shared).numpy()
        tokens = int(inputs.rows.lengths.sum())
        found = Difficulty(np.full(len(utilities), np.nan), utilities, ("",) * len(utilities), tokens)
        return found, forward_flops(model, tokens)
    if asks_the_warm_up(run):
        warm = warm_up(run, say=say)
        assert warm is not None and warm.adapter is not None, "the warm-up is LoRA"
        model = load_adapter(model, warm.adapter)
    found = measure_difficulty(
        model, inputs.rows, form=settings.ratio, keep_unhelpful=settings.keep_unhelpful, **shared
    )
    return found, forward_flops(model, found.tokens)


def _write(path: Path, found: Difficulty) -> None:
    arrays = {"values": found.values, "utilities": found.utilities, "reasons": np.array(found.reasons)}
    files.write_arrays(path, {"tokens": np.array(found.tokens), **arrays})


def _read(path: Path) -> Difficulty:
    with np.load(path, allow_pickle=False) as saved:
        reasons = tuple(map(str, saved["reasons"]))
        return Difficulty(saved["values"], saved["utilities"], reasons, int(saved["tokens"]))


def scores_in_words(found: Difficulty, difficulty: bool) -> str:
    """One line about the scores."""
    utilities = found.utilities[np.isfinite(found.utilities)]
    first = f"mean loss {utilities.mean():.3f} nats per response token" if len(utilities) else "no finite loss"
    if not difficulty:
        return f"first utilities: {len(found.utilities)} examples, {first}"
    valid = found.values[np.isfinite(found.values)]
    middle = f", median difficulty {np.median(valid):.3f}" if len(valid) else ""
    reasons = "".join(f", {count} without difficulty because {reason}" for reason, count in found.invalid.items())
    return f"difficulty: {len(found.values)} examples, {first}{middle}{reasons}"


def chosen(run: Run, *, say: Say = print) -> Coreset:
    """What was trained on, as a coreset of the candidates: in the order of first use, weighted by number of uses."""
    result = trained_in_rounds(run, say=say)
    trace = read_trace(run.folder / "final" / FILE)
    uses = Counter(int(place) for each in trace for place in each["indices"])
    indices = np.fromiter(uses, dtype=np.int64, count=len(uses))
    budget = Budget.parse(run.recipe.budgets[0])
    short = budget.count(len(run.inputs.rows)) - len(indices)
    facts: dict[str, Any] = {"rounds": len(trace), "uses": sum(uses.values()), "estimates": estimate_errors(trace)}
    if short > 0:
        facts["shortfall"] = f"the policy stopped after {len(trace)} rounds, {short} examples before its budget"
    return Coreset(
        indices=indices,
        weights=np.array([uses[int(place)] for place in indices], dtype=np.float32),
        ids=tuple(run.inputs.rows.ids[int(place)] for place in indices),
        diagnostics=facts,
        provenance={
            "method": run.recipe.method.name,
            "settings": run.recipe.method.model_dump(mode="json"),
            "fingerprints": run.inputs.all_fingerprints,
            "seed": run.recipe.seed,
            "seconds": result.checkpoint.summary["seconds"],
            "version": __version__,
            "budget": str(budget),
            "n": len(run.inputs.rows),
        },
    )


def result_in_words(result: Rounds) -> list[str]:
    """What the rounds came to, and how good the estimates of loss changes were where that was measured."""
    summary, trace = result.checkpoint.summary, result.trace
    used = sum(len(each["indices"]) for each in trace)
    lines = [
        f"training in rounds: {len(trace)} rounds, {summary['steps']} steps, {used} examples trained on, "
        f"{result.state.spent} different ones (budget {result.state.problem.budget}), "
        f"loss {summary['loss_first']:.3f} -> {summary['loss_last']:.3f}"
    ]
    return [*lines, *errors_in_words(estimate_errors(trace))]


def rounds_of(run: Run) -> list[dict[str, Any]]:
    """Every round in a few numbers, for the page; empty for other runs."""
    path = run.folder / "final" / FILE
    if not (is_online(run) and path.exists()):
        return []
    budget = Budget.parse(run.recipe.budgets[0]).count(len(run.inputs.rows))
    return [
        {
            **{name: each[name] for name in ("round", "arm", "probabilities", "spent")},
            "examples": len(each["indices"]),
            "loss": _mean(each["losses"]),
            "utility_before": _mean(each["utilities_before"]),
            "utility": _mean(each["utilities"]),
            "budget": budget,
        }
        for each in read_trace(path)
    ]


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
