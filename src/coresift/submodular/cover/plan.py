"""How the distances of a pool are held: chosen by the memory there is, and said with the reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from coresift.errors import SelectionError
from coresift.lazy import torch
from coresift.memory import free_memory, in_words
from coresift.submodular.cover.greedy import PAIRS, SPARSE
from coresift.submodular.distances.blocks import EDGE
from coresift.submodular.distances.stored import EXACT, Metric, pairwise
from coresift.submodular.distances.tiled import ROWS, Tiled

if TYPE_CHECKING:
    from torch import Tensor

PAIR = 32
"""Bytes of a listed pair while lists are made from blocks."""
STORED_PAIR = 24
"""The same from stored distances: once as they are found, once joined, and the lists of the best alpha so far."""
LISTED = 0.06
"""Part of all pairs that lists should be able to hold; with less room more picks are made before there are lists."""
LEAST = 100
"""Listed pairs per example below which lists are of no use."""
MOST = 4e8
"""Listed pairs beyond which lists only cost memory."""

Way = Literal["dense", "tiled"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Attributes:
    way: `dense`: n x n matrices; `tiled`: no matrix, distances computed when needed.
    bits: Bits of a distance: 53 (small pools), 24 or 16.
    need: Bytes this way needs beyond the features.
    pairs: Pairs that lists may hold.
    reason: Why this way, in words; the memory given is not in them, so that the same picks are said alike.
    """

    way: Way
    bits: int
    need: int
    pairs: float
    reason: str


def plan(n: int, dims: Sequence[int], memory: int, device: str = "cpu") -> Plan:
    """Choose the quickest way that fits: matrices of 24 bits, of 16 bits, or none.

    Args:
        n: Number of examples.
        dims: Numbers per row of every space.
        memory: Bytes that may be used beyond the features.
        device: `cpu` or `cuda`, where the rows are: blocks are larger on a GPU.

    Raises:
        SelectionError: If no way fits; the least memory that one does is named, and given back it suffices.
    """
    ways = _dense(n, dims)
    for number, (bits, need) in enumerate(ways):
        if need <= memory:
            more = f"; {ways[0][0]} bits would need {_needed(ways[0][1])}" if number > 0 else ""
            verb = "needs" if len(dims) == 1 else "need"
            reason = f"{_count(len(dims))} of {bits} bits {verb} {_needed(need)}{more}"
            return Plan("dense", bits, need, MOST, reason)
    fixed, most = _tiled(n, dims, device), min(MOST, LISTED * n * n)
    least = fixed + math.ceil(PAIR * min(most, LEAST * n))
    if memory < least:
        least = min(least, *(need for _, need in ways))
        raise SelectionError(
            f"selecting from {n} examples needs {_needed(least)} beyond the features, and the memory given is "
            f"{in_words(memory, math.floor)}. Give at least as much (--memory), or lower the dimension of the features."
        )
    pairs = min(most, (memory - fixed) / PAIR)
    reason = f"no matrix: {_count(len(dims))} of {ways[-1][0]} bits would need {_needed(ways[-1][1])}"
    return Plan("tiled", 24, int(fixed + PAIR * pairs), pairs, reason)


def spaces_of(
    rows: Mapping[str, Tensor],
    memory: int,
    *,
    device: torch.device | None = None,
    what: str = "distances",
    say: Callable[[str], None] = lambda line: None,
) -> tuple[dict[str, Metric], Plan]:
    """The distances of every space, held as planned; how and why is said before any is computed.

    Args:
        rows: n x d arrays by the name of their space, all on one device.
        memory: Bytes that may be used beyond the features.
        device: Where distances are computed, if not where the rows are.
        what: What the work is called while it runs.
        say: Told the plan's reason.

    Raises:
        SelectionError: If rows are not finite, spaces differ in length, or the memory does not suffice.
    """
    sizes = {name: len(each) for name, each in rows.items()}
    if len(set(sizes.values())) > 1:
        raise SelectionError(f"spaces of different length: {sizes}. All spaces describe the same pool: same rows.")
    first = next(iter(rows.values()))
    there = device or first.device
    way = plan(max(1, len(first)), [each.shape[-1] for each in rows.values()], memory, there.type)
    if way.way == "tiled" and there.type != "cpu":  # lists are in main memory, wherever distances are computed
        way = replace(way, pairs=min(way.pairs, free_memory() / PAIR))
    say(f"{what}: {way.reason}")
    made: dict[str, Metric] = {}
    for name, each in rows.items():
        if way.way == "tiled":
            made[name] = Tiled.of(each, name=name, device=there)
        else:
            bits = 16 if way.bits == 16 else 24
            made[name] = pairwise(each, name=name, label=f"{name} {what}", bits=bits, device=there)
    return made, way


def _dense(n: int, dims: Sequence[int]) -> list[tuple[int, int]]:
    """(bits, bytes) of the ways with matrices, the quickest first."""
    lists = int(STORED_PAIR * min(PAIRS, SPARSE * n * n))
    if n <= EXACT:
        return [(53, n * n * 8 * (len(dims) + 2) + 8 * n * max(dims))]
    held = {24: 4, 16: 2}
    return [(bits, len(dims) * n * n * size + 4 * n * max(dims) + lists) for bits, size in held.items()]


def _tiled(n: int, dims: Sequence[int], device: str) -> int:
    """Bytes of rows made ready, blocks, whole rows of a few candidates, and numbers per example."""
    edge, together = (sizes.get(device, sizes["cuda"]) for sizes in (EDGE, ROWS))
    return sum(4 * n * dim for dim in dims) + 6 * 4 * edge**2 + 3 * 4 * max(n, together) + 200 * n


def _count(spaces: int) -> str:
    return "one n x n matrix" if spaces == 1 else f"{spaces} n x n matrices"


def _needed(amount: int) -> str:
    """In words that, given back, are at least as much."""
    return in_words(amount, math.ceil)
