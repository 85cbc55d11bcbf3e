"""Which examples are worth showing to which: the nearest by embedding, and a few at random."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from coresift.lazy import torch
from coresift.seeds import generator

if TYPE_CHECKING:
    from torch import Tensor

RANDOM_PART = 8
"""One candidate in so many is a random one: embeddings may miss what a model needs."""
BLOCK = 1 << 24
"""Similarities held together."""


def candidate_lists(embeddings: Tensor, rows: Tensor, count: int, *, seed: int = 0) -> Tensor:
    """The candidates of some examples: themselves, their nearest, and a few random others.

    Args:
        embeddings: One unit vector per example, n x d.
        rows: Positions of the examples to be answered.
        count: Candidates each; all n if there are no more.
        seed: Of the random ones; those of one example do not depend on which others are asked for.

    Returns:
        Positions of examples, [len(rows), min(count, n)], ascending in every row.
    """
    n = len(embeddings)
    if count >= n:
        return torch.arange(n).expand(len(rows), n)
    found = [_lists(part, similar, count, seed) for part, similar in _blocks(embeddings, rows)]
    return torch.cat(found)


def rows_of_examples(lists: Tensor, n: int) -> list[np.ndarray]:
    """The same pairs by example: for each of n examples the places of the rows that it is a candidate of, ascending."""
    places = torch.arange(len(lists)).repeat_interleave(lists.shape[1]).numpy()
    examples = lists.flatten().numpy()
    order = np.argsort(examples, kind="stable")
    return np.split(places[order], np.cumsum(np.bincount(examples, minlength=n))[:-1])


def _blocks(embeddings: Tensor, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for part in rows.split(max(1, BLOCK // len(embeddings))):
        similar = embeddings[part].float() @ embeddings.float().T
        similar[torch.arange(len(part)), part] = torch.inf  # an example is its own nearest, duplicates or not
        yield part, similar.cpu()


def _lists(rows: Tensor, similar: Tensor, count: int, seed: int) -> Tensor:
    drawn = min(count - 1, max(1, count // RANDOM_PART))
    near = similar.topk(count - drawn, dim=1).indices.sort(dim=1).values.numpy()
    # The d-th position that is not near, without listing those: d plus the number of near ones passed on the way.
    passed = near - np.arange(near.shape[1])
    others = [
        draw + np.searchsorted(gaps, draw, side="right")
        for gaps, draw in zip(passed, _draws(rows, similar.shape[1] - near.shape[1], drawn, seed), strict=True)
    ]
    return torch.from_numpy(np.concatenate([near, np.stack(others)], axis=1)).sort(dim=1).values


def _draws(rows: Tensor, rest: int, drawn: int, seed: int) -> Iterator[np.ndarray]:
    for row in rows.tolist():
        yield generator(seed, "candidates", row).choice(rest, size=drawn, replace=False)
