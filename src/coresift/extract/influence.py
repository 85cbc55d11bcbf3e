"""Cosines of pool gradients with target gradients, over one or several checkpoints of a warm-up (LESS)."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coresift.execution.base import Executor
from coresift.extract.run import GradientExtractor, describe_memory, tokens_read
from coresift.extract.shards import Account
from coresift.extract.similar import Shard, Side, Tally, fill_together, similarities, through
from coresift.features.specs import GradientSpec
from coresift.features.store import FeatureStore
from coresift.features.targets import GradientSimilaritySpec
from coresift.models.lora import lora_parameters
from coresift.models.render import Rendered
from coresift.targets.influence import mean_rows, shares_of

Gradients = Callable[[range], Mapping[GradientSpec, Tensor]]


@dataclass(frozen=True, eq=False)
class At:
    """Where gradients are taken.

    Attributes:
        extractor: With the moments of this checkpoint. Several may share one model.
        weights: The LoRA tensors of this checkpoint by name, put in place before use; None to take the model as it is.
        learning_rate: How much the checkpoint counts, relative to the others.
    """

    extractor: GradientExtractor
    weights: Mapping[str, Tensor] | None = None
    learning_rate: float = 1.0

    def gradients(self, rows: Sequence[Rendered], specs: Sequence[GradientSpec], tally: Tally) -> Gradients:
        """A function that gives the gradients of some of `rows` under `specs`; it remembers its last answer."""
        projections = self.extractor.projections(specs)
        last: dict[range, Mapping[GradientSpec, Tensor]] = {}

        def of(shard: range) -> Mapping[GradientSpec, Tensor]:
            if shard not in last:
                last.clear()
                self._put()
                part = [rows[row] for row in shard]
                last[shard] = self.extractor.gradients(part, specs, projections)
                tally.tokens += tokens_read(part, specs)
            return last[shard]

        return of

    def _put(self) -> None:
        if self.weights is None:
            return
        with torch.no_grad():
            for name, weight in lora_parameters(self.extractor.model):
                weight.copy_(self.weights[name])


def extract_gradient_similarities(
    points: Sequence[At],
    rows: Sequence[Rendered],
    target: Sequence[Rendered],
    store: FeatureStore,
    specs: Sequence[GradientSimilaritySpec],
    *,
    subtasks: Sequence[str],
    keep: Sequence[FeatureStore] = (),
    executor: Executor | None = None,
    say: Callable[[str], None] | None = None,
    account: Account | None = None,
) -> None:
    """Fill the arrays of `specs` in one pass over the pool per checkpoint, computing only the shards that are missing.

    Args:
        points: The checkpoints; one for specs with `checkpoints` last.
        rows: The pool, in the order of `store.ids`.
        target: The target examples.
        store: Where similarities go; its identity names the target and its sub-tasks.
        specs: What to compute; they share the passes.
        subtasks: The sub-task of every target example, for specs that average gradients.
        keep: One store per checkpoint for the gradients of the pool; none to keep similarities alone.
        executor: Runs the shards; this process by default.
        say: Called with one line of text: the memory the extraction is predicted to need.
        account: Called after the target and after every shard with seconds, tokens and flops.

    Raises:
        FeatureError: If a store belongs to something else, or a number is not finite.
        SelectionError: If the learning rates are no weights.
    """
    if all(len(store.array(spec).missing()) == 0 for spec in specs):
        return
    pool_specs = list(dict.fromkeys(spec.pool_gradients for spec in specs))
    target_specs = list(dict.fromkeys(spec.target_gradients for spec in specs))
    flops = points[0].extractor.flops_per_token(pool_specs)
    if say is not None:
        say(describe_memory(points[0].extractor.predicted_memory(rows, pool_specs)))
    began, tally = time.perf_counter(), Tally()
    found = [at.gradients(target, target_specs, tally)(range(len(target))) for at in points]
    if account is not None:
        account(seconds=time.perf_counter() - began, tokens=tally.tokens, flops=flops * tally.tokens)
    tally = Tally()
    taken = [at.gradients(rows, pool_specs, tally) for at in points]

    def pool(number: int, spec: GradientSpec) -> Shard:
        def compute(shard: range) -> Tensor:
            return taken[number](shard)[spec]

        return through(keep[number].array(spec), compute) if keep else compute

    def sides(spec: GradientSimilaritySpec) -> list[Side]:
        shares = shares_of([at.learning_rate for at in points])
        plain = [each[spec.target_gradients] for each in found]
        shown = [mean_rows(each, subtasks) for each in plain] if spec.by_subtask else plain
        return [Side(shown[number], pool(number, spec.pool_gradients), share) for number, share in enumerate(shares)]

    arrays = [(store.array(spec), similarities(sides(spec))) for spec in specs]
    fill_together(arrays, tally, label="similarities", flops_per_token=flops, executor=executor, account=account)
