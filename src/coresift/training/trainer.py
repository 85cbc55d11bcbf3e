"""One training run: from a base model and weighted rows to an adapter or a tuned model, resumable at any moment."""

import contextlib
import json
import logging
import math
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from coresift import files, fingerprints
from coresift.errors import TrainingError
from coresift.models.load import load_model, load_tokenizer, model_fingerprint, resolve_device
from coresift.models.lora import attach_lora, lora_parameters, save_adapter, whole_folder
from coresift.models.render import Rendered
from coresift.seeds import derive
from coresift.training.checkpoints import DONE, MOMENTS, Checkpoint, Moments, write_moments
from coresift.training.costs import training_flops
from coresift.training.order import EpochOrder
from coresift.training.settings import TrainSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from coresift.training.weighted import WeightedTrainer

INPUTS, PARTS, MARK = "inputs.json", "checkpoints", "complete.json"
LOGGED = 100
"""At most about this many points of the loss curve are kept."""


def train(
    model: str | Path,
    rows: Sequence[Rendered],
    *,
    out: Path,
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
        model: The base model: folder or Hub id. It is not changed.
        rows: Rendered examples.
        out: Folder to write: training.json, and adapter/ with moments.safetensors, or model/.
        settings: How to tune.
        weights: [n] finite and positive; only their ratios matter. None: all equal.
        seed: Names the data order, the adapters' start and dropout.
        device: cpu, cuda or auto.
        label: What the progress bar says.

    Raises:
        TrainingError: If rows and weights do not fit, `out` belongs to another run, the settings cannot be honoured on
            this device, or the loss is not finite.
        ModelError: If the model cannot be loaded.
    """
    placed = resolve_device(device)
    weights = _checked_weights(rows, weights, settings)
    inputs = _inputs(model, rows, weights, settings, seed, _precision(settings, placed))
    if _claim(out, inputs):
        return Checkpoint(out)
    began = time.monotonic()
    with _own_randomness(), _quiet():
        trainer = build_trainer(
            load_base(model, settings, placed),
            load_tokenizer(model),
            rows,
            out=out / PARTS,
            settings=settings,
            weights=weights,
            seed=seed,
            device=placed,
            label=label,
        )
        spent = _run(trainer, out / PARTS, began)
        if trainer.is_world_process_zero():
            _finish(trainer, rows, out, settings=settings, inputs=inputs, seconds=spent)
        trainer.accelerator.wait_for_everyone()
    return Checkpoint(out)


def load_base(model: str | Path, settings: TrainSettings, device: torch.device) -> Any:
    """The base model in the dtype the tuning needs, on the device.

    Full tuning keeps float32 weights; frozen weights under adapters are held in the compute precision.

    Raises:
        TrainingError: If qlora is asked for where it cannot run.
    """
    if settings.tuning != "qlora":
        dtype = "float32" if settings.tuning == "full" else _precision(settings, device)
        return load_model(model, dtype=dtype, device=str(device))
    if device.type != "cuda":
        raise TrainingError(f"train.tuning is 'qlora', which runs on CUDA only; the device is {device}. Use lora.")
    import importlib.util

    if importlib.util.find_spec("bitsandbytes") is None:
        raise TrainingError("train.tuning is 'qlora', but bitsandbytes is not installed: pip install 'coresift[qlora]'.")
    from peft import prepare_model_for_kbit_training
    from transformers import BitsAndBytesConfig

    compute = torch.bfloat16 if _precision(settings, device) == "bfloat16" else torch.float32
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )
    loaded = load_model(model, dtype="auto", device=str(device), quantization=quantization)
    return prepare_model_for_kbit_training(loaded, use_gradient_checkpointing=settings.gradient_checkpointing)


def build_trainer(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    rows: Sequence[Rendered],
    *,
    out: Path,
    settings: TrainSettings,
    weights: np.ndarray,
    seed: int,
    device: torch.device,
    label: str = "training",
    optimizer: torch.optim.Optimizer | None = None,
) -> "WeightedTrainer":
    """The trainer of a run, ready to start.

    Args:
        model: The loaded base model; adapters are attached unless the tuning is full.
        tokenizer: Its tokenizer.
        rows: Rendered examples.
        out: Folder for checkpoints.
        settings: How to tune.
        weights: [n] positive.
        seed: As `train`.
        device: Where the model is.
        label: As `train`.
        optimizer: Instead of AdamW.
    """
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback

    from coresift.training.weighted import Watch, WeightedCollator, WeightedTrainer

    _check_rows_fit(model, rows)
    if settings.tuning != "full":
        model = attach_lora(model, settings.lora, seed=seed)
    order = _order(rows, weights, settings, seed)
    in_loss = torch.from_numpy(weights if settings.weighting == "loss" else np.ones(len(rows)))
    trainer = WeightedTrainer(
        order=order,
        token_mean=settings.loss_reduction == "token",
        model=model,
        args=_arguments(settings, len(rows), out, seed, device),
        data_collator=WeightedCollator(rows, in_loss, pad_token=_any_token(tokenizer)),
        train_dataset=Dataset.from_dict({"position": range(len(rows))}),
        processing_class=tokenizer,
        optimizers=(optimizer, None),
        callbacks=[Watch(label, order), Mark()],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
