"""Selection against its peers, on the same features in one process; or, with --table, how it grows with the pool.

Without --table, two comparisons, each the median of --repeats runs with the least and the most:

- a whole search over alpha, against the loop that the published BRIEF scripts describe: for every alpha both n x n
  distance matrices anew, their sum in dense float32, lazy greedy with a heap (our own restatement of it);
- greedy alone on one given n x n matrix, against that heap, and with --peers against submodlib-py and apricot-select.

With --table 1000,2000,5000: for every n a whole BRIEF selection in a process of its own.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from coresift.bench import growth, peers, pools
from coresift.bench.entry import positive
from coresift.bench.timing import Row, Table, timed
from coresift.errors import SettingsError
from coresift.line_search.search import golden_section
from coresift.submodular.cover.certificate import certify
from coresift.submodular.cover.greedy import cover, nearest
from coresift.submodular.cover.on_matrices import Update
from coresift.submodular.distances.stored import Blend, Distances, pairwise

SHARE = 20
"""One pick for so many examples."""


def options(parser: argparse.ArgumentParser) -> None:
    """The pool, the comparison, and the table."""
    parser.add_argument("--n", type=positive, default=4000, help="examples, without --table (default %(default)s)")
    parser.add_argument("--dim", type=positive, default=512, help="width of a feature row (default %(default)s)")
    parser.add_argument("--alphas", type=positive, default=14, help="alphas, without --table (default %(default)s)")
    parser.add_argument(
        "--published-alphas", type=positive, metavar="M", help="time the published loop on only M and scale up"
    )
    parser.add_argument("--repeats", type=positive, help="runs of each (default 3; with --table 1)")
    parser.add_argument("--peers", action="store_true", help="also submodlib-py and apricot-select")
    pools.options(parser)
    growth.options(parser)


def measure(asked: argparse.Namespace) -> Iterator[Table]:
    """The table of growth, or both comparisons."""
    _check(asked)
    if asked.table is not None:
        return growth.measure(asked)
    return compare(asked)


def compare(asked: argparse.Namespace) -> Iterator[Table]:
    """A search, then greedy alone."""
    knowledge, following = (
        rows.to(asked.device) for rows in pools.spaces(asked.n, asked.dim, asked.norms, seed=asked.seed)
    )
    size = max(1, asked.n // SHARE)
    print(f"n {asked.n}, d {asked.dim}, {size} picks, {asked.alphas} alphas, {asked.norms} norms", flush=True)
    yield search(knowledge, following, size, asked)
    yield greedy(pairwise(knowledge), size, asked)


def search(knowledge: Tensor, following: Tensor, size: int, asked: argparse.Namespace) -> Table:
    """Both ways on the same alphas; both say the least B_KN + B_IF that they reached."""
    alphas, repeats = searched(knowledge, following, size, asked.alphas), asked.repeats or 3
    part = alphas[: asked.published_alphas]
    rows = []
    for bits in (24, 16):
        ours(knowledge[:2100], following[:2100], min(size, 105), [0.5], bits=bits)  # compiled once, not counted
        way = partial(ours, knowledge, following, size, alphas, bits=bits)
        rows.append(timed(f"coresift, {bits} bits", way, repeats, _objective))
    there = timed("published loop", lambda: peers.published(knowledge, following, size, part), repeats, _objective)
    notes: tuple[str, ...] = ()
    if len(part) < len(alphas):
        factor = len(alphas) / len(part)
        there = Row(there.name, tuple(factor * each for each in there.seconds), there.facts)
        notes = (f"published loop: {len(part)} of {len(alphas)} alphas timed, seconds x {factor:.2f}",)
    return Table("search over alpha, distances included", (*rows, there), notes)


def greedy(space: Distances, size: int, asked: argparse.Namespace) -> Table:
    """On one given matrix, in real units for the others; the note is what the certificate says."""
    distances, repeats = _dense(space), asked.repeats or 3

    def error(picks: Any) -> Mapping[str, Any]:
        return _objective(distances[picks].amin(dim=0).sum(dtype=torch.float64))

    def fresh(space: Distances, update: Update = "lazy") -> Tensor:
        # A copy: sums kept from an earlier run would not be a fair start.
        return cover(replace(space), size, update=update).order

    coarse = Distances(_sixteen(space), space.step * _worth(space))

    others = {"heap, one candidate at a time": peers.heap_greedy, **(dict(peers.installed()) if asked.peers else {})}
    fresh(space), fresh(coarse), fresh(space, "incremental")  # compiled once, not counted
    rows = [timed("coresift, 24 bits, lazy", partial(fresh, space), repeats, error)]
    rows.append(timed("coresift, 16 bits, lazy", partial(fresh, coarse), repeats, error))
    rows.append(timed("coresift, 24 bits, incremental", partial(fresh, space, "incremental"), repeats, error))
    for name, way in others.items():
        way(distances[:200, :200], 5 if len(distances) > 5 else 1)  # what is compiled once is not counted
        rows.append(timed(name, partial(way, distances, size), repeats, error))
    proof = certify(space, fresh(space))
    said = f"certificate: no {size} picks have an objective more than {100 * proof.gap:.2f} % below that of coresift"
    return Table("greedy alone, on a given matrix", tuple(rows), (said, *(peers.missing() if asked.peers else ())))


def ours(knowledge: Tensor, following: Tensor, size: int, alphas: list[float], *, bits: int = 24) -> float:
    """Distances once, exact greedy for every alpha; returns the least B_KN + B_IF."""
    first, second = pairwise(knowledge, bits=bits), pairwise(following, bits=bits)
    return min(_total(first, second, size, alpha) for alpha in alphas)


def searched(knowledge: Tensor, following: Tensor, size: int, count: int) -> list[float]:
    """The first alphas that golden section asks for on the first thousand examples: a real search's places."""
    first, second = pairwise(knowledge[:1000]), pairwise(following[:1000])
    size = min(size, 50)
    found = golden_section(lambda alpha: _total(first, second, size, alpha), precision=1e-9, max_iterations=count - 2)
    return [place for place, _ in found.trials][:count]


def _total(first: Distances, second: Distances, size: int, alpha: float) -> float:
    order = cover(Blend(first, second, alpha), size).order
    return sum(float(nearest(each, order).sum(dtype=torch.float64)) * each.step for each in (first, second))


def _dense(space: Distances) -> Tensor:
    """All distances in real units, float32."""
    return (space.rows(slice(0, space.n)) * space.step).float()


def _worth(space: Distances) -> float:
    """How many steps of a space one step of 16 bits is worth."""
    return max(float(part.amax()) for part in space.whole.split(256)) / (2.0**16 - 1.0)


def _sixteen(space: Distances) -> Tensor:
    """The distances as whole numbers of 16 bits."""
    worth = _worth(space)
    return torch.cat([(part / (worth or 1.0)).round().to(torch.uint16) for part in space.whole.split(256)])


def _objective(value: Any) -> Mapping[str, Any]:
    return {"objective": float(value)}


def _check(asked: argparse.Namespace) -> None:
    """Options of the one way do not go with the other.

    Raises:
        SettingsError: If they are given together.
    """
    if asked.table is None:
        alone = [name for name in ("extrapolate", "figure", "csv") if getattr(asked, name) is not None]
        if alone:
            raise SettingsError(f"--{alone[0]}: belongs to the table of growth. Add --table 1000,2000,5000.")
    elif asked.peers or asked.published_alphas is not None:
        wrong = "--peers" if asked.peers else "--published-alphas"
        raise SettingsError(f"{wrong}: the table of growth runs BRIEF alone. Leave out {wrong} or --table.")
