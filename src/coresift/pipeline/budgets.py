"""The coresets of a list of budgets: equal ones once, and a folder for each.

Budgets that were asked for in different words may end at the same number of picks: `200` and `5%` of 4,000 examples, or
two numbers that a method could not reach. Mostly the picks are the same too; with a method whose prefixes are not its
answers they may differ.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from coresift.coreset import Coreset


def distinct(coresets: Sequence[Coreset]) -> list[Coreset]:
    """By rising size, equal ones once.

    Of equal ones that stays which fell short of its budget, so that the reason is kept; the budgets of the others are
    in its provenance under `same_budgets`.
    """
    kept: list[Coreset] = []
    for coreset in sorted(coresets, key=lambda each: (len(each), "shortfall" in each.diagnostics)):
        place = next((place for place, other in enumerate(kept) if _equal(other, coreset)), None)
        if place is None:
            kept.append(coreset)
            continue
        twin = kept.pop(place).provenance
        others = [*twin.get("same_budgets", []), twin["budget"]]
        kept.append(replace(coreset, provenance={**coreset.provenance, "same_budgets": others}))
    return kept


def folders(coresets: Sequence[Coreset]) -> list[str]:
    """`budgets/K` for K picks, `budgets/K-2` for the second coreset of as many; the last is the run's own, `.`."""
    seen: Counter[int] = Counter()
    names = []
    for coreset in coresets[:-1]:
        seen[len(coreset)] += 1
        nth = seen[len(coreset)]
        names.append(f"budgets/{len(coreset)}" + (f"-{nth}" if nth > 1 else ""))
    return [*names, "."]


def in_words(coresets: Sequence[Coreset]) -> list[str]:
    """A line for each coreset that answers several budgets."""
    return [
        f"budgets {', '.join([*each.provenance['same_budgets'], each.provenance['budget']])} give the same "
        f"{len(each)} examples, which are written once"
        for each in coresets
        if "same_budgets" in each.provenance
    ]


def _equal(one: Coreset, other: Coreset) -> bool:
    return np.array_equal(one.indices, other.indices) and np.array_equal(one.weights, other.weights)
