"""Hashed n-grams and the log importance weights made of them (DSIR; Xie et al., NeurIPS 2023, 2302.03169).

Words are runs of word characters and runs of other printing characters, in lower case. Every n-gram, its words joined
by a space, falls into the bucket that its SHA-256 names, as in the published code. No model is run.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from coresift.data.pool import Example
from coresift.extract.embeddings import text_of
from coresift.extract.shards import Account, fill
from coresift.features.importance import ImportanceSpec
from coresift.features.store import FeatureStore

WORDS = re.compile(r"\w+|[^\w\s]+")
FLOOR = 1e-8
"""Added to both probabilities before their logarithm."""


def words_of(text: str) -> list[str]:
    """Words in lower case.

    >>> words_of("Don't stop!")
    ['don', "'", 't', 'stop', '!']
    """
    return WORDS.findall(text.lower())


@lru_cache(maxsize=2**20)
def bucket_of(ngram: str, buckets: int) -> int:
    """The bucket of an n-gram."""
    return int.from_bytes(sha256(ngram.encode("utf-8", "surrogatepass")).digest(), "big") % buckets


def ngram_buckets(text: str, *, ngrams: int, buckets: int) -> list[int]:
    """Buckets of all n-grams of 1 to `ngrams` words, one for each time it occurs."""
    words = words_of(text)
    return [
        bucket_of(" ".join(words[start : start + size]), buckets)
        for size in range(1, ngrams + 1)
        for start in range(len(words) - size + 1)
    ]


def shares(texts: Iterable[Sequence[int]], buckets: int, *, smoothing: float = 0.0) -> np.ndarray:
    """[buckets] probabilities of a bag of n-grams, smoothed by counts added to every bucket."""
    counts = np.full(buckets, smoothing, dtype=np.float64)
    for text in texts:
        np.add.at(counts, list(text), 1.0)
    return counts / max(counts.sum(), 1.0)


def log_ratios(pool: np.ndarray, target: np.ndarray) -> np.ndarray:
    """[buckets] log(target + 1e-8) - log(pool + 1e-8)."""
    ratios: np.ndarray = np.log(target + FLOOR) - np.log(pool + FLOOR)
    return ratios


def extract_importance(
    examples: Sequence[Example],
    target: Sequence[Example],
    store: FeatureStore,
    spec: ImportanceSpec,
    *,
    account: Account | None = None,
) -> None:
    """Fill the array of `spec`, computing only the shards that are missing.

    Args:
        examples: The pool, in the order of `store.ids`: all that may be chosen.
        target: The target examples.
        store: Where the rows go; its identity names both.
        spec: Which n-grams.
        account: Called after every shard with its seconds.
    """
    if len(store.array(spec).missing()) == 0:
        return

    def hashed(some: Iterable[Example]) -> list[list[int]]:
        texts = (text_of(each, spec.text) for each in some)
        return [ngram_buckets(text, ngrams=spec.ngrams, buckets=spec.buckets) for text in texts]

    here = hashed(examples)
    there = shares(hashed(target), spec.buckets, smoothing=spec.smoothing)
    ratios = log_ratios(shares(here, spec.buckets), there)

    def compute(shard: range) -> tuple[Tensor, int]:
        sums = np.array([ratios[here[row]].sum() for row in shard])
        counts = np.array([len(here[row]) for row in shard])
        weights = sums / np.maximum(counts, 1) if spec.per_ngram else sums
        return torch.from_numpy(weights)[:, None], 0

    fill(store.array(spec), compute, label="importance weights", account=account)
