"""Arrays that hold how similar every pool example is to every target example, n x T, and what they are made of.

A column is a target example, in the order of the target set; where an array says `by_subtask`, a column is a sub-task,
in the order of their first examples.
"""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from coresift.errors import SettingsError
from coresift.features.specs import ALL_LAYERS, LAYERS, FeatureSpec, GradientSpec, Loss, Of, Preconditioner
from coresift.features.utilities import Text

Checkpoints = Literal["last", "epochs"]
Average = Literal["cosines", "gradients"]


class TargetSpec(FeatureSpec):
    """Base of arrays with one column per target example."""

    @property
    def part(self) -> Literal["target"]:
        """The set of examples beside the pool that the array speaks of."""
        return "target"

    @property
    def by_subtask(self) -> bool:
        """Whether a column is a sub-task instead of a target example."""
        return False


class GradientSimilaritySpec(TargetSpec):
    """Cosines of gradients, over one checkpoint or summed over those of all epochs of the warm-up.

    Attributes:
        loss: Whose gradients, on both sides.
        dim, seed: Of the projection, the same for both sides and all checkpoints, as inner products require.
        preconditioner: Of the pool's gradients.
        target_preconditioner: Of the target's; LESS leaves them as they are.
        checkpoints: `last`, or `epochs`: the end of every epoch, weighted by the epoch's mean learning rate.
        average: `cosines` has one column per target example; `gradients` averages the target's projected gradients
            within a sub-task first, and has one column per sub-task.
        of, layers: Whose weights, as in `GradientSpec`.

    Raises:
        SettingsError: If the gradients make no sense, or `epochs` are asked of weights other than the adapter.
    """

    later: ClassVar[tuple[str, ...]] = ("of", "layers")

    loss: Loss = "response"
    dim: int = Field(8192, ge=1)
    preconditioner: Preconditioner = "adam-reference"
    target_preconditioner: Preconditioner = "none"
    checkpoints: Checkpoints = "last"
    average: Average = "cosines"
    seed: int = Field(0, ge=0)
    of: Of = "lora"
    layers: str = Field(ALL_LAYERS, pattern=LAYERS)

    @model_validator(mode="after")
    def _gradients_make_sense(self) -> "GradientSimilaritySpec":
        _ = self.pool_gradients, self.target_gradients  # their own checks speak before any work is done
        if self.checkpoints == "epochs" and self.of != "lora":
            raise SettingsError(
                f"checkpoints is 'epochs' and of is {self.of!r}: what is kept of an epoch is its adapter. Set "
                "checkpoints=last or of=lora."
            )
        return self

    @property
    def key(self) -> str:
        """For example `gradient-similarity-response-epochs-8192-1f2e3d4c`."""
        mean = ("subtasks",) if self.by_subtask else ()
        return "-".join(["gradient-similarity", self.loss, self.checkpoints, str(self.dim), *mean, self._hash])

    @property
    def by_subtask(self) -> bool:
        """With averaged gradients."""
        return self.average == "gradients"

    @property
    def pool_gradients(self) -> GradientSpec:
        """What is taken of a pool example at a checkpoint."""
        return self._gradients(self.preconditioner)

    @property
    def target_gradients(self) -> GradientSpec:
        """What is taken of a target example at a checkpoint."""
        return self._gradients(self.target_preconditioner)

    def _gradients(self, preconditioner: Preconditioner) -> GradientSpec:
        return GradientSpec(
            loss=self.loss,
            dim=self.dim,
            preconditioner=preconditioner,
            seed=self.seed,
            of=self.of,
            layers=self.layers,
        )


class HiddenSpec(FeatureSpec):
    """Position-weighted means of the base model's last hidden states, n x width: sum_t t h_t / sum_t t, t = 1, 2, ...

    All tokens of the rendered conversation count, up to the last one to be learned.
    """

    @property
    def key(self) -> str:
        """For example `hidden-1f2e3d4c`."""
        return f"hidden-{self._hash}"


class HiddenSimilaritySpec(TargetSpec):
    """Cosines of `HiddenSpec` rows (RDS+)."""

    @property
    def hidden(self) -> HiddenSpec:
        """What is taken of every example."""
        return HiddenSpec()

    @property
    def key(self) -> str:
        """For example `hidden-similarity-1f2e3d4c`."""
        return f"hidden-similarity-{self._hash}"


class LexicalSpec(TargetSpec):
    """BM25 of every pool example for every target example's words as the query; 0 where no word is shared.

    Attributes:
        text: What of a pool example is read.
        query: What of a target example is read.
        k1: How fast repeated words stop counting.
        b: How much longer texts are held back, from 0 to 1.
    """

    text: Text = "full"
    query: Text = "full"
    k1: float = Field(1.5, ge=0.0)
    b: float = Field(0.75, ge=0.0, le=1.0)

    @property
    def key(self) -> str:
        """For example `lexical-full-1f2e3d4c`."""
        return f"lexical-{self.text}-{self._hash}"
