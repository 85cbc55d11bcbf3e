"""What a recipe says about training in rounds, besides the policy itself."""

from typing import Literal

from pydantic import Field, model_validator

from coresift.errors import SettingsError
from coresift.features.losses import Ratio
from coresift.settings import PathText, Settings
from coresift.training.settings import LoopSettings

NEEDS = {"lead": ("utilities", "difficulty"), "loss-per-round": ("utilities",)}
"""Policy -> what of every example it must know before the first round."""


class OnlineSettings(Settings):
    """How examples are scored and grouped before the first round, and how rounds are trained."""

    difficulty_of: Literal["warm-up", "base"] = Field(
        "warm-up",
        description="Whose difficulty: a model warmed up on a random part, or the base model, which is cheaper.",
    )
    ratio: Ratio = Field("perplexity", description="Difficulty as a ratio of perplexities, or of losses.")
    keep_unhelpful: bool = Field(
        False, description="Keep examples of difficulty above 1, whose instruction does not help, instead of NaN."
    )
    groups: str = Field(
        "source",
        description="Tasks: `source`, `embedding` (clusters of sentence embeddings), `none`, or a column's name.",
    )
    encoder: PathText | None = Field(None, description="Sentence encoder of `groups: embedding`.")
    embedding_clusters: int = Field(20, ge=1, description="Clusters of `groups: embedding`.")
    batch_tokens: int = Field(8192, ge=1, description="Examples x padded length of one forward pass of scoring.")
    loop: LoopSettings = LoopSettings()

    @model_validator(mode="after")
    def _an_encoder_for_embeddings(self) -> "OnlineSettings":
        if self.groups == "embedding" and self.encoder is None:
            raise SettingsError(
                "online.groups is 'embedding', but the recipe names no encoder. Set online.encoder=NAME, or group by "
                "source."
            )
        return self
