"""Every training of a run: the warm-up, and the models trained on what was chosen."""

from collections.abc import Callable
from pathlib import Path

from coresift.budget import Budget
from coresift.coreset import Coreset
from coresift.data.splits import random_positions
from coresift.features.losses import LossSpec
from coresift.features.specs import GradientSpec
from coresift.pipeline.online_settings import NEEDS
from coresift.pipeline.runs import Run
from coresift.seeds import derive
from coresift.training.checkpoints import Checkpoint
from coresift.training.settings import TrainSettings
from coresift.training.trainer import train as fine_tune

Say = Callable[[str], None]


def gradient_specs(run: Run) -> list[GradientSpec]:
    """The gradient features that the method requires."""
    return [spec for spec in run.recipe.required if isinstance(spec, GradientSpec)]


def warmup(run: Run, *, say: Say = print) -> Checkpoint | None:
    """Train LoRA on a random part of the candidates; None when the method needs none."""
    scored = any(isinstance(spec, LossSpec) and spec.warmup for spec in run.recipe.required)
    needed = len(gradient_specs(run)) > 0 or scored or asks_the_warm_up(run)
    return warm_up(run, say=say) if needed else None


def asks_the_warm_up(run: Run) -> bool:
    """Whether the difficulty of examples is that for the warmed-up model."""
    scored = "difficulty" in NEEDS.get(run.recipe.method.name, ())
    return scored and run.recipe.online.difficulty_of == "warm-up"


def warm_up(run: Run, *, say: Say = print) -> Checkpoint:
    """The warm-up, whoever needs it; a finished one is returned as it is."""
    inputs, settings = run.inputs, run.recipe.warmup
    n = len(inputs.rows)
    size = Budget.parse(settings.fraction).count(n)
    chosen = sorted(random_positions(n, size, seed=run.recipe.seed, name="warm-up"))
    run.begin()
    done = (run.folder / "warmup" / "training.json").exists()
    checkpoint = fine_tune(
        inputs.base,
        [inputs.rows[row] for row in chosen],
        out=run.folder / "warmup",
        settings=run.recipe.warmup_train,
        seed=derive(run.recipe.seed, "warm-up training"),
        device=run.recipe.model.device,
        label="warm-up",
    )
    account(run, "warm-up", checkpoint, done)
    if not done:
        say(f"warm-up: LoRA on {size} random examples of {n}, loss {_losses(checkpoint)}")
    return checkpoint


def train_on(
    run: Run, coreset: Coreset, out: Path, label: str, say: Say, settings: TrainSettings | None = None
) -> Checkpoint:
    """The model trained on a coreset of the pool; a finished training is returned as it is.

    Args:
        run: With a `train` section.
        coreset: Of positions in the pool as it was read.
        out: The training's folder.
        label: What it is called in costs and on the terminal.
        say: Told about a training that was done now.
        settings: Those of the recipe by default.
    """
    inputs, settings = run.inputs, settings or run.recipe.train
    assert settings is not None, "callers check that there is a final training"
    row_of = {int(position): row for row, position in enumerate(inputs.candidates)}
    done = (out / "training.json").exists()
    checkpoint = fine_tune(
        inputs.base,
        [inputs.rows[row_of[int(position)]] for position in coreset.indices],
        weights=coreset.weights,
        out=out,
        settings=settings,
        seed=derive(run.recipe.seed, "final training"),
        device=run.recipe.model.device,
        label=label,
    )
    account(run, label, checkpoint, done)
    if not done:
        say(f"{label}: {len(coreset)} examples, weighting {settings.weighting}, loss {_losses(checkpoint)}")
    return checkpoint


def account(run: Run, stage: str, checkpoint: Checkpoint, done: bool) -> None:
    """Record what a training cost, unless it was done before."""
    if not done:
        summary = checkpoint.summary
        run.record(stage, seconds=summary["seconds"], tokens=summary["tokens"], flops=summary["flops"])


def _losses(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.summary['loss_first']:.3f} -> {checkpoint.summary['loss_last']:.3f}"
