"""Puts a trainer together: base model in the right precision, adapters, data order, arguments."""

import importlib.util
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from coresift.errors import ModelError, TrainingError
from coresift.models.load import load_model
from coresift.models.lora import attach_lora
from coresift.models.render import Rendered, refuse_longer
from coresift.seeds import derive
from coresift.training.order import EpochOrder
from coresift.training.settings import TrainSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from trl import SFTConfig

    from coresift.training.weighted import WeightedTrainer

CURVE_POINTS = 100
"""About how many points of the loss curve are kept."""


def load_base(model: str | Path, settings: TrainSettings, device: torch.device) -> Any:
    """The base model in the dtype its tuning needs.

    Full tuning keeps float32 weights; frozen weights under adapters are held in the compute precision.

    Raises:
        TrainingError: If qlora is asked for where it cannot run.
    """
    if settings.tuning != "qlora":
        dtype = "float32" if settings.tuning == "full" else precision(settings, device)
        return load_model(model, dtype=dtype, device=str(device))
    if device.type != "cuda":
        raise TrainingError(f"train.tuning is 'qlora', which needs a CUDA device; this is {device}. Use tuning=lora.")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise TrainingError("train.tuning is 'qlora', which needs bitsandbytes: pip install 'coresift[qlora]'.")
    return _load_4bit(model, settings, device)


def _load_4bit(model: str | Path, settings: TrainSettings, device: torch.device) -> Any:
    from peft import prepare_model_for_kbit_training
    from transformers import BitsAndBytesConfig

    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if precision(settings, device) == "bfloat16" else torch.float32,
    )
    loaded = load_model(model, dtype="auto", device=str(device), quantization=quantization)
    return prepare_model_for_kbit_training(loaded, use_gradient_checkpointing=settings.gradient_checkpointing)


def precision(settings: TrainSettings, device: torch.device) -> str:
    """The precision of the computation: as set, or bfloat16 on CUDA devices that support it, else float32."""
    if settings.precision != "auto":
        return settings.precision
    return "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"


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
    callbacks: Sequence[Any] = (),
    optimizer: torch.optim.Optimizer | None = None,
    total: int | None = None,
    make: "Callable[..., WeightedTrainer] | None" = None,
) -> "WeightedTrainer":
    """The trainer of a run, ready to start.

    Args:
        model: The loaded base model; adapters are attached unless the tuning is full.
        tokenizer: Its tokenizer.
        rows: Rendered examples.
        out: Folder for checkpoints; nothing else is written.
        settings: How to tune.
        weights: [n] positive, float64.
        seed: Names the data order, the adapters' start and dropout.
        device: Where the model is.
        callbacks: Additional callbacks.
        optimizer: Instead of AdamW.
        total: Optimizer steps of the run; counted from the epochs when None.
        make: Called with the arguments of `WeightedTrainer` instead of it.

    Raises:
        DataError: If a row is longer than the model takes.
        TrainingError: If a row has tokens the model does not know.
        ModelError: If the adapters do not fit the model, or a weight of it is not finite.
    """
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback

    from coresift.training.weighted import WeightedCollator, WeightedTrainer

    check_rows(model, rows)
    check_weights(model)
    if settings.tuning != "full":
        model = attach_lora(model, settings.lora, seed=seed)
    in_loss = weights if settings.weighting == "loss" else np.ones(len(rows))
    planned = steps(settings, len(rows)) if total is None else total
    trainer = (make or WeightedTrainer)(
        order=data_order(rows, weights, settings, seed),
        token_mean=settings.loss_reduction == "token",
        model=model,
        args=_arguments(settings, planned, out, seed, device),
        data_collator=WeightedCollator(rows, torch.from_numpy(in_loss), pad_token=0),
        train_dataset=Dataset.from_dict({"position": range(len(rows))}),
        processing_class=tokenizer,
        optimizers=(optimizer, None),
        callbacks=list(callbacks),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


SAVED_EVERY = 250
"""Optimizer steps between checkpoints at most, unless set: what a kill can cost."""


def check_rows(model: Any, rows: Sequence[Rendered]) -> None:
    """Refuse rows the model cannot take. Raises DataError or TrainingError as `build_trainer` says."""
    refuse_longer(rows, getattr(model.config, "max_position_embeddings", None))
    known = model.get_input_embeddings().weight.shape[0]
    largest = max(rows, key=lambda row: max(row.tokens))
    if max(largest.tokens) >= known:
        raise TrainingError(
            f"example {largest.id} has token {max(largest.tokens)}, but the model knows {known} tokens. "
            "Use the tokenizer that belongs to the model."
        )


def check_weights(model: Any) -> None:
    """Raise ModelError if a weight of the base model is not finite: its losses would not be either."""
    for name, weight in model.named_parameters():
        if weight.is_floating_point() and not bool(torch.isfinite(weight).all()):
            raise ModelError(
                f"the weight {name} of the base model is not finite. The model is damaged, or was saved in a dtype "
                "that cannot hold it. Use another copy of it."
            )


def data_order(rows: Sequence[Rendered], weights: np.ndarray, settings: TrainSettings, seed: int) -> EpochOrder:
    """The order of the examples; under `weighting: sampling` they are drawn with their weights as odds."""
    return EpochOrder(
        [len(row.tokens) for row in rows],
        step_size=settings.batch_size,
        seed=seed,
        odds=weights if settings.weighting == "sampling" else None,
    )


def steps(settings: TrainSettings, n: int) -> int:
    """Optimizer steps of a run over n examples; the last step of an epoch may hold fewer examples."""
    return math.ceil(settings.epochs * steps_of_epoch(settings, n))


def steps_of_epoch(settings: TrainSettings, n: int) -> int:
    """Optimizer steps of one epoch over n examples."""
    return math.ceil(n / settings.batch_size)


FEW = 10
"""Optimizer steps below which LoRA's B is still so near its start at zero that A has next to no gradient."""


def with_steps(settings: TrainSettings, n: int, least: int) -> TrainSettings:
    """The same settings with a batch small enough for `least` optimizer steps over n examples, where that can be.

    >>> small = with_steps(TrainSettings(batch_size=128, micro_batch_size=4, epochs=1), n=20, least=10)
    >>> small.batch_size, small.micro_batch_size, steps(small, 20)
    (2, 2, 10)
    """
    batch = settings.batch_size
    while batch > 1 and steps(settings.model_copy(update={"batch_size": batch}), n) < least:
        batch -= 1
    micro = max(size for size in range(1, settings.micro_batch_size + 1) if batch % size == 0)
    return settings.model_copy(update={"batch_size": batch, "micro_batch_size": micro})


def as_many_steps(settings: TrainSettings, n: int, *, taken: int, used: int) -> TrainSettings:
    """The same settings with batch and epochs such that n examples take as many optimizer steps as another training.

    Args:
        settings: How to tune otherwise.
        n: Examples to train on.
        taken: Optimizer steps of the other training.
        used: Examples that it saw in all, repeated ones as often as they were.

    Returns:
        Settings with `steps(settings, n) == taken` whose batch is nearest to what a step of the other training held.
    """
    batch = max(1, min(n, round(used / taken)))
    epochs = taken / -(-n // batch)
    while math.ceil(epochs * -(-n // batch)) > taken:  # a product of floats may end just above a whole number
        epochs = math.nextafter(epochs, 0.0)
    micro = max(size for size in range(1, settings.micro_batch_size + 1) if batch % size == 0)
    return settings.model_copy(update={"batch_size": batch, "micro_batch_size": micro, "epochs": epochs})


def few_steps_in_words(taken: int) -> str | None:
    """What follows for gradient features from a warm-up of so few optimizer steps; None where nothing does."""
    if taken >= FEW:
        return None
    return (
        f"the warm-up has {taken} optimizer step{'s' if taken > 1 else ''}, fewer than {FEW}: LoRA's B stays near its "
        "start at zero, so the gradients of A nearly vanish and say little about the examples. Lower "
        "warmup.train.batch_size, or raise warmup.fraction, warmup.train.epochs or warmup.train.learning_rate."
    )


def rising_steps(settings: TrainSettings, total: int) -> int:
    """Steps over which the rate rises: the ratio's share, rounded up; none where that is less than one step.

    The first rising step has rate 0, so a rise of a fraction of a step would be a step that trains nothing.
    """
    share = settings.warmup_ratio * total
    return math.ceil(share) if share >= 1.0 else 0


def _arguments(settings: TrainSettings, total: int, out: Path, seed: int, device: torch.device) -> "SFTConfig":
    from accelerate import PartialState
    from trl import SFTConfig

    cpu = device.type == "cpu"
    share = settings.micro_batch_size * PartialState(cpu=cpu).num_processes
    if settings.batch_size % share != 0:
        raise TrainingError(
            f"batch_size {settings.batch_size} is not a multiple of micro_batch_size x processes = {share}. "
            "Choose a batch_size that is."
        )
    arguments = SFTConfig(
        output_dir=str(out),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=settings.batch_size // share,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=rising_steps(settings, total),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=precision(settings, device) == "bfloat16",
        use_cpu=cpu,
        seed=derive(seed, "training") % 2**32,
        gradient_checkpointing=settings.gradient_checkpointing,
        save_strategy="steps",
        save_steps=settings.save_steps or min(max(1, round(total / settings.epochs)), SAVED_EVERY),
        save_total_limit=2,
        logging_steps=max(1, total // CURVE_POINTS),
        logging_first_step=True,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=not cpu,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # several devices take one process each (accelerate launch), never DataParallel
    return arguments
