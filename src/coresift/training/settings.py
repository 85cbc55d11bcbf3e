"""Everything a training run is set by. Defaults: the published BRIEF settings."""

from typing import Literal

from pydantic import Field, model_validator

from coresift.errors import SettingsError
from coresift.models.lora import LoraSettings
from coresift.settings import Settings
from coresift.training.rates import Schedule

CALMER = (
    "Lower the learning rate (train.learning_rate, of a warm-up warmup.train.learning_rate), or compute in float32 "
    "(precision: float32 beside it)."
)
"""What helps where training leaves the finite numbers."""


class TrainSettings(Settings):
    """How a model is tuned."""

    tuning: Literal["lora", "full", "qlora"] = Field(
        default="lora", description="Adapters, all weights, or adapters on a 4-bit base (CUDA only)."
    )
    lora: LoraSettings = LoraSettings()
    epochs: float = Field(default=4, gt=0)
    learning_rate: float = Field(default=5e-6, gt=0, description="Peak; linear warm-up, then linear decay to zero.")
    batch_size: int = Field(default=128, ge=1, description="Examples per optimizer step, over all devices.")
    micro_batch_size: int = Field(default=2, ge=1, description="Examples per forward pass; never changes the result.")
    warmup_ratio: float = Field(default=0.03, ge=0, lt=1, description="Share of the steps over which the rate rises.")
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(
        default=1.0, ge=0, description="Gradients are scaled down to this norm; 0 for no limit."
    )
    loss_reduction: Literal["example", "token"] = Field(
        default="example", description="What weights weigh in an optimizer step: examples, or their tokens."
    )
    weighting: Literal["loss", "sampling", "none"] = Field(
        default="loss", description="Weights multiply losses, or are odds of drawing an example, or are ignored."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 on CUDA devices that support it, else float32."
    )
    save_steps: int | None = Field(
        default=None, ge=1, description="Optimizer steps between checkpoints; default: every epoch, 250 at most."
    )
    keep_epochs: bool = Field(
        default=False, description="Also keep the adapter and AdamW's moments of the end of every epoch, for LESS."
    )
    gradient_checkpointing: bool = Field(default=False, description="Less memory, about a fifth slower.")

    @model_validator(mode="after")
    def _epochs_of_adapters(self) -> "TrainSettings":
        if self.keep_epochs and self.tuning == "full":
            raise SettingsError(
                "keep_epochs is set and tuning is 'full': what is kept are adapters with AdamW's moments. Set tuning "
                "to lora, or leave keep_epochs out."
            )
        return self

    @model_validator(mode="after")
    def _whole_micro_batches(self) -> "TrainSettings":
        if self.batch_size % self.micro_batch_size != 0:
            raise SettingsError(
                f"batch_size {self.batch_size} is not a multiple of micro_batch_size {self.micro_batch_size}. "
                "Choose a micro_batch_size that divides batch_size."
            )
        return self


class LoopSettings(Settings):
    """How rounds are trained, besides what every training is set by."""

    schedule: Schedule = Field(
        "linear", description="Learning rate: linear in the budget spent, or 0.995 ** (step // 8), as published."
    )
    measure: int = Field(
        0, ge=0, description="Examples of each round whose loss is measured again after it: forward passes, for checks."
    )
