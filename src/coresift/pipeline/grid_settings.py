"""The settings of a comparison."""

from typing import Any

from pydantic import Field, model_validator

from coresift.errors import SettingsError
from coresift.settings import Settings

CONTROLS: tuple[str, ...] = ("random", "balanced-random", "length-matched", "longest", "random-per-epoch", "full")
"""What everything may be compared with; random is always there."""


class Grid(Settings):
    """What `coresift compare` runs."""

    methods: list[Any] = Field(
        default=["brief", "mint", "craig"],
        description="Names, or mappings with `name`, the settings that differ, and optionally `label` and `weighting`; "
        "`all` for every method that needs nothing else.",
    )
    budgets: list[int | float | str] = Field(default=[0.05], min_length=1)
    draws: int = Field(default=3, ge=1, description="Times everything before training is done again.")
    training_seeds: int = Field(default=1, ge=1, description="Trainings of each selection.")
    controls: list[str] = Field(
        default=list(CONTROLS), description=f"Which of {', '.join(CONTROLS)}; random is always there."
    )
    equal_cost: bool = Field(
        default=True, description="Also random with as much computing as the dearest method, selection included."
    )

    @model_validator(mode="after")
    def _known_controls(self) -> "Grid":
        for name in self.controls:
            if name not in CONTROLS:
                raise SettingsError(f"grid.controls holds {name!r}. Known controls: {', '.join(CONTROLS)}.")
        return self
