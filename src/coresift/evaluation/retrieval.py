"""For every question the examples that are most like it: by a sentence encoder, or by the words they share."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from coresift.models.encoders import Encoder

WORD = re.compile(r"\w+")
BLOCK = 1 << 24
"""Cosines held at a time."""


def nearest(
    questions: Sequence[str],
    examples: Sequence[str],
    count: int,
    *,
    encoder: Encoder | None = None,
    barred: Sequence[frozenset[int]] | None = None,
) -> list[tuple[int, ...]]:
    """The `count` most similar examples of each question, most similar first, ties by position.

    Args:
        questions: Texts looked up.
        examples: Texts looked among.
        count: How many per question; fewer where there are fewer.
        encoder: Similarity is the cosine of its vectors; without one it is `word_cosines`.
        barred: For each question, positions among `examples` that must not be found.
    """
    found: list[tuple[int, ...]] = []
    rows = word_cosines(questions, examples) if encoder is None else _vector_cosines(questions, examples, encoder)
    for place, row in enumerate(rows):
        closed = frozenset() if barred is None else barred[place]
        order = np.argsort(-row, kind="stable")[: count + len(closed)].tolist()
        found.append(tuple(each for each in order if each not in closed)[:count])
    return found


def _vector_cosines(questions: Sequence[str], examples: Sequence[str], encoder: Encoder) -> Iterator[np.ndarray]:
    asked, known = (encoder.encode(texts, label="retrieval").rows for texts in (questions, examples))
    for block in asked.split(max(1, BLOCK // max(len(examples), 1))):
        yield from (block @ known.T).numpy()


def word_cosines(questions: Sequence[str], examples: Sequence[str]) -> Iterator[np.ndarray]:
    """For each question its cosine with every example, [len(examples)], as sets of words.

    A word counts by how rare it is among the examples, log((m + 1) / (c + 1)) + 1 for c of m examples, so that two
    texts are not alike for sharing "the". 0 where no word is shared.
    """
    words = [set(WORD.findall(text.lower())) for text in examples]
    where: dict[str, list[int]] = defaultdict(list)
    for place, its in enumerate(words):
        for word in its:
            where[word].append(place)
    worth = {word: math.log((len(examples) + 1) / (len(places) + 1)) + 1.0 for word, places in where.items()}
    unseen = math.log(len(examples) + 1) + 1.0
    lengths = np.array([_length(sorted(worth[word] for word in its)) for its in words])
    for text in questions:
        # In the order of the alphabet: a set has none, and sums depend on it in their last digits.
        asked = sorted(set(WORD.findall(text.lower())))
        shared = np.zeros(len(examples))
        for word in asked:
            if word in where:
                shared[where[word]] += worth[word] ** 2
        length = _length([worth.get(word, unseen) for word in asked])
        yield shared / np.where(shared > 0, lengths * length, 1.0)


def _length(values: Sequence[float]) -> float:
    return math.sqrt(sum(value * value for value in values))
