"""Utilities on disk as selection reads them: one kernel per spec, pool examples first.

On disk a kernel has the examples that are shown first, because columns are what is computed (`kernels`). Selection has
pool examples first (`utilities`). Where targets or existing examples are the ones shown, reading turns the array.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from coresift.errors import FeatureError
from coresift.features.base import Features
from coresift.features.candidates import candidate_lists, rows_of_examples
from coresift.features.kernels import KernelArray
from coresift.features.specs import FeatureSpec
from coresift.features.utilities import Part, UtilitySpec

Group = Literal["pool", "target", "existing"]
SHOWN: dict[Part, Group] = {"pool": "pool", "target": "pool", "by-target": "target", "existing": "existing"}
ANSWERED: dict[Part, Group] = {"pool": "pool", "target": "target", "by-target": "pool", "existing": "pool"}


@dataclass(frozen=True, slots=True)
class Side:
    """Some examples of a group.

    Attributes:
        group: Which.
        places: Their positions in it, ascending.
    """

    group: Group
    places: tuple[int, ...]


class UtilityStore:
    """Utilities of one pool under one model; satisfies the `Features` protocol.

    Args:
        root: The folder that holds one folder per spec.
        identity: What all utilities depend on besides the spec and the examples: the model's fingerprint.
        pool, target, existing: Example ids, in order.
        embeddings: Where specs with `candidates` find the embeddings of the pool.
        folders: Where the kernel of a stored spec is, if not in the folder of `root` with its key.
    """

    def __init__(
        self,
        root: Path,
        *,
        identity: Mapping[str, Any],
        pool: Sequence[str],
        target: Sequence[str] = (),
        existing: Sequence[str] = (),
        embeddings: Features | None = None,
        folders: Mapping[FeatureSpec, Path] | None = None,
    ) -> None:
        self.root, self.identity, self.embeddings = root, dict(identity), embeddings
        self._folders = dict(folders or {})
        self._arrays: dict[UtilitySpec, KernelArray] = {}
        self.ids: dict[Group, tuple[str, ...]] = {
            "pool": tuple(pool),
            "target": tuple(target),
            "existing": tuple(existing),
        }

    @property
    def n(self) -> int:
        """Number of pool examples."""
        return len(self.ids["pool"])

    def shown(self, spec: UtilitySpec) -> Side:
        """Who stands in the context. Raises FeatureError if the group has no examples."""
        return self._side(SHOWN[spec.part])

    def answered(self, spec: UtilitySpec) -> Side:
        """Whose responses are predicted. Raises FeatureError if the group has no examples."""
        group = ANSWERED[spec.part]
        return Side(group, tuple(spec.predicted(self.n).tolist())) if group == "pool" else self._side(group)

    def _side(self, group: Group) -> Side:
        if len(self.ids[group]) == 0:
            raise FeatureError(
                f"the {group} set has no examples. Utilities need at least one: name a file that has some."
            )
        return Side(group, tuple(range(len(self.ids[group]))))

    def array(self, spec: UtilitySpec) -> KernelArray:
        """The kernel behind `spec`, opened; specs that differ only in `self` share one."""
        stored = spec.stored
        if stored not in self._arrays:  # candidate lists look at all pairs of embeddings: once is enough
            self._arrays[stored] = self._opened(stored)
        return self._arrays[stored]

    def _opened(self, stored: UtilitySpec) -> KernelArray:
        shown, answered = self.shown(stored), self.answered(stored)
        return KernelArray(
            self._folders.get(stored, self.root / stored.key),
            identity={**self.identity, "spec": stored.model_dump(mode="json")},
            examples=[self.ids[shown.group][place] for place in shown.places],
            rows=[self.ids[answered.group][place] for place in answered.places],
            pairs=self._pairs(stored),
        )

    def _pairs(self, spec: UtilitySpec) -> list[list[int]] | None:
        if spec.candidates is None or spec.encoder is None:
            return None
        if self.embeddings is None:
            raise FeatureError(f"{spec.key}: candidates come from embeddings. Give those of {spec.encoder.key}.")
        points = self.embeddings[spec.encoder]
        lists = candidate_lists(points, torch.arange(self.n), spec.candidates, seed=spec.seed)
        return [places.tolist() for places in rows_of_examples(lists, self.n)]

    def __getitem__(self, spec: FeatureSpec) -> Tensor:
        """Utilities with pool examples first, as `UtilitySpec` says; embeddings as they are held.

        Raises:
            FeatureError: If shards are missing or damaged, or there is no such array.
        """
        if not isinstance(spec, UtilitySpec):
            if self.embeddings is None:
                raise FeatureError(f"no array for {spec.key}. Held: utilities only.")
            return self.embeddings[spec]
        kernel = self.array(spec).read()
        if SHOWN[spec.part] == "pool":
            return spec.transform(kernel)
        turned = torch.zeros(self.n, len(kernel))
        turned[list(self.answered(spec).places)] = kernel.T
        return turned
