"""The world's instruction pool and its held-out test, drawn by seed."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from coresift import seeds
from coresift.data.pool import Example, Message, Pool
from coresift.world.facts import Facts, facts
from coresift.world.families import Arguments, Family, Kind, pick
from coresift.world.obey import OBEY
from coresift.world.recall import RECALL

POOL_SIZE = 4000
ZIPF = 1.3
"""Size of the family of rank r is proportional to r ** -ZIPF."""
SMALLEST = 8
WRONG = 0.05
"""Share of the pool whose answer is wrong."""
REPEATED = 0.06
"""Share of the pool that copies an earlier example exactly, on top of what chance repeats."""
LIKE_THE_POOL = 700
"""Items of the second test."""
PER_FAMILY = 14
"""Test items of each family."""
HELD_OUT = 0.4
"""Share of each family's questions (without their wording) that only the test may ask."""
FRAMES = ("{}", "{}", "{}", "Please help me. {}", "Hello. {}", "I have a request. {}")

FAMILIES: tuple[Family, ...] = tuple(
    family
    for pair in zip(RECALL, OBEY, strict=False)
    for family in pair
) + RECALL[len(OBEY) :] + OBEY[len(RECALL) :]  # fmt: skip
_BY_NAME = {family.name: family for family in FAMILIES}


@dataclass(frozen=True, slots=True)
class TestItem:
    """One held-out instruction with its right answer.

    Attributes:
        example: A user turn and the right assistant turn.
        kind: What decides whether an answer is right.
        family: Name of the task family.
    """

    __test__ = False  # not a test class, whatever its name makes pytest think

    example: Example
    kind: Kind
    family: str


@dataclass(frozen=True, slots=True)
class PoolItem:
    """One pool example and what the generator knows about it and no method may see.

    Attributes:
        example: The conversation; its source is the family.
        arguments: What was asked about, without the wording.
        wrong: Whether the answer was replaced by a wrong one.
        copied: Whether the example repeats an earlier one on purpose.
    """

    example: Example
    arguments: Arguments
    wrong: bool
    copied: bool


def kind_of(family: str) -> Kind:
    """Label of a family: `knowledge` or `following`. Raises KeyError for a name that is no family."""
    return _BY_NAME[family].kind


def held_out(family: str, arguments: Arguments) -> bool:
    """Whether a question belongs to the test, whatever the seed. The order of the arguments does not matter."""
    text = "\x1f".join([family, *sorted(arguments)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") < HELD_OUT * 2**32


def family_sizes(count: int = POOL_SIZE) -> dict[str, int]:
    """Pool examples of each family: a power law over a fixed, mixed order of the families, adding up to `count`."""
    order = seeds.generator(0, "family ranks").permutation(len(FAMILIES))
    shares = np.arange(1, len(FAMILIES) + 1, dtype=float) ** -ZIPF
    sizes = np.maximum(np.floor(count * shares / shares.sum()), SMALLEST).astype(int)
    sizes[0] += count - sizes.sum()
    return {FAMILIES[family].name: int(size) for family, size in zip(order, sizes, strict=True)}


def _draw(rng: np.random.Generator, family: Family, world: Facts, *, test: bool) -> Arguments:
    while True:
        arguments = family.draw(rng, world)
        if held_out(family.name, arguments) == test:
            return arguments


def _prompt(rng: np.random.Generator, family: Family, arguments: Arguments) -> str:
    return pick(rng, FRAMES).format(pick(rng, family.wordings).format(**family.fields(arguments)))


def _wrong(rng: np.random.Generator, family: Family, world: Facts, arguments: Arguments) -> str:
    """A plausible wrong answer: the right answer to another question of the family."""
    right = family.answer(world, arguments)
    while True:
        other = family.answer(world, _draw(rng, family, world, test=False))
        if other != right:
            return other


def _example(id: str, family: Family, prompt: str, answer: str) -> Example:
    return Example(id=id, source=family.name, messages=(Message("user", prompt), Message("assistant", answer)))


def _family_items(family: Family, size: int, seed: int) -> Iterator[PoolItem]:
    rng, world = seeds.generator(seed, "pool", family.name), facts()
    made: list[PoolItem] = []
    for number in range(size):
        id = f"{family.name}-{number:04d}"
        if made and rng.random() < REPEATED:
            first = made[int(rng.integers(len(made)))]
            answer = first.example.messages[1].content
            item = PoolItem(
                _example(id, family, first.example.messages[0].content, answer), first.arguments, first.wrong, True
            )
        else:
            arguments = _draw(rng, family, world, test=False)
            wrong = bool(rng.random() < WRONG)
            answer = _wrong(rng, family, world, arguments) if wrong else family.answer(world, arguments)
            item = PoolItem(_example(id, family, _prompt(rng, family, arguments), answer), arguments, wrong, False)
        made.append(item)
        yield item


@cache
def pool_items(seed: int = 0) -> tuple[PoolItem, ...]:
    """The pool in order, with what is wrong or copied in it."""
    items = [item for name, size in family_sizes().items() for item in _family_items(_BY_NAME[name], size, seed)]
    return tuple(items[i] for i in seeds.generator(seed, "pool order").permutation(len(items)))


def pool(seed: int = 0) -> Pool:
    """About 4 000 examples of very uneven families, with repeats and about 5 % wrong answers."""
    return Pool([item.example for item in pool_items(seed)], origin="world")


@cache
def test_items(seed: int = 0) -> tuple[TestItem, ...]:
    """The held-out test: equally many items of each family, all prompts different, all answers right."""
    items = []
    for family in FAMILIES:
        rng, prompts = seeds.generator(seed, "test", family.name), set[str]()
        while len(prompts) < PER_FAMILY:
            arguments = _draw(rng, family, facts(), test=True)
            prompt = _prompt(rng, family, arguments)
            if prompt in prompts:
                continue
            prompts.add(prompt)
            id = f"test-{family.name}-{len(prompts) - 1:02d}"
            example = _example(id, family, prompt, family.answer(facts(), arguments))
            items.append(TestItem(example, family.kind, family.name))
    return tuple(items)


@cache
def test_items_like_the_pool(count: int = LIKE_THE_POOL, seed: int = 0) -> tuple[TestItem, ...]:
    """A second test: families in the pool's proportions, questions that it does not ask, all answers right."""
    items, world = [], facts()
    for name, size in family_sizes(count).items():
        family, prompts = _BY_NAME[name], set[str]()
        rng = seeds.generator(seed, "test like the pool", name)
        for _ in range(50 * size):
            if len(prompts) == size:
                break
            arguments = _draw(rng, family, world, test=True)
            prompt = _prompt(rng, family, arguments)
            if prompt not in prompts:
                id = f"like-{name}-{len(prompts):03d}"
                prompts.add(prompt)
                items.append(TestItem(_example(id, family, prompt, family.answer(world, arguments)), family.kind, name))
    return tuple(items)


test_items_like_the_pool.__test__ = False  # type: ignore[attr-defined]
test_items.__test__ = False  # type: ignore[attr-defined]
