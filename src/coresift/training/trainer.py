"""One training run: from a base model and weighted rows to an adapter or a tuned model, resumable at any moment."""

import contextlib
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from coresift import files, fingerprints
from coresift.differences import both_sides
from coresift.errors import TrainingError
from coresift.memory import fitting
from coresift.models.load import load_tokenizer, model_fingerprint, resolve_device
from coresift.models.lora import save_adapter, save_model
from coresift.models.quiet import quiet
from coresift.models.render import Rendered
from coresift.training.build import build_trainer, load_base, precision, steps, steps_of_epoch
from coresift.training.checkpoints import DONE, MOMENTS, Checkpoint, checksums, moments_of, write_moments
from coresift.training.costs import training_flops
from coresift.training.settings import CALMER, TrainSettings

if TYPE_CHECKING:
    from coresift.training.weighted import WeightedTrainer

INPUTS, PARTS = "inputs.json", "checkpoints"
LESS = (
    "Lower train.micro_batch_size, which never changes the result (--set train.micro_batch_size=1), or set "
    "train.gradient_checkpointing=true."
)
"""What to do when training does not fit into memory."""


@fitting(LESS)
def train(
    model: str | Path,
    rows: Sequence[Rendered],
    *,
    out: str | Path,
    settings: TrainSettings,
    weights: np.ndarray | None = None,
    seed: int = 0,
    device: str = "auto",
    label: str = "training",
) -> Checkpoint:
    """Tune a base model on weighted rows.

    A finished `out` is returned as it is; an unfinished one is continued from its newest whole checkpoint and ends with
    the same weights as an uninterrupted run (bit for bit on one CPU, to rounding elsewhere).

    Args:
        model: The base model: folder, Hub id or `world`. It is not changed.
        rows: Rendered examples.
        out: Folder to write: training.json, and adapter/ with moments.safetensors, or model/.
        settings: How to tune.
        weights: [n] finite and positive; only their ratios matter. None: all equal.
        seed: Names the data order, the adapters' start and dropout.
        device: cpu, cuda or auto.
        label: What the progress bar says.

    Raises:
        TrainingError: If rows and weights do not fit or a row is None, `out` belongs to another run, the settings
            cannot be honoured on this device, or the loss is not finite.
        DiskError, MemoryShortError: If the disk or the memory does not suffice.
        DataError: If a row is longer than the model takes.
        ModelError: If the model cannot be loaded.
    """
    began, placed, out = time.monotonic(), resolve_device(device), Path(out)
    weights = _checked(rows, weights)
    inputs = inputs_of(model, rows, weights, settings, seed, precision(settings, placed))
    if claim_together(out, inputs, placed):
        return Checkpoint(out)
    from coresift.training.callbacks import Mark, Watch
    from coresift.training.epochs import KeepEpochs

    with own_randomness(), quiet():
        found, before = newest(out / PARTS)
        watch, mark = Watch(label), Mark(before=before, began=began)
        keep = [KeepEpochs(out, steps_of_epoch(settings, len(rows)))] if settings.keep_epochs else []
        trainer = build_trainer(
            load_base(model, settings, placed),
            load_tokenizer(model),
            rows,
            out=out / PARTS,
            settings=settings,
            weights=weights,
            seed=seed,
            device=placed,
            callbacks=[watch, mark, *keep],
        )
        with contextlib.closing(watch):
            trainer.train(resume_from_checkpoint=found)
        if trainer.is_world_process_zero():
            finish(trainer, rows, out, settings=settings, inputs=inputs, seconds=mark.seconds)
        trainer.accelerator.wait_for_everyone()
    return Checkpoint(out)


def _checked(rows: Sequence[Rendered], weights: np.ndarray | None) -> np.ndarray:
    if len(rows) == 0:
        raise TrainingError("no rows to train on. Choose at least one example that fits pool.max_tokens.")
    absent = next((place for place, row in enumerate(rows) if row is None), None)
    if absent is not None:
        raise TrainingError(
            f"row {absent} is None: its conversation is longer than the renderer's max_tokens. Leave such rows out "
            "together with their weights, or render with a larger max_tokens."
        )
    values = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=np.float64)
    if values.shape != (len(rows),):
        raise TrainingError(f"weights have shape {values.shape} for {len(rows)} rows. Pass one weight per row.")
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad) > 0:
        raise TrainingError(
            f"the weight of example {rows[bad[0]].id} is {values[bad[0]]} ({len(bad)} such weights). "
            "Weights must be finite and positive: leave an example out instead of weighing it 0."
        )
    return values


def training_inputs(
    model: str | Path,
    rows: Sequence[Rendered],
    *,
    settings: TrainSettings,
    weights: np.ndarray | None = None,
    seed: int = 0,
    device: str = "auto",
) -> dict[str, Any]:
    """Everything that `train` with the same arguments depends on, as JSON. Raises as `train` does for bad rows."""
    return inputs_of(model, rows, _checked(rows, weights), settings, seed, precision(settings, resolve_device(device)))


def inputs_of(
    model: str | Path,
    rows: Sequence[Rendered],
    weights: np.ndarray,
    settings: TrainSettings,
    seed: int,
    computed_in: str,
) -> dict[str, Any]:
    """Everything the result depends on, as JSON."""
    return {
        "model": model_fingerprint(model),
        "rows": fingerprints.of_json([[row.id, row.tokens, [int(wanted) for wanted in row.response]] for row in rows]),
        "examples": len(rows),
        "weights": "ignored" if settings.weighting == "none" else fingerprints.of_bytes(weights.tobytes()),
        "settings": settings.model_dump(mode="json"),
        "precision": computed_in,
        "seed": seed,
    }


def claim(out: Path, inputs: dict[str, Any]) -> bool:
    """Whether `out` already holds this run's result. Raises TrainingError if it belongs to another run."""
    note = out / INPUTS
    if not note.is_file():
        files.write_json(note, inputs)
        return False
    found = files.read_object(note)
    differences = both_sides(found, inputs, holder="the folder")
    if differences:
        raise TrainingError(
            f"{out} belongs to another training run:\n{differences}\n"
            "Use another folder, or remove this one to train again."
        )
    return (out / DONE).is_file()


def claim_together(out: Path, inputs: dict[str, Any], device: torch.device) -> bool:
    """As `claim`, one process before the others, so that two never write the note at once."""
    from accelerate import PartialState

    with PartialState(cpu=device.type == "cpu").main_process_first():
        return claim(out, inputs)


def newest(folder: Path) -> tuple[str | None, float]:
    """The newest whole checkpoint and the seconds it took; (None, 0) when there is none."""
    from coresift.training.callbacks import MARK

    marks = [files.read_object(path) for path in folder.glob(f"checkpoint-*/{MARK}")]
    marks = [mark for mark in marks if "step" in mark and "seconds" in mark]  # a damaged mark marks nothing
    if len(marks) == 0:
        return None, 0.0
    newest = max(marks, key=lambda mark: mark["step"])
    return str(folder / f"checkpoint-{newest['step']}"), float(newest["seconds"])


def finish(
    trainer: "WeightedTrainer",
    rows: Sequence[Rendered],
    out: Path,
    *,
    settings: TrainSettings,
    inputs: dict[str, Any],
    seconds: float,
    seen: Sequence[int] | None = None,
) -> None:
    """Write the result, then training.json, then drop the checkpoints.

    Args:
        trainer: At its end.
        rows: What it was given.
        out: The run's folder.
        settings: How it tuned.
        inputs: What the result depends on.
        seconds: Spent.
        seen: Positions trained on, repeated as often as they were; those of whole epochs when None.
    """
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    _check_finite(model, trainer.state.global_step)
    if settings.tuning == "full":
        save_model(model, trainer.processing_class, out / "model")  # type: ignore[arg-type,unused-ignore]
    else:
        save_adapter(model, out / "adapter", base=inputs["model"])
        write_moments(out / MOMENTS, moments_of(trainer.optimizer, model))
    result = out / ("model" if settings.tuning == "full" else "adapter")
    weights = fingerprints.of_folder(result, "*.safetensors")
    summary = _summary(trainer, model, rows, settings, seen) | {"seconds": round(seconds, 3)}
    known = {"fingerprint": fingerprints.of_json([inputs, weights]), "inputs": inputs, "files": checksums(out)}
    files.write_json(out / DONE, summary | known)
    shutil.rmtree(out / PARTS, ignore_errors=True)


def _check_finite(model: torch.nn.Module, step: int) -> None:
    for name, weight in model.named_parameters():
        if weight.requires_grad and not bool(torch.isfinite(weight).all()):
            raise TrainingError(f"{name} is not finite after step {step}. {CALMER}")


def _summary(
    trainer: "WeightedTrainer",
    model: torch.nn.Module,
    rows: Sequence[Rendered],
    settings: TrainSettings,
    trained: Sequence[int] | None,
) -> dict[str, Any]:
    seen = _seen(trainer, len(rows), settings) if trained is None else trained
    tokens = sum(len(rows[place].tokens) for place in seen)
    curve = [[entry["step"], entry["loss"]] for entry in trainer.state.log_history if "loss" in entry]
    return {
        "tuning": settings.tuning,
        "weighting": settings.weighting,
        "loss_reduction": settings.loss_reduction,
        "examples": len(rows) if trained is None else len(set(trained)),
        "epochs": settings.epochs if trained is None else len(trained) / len(set(trained)),
        "steps": trainer.state.global_step,
        "tokens": tokens,
        "target_tokens": sum(rows[place].n_targets for place in seen),
        "flops": training_flops(model, tokens),
        "loss_first": curve[0][1],
        "loss_last": curve[-1][1],
        "loss_curve": curve,
        **({"learning_rates": _epoch_rates(trainer, settings, len(rows))} if settings.keep_epochs else {}),
    }


def _epoch_rates(trainer: "WeightedTrainer", settings: TrainSettings, n: int) -> list[float]:
    from coresift.training.epochs import mean_rates

    return mean_rates(trainer.lr_scheduler, trainer.state.global_step, steps_of_epoch(settings, n))


def _seen(trainer: "WeightedTrainer", n: int, settings: TrainSettings) -> list[int]:
    """Every position in the order it was trained on, repeated as often as it was."""
    whole, part = divmod(steps(settings, n), steps_of_epoch(settings, n))
    seen = [place for epoch in range(whole) for place in trainer.order.positions(epoch).tolist()]
    return seen + trainer.order.positions(whole).tolist()[: part * settings.batch_size]


@contextlib.contextmanager
def own_randomness() -> Iterator[None]:
    """Let the trainer seed the global generators, and give them back as they were."""
    python, numbers = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numbers)
