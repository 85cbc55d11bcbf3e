"""Frozen, checked settings: an unknown key or a value out of range is an error, never a guess."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of everything a user sets: immutable, no unknown keys, equal when all values are equal."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
