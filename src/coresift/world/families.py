"""What a family of instruction tasks is, and the table of all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from coresift.world.facts import Facts

Kind = Literal["knowledge", "following"]
Arguments = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of instruction.

    Attributes:
        name: Name of the family; the `source` of its examples.
        needs: What a right answer takes: a fact of the world, obeying the wording, or both.
        kind: The label of its test items. A family that needs both is `following` when the bare facts alone would be
            marked wrong (the demanded form decides), else `knowledge`.
        wordings: Ways to put the instruction, with the fields of `fields` in braces.
        draw: Arguments of one instance.
        fields: The texts that fill a wording.
        answer: The one right response.
    """

    name: str
    needs: Literal["knowledge", "following", "both"]
    kind: Kind
    wordings: tuple[str, ...]
    draw: Callable[[np.random.Generator, Facts], Arguments]
    fields: Callable[[Arguments], dict[str, str]]
    answer: Callable[[Facts, Arguments], str]


def pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    """One of the choices, all equally likely."""
    return choices[int(rng.integers(len(choices)))]


def several(rng: np.random.Generator, choices: tuple[str, ...], low: int, high: int) -> Arguments:
    """Between `low` and `high` different choices, in random order."""
    count = int(rng.integers(low, high + 1))
    return tuple(choices[i] for i in rng.permutation(len(choices))[:count])
