"""The world's pool and test: what was promised about their make-up."""

import subprocess
import sys
from collections import Counter

import pytest

from coresift import world
from coresift.world.facts import facts
from coresift.world.families import Arguments
from coresift.world.generator import FAMILIES, PER_FAMILY, family_sizes, held_out

ITEMS = world.pool_items(0)
TEST = world.test_items(0)
_KNOWN = facts()


def _prompt(example) -> str:
    return example.messages[0].content


def _answer(example) -> str:
    return example.messages[-1].content


def test_the_same_seed_gives_the_same_pool_in_another_process():
    code = "from coresift import world; print(world.pool(3).fingerprint, world.test_items(3)[-1].example.messages)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert other.strip() == f"{world.pool(3).fingerprint} {world.test_items(3)[-1].example.messages}"


def test_another_seed_gives_another_pool_about_the_same_facts():
    assert world.pool(0).fingerprint != world.pool(1).fingerprint
    assert {example.source for example in world.pool(0)} == {example.source for example in world.pool(1)}


def test_the_facts_are_complete_and_not_contradictory():
    assert 500 <= _KNOWN.count <= 600
    assert set(_KNOWN.values["home"]) == set(_KNOWN.people)
    assert all(_KNOWN.of("made", maker) == thing for thing, maker in _KNOWN.values["maker"].items())


def test_there_are_at_least_twenty_families_of_all_three_needs():
    assert len(FAMILIES) >= 20
    assert {family.needs for family in FAMILIES} == {"knowledge", "following", "both"}
    assert {family.name for family in FAMILIES} == {example.source for example in world.pool()}


def test_the_pool_has_four_thousand_examples_of_very_uneven_families():
    sizes = sorted(Counter(example.source for example in world.pool()).values(), reverse=True)
    assert sum(sizes) == 4000
    assert sizes[0] >= 50 * sizes[-1]
    assert sum(sizes[: len(sizes) // 5]) > 0.6 * 4000
    assert dict(Counter(item.example.source for item in ITEMS)) == family_sizes()


def test_about_one_answer_in_twenty_is_wrong_and_exactly_those_are_recorded():
    by_name = {family.name: family for family in FAMILIES}
    for item in ITEMS:
        right = by_name[item.example.source].answer(_KNOWN, item.arguments)
        assert (_answer(item.example) != right) == item.wrong
    assert 0.035 <= sum(item.wrong for item in ITEMS) / len(ITEMS) <= 0.065


def test_the_pool_repeats_itself_exactly_and_nearly():
    pool = world.pool()
    assert sum(len(group) - 1 for group in pool.duplicates) >= 200
    wordings = {(item.example.source, item.arguments): set() for item in ITEMS}
    for item in ITEMS:
        wordings[item.example.source, item.arguments].add(_prompt(item.example))
    assert sum(len(prompts) > 1 for prompts in wordings.values()) >= 200


def test_the_test_is_balanced_over_families_and_large_enough():
    assert len(TEST) >= 400
    assert set(Counter(item.family for item in TEST).values()) == {PER_FAMILY}
    shares = Counter(item.kind for item in TEST)
    assert min(shares["knowledge"], shares["following"]) >= 0.4 * len(TEST)
    assert all(item.kind == world.kind_of(item.family) for item in TEST)


@pytest.mark.parametrize("seed", [0, 1])
def test_no_question_of_the_test_is_asked_in_a_pool_of_any_seed(seed):
    asked = {_prompt(example) for example in world.pool(seed)}
    assert not asked & {_prompt(item.example) for item in TEST}
    assert not any(held_out(item.example.source, item.arguments) for item in world.pool_items(seed))


def test_a_question_is_held_out_whatever_the_order_of_its_arguments():
    assert held_out("older", ("Bami", "Noli")) == held_out("older", ("Noli", "Bami"))


_LISTED = {
    "copy": lambda words: " ".join(words),
    "reverse": lambda words: " ".join(words[::-1]),
    "first": lambda words: words[0],
    "last": lambda words: words[-1],
    "count": lambda words: str(len(words)),
    "capitals": lambda words: " ".join(word.upper() for word in words),
    "commas": lambda words: ", ".join(words),
    "brackets": lambda words: " ".join("[ " + word + " ]" for word in words),
    "largest": lambda words: str(max(int(word) for word in words)),
    "ascending": lambda words: " ".join(str(number) for number in sorted(int(word) for word in words)),
}


def _recomputed(family: str, prompt: str) -> str:
    """The answer worked out from the prompt's text alone, by other code than the generator's."""
    words = [word.strip("?.,:;") for word in prompt.split()]
    if family in _LISTED:
        return _LISTED[family](prompt.replace("?", ":").rsplit(": ", 1)[1].split())
    if family == "repeat":
        number = next(word for word in words if word.isdigit())
        noun = next(word for word in words if word in world.words.PLAIN)
        return " ".join([noun] * int(number))
    if family == "remove":
        head, listed = prompt.rsplit(": ", 1)
        return " ".join(word for word in listed.split() if word != head.split("from the list")[0].split()[-1])
    named: Arguments = tuple(w for w in words if w in (*_KNOWN.people, *_KNOWN.towns, *_KNOWN.things))
    fact = {column: values[named[0]] for column, values in _KNOWN.values.items() if named[0] in values}
    if family == "older":
        return sorted(named, key=lambda person: int(_KNOWN.of("age", person)))[1]
    if family == "same_trade":
        return "yes" if len({_KNOWN.of("trade", person) for person in named}) == 1 else "no"
    shaped = {
        "home_and_trade": "{home} {trade}",
        "pet_brackets": "[ {pet} ]",
        "drink_thrice": "{drink} {drink} {drink}",
        "record": "pet: {pet}; age: {age}",
    }
    if family == "trade_capitals":
        return fact["trade"].upper()
    return shaped[family].format(**fact) if family in shaped else fact[family]


def test_every_answer_of_the_test_is_right():
    for item in TEST:
        assert _answer(item.example) == _recomputed(item.family, _prompt(item.example)), item


def test_no_pretraining_document_is_a_test_item_or_speaks_in_the_chat_template():
    text = "\n".join(world.base_text(0, 3000))
    assert "Assistant: " not in text.replace("Assistant: one who helps", "")
    frames = ("Please help me. ", "Hello. ", "I have a request. ")
    assert not any(_prompt(item.example) in text for item in TEST if _prompt(item.example).startswith(frames))


def test_the_pretraining_text_is_the_same_for_the_same_seed():
    assert world.base_text(5, 50) == world.base_text(5, 50) != world.base_text(6, 50)
