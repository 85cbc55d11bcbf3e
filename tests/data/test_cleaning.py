"""Near duplicates and pieces of a test: what is found, what is not, and that none is called one for less."""

import random

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from coresift.data import near_duplicates as module
from coresift.data.contamination import COMMON, contaminated
from coresift.data.near_duplicates import bands_for, near_duplicates
from coresift.data.pool import Example
from coresift.data.words import all_words, ngrams, prompt_words, words
from coresift.errors import DataError

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"


def similarity(first: Example, second: Example, size: int = 3) -> float:
    one, two = (set(ngrams(all_words(each), size)) or {" ".join(all_words(each))} for each in (first, second))
    return len(one & two) / len(one | two)


def text(source: random.Random, length: int) -> list[str]:
    return [f"w{source.randrange(400)}" for _ in range(length)]


def test_words_are_those_of_any_script_without_signs() -> None:
    assert words("It's ＡＢＣ!  été\n") == ["it", "s", "abc", "été"]
    assert words("東京は日本の首都") == list("東京は日本の首都")
    assert ngrams(["a", "b"], 3) == [] and ngrams(["a", "b"], 2) == ["a b"]


def test_system_messages_are_not_compared_and_a_prompt_ends_before_the_last_response() -> None:
    example = tiny.example("Hi", "Hello", "And?", "Bye", system="Be kind")
    assert all_words(example) == ["hi", "hello", "and", "bye"] and prompt_words(example) == ["hi", "hello", "and"]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 0.7, 0.9]))
def test_a_near_duplicate_is_near_to_an_earlier_example_that_stays(seed: int, threshold: float) -> None:
    source = random.Random(seed)
    texts = [text(source, source.randrange(4, 30)) for _ in range(12)]
    for _ in range(24):
        copy = list(source.choice(texts))
        copy[source.randrange(len(copy))] = "changed"
        texts.append(copy)
    examples = [tiny.example("Say:", " ".join(each), id=str(place)) for place, each in enumerate(texts)]
    found = near_duplicates(examples, threshold=threshold)
    for place, first in found.items():
        assert first < place and first not in found and similarity(examples[place], examples[first]) >= threshold
    kept = [place for place in range(len(examples)) if place not in found]
    missed = [
        (one, two)
        for place, two in enumerate(kept)
        for one in kept[:place]
        if similarity(examples[one], examples[two]) >= threshold
    ]
    assert missed == []


def test_exact_copies_and_texts_of_fewer_words_than_a_run_are_compared_too() -> None:
    examples = [tiny.example("Hi", each, id=str(place)) for place, each in enumerate(["yes", "no", "Yes!", "no"])]
    assert near_duplicates(examples, words=5) == {2: 0, 3: 1}


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 0.9, 0.99, 1.0])
def test_pairs_at_the_threshold_are_nearly_always_looked_at(threshold: float) -> None:
    bands = bands_for(threshold)
    chance = 1 - (1 - threshold ** (128 // bands)) ** bands
    assert 128 % bands == 0 and (chance >= 0.999 or bands == 128)
    assert bands_for(1.0) == 1


def test_without_the_library_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'coresift\[cleaning\]'"):
        near_duplicates([])


def test_thirteen_words_in_a_row_of_a_test_are_found_and_twelve_are_not() -> None:
    test = [tiny.example("Count.", LONG, id="t")]
    runs = LONG.split()
    pool = [
        tiny.example("Go on", "so " + " ".join(runs[1:14]).upper() + ", and so on", id="held"),
        tiny.example("Go on", "so " + " ".join(runs[1:13]) + " and so on", id="not"),
    ]
    found = contaminated(pool, test)
    assert list(found) == [0] and found[0].test == 0 and found[0].words == " ".join(runs[1:14])
    assert list(contaminated(pool, test, ngram=12)) == [0, 1]


def test_the_same_question_is_found_however_short_and_a_similar_one_is_not() -> None:
    test = [tiny.example("What is 2 + 2?", "4", id="t")]
    pool = [tiny.example(each, "four", id=each) for each in ("what is 2+2", "What is 2 + 3?", "Is it? What is 2 + 2?")]
    assert {place: each.words for place, each in contaminated(pool, test).items()} == {0: "what is 2 2"}


def test_phrases_of_the_task_that_many_test_examples_share_say_nothing() -> None:
    tests = [tiny.example(f"{LONG} number {place}", "x", id=str(place)) for place in range(COMMON + 1)]
    pool = [tiny.example(f"{LONG} number 99", "y", id="p")]
    assert contaminated(pool, tests) == {}
    assert list(contaminated(pool, tests[:COMMON])) == [0]


def test_questions_without_words_contaminate_nothing() -> None:
    assert contaminated([tiny.example("?", "y", id="p")], [tiny.example("!", "x", id="t")]) == {}
