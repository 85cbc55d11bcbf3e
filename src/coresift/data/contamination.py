"""Contamination: examples that hold a piece of a test, so that training on them is training on the test.

An example is contaminated if it shares a run of 13 words with a test example, as Brown et al. (2020, appendix C) looked
for, or asks exactly the same question, however short. Runs that many test examples share are phrases of the task (its
template) and say nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from coresift.data.pool import Example
from coresift.data.words import all_words, ngrams, prompt_words

COMMON = 10
"""A run that more test examples hold than this is a phrase of the task."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """What an example shares with a test.

    Attributes:
        test: Position of the test example, the first of several.
        words: The words that both hold.
    """

    test: int
    words: str


def contaminated(examples: Sequence[Example], tests: Sequence[Example], *, ngram: int = 13) -> dict[int, Overlap]:
    """Which examples hold a piece of a test.

    Args:
        examples: The pool, or a part of it.
        tests: The test examples.
        ngram: Words in a run.

    Returns:
        Position of each contaminated example -> what it shares, its first run.
    """
    runs: dict[str, int] = {}
    counts: Counter[str] = Counter()
    asked: dict[str, int] = {}
    for place, test in enumerate(tests):
        mine = set(ngrams(all_words(test), ngram))
        counts.update(mine)
        for run in mine:
            runs.setdefault(run, place)
        asked.setdefault(" ".join(prompt_words(test)), place)
    telling = {run: place for run, place in runs.items() if counts[run] <= COMMON}
    asked.pop("", None)
    found: dict[int, Overlap] = {}
    for place, example in enumerate(examples):
        question = " ".join(prompt_words(example))
        shared = next((run for run in ngrams(all_words(example), ngram) if run in telling), None)
        if question in asked:
            found[place] = Overlap(asked[question], question)
        elif shared is not None:
            found[place] = Overlap(telling[shared], shared)
    return found
