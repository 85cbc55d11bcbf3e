"""What a feature matrix holds, said precisely enough to name its folder: equal specs, equal arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from coresift import fingerprints
from coresift.errors import SettingsError
from coresift.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

Loss = Literal["knowledge", "following", "response"]
Preconditioner = Literal["none", "adam", "adam-reference"]
Of = Literal["lora", "head", "linear"]
Dtype = Literal["model", "float32", "bfloat16"]
ALL_LAYERS = "all"
LAYERS = r"^(all|last-[1-9][0-9]*)$"


class FeatureSpec(Settings):
    """Base of all specs: a frozen value that names one array of `n` rows."""

    later: ClassVar[tuple[str, ...]] = ()
    """Fields that came later: not written while they hold their default, so that older arrays keep their names."""

    @model_serializer(mode="wrap")
    def _content(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        unset = {name for name in self.later if getattr(self, name) == fields[name].default}
        return {name: value for name, value in plain(self).items() if name not in unset}

    @property
    def key(self) -> str:
        """A folder-safe name: readable parts, then a hash of every field."""
        return f"{type(self).__name__.removesuffix('Spec').lower()}-{self._hash}"

    @property
    def columns(self) -> int | None:
        """How many columns the array has; None where the spec does not say."""
        return None

    @property
    def stored(self) -> FeatureSpec:
        """The spec of what a store keeps on disk; the rest is done by `transform` on reading."""
        return self

    def transform(self, rows: Tensor) -> Tensor:
        """Turn rows of `self.stored` (n x d) into rows of this spec."""
        return rows

    @property
    def _hash(self) -> str:
        return fingerprints.of_json([type(self).__name__, self.model_dump(mode="json")])[:8]


class GradientSpec(FeatureSpec):
    """Per-example gradients of one loss over some weights of a model, projected to `dim`.

    `response` is the ordinary fine-tuning loss and equals `knowledge` + `following` (KN and IF in the BRIEF paper).

    Attributes:
        loss: Which loss.
        dim: Numbers per row.
        preconditioner: What is done to a gradient before it is projected; Adam's need `of: lora`, whose moments the
            warm-up kept.
        unit_norm, norm_power: Each row g becomes g * ||g||^(norm_power - 1): 1 leaves it as it is, 0 makes it a unit
            vector. Raw gradient norms are heavy-tailed, so a power below 1 spreads the weights of a coreset over more
            picks, but normalised rows no longer add up: response = knowledge + following holds for raw rows only.
            `unit_norm` is another way to say `norm_power = 0`.
        seed: Of the projection.
        of: Which weights. `lora`: the adapter of the warm-up. `head`: the language-model head under that adapter; one
            forward pass and none backward. `linear`: the linear maps of all blocks of the untuned model; no warm-up.
        layers: `all`, or `last-k`: the weights of the last k blocks only, where the backward pass then stops.
        dtype: What the pass computes in; `model`: as the recipe's model.

    Raises:
        SettingsError: If `unit_norm` is set together with a power strictly between 0 and 1, an Adam preconditioner
            with weights that have no moments, or `layers` with the head, which lies above all of them.
    """

    later: ClassVar[tuple[str, ...]] = ("of", "layers", "dtype")

    loss: Loss
    dim: int = Field(8192, ge=1)
    preconditioner: Preconditioner = "none"
    unit_norm: bool = False
    norm_power: float = Field(1.0, ge=0.0, le=1.0)
    seed: int = Field(0, ge=0)
    of: Of = "lora"
    layers: str = Field(ALL_LAYERS, pattern=LAYERS)
    dtype: Dtype = "model"

    @model_validator(mode="after")
    def _weights_fit_together(self) -> GradientSpec:
        if self.of != "lora" and self.preconditioner != "none":
            raise SettingsError(
                f"preconditioner is {self.preconditioner!r} and of is {self.of!r}: the warm-up keeps AdamW's moments "
                "of its adapter only. Set preconditioner=none or of=lora."
            )
        if self.of == "head" and self.layers != ALL_LAYERS:
            raise SettingsError(
                f"layers is {self.layers!r} and of is 'head': the head lies above every layer. Leave layers out, or "
                "set of=lora or of=linear."
            )
        return self

    @model_validator(mode="after")
    def _one_normalisation(self) -> GradientSpec:
        if self.unit_norm and 0.0 < self.norm_power < 1.0:
            raise SettingsError(
                f"unit_norm is set and norm_power is {self.norm_power}: unit rows are norm_power 0. Set one of the two."
            )
        # Both spellings of the same rows must be equal and share a folder, so the fields are made to agree.
        unit = self.unit_norm or self.norm_power == 0.0
        self.__dict__.update(unit_norm=unit, norm_power=0.0 if unit else self.norm_power)
        return self

    @property
    def key(self) -> str:
        """For example `knowledge-adam-8192-unit-1f2e3d4c` or `following-none-8192-head-1f2e3d4c`."""
        power = ("unit",) if self.unit_norm else (f"p{self.norm_power:g}",) if self.norm_power < 1 else ()
        written = self.model_dump(mode="json")
        changed = [written[name] for name in self.later if name in written]
        return "-".join([self.loss, self.preconditioner, str(self.dim), *power, *changed, self._hash])

    @property
    def on_adapter(self) -> bool:
        """Whether the gradients are taken on the adapter of a warm-up, not of the untuned model."""
        return self.of != "linear"

    @property
    def last_layers(self) -> int | None:
        """How many blocks from the end are looked at; None: all."""
        return None if self.layers == ALL_LAYERS else int(self.layers.removeprefix("last-"))

    @property
    def columns(self) -> int:
        """One per number of the projection."""
        return self.dim

    @property
    def stored(self) -> GradientSpec:
        """The same gradients as they come: norms untouched."""
        return self.model_copy(update={"unit_norm": False, "norm_power": 1.0})

    def transform(self, rows: Tensor) -> Tensor:
        """Rescale rows (n x d) to length ||g||^norm_power; zero rows stay zero."""
        if self.norm_power == 1.0:
            return rows
        norms = rows.double().norm(dim=1, keepdim=True)
        scale = norms.where(norms > 0, norms.new_ones(())).pow(self.norm_power - 1.0)
        return rows * scale.to(rows.dtype)
