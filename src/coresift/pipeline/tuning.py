"""Every training of a run: the warm-up, and the models trained on what was chosen."""

from collections.abc import Callable, Sequence

import numpy as np

from coresift.artefacts.store import Artefact, Work
from coresift.budget import Budget
from coresift.coreset import Coreset
from coresift.data.splits import random_positions
from coresift.features.losses import LossSpec
from coresift.features.specs import GradientSpec
from coresift.features.targets import GradientSimilaritySpec
from coresift.models.render import Rendered
from coresift.pipeline.online_settings import NEEDS
from coresift.pipeline.runs import Run
from coresift.seeds import derive
from coresift.training.build import few_steps_in_words, steps, with_steps
from coresift.training.checkpoints import Checkpoint
from coresift.training.settings import TrainSettings
from coresift.training.trainer import train as fine_tune
from coresift.training.trainer import training_inputs

Say = Callable[[str], None]


def gradient_specs(run: Run) -> list[GradientSpec]:
    """The gradient features that the method requires."""
    return [spec for spec in run.recipe.required if isinstance(spec, GradientSpec)]


def warmup(run: Run, *, say: Say = print) -> Checkpoint | None:
    """Train LoRA on a random part of the candidates; None when the method needs none."""
    scored = any(isinstance(spec, LossSpec) and spec.warmup for spec in run.recipe.required)
    tapped = any(spec.on_adapter for spec in gradient_specs(run))
    compared = any(
        isinstance(spec, GradientSimilaritySpec) and spec.pool_gradients.on_adapter for spec in run.recipe.required
    )
    needed = tapped or compared or scored or asks_the_warm_up(run)
    return warm_up(run, say=say) if needed else None


def asks_the_warm_up(run: Run) -> bool:
    """Whether the difficulty of examples is that for the warmed-up model."""
    scored = "difficulty" in NEEDS.get(run.recipe.method.name, ())
    return scored and run.recipe.online.difficulty_of == "warm-up"


def warm_up(run: Run, *, say: Say = print) -> Checkpoint:
    """The warm-up, whoever needs it; a finished one is returned as it is."""
    run.begin(say=say)
    rows, n = _warm_up_rows(run), len(run.inputs.rows)
    settings = _warm_up_settings(run, rows)
    warning = few_steps_in_words(steps(settings, len(rows)))
    if warning is not None and not warm_up_artefact(run).is_whole:
        say(f"warning: {warning}")

    def told(checkpoint: Checkpoint) -> str:
        return f"warm-up: LoRA on {len(rows)} random examples of {n}, {_steps(checkpoint)}, loss {_losses(checkpoint)}"

    return trained(
        run,
        rows,
        role="warmup",
        stage="warm-up",
        settings=settings,
        seed=_warm_up_seed(run),
        told=told,
        say=say,
    )


def training_seed(run: Run, name: str) -> int:
    """The seed of a final training."""
    other = run.recipe.training_seed
    return derive(run.recipe.seed, name, other) if other else derive(run.recipe.seed, name)


def warm_up_artefact(run: Run) -> Artefact:
    """The warm-up, there or not."""
    rows = _warm_up_rows(run)
    return _artefact(run, rows, None, _warm_up_settings(run, rows), _warm_up_seed(run))


def _warm_up_settings(run: Run, rows: Sequence[Rendered]) -> TrainSettings:
    return with_steps(run.recipe.warmup_train, len(rows), run.recipe.warmup.least_steps)


def _warm_up_rows(run: Run) -> list[Rendered]:
    rows = run.inputs.rows
    size = Budget.parse(run.recipe.warmup.fraction).count(len(rows))
    chosen = sorted(random_positions(len(rows), size, seed=run.recipe.seed, name="warm-up"))
    return [rows[row] for row in chosen]


def _warm_up_seed(run: Run) -> int:
    return derive(run.recipe.seed, "warm-up training")


def train_on(
    run: Run, coreset: Coreset, role: str, label: str, say: Say, settings: TrainSettings | None = None
) -> Checkpoint:
    """The model trained on a coreset of the pool; a finished training is returned as it is.

    Args:
        run: With a `train` section.
        coreset: Of positions in the pool as it was read.
        role: What the training is to the run, and where it is linked.
        label: What it is called in costs and on the terminal.
        say: Told about a training that was done now.
        settings: Those of the recipe by default.
    """
    inputs, chosen = run.inputs, settings or run.recipe.train
    assert chosen is not None, "callers check that there is a final training"
    row_of = {int(position): row for row, position in enumerate(inputs.candidates)}

    def told(checkpoint: Checkpoint) -> str:
        return (
            f"{label}: {len(coreset)} examples, {_steps(checkpoint)}, weighting {chosen.weighting}, "
            f"loss {_losses(checkpoint)}"
        )

    return trained(
        run,
        [inputs.rows[row_of[int(position)]] for position in coreset.indices],
        weights=coreset.weights,
        role=role,
        stage=label,
        settings=chosen,
        seed=training_seed(run, "final training"),
        told=told,
        say=say,
    )


def trained(
    run: Run,
    rows: Sequence[Rendered],
    *,
    role: str,
    stage: str,
    settings: TrainSettings,
    seed: int,
    told: Callable[[Checkpoint], str],
    say: Say,
    weights: np.ndarray | None = None,
) -> Checkpoint:
    """A training of the run's base model as an artefact: made now, or found because somebody has made it.

    Args:
        run: Begun.
        rows, weights, settings, seed: As `training.trainer.train`.
        role: What the training is to the run, and where it is linked.
        stage: What it is called in costs.
        told: What is said of a training that was done now.
        say: Told that.
    """
    base, device = run.inputs.base, run.recipe.model.device

    def make(work: Work) -> None:
        checkpoint = fine_tune(
            base, rows, weights=weights, out=work.folder, settings=settings, seed=seed, device=device, label=stage
        )
        summary = checkpoint.summary
        work.add(seconds=summary["seconds"], tokens=summary["tokens"], flops=summary["flops"])
        say(told(checkpoint))

    artefact = run.store.ensure(_artefact(run, rows, weights, settings, seed), make, say=say)
    run.uses.note(role, artefact, stage=stage)
    return Checkpoint(artefact.folder)


def _artefact(
    run: Run, rows: Sequence[Rendered], weights: np.ndarray | None, settings: TrainSettings, seed: int
) -> Artefact:
    base, device = run.inputs.base, run.recipe.model.device
    identity = training_inputs(base, rows, weights=weights, settings=settings, seed=seed, device=device)
    return run.store.artefact("training", identity)


def _steps(checkpoint: Checkpoint) -> str:
    count = checkpoint.summary["steps"]
    return f"{count} step" if count == 1 else f"{count} steps"


def _losses(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.summary['loss_first']:.3f} -> {checkpoint.summary['loss_last']:.3f}"
