"""What all methods with a target share: similarities to target examples in, an order of picks out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from coresift.errors import SelectionError
from coresift.features.specs import FeatureSpec
from coresift.features.targets import TargetSpec
from coresift.lazy import torch
from coresift.problem import Problem, Selection, evenly
from coresift.settings import Settings
from coresift.submodular.distances.rows import check_rows
from coresift.submodular.worth.information import mutual_information
from coresift.targets.aggregate import places_of, ranked, round_robin, subtask_means

if TYPE_CHECKING:
    from torch import Tensor

Aggregate = Literal["mean", "max", "round-robin", "mutual-information"]


class Targeted(Settings, ABC):
    """A method that picks what is most similar to a target.

    Attributes:
        aggregate: `mean` over the target examples of a sub-task, then the largest over sub-tasks; `max` over all target
            examples; `round-robin`: target examples in turn take their best left one; `mutual-information`: greedy
            picks that also differ, since a target example counts what is most similar to it only once.
        eta: Under `mutual-information`, how much similarity alone counts beside covering every target example.
    """

    aggregate: Aggregate = "mean"
    eta: float = Field(1.0, ge=0.0)

    @property
    @abstractmethod
    def similarity(self) -> TargetSpec:
        """How similar every example is to every target example."""

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """One array of similarities."""
        return (self.similarity,)

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples; prefixes are answers, and every pick counts the same. Errors as `picks`."""
        return self.picks(problem, problem[self.similarity], self.similarity, size)

    def picks(self, problem: Problem, similar: Tensor, spec: TargetSpec, size: int) -> Selection:
        """The answer for given similarities.

        Args:
            problem: Names the sub-tasks.
            similar: [n, T], or [n, S] where the columns are sub-tasks.
            spec: What the columns are.
            size: How many picks.

        Raises:
            SelectionError: If a similarity is not finite, the sub-tasks do not fit, or nothing is similar to the target
                under `mutual-information`.
        """
        check_rows(similar, name="similarities")
        names = column_names(problem.subtasks, spec, similar.shape[1])
        means = subtask_means(similar, names).cpu()
        order, numbers = self._order(similar, means, size)
        known = list(places_of(names))

        def facts(picks: np.ndarray) -> dict[str, Any]:
            nearest = means[picks].argmax(dim=1).tolist()
            return {
                **{name: values[: len(picks)].tolist() for name, values in numbers.items()},
                "mean_score": float(numbers["scores"][: len(picks)].mean()),
                "subtasks": {name: nearest.count(place) for place, name in enumerate(known)},
                "target_columns": similar.shape[1],
            }

        return evenly(problem, order.numpy(), size, facts=facts)

    def _order(self, similar: Tensor, means: Tensor, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Picks in order, and numbers about each of them."""
        if self.aggregate == "round-robin":
            turns = round_robin(similar, size)
            taken = similar[turns.order.to(similar.device)].cpu().double()
            own = taken.gather(1, turns.takers.clamp(min=0)[:, None])[:, 0]
            scores = torch.where(turns.takers >= 0, own, taken.amax(dim=1))
            return turns.order, {"scores": scores, "takers": turns.takers}
        best = similar.cpu().double().amax(dim=1)
        if self.aggregate == "mutual-information":
            return self._covering(similar, best, size)
        scores = best if self.aggregate == "max" else means.amax(dim=1)
        order = ranked(scores, size)
        return order, {"scores": scores[order]}

    def _covering(self, similar: Tensor, best: Tensor, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        picks = mutual_information(similar, eta=self.eta).greedy(size, label="picks")
        if float(picks.gains[0]) <= 0.0:
            raise SelectionError(
                "no example is similar to a target example (no similarity is above 0): nothing to match. Check that "
                "the target is of the kind meant, or set aggregate to round-robin."
            )
        return picks.order, {"scores": best[picks.order], "gains": picks.gains}


def column_names(subtasks: Sequence[str] | None, spec: TargetSpec, columns: int) -> list[str]:
    """The sub-task of every column of an array.

    Args:
        subtasks: The sub-task of every target example; None where they have none.
        spec: What the columns are.
        columns: How many there are.

    Raises:
        SelectionError: If the two do not fit.
    """
    if subtasks is None:
        return [str(place) for place in range(columns)] if spec.by_subtask else [""] * columns
    names = list(places_of(subtasks)) if spec.by_subtask else list(subtasks)
    if len(names) != columns:
        what = "sub-tasks" if spec.by_subtask else "target examples"
        raise SelectionError(
            f"{spec.key}: {columns} columns for {len(names)} {what}. Pass the sub-task of every target example whose "
            "similarities these are."
        )
    return names
