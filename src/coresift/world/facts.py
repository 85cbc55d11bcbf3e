"""The facts of the world: people, towns and things, each with its attributes. They never depend on a run's seed."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from coresift import seeds
from coresift.world import words

FACTS_SEED = 20
"""The shipped model knows the facts of this seed; pools and tests of every seed are about them."""
PEOPLE, TOWNS, THINGS = 64, 32, 32


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is true in the world.

    Attributes:
        people: Names; `towns` and `things` likewise.
        values: attribute -> entity -> value. Attributes of people: home, trade, pet, drink, age, made (half of the
            people made one thing each); of towns: river, region, crop; of things: maker, material, spot (a town).
    """

    people: tuple[str, ...]
    towns: tuple[str, ...]
    things: tuple[str, ...]
    values: dict[str, dict[str, str]]

    def of(self, attribute: str, entity: str) -> str:
        """The value of one attribute of one entity."""
        return self.values[attribute][entity]

    @property
    def count(self) -> int:
        """Number of single facts."""
        return sum(len(column) for column in self.values.values())


def _sample(rng: np.random.Generator, names: tuple[str, ...], count: int) -> tuple[str, ...]:
    return tuple(names[i] for i in rng.permutation(len(names))[:count])


def _even(rng: np.random.Generator, entities: tuple[str, ...], values: tuple[str, ...]) -> dict[str, str]:
    """Give each entity a value, every value about equally often."""
    return {entity: values[i % len(values)] for entity, i in zip(entities, rng.permutation(len(entities)), strict=True)}


@cache
def facts(seed: int = FACTS_SEED) -> Facts:
    """Draw the world. The same seed gives the same world on every machine."""
    rng = seeds.generator(seed, "facts")
    people = _sample(rng, words.people_names(), PEOPLE)
    towns = _sample(rng, words.town_names(), TOWNS)
    things = _sample(rng, words.thing_names(), THINGS)
    columns = {
        "home": _even(rng, people, towns),
        "trade": _even(rng, people, words.TRADES),
        "pet": _even(rng, people, words.PETS),
        "drink": _even(rng, people, words.DRINKS),
        "age": {person: words.AGES[i] for person, i in zip(people, rng.integers(0, 60, len(people)), strict=True)},
        "river": _even(rng, towns, words.RIVERS),
        "region": _even(rng, towns, words.REGIONS),
        "crop": _even(rng, towns, words.CROPS),
        "material": _even(rng, things, words.MATERIALS),
        "spot": _even(rng, things, towns),
    }
    makers = _sample(rng, people, THINGS)
    columns["maker"] = dict(zip(things, makers, strict=True))
    columns["made"] = {maker: thing for thing, maker in columns["maker"].items()}
    return Facts(people=people, towns=towns, things=things, values=columns)
