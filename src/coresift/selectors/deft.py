"""DEFT-UCS: from every cluster of embeddings the most and the least typical examples. Das and Khetan, EMNLP 2024.

Unsupervised core-set selection (2310.16776). Where this deviates and why: docs/methods/deft-ucs.md. In short: picks are
pool positions, shares sum to the budget, and what a small cluster cannot give goes to the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from coresift.features.specs import FeatureSpec
from coresift.features.utilities import OFFLINE_ENCODER, EmbeddingSpec, Text
from coresift.lazy import torch
from coresift.problem import Problem, Selection
from coresift.seeds import generator
from coresift.settings import PathText, Settings
from coresift.submodular.clustering import k_means, quotas
from coresift.submodular.distances.rows import check_rows

if TYPE_CHECKING:
    from torch import Tensor


class DeftUCS(Settings):
    """Easy (near their centroid) and hard (far from it) examples of every k-means cluster.

    Attributes:
        encoder: Sentence encoder.
        text: What of a conversation is embedded.
        clusters: Number of clusters; at most as many as picks are made.
        easy: Share of a cluster's picks that are nearest to its centroid; the others are farthest from it.
        shares: Every cluster gives as many picks as any other, or in proportion to its size.
        base: Share of the budget that is drawn at random from the whole pool first.
    """

    name: ClassVar[str] = "deft-ucs"
    encoder: PathText = Field(OFFLINE_ENCODER, min_length=1)
    text: Text = "full"
    clusters: int = Field(7, ge=1)
    easy: float = Field(0.5, ge=0.0, le=1.0)
    shares: Literal["equal", "proportional"] = "equal"
    base: float = Field(0.0, ge=0.0, lt=1.0)

    @property
    def embedding(self) -> EmbeddingSpec:
        """The embeddings looked at."""
        return EmbeddingSpec(model=self.encoder, text=self.text)

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """One space."""
        return (self.embedding,)

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples; another size is another answer."""
        rows = problem[self.embedding]
        check_rows(rows, name="embeddings")
        found = k_means(rows, min(self.clusters, size), source=generator(problem.seed, "deft-ucs clusters"))
        label, away = found.label.cpu(), _from_centres(rows, found.label, found.centres)
        first = generator(problem.seed, "deft-ucs base").permutation(len(rows))[: int(self.base * size + 0.5)]
        free = torch.ones(len(rows), dtype=torch.bool)
        free[first.tolist()] = False
        members = [((label == number) & free).nonzero().flatten() for number in range(len(found.centres))]
        divide = equal_shares if self.shares == "equal" else quotas
        groups = [
            self._ends(each[away[each].argsort(stable=True)], share)
            for each, share in zip(members, divide(list(map(len, members)), size - len(first)), strict=True)
        ]
        picks = np.concatenate([first, *[group.picks.numpy() for group in groups]]).astype(np.int64)
        return _answer(picks, label.numpy(), groups, {"rounds": found.rounds, "base": len(first)})

    def _ends(self, nearest: Tensor, share: int) -> _Group:
        """The two ends of a cluster sorted by distance; the odd pick goes to the larger part, at a draw to the easy."""
        easy = int(self.easy * share + 0.5)
        hard = share - easy
        return _Group(easy, hard, torch.cat([nearest[:easy], nearest[len(nearest) - hard :].flip(0)]))


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """What one cluster gives: picks near its centroid from the nearest on, then far ones from the farthest on."""

    easy: int
    hard: int
    picks: Tensor


def _from_centres(rows: Tensor, label: Tensor, centres: Tensor) -> Tensor:
    """[n] float64: distance of each row to the centroid of its cluster."""
    return (rows.double() - centres[label]).norm(dim=1).cpu()


def equal_shares(room: list[int], total: int) -> list[int]:
    """Divide `total` equally, none above its room; what is left over goes to the largest, at a draw the lowest number.

    `total` is at most the sum of `room`.

    >>> equal_shares([1, 9, 5], 9)
    [1, 4, 4]
    >>> equal_shares([4, 9, 9], 10)
    [3, 4, 3]
    """
    shares = [0] * len(room)
    while (left := total - sum(shares)) > 0:
        ready = [place for place in range(len(room)) if shares[place] < room[place]]
        each = left // len(ready)
        if each == 0:
            ready, each = sorted(ready, key=lambda place: (-room[place], place))[:left], 1
        for place in ready:
            shares[place] += min(each, room[place] - shares[place])
    return shares


def _answer(picks: np.ndarray, label: np.ndarray, groups: list[_Group], facts: dict[str, int]) -> Selection:
    """Every pick stands for an equal part of its cluster."""
    sizes = np.bincount(label, minlength=len(groups))
    given = np.bincount(label[picks], minlength=len(groups))
    weights = sizes[label[picks]] / given[label[picks]]
    counts = [
        {"examples": int(size), "picks": int(picked), "easy": group.easy, "hard": group.hard}
        for size, picked, group in zip(sizes, given, groups, strict=True)
    ]
    return Selection(
        indices=picks,
        weights=weights,
        nested=False,
        diagnostics={
            **facts,
            "clusters": counts,
            "unrepresented": int(sizes[given == 0].sum()),
            "effective_size": float(weights.sum() ** 2 / np.square(weights).sum()),
        },
    )
