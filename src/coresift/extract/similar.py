"""Similarities to a target in one pass over the pool: the target's rows in memory, a shard of the pool at a time.

Only similarities are kept, n x T numbers. The rows of the pool that they are made of may be kept too, in stores of
their own (`through`), so that another target costs no pass over the pool.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coresift.execution.base import Executor
from coresift.execution.local import LocalExecutor
from coresift.extract.shards import Account
from coresift.features.store import FeatureArray
from coresift.targets.influence import units

Shard = Callable[[range], Tensor]
"""From the rows of a shard to their numbers, [rows, d]."""


@dataclass
class Tally:
    """Counts the tokens that passes read."""

    tokens: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One way to look at the examples.

    Attributes:
        target: [T, d], the target's rows, at any length.
        pool: The pool's rows.
        weight: How much its cosines count.
    """

    target: Tensor
    pool: Shard
    weight: float = 1.0


def similarities(sides: Sequence[Side]) -> Shard:
    """The weighted sum of the sides' cosines, [rows, T]."""
    targets = [units(side.target).T for side in sides]

    def compute(shard: range) -> Tensor:
        parts = [
            side.weight * (units(side.pool(shard)).to(target) @ target)
            for side, target in zip(sides, targets, strict=True)
        ]
        return torch.stack(parts).sum(dim=0)

    return compute


def through(array: FeatureArray, compute: Shard) -> Shard:
    """The same rows by way of a store: computed where they are not there yet, and always read back.

    So similarities are those of what is stored, whether it was there before or not.

    Args:
        array: Cut into the same shards as the similarities.
        compute: What fills it.
    """
    missing = set(array.missing())

    def rows(shard: range) -> Tensor:
        if shard in missing:
            array.write(shard, compute(shard))
            missing.remove(shard)
        return array.rows(shard)

    return rows


def fill_together(
    arrays: Sequence[tuple[FeatureArray, Shard]],
    tally: Tally,
    *,
    label: str,
    flops_per_token: float = 0.0,
    executor: Executor | None = None,
    account: Account | None = None,
) -> int:
    """Compute the missing shards of several arrays, all that miss a shard at the same time.

    Args:
        arrays: What is filled, and from what.
        tally: What the computations add the tokens to that they read.
        label: What the progress bar says.
        flops_per_token: For the account.
        executor: Runs the shards; this process by default.
        account: Called after every shard, so that a kill loses no costs.

    Returns:
        How many shards were computed.
    """
    missing = [set(array.missing()) for array, _ in arrays]
    shards = sorted(set().union(*missing), key=lambda shard: shard.start)

    def one(shard: range) -> None:
        for (array, compute), lacks in zip(arrays, missing, strict=True):
            if shard in lacks:
                array.write(shard, compute(shard))

    before, told = time.perf_counter(), 0
    for _ in (executor or LocalExecutor()).map(one, shards, label=label, unit="shards"):
        now, tokens = time.perf_counter(), tally.tokens - told
        if account is not None:
            account(seconds=now - before, tokens=tokens, flops=flops_per_token * tokens)
        before, told = now, tally.tokens
    return len(shards)
