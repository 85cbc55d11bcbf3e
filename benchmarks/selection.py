"""Selection against its peers, on the same features in one process: `benchmarks/selection.py --n 10000 --dim 8192`.

Two comparisons, each the median of `--repeats` runs with the least and the most:

- a whole search over alpha, against the loop that the published BRIEF scripts describe: for every alpha both n x n
  distance matrices anew, their sum in dense float32, lazy greedy with a heap (our own restatement of it);
- greedy alone on one given n x n matrix, against that heap, and against submodlib-py and apricot-select if `--peers`
  is given and they are installed.

The pool is synthetic: clusters in a low-rank subspace, heavy-tailed norms, two correlated spaces.
"""

import argparse
import heapq
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from selection_memory import spaces
from torch import Tensor

from coresift.submodular.certificate import certify
from coresift.submodular.distances import Blend, Distances, pairwise
from coresift.submodular.greedy import cover, nearest
from coresift.submodular.search import golden_section

Timed = tuple[str, list[float], float]
"""Name, seconds of every repeat, and the objective reached."""


def heap_greedy(distances: Tensor, size: int) -> list[int]:
    """Plain lazy greedy facility location on similarities (largest distance less distance), one candidate at a time."""
    similar = (distances.amax() - distances).numpy()
    covered = similar[0] * 0.0
    heap = [(-float(total), point) for point, total in enumerate(similar.sum(axis=1))]
    heapq.heapify(heap)
    picks: list[int] = []
    while len(picks) < size:
        _, point = heapq.heappop(heap)
        gain = (similar[point] - covered).clip(min=0.0).sum()
        if not heap or gain >= -heap[0][0]:
            picks.append(point)
            covered = covered.clip(min=similar[point])
        else:
            heapq.heappush(heap, (-float(gain), point))
    return picks


def published(knowledge: Tensor, following: Tensor, size: int, alphas: list[float]) -> float:
    """Everything anew for every alpha; returns the least B_KN + B_IF."""
    totals = []
    for alpha in alphas:
        first, second = torch.cdist(knowledge, knowledge), torch.cdist(following, following)
        picks = heap_greedy(first / alpha + second / (1.0 - alpha), size)
        totals.append(sum(float(each[picks].amin(dim=0).sum(dtype=torch.float64)) for each in (first, second)))
    return min(totals)


def ours(knowledge: Tensor, following: Tensor, size: int, alphas: list[float]) -> float:
    """Distances once, exact greedy for every alpha."""
    first, second = pairwise(knowledge), pairwise(following)
    return min(_total(first, second, size, alpha) for alpha in alphas)


def _total(first: Distances, second: Distances, size: int, alpha: float) -> float:
    order = cover(Blend(first, second, alpha), size).order
    return sum(float(nearest(each, order).sum(dtype=torch.float64)) * each.step for each in (first, second))


def searched(knowledge: Tensor, following: Tensor, size: int, count: int) -> list[float]:
    """The first alphas that golden section asks for on the first thousand examples: a real search's places."""
    first, second = pairwise(knowledge[:1000]), pairwise(following[:1000])
    size = min(size, 50)
    found = golden_section(lambda alpha: _total(first, second, size, alpha), precision=1e-9, max_iterations=count - 2)
    return [place for place, _ in found.trials][:count]


def timed(name: str, work: Callable[[], Any], repeats: int, error: Callable[[Any], float] = float) -> Timed:
    """Run some times."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - began)
    return name, seconds, error(found)


def show(title: str, rows: list[Timed]) -> None:
    """One line each; ratios to the first."""
    base = statistics.median(rows[0][1])
    print(title)
    for name, seconds, value in rows:
        median = statistics.median(seconds)
        spread = f"[{min(seconds):.2f}, {max(seconds):.2f}]"
        print(f"  {name:34s} {median:9.2f} s {spread:18s} {median / base:7.1f} x   objective {value:.6g}")


def submodlib(distances: Tensor, size: int) -> list[int]:
    """Its lazy greedy on a dense similarity matrix."""
    from submodlib import FacilityLocationFunction

    similar = (distances.amax() - distances).numpy()
    function = FacilityLocationFunction(n=len(similar), mode="dense", sijs=similar, separate_rep=False)
    return [pick for pick, _ in function.maximize(budget=size, optimizer="LazyGreedy", show_progress=False)]


def apricot(distances: Tensor, size: int) -> list[int]:
    """Its lazy greedy on a precomputed matrix; the first fit of a process compiles and is not counted."""
    from apricot import FacilityLocationSelection

    similar = (distances.amax() - distances).numpy()
    fitted = FacilityLocationSelection(size, metric="precomputed", optimizer="lazy", verbose=False).fit(similar)
    return [int(pick) for pick in fitted.ranking]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=4000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--alphas", type=int, default=14)
    parser.add_argument("--published-alphas", type=int, help="time only so many and scale up (figures say so)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", action="store_true", help="also submodlib-py and apricot-select")
    asked = parser.parse_args()
    knowledge, following = spaces(asked.n, asked.dim)
    size = max(1, asked.n // 20)
    print(f"n {asked.n}, d {asked.dim}, {size} picks, {asked.alphas} alphas, {torch.get_num_threads()} threads")
    whole_search(knowledge, following, size, asked)
    greedy_alone(pairwise(knowledge), size, asked)


def whole_search(knowledge: Tensor, following: Tensor, size: int, asked: argparse.Namespace) -> None:
    """Both ways on the same alphas."""
    alphas = searched(knowledge, following, size, asked.alphas)
    mine = timed("coresift", lambda: ours(knowledge, following, size, alphas), asked.repeats)
    part = alphas[: asked.published_alphas]
    name, seconds, value = timed("published loop", lambda: published(knowledge, following, size, part), asked.repeats)
    factor = len(alphas) / len(part)
    label = name if factor == 1 else f"{name}, {len(part)} alphas timed, x {factor:.1f}"
    show("search over alpha, distances included", [mine, (label, [each * factor for each in seconds], value)])


def greedy_alone(space: Distances, size: int, asked: argparse.Namespace) -> None:
    """On one given matrix, in real units for the others; then what the certificate says."""
    distances = space.whole.float() * space.step

    def error(picks: Any) -> float:
        return float(distances[picks].amin(dim=0).sum(dtype=torch.float64))

    def fresh() -> Tensor:
        return cover(Distances(space.whole, space.step), size).order

    rows = [timed("coresift", fresh, asked.repeats, error)]
    rows.append(timed("heap, one candidate at a time", lambda: heap_greedy(distances, size), asked.repeats, error))
    if asked.peers:
        apricot(distances[:200, :200], 5)
        rows.append(timed("submodlib LazyGreedy", lambda: submodlib(distances, size), asked.repeats, error))
        rows.append(timed("apricot lazy", lambda: apricot(distances, size), asked.repeats, error))
    show("greedy alone, on a given matrix", rows)
    began = time.perf_counter()
    proof = certify(space, fresh())
    print(f"certificate: gap {100 * proof.gap:.2f} %, {time.perf_counter() - began:.2f} s with its greedy")


if __name__ == "__main__":
    main()
