"""What is left out of a pool before selection: near copies of other examples, and what holds a piece of the test."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from coresift.data.contamination import Overlap, contaminated
from coresift.data.near_duplicates import near_duplicates
from coresift.data.pool import Pool
from coresift.errors import SettingsError
from coresift.pipeline.config import PoolSettings

SHOWN = 80
"""Characters of a shared run that a reason shows."""


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What was found.

    Attributes:
        copies: Pool position of every near duplicate -> position of the example that it is a near copy of.
        tested: Pool position of every example that holds a piece of the test -> what they share.
        dropped: Pool positions that may not be chosen for it.
    """

    copies: Mapping[int, int] = field(default_factory=dict)
    tested: Mapping[int, Overlap] = field(default_factory=dict)
    dropped: frozenset[int] = frozenset()

    def reasons(self, pool: Pool) -> dict[int, str]:
        """Why each dropped example may not be chosen, by pool position."""
        found = {place: f"a near duplicate of {pool[first].id}" for place, first in self.copies.items()}
        found |= {place: f"shares with the test: {_short(overlap.words)}" for place, overlap in self.tested.items()}
        return {place: found[place] for place in sorted(self.dropped)}


def clean(pool: Pool, positions: np.ndarray, settings: PoolSettings, test: Pool | None) -> Cleaning:
    """Look for what settings say among some examples of the pool.

    Near duplicates are looked for among what does not hold a piece of the test, in pool order.

    Args:
        pool: The pool.
        positions: Those that could be chosen otherwise, ascending.
        settings: `near_duplicates` and `decontaminate`; what is not set is not looked for.
        test: What models are scored on.

    Raises:
        DataError: If the library that finds near duplicates is not installed.
        SettingsError: If there is no test to look at.
    """
    tested: dict[int, Overlap] = {}
    copies: dict[int, int] = {}
    rest = positions
    if settings.decontaminate is not None:
        if test is None:
            raise SettingsError(
                "pool.decontaminate looks for pieces of the test, but the recipe scores on none. Set evaluate.test or "
                "pool.held_out, or leave it out."
            )
        found = contaminated([pool[int(place)] for place in rest], test, ngram=settings.decontaminate.ngram)
        tested = {int(rest[place]): overlap for place, overlap in found.items()}
        rest = np.setdiff1d(rest, list(tested))
    if settings.near_duplicates is not None:
        asked = settings.near_duplicates
        near = near_duplicates([pool[int(place)] for place in rest], threshold=asked.threshold, words=asked.words)
        copies = {int(rest[place]): int(rest[first]) for place, first in near.items()}
    drops = settings.near_duplicates is not None and settings.near_duplicates.drop
    return Cleaning(copies, tested, frozenset([*tested, *(copies if drops else ())]))


def _short(words: str) -> str:
    return words if len(words) <= SHOWN else f"{words[:SHOWN]}..."
