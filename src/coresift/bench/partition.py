"""Greedy in two rounds over parts of a pool, against greedy on the whole pool and against chance, in one space.

Every row gives the objective on the whole pool (the sum of distances to the nearest pick) and by how many percent it is
above that of greedy on the whole pool, whose distances are all held. In two rounds every part holds its own distances,
and round two computes those of its candidates to the whole pool. Their seconds are of both rounds, one part after the
other in this process; `slowest part` is what round one takes where every part has a machine. Where there are repeats,
the rounds shown are those of the last.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from coresift.bench import pools
from coresift.bench.entry import positive
from coresift.bench.growth import sizes
from coresift.bench.timing import Table, finish, timed
from coresift.errors import SettingsError
from coresift.submodular.cover.greedy import cover
from coresift.submodular.cover.partition import Partitioned, loss, merge, pick_in_part, random_parts, share_of
from coresift.submodular.cover.quality import nearest_sum
from coresift.submodular.distances.stored import pairwise
from coresift.submodular.distances.tiled import Tiled

SHARE = 20
"""One pick for so many examples."""
DRAWS = 10
"""Random subsets, whose objectives are averaged."""


@dataclass(frozen=True, slots=True, eq=False)
class Rounds:
    """Attributes:
    found: What round two picked.
    first: Seconds of every part in round one.
    second: Seconds of round two.
    """

    found: Partitioned
    first: tuple[float, ...]
    second: float


def options(parser: argparse.ArgumentParser) -> None:
    """The pool and how it is parted."""
    parser.add_argument("--n", type=positive, default=6000, help="examples (default %(default)s)")
    parser.add_argument("--dim", type=positive, default=512, help="width of a feature row (default %(default)s)")
    parser.add_argument("--parts", type=sizes, default="4,16", metavar="N,N,...", help="parts (default %(default)s)")
    parser.add_argument(
        "--oversample",
        type=_times,
        default="1,2,4",
        metavar="X,X,...",
        help="times its share of the picks that a part gives to round two (default %(default)s)",
    )
    parser.add_argument("--repeats", type=positive, default=1, help="runs of each (default %(default)s)")
    pools.options(parser)


def measure(asked: argparse.Namespace) -> Iterator[Table]:
    """One table: greedy on the whole pool, then two rounds in every way asked for, then chance.

    Raises:
        SettingsError: If there are more parts than examples.
    """
    if max(asked.parts) > asked.n:
        raise SettingsError(f"--parts {max(asked.parts)}: only {asked.n} examples. Give fewer parts or a larger --n.")
    rows = pools.spaces(asked.n, asked.dim, asked.norms, seed=asked.seed)[0].to(asked.device)
    size, whole = max(1, asked.n // SHARE), Tiled.of(rows)
    cover(pairwise(rows[:2100]), min(size, 105))  # compiled once, not counted

    def objective(order: Tensor) -> Mapping[str, Any]:
        return {"objective": nearest_sum(whole, order), "loss_percent": 0.0}

    central = timed("whole pool at once", lambda: cover(pairwise(rows), size).order, asked.repeats, objective)
    least = central.facts["objective"]

    def lost(ran: Rounds) -> Mapping[str, Any]:
        facts = {"objective": ran.found.error, "loss_percent": 100.0 * loss(ran.found.error, least)}
        rounds = {"round_1_s": sum(ran.first), "slowest_part_s": max(ran.first), "round_2_s": ran.second}
        return {**facts, "candidates": len(ran.found.candidates), **rounds}

    def chance(draws: list[Tensor]) -> Mapping[str, Any]:
        mean = sum(nearest_sum(whole, picks) for picks in draws) / len(draws)
        return {"objective": mean, "loss_percent": 100.0 * loss(mean, least)}

    found = [central]
    for parts in asked.parts:
        for times in asked.oversample:
            way = partial(two_rounds, rows, size, parts=parts, oversample=times, seed=asked.seed)
            found.append(timed(f"{parts} parts, oversample {times:g}", way, asked.repeats, lost))
    found.append(timed(f"random, mean of {DRAWS}", partial(_random, asked.n, size, rows.device), asked.repeats, chance))
    yield Table(f"{size} picks of {asked.n}, d {asked.dim}, {asked.norms} norms", tuple(found))


def two_rounds(rows: Tensor, size: int, *, parts: int, oversample: float, seed: int) -> Rounds:
    """What `greedi` does, with a clock at every part."""
    picked, seconds = [], []
    for positions in random_parts(len(rows), parts, seed=seed):
        began = _now()
        count = share_of(len(positions), size, parts, oversample)
        picked.append(pick_in_part(pairwise(rows[positions]), positions, count))
        seconds.append(_now() - began)
    began = _now()
    found = merge(Tiled.of(rows), picked, size)
    return Rounds(found, tuple(seconds), _now() - began)


def _random(n: int, size: int, device: torch.device) -> list[Tensor]:
    source = torch.Generator().manual_seed(0)
    return [torch.randperm(n, generator=source)[:size].to(device) for _ in range(DRAWS)]


def _now() -> float:
    finish()
    return time.perf_counter()


def _times(text: str) -> list[float]:
    """`1,2.5` -> [1.0, 2.5]: numbers from 1 up, in rising order, each once."""
    try:
        found = sorted({float(part) for part in text.split(",")})
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 1,2,4") from None
    if not all(1.0 <= each < float("inf") for each in found):
        raise argparse.ArgumentTypeError(f"{text!r}: a part gives at least its share, so numbers from 1 up")
    return found
