"""What a selection method is given, what it answers, and what it is: the words that methods and `select` share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from coresift.errors import SelectionError
from coresift.features.base import Features
from coresift.features.specs import FeatureSpec
from coresift.memory import free_memory
from coresift.savepoints import Nowhere, Savepoints

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from coresift.submodular.cover.plan import Plan
    from coresift.submodular.distances.stored import Metric

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A method's answer.

    Attributes:
        indices: Pool positions, all different, in the order picked.
        weights: How many pool examples each pick stands for: finite, > 0.
        nested: Every prefix of `indices` is the method's own answer for that size.
        diagnostics: Small and JSON-able.
        prefixes: The answers for the sizes in `Problem.wanted(indices)`, with their own weights and diagnostics.
        shortfall: Why there are fewer picks than asked for; empty when there are as many. Picks are never made up.
    """

    indices: np.ndarray
    weights: np.ndarray
    nested: bool
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    prefixes: Mapping[int, Selection] = field(default_factory=dict)
    shortfall: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a method is given: arrays, the size of the pool, a seed, and which prefixes are wanted too.

    Attributes:
        n: Number of examples in the pool.
        features: Arrays by spec; None for methods that require none.
        seed: Root of the method's random choices.
        groups: The group of every example, such as its source; None where it is not known.
        subtasks: The sub-task of every target example, for methods with a target; None where there are none.
        memory: Bytes that selecting may use beyond the features; None for most of what is free.
        device: Where distances are computed; None for where the features are.
        savepoints: Where work of hours is saved.
        say: Told what is about to be done and why, a line at a time.
        wanted: The prefix sizes wanted of an order of picks, ascending, below its length.
    """

    n: int
    features: Features | None = None
    seed: int = 0
    groups: Sequence[str] | None = None
    subtasks: Sequence[str] | None = None
    memory: int | None = None
    device: torch.device | None = None
    savepoints: Savepoints = field(default_factory=Nowhere)
    say: Say = lambda line: None
    wanted: Callable[[np.ndarray], tuple[int, ...]] = lambda order: ()

    def __getitem__(self, spec: FeatureSpec) -> Any:
        """The array of `spec`. Raises SelectionError if the problem has no features, or not as many rows or columns."""
        if self.features is None:
            raise SelectionError(f"no features given, but {spec.key} is needed. Pass features that hold it.")
        array = self.features[spec]
        if len(array) != self.n:
            raise SelectionError(f"{spec.key} has {len(array)} rows for {self.n} examples. Pass one row per example.")
        if spec.columns is not None and array.shape[1] != spec.columns:
            raise SelectionError(
                f"{spec.key} has {array.shape[1]} columns, but its spec says {spec.columns}. Take a method with "
                f"dim={array.shape[1]}, or pass the array that the spec names."
            )
        return array

    def room(self, device: torch.device | None = None) -> int:
        """Bytes that may be used beyond the features, in main memory or on the device given."""
        return free_memory(device) if self.memory is None else self.memory

    def spaces(self, rows: Mapping[str, Tensor], *, what: str = "distances") -> tuple[dict[str, Metric], Plan]:
        """The distances of every space, held as the memory allows; how and why is said before they are computed.

        Args:
            rows: n x d arrays by the name of their space.
            what: What the work is called.

        Raises:
            SelectionError: If rows are not finite, spaces differ in length, or the memory does not suffice.
        """
        from coresift.submodular.cover.plan import spaces_of

        return spaces_of(rows, self.room(self.device), device=self.device, what=what, say=self.say)


def evenly(
    problem: Problem,
    order: np.ndarray,
    size: int,
    *,
    facts: Callable[[np.ndarray], Mapping[str, Any]] = lambda picks: {},
    shortfall: str = "",
) -> Selection:
    """The answer of a method that only orders examples: the first `size`, each standing for an equal part of the pool.

    Args:
        problem: What was asked.
        order: Pool positions from the best on; those that may not be picked are left out.
        size: How many picks were asked for.
        facts: Diagnostics of some picks, asked for the whole answer and for every prefix.
        shortfall: Why there may be fewer; said if there are.
    """

    def answer(picks: np.ndarray, prefixes: Mapping[int, Selection], lacking: str = "") -> Selection:
        return Selection(
            indices=picks,
            weights=np.full(len(picks), problem.n / len(picks)),
            nested=True,
            diagnostics=facts(picks),
            prefixes=prefixes,
            shortfall=lacking,
        )

    picks = order[:size]
    parts = {part: answer(picks[:part], {}) for part in problem.wanted(picks)}
    return answer(picks, parts, shortfall if len(picks) < size else "")


@runtime_checkable
class Selector(Protocol):
    """A one-shot selection method: frozen settings and one function of arrays."""

    @property
    def name(self) -> str:
        """The name used in recipes."""
        ...

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """The arrays that `select` will ask for."""
        ...

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples."""
        ...
