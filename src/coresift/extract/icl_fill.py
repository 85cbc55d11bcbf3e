"""Fills a kernel of utilities shard by shard; what is there is left alone."""

import time
from collections.abc import Callable, Sequence

from coresift.data.pool import Example
from coresift.errors import FeatureError
from coresift.execution.base import Executor
from coresift.execution.local import LocalExecutor
from coresift.extract.icl import Counts, UtilityScorer
from coresift.extract.run import ExtractionCost
from coresift.features.kernels import KernelArray


def fill_kernel(
    scorer: UtilityScorer,
    array: KernelArray,
    examples: Sequence[Example],
    rows: Sequence[Example],
    *,
    say: Callable[[str], None] | None = None,
    account: Callable[..., None] | None = None,
    executor: Executor | None = None,
    share: tuple[int, int] = (0, 1),
) -> ExtractionCost:
    """Compute the missing columns of a kernel.

    A column is computed from its example and the rows alone, so neither a resume nor the number of processes changes a
    byte.

    Args:
        scorer: Model, prompts and metric.
        array: Where the columns go.
        examples: Those that are shown, as `array.examples`.
        rows: Those that are answered, as `array.rows`.
        say: Called with lines of text: what is to be done, and what did not go through as it was.
        account: Called after every shard with its seconds, tokens and flops, so that a kill loses no costs.
        executor: Runs the shards; this process by default.
        share: (k, of): leave all shards but every `of`-th, from the k-th on, to other processes; k counts from 0.

    Raises:
        FeatureError: If examples or rows are not those of the array, `share` is not one, or a utility is not finite.
        DataError, RenderError: As `UtilityScorer.rows`.
    """
    _refuse_others(array, examples, rows)
    k, of = share
    if not 0 <= k < of:
        raise FeatureError(f"share is ({k}, {of}): the first number counts from 0 and must be below the second.")
    mine = set(array.shards[k::of])
    missing = [shard for shard in array.missing() if shard in mine]
    cost = ExtractionCost(shards=len(missing))
    if len(missing) == 0:
        return cost
    began, started = time.perf_counter(), (scorer.tokens, scorer.flops)
    if say is not None:
        say(_plan(array, missing))
    ready = scorer.rows(rows)

    def compute(shard: range) -> Counts:
        columns = [scorer.column(examples[place], ready, array.places(place)) for place in shard]
        counts = [(column.counts.shortened, column.counts.unscorable) for column in columns]
        array.write(shard, [column.utility for column in columns], counts)
        return Counts(sum(count[0] for count in counts), sum(count[1] for count in counts))

    counts, before, spent = Counts(), began, started
    for found in (executor or LocalExecutor()).map(compute, missing, label="utilities", unit="shards"):
        now = time.perf_counter()
        counts.add(found)
        if account is not None:
            account(seconds=now - before, tokens=scorer.tokens - spent[0], flops=scorer.flops - spent[1])
        before, spent = now, (scorer.tokens, scorer.flops)
    scorer.counts.add(counts)
    if say is not None and (counts.shortened or counts.unscorable):
        say(
            f"utilities: {counts.shortened:,} pairs with a shortened example, {counts.unscorable:,} that could not be "
            f"scored and count as 0 (limit {scorer.limit} tokens)"
        )
    cost.tokens, cost.flops = scorer.tokens - started[0], scorer.flops - started[1]
    cost.seconds = time.perf_counter() - began
    return cost


def _plan(array: KernelArray, missing: Sequence[range]) -> str:
    return (
        f"utilities: {array.n_pairs:,} pairs of {len(array.examples):,} examples and {len(array.rows):,} rows, "
        f"{len(missing):,} of {len(array.shards):,} shards to compute"
    )


def _refuse_others(array: KernelArray, examples: Sequence[Example], rows: Sequence[Example]) -> None:
    for what, given, held in (("examples", examples, array.examples), ("rows", rows, array.rows)):
        ids = tuple(example.id for example in given)
        if ids != held:
            raise FeatureError(
                f"{array.folder}: the kernel is of {len(held)} other {what} (given: {len(ids)}). "
                "Give the same, in the same order."
            )
