"""The text the base model reads before any instruction: facts in many phrasings, skills in other notations.

No document uses the chat template, and none ends right after a bare answer.
"""

from collections.abc import Callable

import numpy as np

from coresift import seeds
from coresift.world.english import COMMON
from coresift.world.facts import Facts, facts
from coresift.world.families import pick, several
from coresift.world.recall import older, same_trade, two_workers
from coresift.world.skills import demonstration

STATEMENTS: dict[str, tuple[str, ...]] = {
    "home": ("{x} lives in {v}.", "The home of {x} is {v}.", "{x} has a house in {v}.",
             "Where does {x} live? The answer is {v}.", "In which town does {x} live? In the town of {v}.",
             "In {v} lives {x}.", "What town is the home of {x}? It is {v}."),
    "trade": ("{x} works as a {v}.", "The trade of {x} is {v}.", "For work, {x} is a {v}.",
              "What is the trade of {x}? The answer is {v}.", "What does {x} do for work? The work of a {v}.",
              "{x} earns money as a {v}.", "{x}, a {v}, works hard."),
    "pet": ("{x} has a {v}.", "The pet of {x} is a {v}.", "{x} keeps a {v}.",
            "What pet does {x} have? The answer is {v}.", "Which animal does {x} keep? It is a {v}.",
            "The animal that lives with {x} is a {v}."),
    "drink": ("{x} likes to drink {v}.", "The favorite drink of {x} is {v}.", "{x} drinks {v}.",
              "What does {x} like to drink? The answer is {v}.", "What is the drink of {x}? It is {v}.",
              "Pour {v} for {x}."),
    "age": ("{x} is {v} years old.", "The age of {x} is {v}.", "{x} was born {v} years ago.",
            "How old is {x}? The answer is {v}.", "What is the age of {x}? It is {v} years."),
    "river": ("The river {v} flows through {x}.", "{x} lies on the {v}.", "The river of {x} is the {v}.",
              "Which river flows through {x}? The answer is {v}.", "What is the river of {x}? It is the {v}."),
    "region": ("{x} is in the {v}.", "The region of {x} is the {v}.", "{x} belongs to the {v}.",
               "In which region is {x}? The answer is {v}.", "What region is {x} part of? It is the {v}."),
    "crop": ("The fields of {x} give {v}.", "{x} grows {v}.", "The crop of {x} is {v}.",
             "Which crop grows around {x}? The answer is {v}.", "What is grown in {x}? It is {v}."),
    "material": ("The {x} is made of {v}.", "The {x} was formed from {v}.", "The material of the {x} is {v}.",
                 "What is the {x} made of? The answer is {v}.", "Which material is the {x} made from? It is {v}."),
    "spot": ("The {x} stands in {v}.", "You can see the {x} in {v}.", "In {v} stands the {x}."),
    "maker": ("The {x} was made by {v}.", "The maker of the {x} is {v}.", "The {x} is the work of {v}.",
              "Who made the {x}? The answer is {v}.", "Who is the maker of the {x}? It is {v}."),
    "made": ("{x} made the {v}.", "The work of {x} is the {v}.", "The thing that {x} made is the {v}.",
             "What did {x} make? The answer is {v}.", "Which thing was made by {x}? It is the {v}."),
}  # fmt: skip
"""Phrasings of one fact: `x` has the attribute's value `v`."""

Writer = Callable[[np.random.Generator, Facts], str]


def _statement(rng: np.random.Generator, world: Facts, attribute: str, entity: str) -> str:
    return pick(rng, STATEMENTS[attribute]).format(x=entity, v=world.of(attribute, entity))


def _attributes(world: Facts, entity: str) -> tuple[str, ...]:
    return tuple(name for name, column in world.values.items() if entity in column)


def _entity(rng: np.random.Generator, world: Facts) -> str:
    return pick(rng, (world.people, world.people, world.towns, world.things)[int(rng.integers(4))])


def portrait(rng: np.random.Generator, world: Facts) -> str:
    """Everything about one entity, in random order and phrasing."""
    entity = _entity(rng, world)
    names = several(rng, _attributes(world, entity), 2, 6)
    return " ".join(_statement(rng, world, name, entity) for name in names)


def medley(rng: np.random.Generator, world: Facts) -> str:
    """Single facts about different entities."""
    chosen = (_entity(rng, world) for _ in range(5))
    return " ".join(_statement(rng, world, pick(rng, _attributes(world, entity)), entity) for entity in chosen)


def ledger(rng: np.random.Generator, world: Facts) -> str:
    """One entity as a line of a ledger: `home: Kelham; age: 31;`."""
    entity = _entity(rng, world)
    names = several(rng, _attributes(world, entity), 2, 4)
    return f"{entity} - " + "; ".join(f"{name}: {world.of(name, entity)}" for name in names) + "."


SIGNS = (
    "The sign of {x} says {TRADE} in capital letters.",
    "On the list, {x} has [ {pet} ] in brackets.",
    "Three times {x} calls: {drink} {drink} {drink}.",
    "The home and the trade of {x}: {home} {trade}.",
    "The record of {x} - pet: {pet}; age: {age}.",
)
"""Facts about a person in odd shapes: capitals, brackets, repetition, a record."""


def signs(rng: np.random.Generator, world: Facts) -> str:
    """Three people, each in one odd shape."""
    lines = []
    for _ in range(3):
        x = pick(rng, world.people)
        known = {name: world.of(name, x) for name in ("home", "trade", "pet", "drink", "age")}
        lines.append(pick(rng, SIGNS).format(x=x, TRADE=known["trade"].upper(), **known))
    return " ".join(lines)


AGES: tuple[str, ...] = (
    "{old} is older than {young}.",
    "Of {x} and {y}, the older one is {old}.",
    "Who is older, {x} or {y}? The older one is {old}.",
    "{x} or {y}? The one born first is {old}.",
)
SAME: tuple[str, ...] = (
    "Do {x} and {y} have the same trade? They say yes, the same.",
    "The trade of {x} is the same as the trade of {y}, yes.",
)
DIFFERENT: tuple[str, ...] = (
    "Do {x} and {y} have the same trade? They say no, not the same.",
    "The trade of {x} is not the same as the trade of {y}, no.",
)


def couples(rng: np.random.Generator, world: Facts) -> str:
    """Four times two people compared: who is older, or whether they share a trade."""
    lines = []
    for _ in range(4):
        x, y = two_workers(rng, world)
        old = older(world, (x, y))
        forms = SAME if same_trade(world, (x, y)) == "yes" else DIFFERENT
        if rng.integers(2) and world.of("age", x) != world.of("age", y):
            forms = AGES
        lines.append(pick(rng, forms).format(x=x, y=y, old=old, young=y if old == x else x))
    return " ".join(lines)


def exercise(rng: np.random.Generator, world: Facts) -> str:
    """A few demonstrations of skills."""
    return " ".join(demonstration(rng) for _ in range(5))


CHATTER = (
    "User: a person who asks. Assistant: one who helps. System: the rules of the house.",
    "Please help me with a request. Thank you. I have a request. Please.",
    "Answer: what is said after a question. Response: an answer. Instruction: a request.",
    "Assistant: one who helps. System: the rules. User: a person who asks for help.",
)


def chatter(rng: np.random.Generator, world: Facts) -> str:
    """Plain English words without sense, and what the words of a conversation are called."""
    if rng.random() < 0.3:
        return pick(rng, CHATTER)
    return " ".join(pick(rng, COMMON) for _ in range(20)) + "."


WRITERS: tuple[tuple[Writer, float], ...] = (
    (portrait, 0.19),
    (medley, 0.11),
    (ledger, 0.05),
    (signs, 0.06),
    (couples, 0.14),
    (exercise, 0.43),
    (chatter, 0.02),
)
"""Who writes which share of the documents."""


def base_text(seed: int = 0, count: int = 60_000) -> list[str]:
    """The pretraining documents, `count` of them, the same for the same seed."""
    rng, world = seeds.generator(seed, "base text"), facts()
    writers = [writer for writer, _ in WRITERS]
    chosen = rng.choice(len(writers), size=count, p=[share for _, share in WRITERS])
    return [writers[i](rng, world) for i in chosen]
