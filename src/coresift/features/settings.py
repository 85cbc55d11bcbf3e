"""Settings of the gradients that a method looks at, shared by methods so that recipes say them in the same words."""

from pydantic import Field, model_validator

from coresift.features.specs import ALL_LAYERS, LAYERS, Dtype, FeatureSpec, GradientSpec, Loss, Of, Preconditioner
from coresift.settings import Settings


class GradientSettings(Settings):
    """Which gradients, how they are projected and rescaled; every field as in `GradientSpec`.

    Attributes:
        dim: Numbers per row.
        preconditioner: `none`, `adam` or `adam-reference`.
        unit_norm, norm_power: Rows g become g * ||g||^(norm_power - 1); `unit_norm` is another way to say power 0.
        sketch_seed: Seed of the projection.
        of: Of which weights: `lora`, `head` or `linear`.
        layers: Of which blocks: `all`, or `last-k` for the last k.
        dtype: What the passes compute in: `model`, `float32` or `bfloat16`.
    """

    dim: int = Field(8192, ge=1)
    preconditioner: Preconditioner = "none"
    unit_norm: bool = False
    norm_power: float = Field(1.0, ge=0.0, le=1.0)
    sketch_seed: int = Field(0, ge=0)
    of: Of = "lora"
    layers: str = Field(ALL_LAYERS, pattern=LAYERS)
    dtype: Dtype = "model"

    @model_validator(mode="after")
    def _gradients_make_sense(self) -> "GradientSettings":
        self.gradient_of("response")  # its own checks speak before any work is done
        return self

    def gradient_of(self, loss: Loss) -> GradientSpec:
        """The gradients of one loss under these settings."""
        return GradientSpec(
            loss=loss,
            dim=self.dim,
            preconditioner=self.preconditioner,
            unit_norm=self.unit_norm,
            norm_power=self.norm_power,
            seed=self.sketch_seed,
            of=self.of,
            layers=self.layers,
            dtype=self.dtype,
        )


class OneGradient(GradientSettings):
    """Settings of a method that looks at the gradients of one loss, by default the fine-tuning loss itself."""

    loss: Loss = "response"

    @property
    def gradient(self) -> GradientSpec:
        """The gradients looked at."""
        return self.gradient_of(self.loss)

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """One space."""
        return (self.gradient,)
