"""What a feature matrix holds, said precisely enough to name its folder: equal specs, equal arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from coresift import fingerprints
from coresift.errors import SettingsError
from coresift.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

Loss = Literal["knowledge", "following", "response"]
Preconditioner = Literal["none", "adam", "adam-reference"]


class FeatureSpec(Settings):
    """Base of all specs: a frozen value that names one array of `n` rows."""

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
    """Per-example gradients of one loss over the LoRA parameters, projected to `dim`.

    `response` is the ordinary fine-tuning loss and equals `knowledge` + `following` (KN and IF in the BRIEF paper).
    Each row g becomes g * ||g||^(norm_power - 1): 1 leaves it as it is, 0 makes it a unit vector. Raw gradient norms
    are heavy-tailed, so a power below 1 spreads the weights of a coreset over more picks, but normalised rows no longer
    add up: response = knowledge + following holds for raw rows only. `unit_norm` is another way to say
    `norm_power = 0`.

    Raises:
        SettingsError: If `unit_norm` is set together with a power strictly between 0 and 1.
    """

    loss: Loss
    dim: int = Field(8192, ge=1)
    preconditioner: Preconditioner = "none"
    unit_norm: bool = False
    norm_power: float = Field(1.0, ge=0.0, le=1.0)
    seed: int = Field(0, ge=0)

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
        """For example `knowledge-adam-8192-unit-1f2e3d4c`."""
        power = ("unit",) if self.unit_norm else (f"p{self.norm_power:g}",) if self.norm_power < 1 else ()
        return "-".join([self.loss, self.preconditioner, str(self.dim), *power, self._hash])

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
