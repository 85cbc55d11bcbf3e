"""Random, matched in response length: what a coreset of these lengths is worth without the method that chose it.

A control: the lengths of a given coreset are divided into twentieths, and equal numbers of examples are drawn at random
from the pool for each. With no lengths given, the pool's own are matched. See docs/methods/length.md.
"""

from typing import Any, ClassVar

import numpy as np
from pydantic import field_validator

from coresift.errors import SelectionError, SettingsError
from coresift.features.losses import LengthSpec, column
from coresift.features.specs import FeatureSpec
from coresift.problem import Problem, Selection, evenly
from coresift.seeds import generator
from coresift.settings import Settings

PARTS = 20


class LengthMatched(Settings):
    """A random sample with the response lengths of something else.

    Attributes:
        edges: Response tokens of what is to be matched at equal steps of its distribution, from the shortest to the
            longest (`length_edges`); the pool's own when empty.
    """

    name: ClassVar[str] = "length-matched"
    edges: tuple[float, ...] = ()

    @field_validator("edges")
    @classmethod
    def _ascending(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if len(edges) == 1 or list(edges) != sorted(edges):
            raise SettingsError(f"edges are {list(edges)}. Give at least two lengths in ascending order, or none.")
        return edges

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """Lengths, for which no model is run."""
        return (LengthSpec(),)

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples; prefixes of one seed are nested; every pick counts the same.

        The parts take turns in a new random order every round, so a prefix is matched as well as its size allows. What
        the pool lacks between two edges is taken from the nearest lengths.
        """
        lengths = column(problem[LengthSpec()], name="response tokens")
        order = _turns(lengths, self.edges or length_edges(lengths), size, generator(problem.seed, self.name))

        def facts(picks: np.ndarray) -> dict[str, Any]:
            return {"mean_tokens": float(lengths[picks].mean()), "mean_tokens_of_pool": float(lengths.mean())}

        return evenly(problem, order, size, facts=facts)


def length_edges(lengths: np.ndarray, parts: int = PARTS) -> tuple[float, ...]:
    """Lengths at equal steps of a distribution, the least and the greatest among them: `parts` + 1, ascending.

    Args:
        lengths: [k] response tokens of what is to be matched, such as the picks of a coreset.
        parts: How many parts lie between them.

    Raises:
        SelectionError: If there are no lengths.
    """
    if len(lengths) == 0:
        raise SelectionError("no lengths given to match. Pass the response tokens of at least one example.")
    return tuple(float(edge) for edge in np.quantile(lengths, np.linspace(0.0, 1.0, parts + 1)))


def _turns(lengths: np.ndarray, edges: tuple[float, ...], size: int, source: np.random.Generator) -> np.ndarray:
    """The first `size` places; each part in its turn takes a random place between its edges, else the nearest."""
    shuffled = source.permutation(len(lengths))
    queues = []
    for low, high in zip(edges, edges[1:], strict=False):
        outside = np.maximum(np.maximum(low - lengths, lengths - high), 0.0)[shuffled]
        queues.append(iter(shuffled[np.argsort(outside, kind="stable")].tolist()))
    taken: dict[int, None] = {}
    while len(taken) < size:
        for number in source.permutation(len(queues))[: size - len(taken)]:
            taken[next(place for place in queues[number] if place not in taken)] = None
    return np.fromiter(taken, dtype=np.int64)
