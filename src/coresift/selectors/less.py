"""LESS: what moves the model most towards a target, over a whole warm-up. Xia et al., ICML 2024 (2402.04333).

Where this deviates and why: docs/methods/less.md. In short: sub-tasks are named by the target's own rows and may have
any number of examples, and the mean over a sub-task may be taken of cosines, as in the published code, or of gradients,
as in the paper.
"""

from typing import ClassVar

from pydantic import Field, model_validator

from coresift.features.specs import ALL_LAYERS, LAYERS, Of, Preconditioner
from coresift.features.targets import Average, Checkpoints, GradientSimilaritySpec
from coresift.targeted import Targeted


class Less(Targeted):
    """The examples whose AdamW direction is most like the gradient of a target sub-task.

    Attributes:
        dim, sketch_seed: Of the projection.
        preconditioner: Of the pool's gradients; the target's are plain.
        checkpoints: The end of every epoch of the warm-up, weighted by learning rate, or the last alone.
        of, layers: Whose weights, as in `GradientSpec`; `epochs` and Adam need the adapter's.
        average: `cosines` or `gradients`, as in `GradientSimilaritySpec`.
    """

    name: ClassVar[str] = "less"
    dim: int = Field(8192, ge=1)
    preconditioner: Preconditioner = "adam-reference"
    checkpoints: Checkpoints = "epochs"
    average: Average = "cosines"
    sketch_seed: int = Field(0, ge=0)
    of: Of = "lora"
    layers: str = Field(ALL_LAYERS, pattern=LAYERS)

    @model_validator(mode="after")
    def _gradients_make_sense(self) -> "Less":
        _ = self.similarity  # its own checks speak before any work is done
        return self

    @property
    def similarity(self) -> GradientSimilaritySpec:
        """Influence of every example on every target example, or on every sub-task."""
        return GradientSimilaritySpec(
            dim=self.dim,
            preconditioner=self.preconditioner,
            checkpoints=self.checkpoints,
            average=self.average,
            seed=self.sketch_seed,
            of=self.of,
            layers=self.layers,
        )
