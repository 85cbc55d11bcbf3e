"""Utilities of a pool, a target and an existing set, into their store; and the pilot that says which pairs to score."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from coresift.data.pool import Example
from coresift.errors import FeatureError
from coresift.execution.base import Executor
from coresift.extract.icl import UtilityScorer
from coresift.extract.icl_fill import fill_kernel
from coresift.extract.run import ExtractionCost
from coresift.features.pairs import PairPlan, needs_pilot, pilot_places, plan_pairs
from coresift.features.utilities import UtilitySpec
from coresift.features.utility_store import Group, Side, UtilityStore


def extract_utilities(
    scorer: UtilityScorer,
    store: UtilityStore,
    spec: UtilitySpec,
    groups: Mapping[Group, Sequence[Example]],
    *,
    say: Callable[[str], None] | None = None,
    account: Callable[..., None] | None = None,
    executor: Executor | None = None,
    share: tuple[int, int] = (0, 1),
) -> ExtractionCost:
    """Fill the kernel of `spec`, computing only the shards that are missing.

    Args:
        scorer: With the template, the metric and the longest input of the spec.
        store: Where the utilities go.
        spec: Which utilities.
        groups: The examples behind the ids of the store.
        say, account, executor, share: As in `fill_kernel`.

    Raises:
        FeatureError: If the scorer measures something else than the spec says, or a group has no examples.
        FeatureError, DataError, RenderError: As `fill_kernel`.
    """
    measured = {"template": scorer.template, "metric": scorer.metric, "max_tokens": scorer.max_tokens}
    wanted = {name: getattr(spec, name) for name in measured}
    if measured != wanted:
        raise FeatureError(f"{spec.key}: the scorer has {measured}, the spec {wanted}. Give both the same.")

    def of(side: Side) -> list[Example]:
        return [groups[side.group][place] for place in side.places]

    array, shown, answered = store.array(spec), of(store.shown(spec)), of(store.answered(spec))
    return fill_kernel(scorer, array, shown, answered, say=say, account=account, executor=executor, share=share)


def measured_plan(
    scorer: UtilityScorer,
    embed: Callable[[Sequence[Example]], Tensor],
    pool: Sequence[Example],
    size: int,
    most_pairs: int,
    *,
    seed: int = 0,
) -> PairPlan:
    """Choose the pairs of a pool to score, by a pilot block where they are too many for all.

    Args:
        scorer: Scores the pairs of the pilot.
        embed: One unit vector per example.
        pool: All examples.
        size: The budget, in picks.
        most_pairs: How many pairs may be scored.
        seed: Of the pilot and its trials.
    """
    places = pilot_places(len(pool), seed=seed) if needs_pilot(len(pool), most_pairs) else None
    if places is None:
        return plan_pairs(len(pool), size, most_pairs, utilities=None, embeddings=None)
    pilot = [pool[place] for place in places.tolist()]
    utilities, points = scorer.columns(pilot, pilot), embed(pilot)
    return plan_pairs(len(pool), size, most_pairs, utilities=utilities, embeddings=points, seed=seed)
