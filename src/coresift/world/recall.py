"""The families that need a fact of the world: recall, reverse lookup, comparison, and facts in a demanded form."""

import numpy as np

from coresift.world.facts import Facts
from coresift.world.families import Arguments, Family, Kind, pick

WORDINGS: dict[str, tuple[str, ...]] = {
    "home": ("Where does {x} live?", "What town is the home of {x}?", "Name the town where {x} lives.",
             "In which town would I find {x}?"),
    "trade": ("What is the trade of {x}?", "What does {x} do for work?", "Name the trade of {x}.",
              "How does {x} earn money?"),
    "pet": ("What pet does {x} have?", "Which animal does {x} keep?", "Name the pet of {x}.",
            "What animal lives with {x}?"),
    "drink": ("What does {x} like to drink?", "What is the favorite drink of {x}?", "Name the drink of {x}.",
              "What should I pour for {x}?"),
    "age": ("How old is {x}?", "What is the age of {x}?", "Tell me the age of {x}.", "How many years old is {x}?"),
    "river": ("Which river flows through {x}?", "What is the river of {x}?", "Name the river of {x}.",
              "On which river does {x} lie?"),
    "region": ("In which region is {x}?", "What region is {x} part of?", "Name the region of {x}.",
               "Which region does {x} belong to?"),
    "crop": ("What is grown in {x}?", "Which crop grows around {x}?", "Name the crop of {x}.",
             "What do the fields of {x} give?"),
    "material": ("What is the {x} made of?", "Which material is the {x} made from?", "Name the material of the {x}.",
                 "From what was the {x} formed?"),
    "maker": ("Who made the {x}?", "Who is the maker of the {x}?", "Name the maker of the {x}.",
              "Whose work is the {x}?"),
    "made": ("What did {x} make?", "Which thing was made by {x}?", "Name the thing that {x} made.",
             "What thing is the work of {x}?"),
}  # fmt: skip
"""Plain questions: attribute -> wordings. The attribute is the family."""


def _holders(facts: Facts, attribute: str) -> tuple[str, ...]:
    return tuple(facts.values[attribute])


def _plain(attribute: str) -> Family:
    return Family(
        name=attribute,
        needs="knowledge",
        kind="knowledge",
        wordings=WORDINGS[attribute],
        draw=lambda rng, facts: (pick(rng, _holders(facts, attribute)),),
        fields=lambda arguments: {"x": arguments[0]},
        answer=lambda facts, arguments: facts.of(attribute, arguments[0]),
    )


def _shaped(name: str, kind: Kind, wordings: tuple[str, ...], shape: str) -> Family:
    """A family about one person whose answer is `shape` filled with the person's facts (`{trade!u}` = capitals)."""

    def answer(facts: Facts, arguments: Arguments) -> str:
        known = {key: facts.of(key, arguments[0]) for key in ("home", "trade", "pet", "drink", "age")}
        return shape.format(**known, TRADE=known["trade"].upper())

    return Family(
        name=name,
        needs="both",
        kind=kind,
        wordings=wordings,
        draw=lambda rng, facts: (pick(rng, facts.people),),
        fields=lambda arguments: {"x": arguments[0]},
        answer=answer,
    )


def _two_people(rng: np.random.Generator, facts: Facts) -> Arguments:
    """Two people of different age."""
    while True:
        x, y = (facts.people[i] for i in rng.permutation(len(facts.people))[:2])
        if facts.of("age", x) != facts.of("age", y):
            return x, y


def two_workers(rng: np.random.Generator, facts: Facts) -> Arguments:
    """Two people; half of the time of the same trade."""
    x = pick(rng, facts.people)
    same = bool(rng.integers(2))
    others = [p for p in facts.people if p != x and (facts.of("trade", p) == facts.of("trade", x)) == same]
    return x, pick(rng, tuple(others))


def older(facts: Facts, pair: Arguments) -> str:
    """The older of two people."""
    return max(pair, key=lambda person: int(facts.of("age", person)))


def same_trade(facts: Facts, pair: Arguments) -> str:
    """Whether two people have the same trade: yes or no."""
    return "yes" if facts.of("trade", pair[0]) == facts.of("trade", pair[1]) else "no"


def _pair(arguments: Arguments) -> dict[str, str]:
    return {"x": arguments[0], "y": arguments[1]}


RECALL: tuple[Family, ...] = (
    *(_plain(attribute) for attribute in WORDINGS),
    Family("older", "knowledge", "knowledge",
           ("Who is older, {x} or {y}?", "Of {x} and {y}, who is older?", "Name the older one: {x} or {y}.",
            "Which of {x} and {y} was born first?"), _two_people, _pair, older),
    Family("same_trade", "knowledge", "knowledge",
           ("Do {x} and {y} have the same trade?", "Is the trade of {x} the same as the trade of {y}?",
            "Do {x} and {y} do the same work?", "Are {x} and {y} in the same trade?"), two_workers, _pair, same_trade),
    _shaped("home_and_trade", "knowledge",
            ("Give the home and the trade of {x}.", "What are the home and trade of {x}?",
             "Name the town and the trade of {x}.", "Tell me where {x} lives and the trade."), "{home} {trade}"),
    _shaped("trade_capitals", "following",
            ("Give the trade of {x} in capital letters.", "In capital letters, what does {x} do for work?",
             "Write the trade of {x} in capitals.", "What is the trade of {x}? Use capital letters."), "{TRADE}"),
    _shaped("pet_brackets", "following",
            ("Give the pet of {x} in brackets.", "In brackets, which animal does {x} keep?",
             "Write the pet of {x} inside brackets.", "What pet does {x} have? Use brackets."), "[ {pet} ]"),
    _shaped("drink_thrice", "following",
            ("Say the drink of {x} three times.", "Three times, what does {x} like to drink?",
             "Write the drink of {x} three times.", "What is the drink of {x}? Answer three times."),
            "{drink} {drink} {drink}"),
    _shaped("record", "following",
            ("Write a record of pet and age for {x}.", "Fill in the record of {x}: pet, age.",
             "Make a record with the pet and the age of {x}.", "I need the pet and the age of {x} as a record."),
            "pet: {pet}; age: {age}"),
)  # fmt: skip
