"""Target match: BRIEF's two gradients, of what is known and of what is followed, each compared with the target's.

The response gradient is the sum of the two (docs/methods/brief.md), and its knowledge part is often much the longer:
comparing the parts apart lets both count. Equations: docs/methods/target-match.md.
"""

from typing import ClassVar

from pydantic import Field, model_validator

from coresift.errors import SelectionError
from coresift.features.specs import ALL_LAYERS, LAYERS, FeatureSpec, Loss, Of, Preconditioner
from coresift.features.targets import GradientSimilaritySpec
from coresift.problem import Problem, Selection
from coresift.targeted import Targeted


class TargetMatch(Targeted):
    """The examples whose knowledge and following gradients are both like those of the target.

    Attributes:
        following: Weight of the following part, from 0 to 1; the knowledge part has the rest.
        dim, sketch_seed: Of the projection.
        preconditioner: Of the pool's gradients; the target's are plain.
        of, layers: Whose weights, as in `GradientSpec`; Adam needs the adapter's.
    """

    name: ClassVar[str] = "target-match"
    following: float = Field(0.5, ge=0.0, le=1.0)
    dim: int = Field(8192, ge=1)
    preconditioner: Preconditioner = "adam"
    sketch_seed: int = Field(0, ge=0)
    of: Of = "lora"
    layers: str = Field(ALL_LAYERS, pattern=LAYERS)

    @model_validator(mode="after")
    def _gradients_make_sense(self) -> "TargetMatch":
        _ = self.similarity  # its own checks speak before any work is done
        return self

    def part(self, loss: Loss) -> GradientSimilaritySpec:
        """Cosines of the gradients of one part."""
        return GradientSimilaritySpec(
            loss=loss,
            dim=self.dim,
            preconditioner=self.preconditioner,
            seed=self.sketch_seed,
            of=self.of,
            layers=self.layers,
        )

    @property
    def similarity(self) -> GradientSimilaritySpec:
        """The knowledge part; the following part has as many columns."""
        return self.part("knowledge")

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """Both parts."""
        return self.part("knowledge"), self.part("following")

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples by (1 - following) * knowledge cosine + following * following cosine.

        Raises:
            SelectionError: If the parts differ in shape, or as `Targeted.picks`.
        """
        knowledge, following = (problem[self.part(loss)] for loss in ("knowledge", "following"))
        if knowledge.shape != following.shape:
            raise SelectionError(
                f"knowledge similarities of shape {tuple(knowledge.shape)} and following ones of shape "
                f"{tuple(following.shape)}. Both are of the same pool with the same target."
            )
        mixed = (1.0 - self.following) * knowledge + self.following * following
        return self.picks(problem, mixed, self.similarity, size)
