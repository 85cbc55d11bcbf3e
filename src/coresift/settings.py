"""Frozen, checked settings: an unknown key or a value out of range is an error, never a guess."""

import os.path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

PathText = Annotated[str, AfterValidator(os.path.expanduser)]
"""A path as people write it: `~` is their home. Names that are no paths stay as they are."""


class Settings(BaseModel):
    """Base of everything a user sets: immutable, no unknown keys, equal when all values are equal."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
