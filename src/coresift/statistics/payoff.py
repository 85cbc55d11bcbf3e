"""What a selection costs and when it has paid for itself; and which costs may be called equal."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, isfinite

from coresift.errors import ComparisonError


def break_even(selection: float, *, training: float, instead: float) -> int | None:
    """The number of trainings after which selecting once has cost no more than not selecting.

    The least n >= 1 with selection + n * training <= n * instead.

    Args:
        selection: Cost of warm-up, features and selection, paid once; in any unit, such as FLOPs or seconds.
        training: Cost of one training on the selection, in the same unit.
        instead: Cost of one training on what would be trained on without it, such as the whole pool, or the random
            subset that scores as well.

    Returns:
        n, or None where a training on the selection saves nothing, so that it never pays.

    Raises:
        ComparisonError: If a cost is negative or not finite.

    >>> break_even(100.0, training=5.0, instead=45.0)
    3
    """
    for name, cost in (("selection", selection), ("training", training), ("instead", instead)):
        if not isfinite(cost) or cost < 0:
            raise ComparisonError(f"the cost {name} is {cost}. Costs are finite and at least 0.")
    saved = Fraction(instead) - Fraction(training)
    if saved <= 0:
        return None
    return max(1, ceil(Fraction(selection) / saved))


def equals(costs: Sequence[float], tolerance: float = 0.02) -> list[tuple[int, ...]]:
    """Positions grouped so that in each group the largest cost is at most 1 + `tolerance` times the smallest.

    The cost is what two things must have in common to be compared: examples, training tokens, FLOPs, seconds. Groups
    are made from the smallest cost on, so they do not depend on the order given, and none is a chain of small steps.

    Args:
        costs: At least 0.
        tolerance: At least 0.

    Returns:
        Groups by ascending cost; positions ascending in each.

    Raises:
        ComparisonError: If a cost is negative or not finite.

    >>> equals([100, 205, 101, 200])
    [(0, 2), (3,), (1,)]
    """
    for place, cost in enumerate(costs):
        if not isfinite(cost) or cost < 0:
            raise ComparisonError(f"cost {place} is {cost}. Costs are finite and at least 0.")
    groups: list[list[int]] = []
    for place in sorted(range(len(costs)), key=lambda each: costs[each]):
        if groups and costs[place] <= (1.0 + tolerance) * costs[groups[-1][0]]:
            groups[-1].append(place)
        else:
            groups.append([place])
    return [tuple(sorted(group)) for group in groups]
