"""Near duplicates: examples whose words in a row are mostly those of an earlier one.

Candidates come from MinHash with banding (Broder, 1997; Indyk and Motwani, 1998), by the library `rensa`. Each is then
checked on the texts themselves, so an example is never called a near duplicate for less than the similarity asked for.
"""

from collections.abc import Sequence
from importlib.util import find_spec

from coresift.data.pool import Example
from coresift.data.words import all_words, ngrams
from coresift.errors import DataError
from coresift.progress import track

HASHES = 128
RECALL = 0.999
"""Least chance that a pair exactly at the threshold is looked at."""


def check_minhash() -> None:
    """Raise DataError if `rensa` is not installed: better before a pool is read than after."""
    if find_spec("rensa") is None:
        raise DataError(
            "near duplicates are found with the package rensa, which is not installed. Run "
            "`pip install 'coresift[cleaning]'`, or leave pool.near_duplicates out."
        )


def near_duplicates(examples: Sequence[Example], *, threshold: float = 0.8, words: int = 3) -> dict[int, int]:
    """Which examples are near copies of an earlier one that stays.

    Examples are taken in order; one that is near to an earlier one that stays is a near duplicate of the first such.

    Args:
        examples: In order of preference: of two near copies the first stays.
        threshold: Least Jaccard similarity of their sets of runs of words, above 0 and at most 1.
        words: Words in a run. A shorter conversation is one run.

    Returns:
        Position of each near duplicate -> position of the example it is a near copy of.

    Raises:
        DataError: If `rensa` is not installed.
    """
    check_minhash()
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold=threshold, num_perm=HASHES, num_bands=bands_for(threshold))
    copies: dict[int, int] = {}
    for place, example in enumerate(track(examples, "near duplicates", total=len(examples), unit="examples")):
        runs = _runs(example, words)
        hashed = RMinHash(num_perm=HASHES, seed=0)
        hashed.update(list(runs))
        alike = (
            other for other in sorted(index.query(hashed)) if _jaccard(runs, _runs(examples[other], words)) >= threshold
        )
        first = next(alike, None)
        if first is None:
            index.insert(place, hashed)
        else:
            copies[place] = first
    return copies


def bands_for(threshold: float) -> int:
    """The fewest bands of `HASHES` hashes with which a pair at the threshold is looked at with chance `RECALL`.

    A pair of similarity s shares one of b bands of r hashes with chance 1 - (1 - s^r)^b.

    >>> bands_for(0.8), bands_for(0.99)
    (32, 8)
    """
    return next(
        bands
        for bands in (2**power for power in range(HASHES.bit_length()))
        if bands == HASHES or 1.0 - (1.0 - threshold ** (HASHES // bands)) ** bands >= RECALL
    )


def _runs(example: Example, size: int) -> set[str]:
    found = all_words(example)
    return set(ngrams(found, size)) or {" ".join(found)}


def _jaccard(first: set[str], second: set[str]) -> float:
    common = len(first & second)
    return common / (len(first) + len(second) - common)
