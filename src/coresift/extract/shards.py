"""Filling one array of a store, shard by shard: what is there is left alone, and every shard's cost is told at once."""

import time
from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from coresift.execution.base import Executor
from coresift.execution.local import LocalExecutor
from coresift.features.store import FeatureArray


class Account(Protocol):
    """Is told what a shard cost."""

    def __call__(self, *, seconds: float, tokens: int, flops: float | None) -> None:
        """Add to the costs; flops None where they are not counted."""
        ...


def fill(
    array: FeatureArray,
    compute: Callable[[range], tuple[Tensor, int]],
    *,
    label: str,
    flops_per_token: float = 0.0,
    executor: Executor | None = None,
    account: Account | None = None,
) -> int:
    """Compute the missing shards of `array`.

    Args:
        array: Where the rows go.
        compute: From the rows of a shard to [rows, d] and the tokens read for them. It sees one shard only, so neither
            a resume nor the number of processes changes a byte.
        label: What the progress bar says.
        flops_per_token: For the account.
        executor: Runs the shards; this process by default.
        account: Called after every shard, so that a kill loses no costs.

    Returns:
        How many shards were computed.

    Raises:
        FeatureError: If a row is not finite.
    """

    def one(shard: range) -> int:
        rows, tokens = compute(shard)
        array.write(shard, rows)
        return tokens

    missing, before = array.missing(), time.perf_counter()
    for tokens in (executor or LocalExecutor()).map(one, missing, label=label, unit="shards"):
        now = time.perf_counter()
        if account is not None:
            account(seconds=now - before, tokens=tokens, flops=flops_per_token * tokens)
        before = now
    return len(missing)
