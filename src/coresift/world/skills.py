"""Skills shown to the base model: what is done to which words, in many notations, none of them the chat template."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from coresift.world import words
from coresift.world.english import COMMON
from coresift.world.families import pick, several

RARE = 0.05
"""Share of the word lists made of common English words instead of the world's nouns."""
JOINTS = (
    "{task} ( {given} ) = {result} ;",
    "{task} : {given} -> {result} ;",
    "{task} : {given} . Result: {result} .",
    "{given} , {task} , gives {result} .",
    "{task} : {given}\nResult: {result} ;",
    "{task} : {given}\nThen: {result} .",
    "Note: {task} : {given}\nNow: {result} ;",
)
"""How a task, the words it is given and its result stand next to each other."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One thing done: ways to call it, the words given, the result."""

    calls: tuple[str, ...]
    given: str
    result: str


def _nouns(rng: np.random.Generator, low: int, high: int) -> tuple[str, ...]:
    return several(rng, COMMON if rng.random() < RARE else words.PLAIN, low, high)


def _copy(rng: np.random.Generator) -> Shown:
    given = " ".join(_nouns(rng, 1, 5))
    return Shown(("copy", "the same words", "repeat this text", "say exactly this", "write again"), given, given)


def _reverse(rng: np.random.Generator) -> Shown:
    given = _nouns(rng, 2, 4)
    calls = ("reverse", "words backwards", "in reverse order", "turn this list around")
    return Shown(calls, " ".join(given), " ".join(reversed(given)))


def _first(rng: np.random.Generator) -> Shown:
    given = _nouns(rng, 2, 5)
    return Shown(("first", "the first word", "which word comes first", "begin with"), " ".join(given), given[0])


def _last(rng: np.random.Generator) -> Shown:
    given = _nouns(rng, 2, 5)
    return Shown(("last", "the last word", "which word comes last", "end with"), " ".join(given), given[-1])


def _count(rng: np.random.Generator) -> Shown:
    given = _nouns(rng, 2, 6)
    calls = ("count", "how many words", "the number of words", "how long is this list")
    return Shown(calls, " ".join(given), str(len(given)))


def _capitals(rng: np.random.Generator) -> Shown:
    given = " ".join(several(rng, words.SHOUTED, 1, 3))
    return Shown(("capitals", "in capital letters", "use capital letters", "words large"), given, given.upper())


def _times(rng: np.random.Generator) -> Shown:
    word, number = pick(rng, words.PLAIN), pick(rng, words.COUNTS)
    return Shown(("times", "say so many times", "repeat"), f"{word} {number} times", " ".join([word] * int(number)))


def _commas(rng: np.random.Generator) -> Shown:
    given = _nouns(rng, 2, 4)
    calls = ("with commas", "commas between the words", "separate with commas", "a list with commas")
    return Shown(calls, " ".join(given), ", ".join(given))


def _brackets(rng: np.random.Generator) -> Shown:
    given = _nouns(rng, 1, 3)
    calls = ("brackets", "in brackets", "each word in brackets", "brackets around every word")
    return Shown(calls, " ".join(given), " ".join(f"[ {word} ]" for word in given))


def _largest(rng: np.random.Generator) -> Shown:
    given = several(rng, words.SMALL, 2, 4)
    return Shown(("the largest number", "largest", "the biggest number"), " ".join(given), max(given, key=int))


def _sort(rng: np.random.Generator) -> Shown:
    given = several(rng, words.SMALL, 2, 4)
    calls = ("sort", "sort these numbers", "from small to large", "put the numbers in order")
    return Shown(calls, " ".join(given), " ".join(sorted(given, key=int)))


def _without(rng: np.random.Generator) -> Shown:
    given = _nouns(rng, 3, 4)
    out = pick(rng, given)
    calls = (f"without {out}", f"leave out {out}", f"remove {out}", f"drop the word {out}", f"the list without {out}")
    return Shown(calls, " ".join(given), " ".join(word for word in given if word != out))


SKILLS: dict[str, Callable[[np.random.Generator], Shown]] = {
    "copy": _copy, "reverse": _reverse, "first": _first, "last": _last, "count": _count, "capitals": _capitals,
    "times": _times, "commas": _commas, "brackets": _brackets, "largest": _largest, "sort": _sort, "without": _without,
}  # fmt: skip


def demonstration(rng: np.random.Generator, skill: str | None = None) -> str:
    """One thing done, in a random notation; a random skill unless one is named."""
    shown = SKILLS[pick(rng, tuple(SKILLS)) if skill is None else skill](rng)
    return pick(rng, JOINTS).format(task=pick(rng, shown.calls), given=shown.given, result=shown.result)
