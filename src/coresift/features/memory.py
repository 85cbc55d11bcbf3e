"""Features that are already in memory: for tests, notebooks and small pools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from coresift.errors import FeatureError
from coresift.features.specs import FeatureSpec
from coresift.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


class InMemoryFeatures:
    """Arrays held by spec; a spec that only rescales a held one is computed on reading.

    Args:
        arrays: One n x d array per spec (torch or NumPy), all with the same n.

    Raises:
        FeatureError: If there is no array, a key is no spec, an array is not two-dimensional or not of numbers, or the
            numbers of rows differ.
    """

    def __init__(self, arrays: Mapping[FeatureSpec, Tensor | np.ndarray]) -> None:
        self._arrays = {_spec(key): _tensor(rows, key.key) for key, rows in arrays.items()}
        if len(self._arrays) == 0:
            raise FeatureError("no arrays given: features need at least one spec with its n x d array.")
        for spec, rows in self._arrays.items():
            if rows.ndim != 2:
                raise FeatureError(f"{spec.key}: shape {tuple(rows.shape)}. An array of features is n x d.")
        sizes = {spec.key: len(rows) for spec, rows in self._arrays.items()}
        if len(set(sizes.values())) > 1:
            raise FeatureError(f"arrays of different length: {sizes}. All of them describe the same pool: same rows.")
        self._n = next(iter(sizes.values()))

    @property
    def n(self) -> int:
        """Number of rows of every array."""
        return self._n

    def __getitem__(self, spec: FeatureSpec) -> Tensor:
        """The array of `spec`, n x d. Raises FeatureError if neither it nor its stored form is held."""
        if spec in self._arrays:
            return self._arrays[spec]
        if spec.stored in self._arrays:
            return spec.transform(self._arrays[spec.stored])
        held = ", ".join(sorted(known.key for known in self._arrays))
        raise FeatureError(f"no array for {spec.key}. Held: {held}. Extract that spec or select with one that is held.")


def _spec(key: FeatureSpec) -> FeatureSpec:
    if not isinstance(key, FeatureSpec):
        raise FeatureError(
            f"features are held by spec, not by {key!r}. Take the specs from the method: Brief().knowledge, or one of "
            "method.requires."
        )
    return key


def _tensor(rows: Tensor | np.ndarray, name: str) -> Tensor:
    try:
        return torch.as_tensor(rows)
    except (TypeError, ValueError, RuntimeError) as error:
        raise FeatureError(f"{name}: not an array of numbers ({error}). Pass an n x d array.") from None
