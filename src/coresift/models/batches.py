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

    def first(self, tokens: int) -> Batch:
        """The first `tokens` positions, the last of them a target."""
        cut = Batch(*(each[:, :tokens].clone() for each in (self.input_ids, self.attention_mask, self.targets)))
        cut.targets[:, -1] = True
        return cut


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


PASS_TOKENS = 128
"""What a pass costs besides its tokens, in tokens: an assumption about how much a small batch loses."""


def fewest_padded(lengths: Sequence[int], *, max_tokens: int, pass_tokens: int = PASS_TOKENS) -> list[list[int]]:
    """Group positions of similar length so that padding and passes together cost least.

    The cost of a group is count x longest + `pass_tokens`; count x longest stays within `max_tokens`, and something
    longer runs alone. The least sum over all ways to cut the positions, sorted by length, is found exactly.

    >>> fewest_padded([5, 1, 2, 9], max_tokens=20, pass_tokens=3)
    [[1, 2], [0], [3]]
    >>> fewest_padded([5, 1, 2, 9], max_tokens=20, pass_tokens=30)
    [[1, 2], [0, 3]]
    """
    order = sorted(range(len(lengths)), key=lambda place: (lengths[place], place))
    least, cut = [0] * (len(order) + 1), [0] * (len(order) + 1)
    for stop in range(1, len(order) + 1):
        longest = lengths[order[stop - 1]]
        begins = range(max(min(stop - 1, stop - max_tokens // max(longest, 1)), 0), stop)
        cut[stop] = min(begins, key=lambda begin: least[begin] + (stop - begin) * longest)
        least[stop] = least[cut[stop]] + (stop - cut[stop]) * longest + pass_tokens
    groups, stop = [], len(order)
    while stop > 0:
        groups.append(order[cut[stop] : stop])
        stop = cut[stop]
    return groups[::-1]
