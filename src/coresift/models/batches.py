"""Padded batches of rendered examples, for the response loss and for the knowledge loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from coresift.lazy import torch
from coresift.models.render import Rendered

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["response", "knowledge"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples padded on the right to one length.

    Attributes:
        input_ids: [b, t] int64.
        attention_mask: [b, t] int64, 1 on real tokens.
        targets: [b, t] bool, True where the token *at* that position is predicted (from the ones before it); never at
            position 0.
    """

    input_ids: Tensor
    attention_mask: Tensor
    targets: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return Batch(self.input_ids.to(device), self.attention_mask.to(device), self.targets.to(device))


def collate(rows: Sequence[Rendered], kind: Kind = "response", *, start_token: int, pad_token: int) -> Batch:
    """Pad rows into a batch.

    Args:
        rows: At least one rendered example.
        kind: "response" feeds the conversations; "knowledge" feeds `start_token` and then the same target tokens alone.
        start_token: What the knowledge loss conditions on (`Renderer.start_token`).
        pad_token: Any token; masked.
    """
    if kind == "knowledge":
        sequences: list[Sequence[int]] = [(start_token, *row.response_tokens) for row in rows]
        masks: list[Sequence[bool]] = [(False, *[True] * row.n_targets) for row in rows]
    else:
        sequences, masks = [row.tokens for row in rows], [row.response for row in rows]
    width = max(map(len, sequences))
    return Batch(
        torch.tensor([[*tokens, *[pad_token] * (width - len(tokens))] for tokens in sequences]),
        torch.tensor([[1] * len(tokens) + [0] * (width - len(tokens)) for tokens in sequences]),
        torch.tensor([[*mask, *[False] * (width - len(mask))] for mask in masks]),
    )


def by_length(lengths: Sequence[int], *, max_tokens: int) -> list[list[int]]:
    """Group positions of similar length so that count x longest stays within `max_tokens`.

    Shortest first, ties by position; something longer than `max_tokens` runs alone.

    >>> by_length([5, 1, 2, 9], max_tokens=6)
    [[1, 2], [0], [3]]
    """
    groups: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: (lengths[place], place)):
        if groups and (len(groups[-1]) + 1) * lengths[place] <= max_tokens:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups
