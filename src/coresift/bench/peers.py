"""What selection is compared with: our restatement of the published loop, and two packages that need not be there."""

import heapq
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor


def heap_greedy(distances: Tensor, size: int) -> list[int]:
    """Plain lazy greedy facility location on similarities (largest distance less distance), one candidate at a time."""
    similar = _similarities(distances)
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
    """Everything anew for every alpha, in dense float32; returns the least B_KN + B_IF."""
    totals = []
    for alpha in alphas:
        first, second = torch.cdist(knowledge, knowledge), torch.cdist(following, following)
        picks = heap_greedy(first / alpha + second / (1.0 - alpha), size)
        totals.append(sum(float(each[picks].amin(dim=0).sum(dtype=torch.float64)) for each in (first, second)))
    return min(totals)


def submodlib(distances: Tensor, size: int) -> list[int]:
    """Its lazy greedy on a dense similarity matrix."""
    from submodlib import FacilityLocationFunction

    similar = _similarities(distances)
    function = FacilityLocationFunction(n=len(similar), mode="dense", sijs=similar, separate_rep=False)
    return [pick for pick, _ in function.maximize(budget=size, optimizer="LazyGreedy", show_progress=False)]


def apricot(distances: Tensor, size: int) -> list[int]:
    """Its lazy greedy on a precomputed matrix; part of the time of every fit is a compilation."""
    from apricot import FacilityLocationSelection

    similar = _similarities(distances)
    fitted = FacilityLocationSelection(size, metric="precomputed", optimizer="lazy", verbose=False).fit(similar)
    return [int(pick) for pick in fitted.ranking]


PEERS: dict[str, tuple[str, str, Callable[[Tensor, int], list[int]]]] = {
    "submodlib LazyGreedy": ("submodlib", "submodlib-py", submodlib),
    "apricot lazy": ("apricot", "apricot-select", apricot),
}
"""Name in a table -> module, package that holds it, and its greedy on a matrix of distances."""
ONLY = {"submodlib-py": " (there are builds for Python 3.11 and 3.12 on macOS and on Linux x86-64 only)"}
"""Package -> where the extra leaves it out, as pip could not install it."""


def installed() -> Iterator[tuple[str, Callable[[Tensor, int], list[int]]]]:
    """The peers that can run here."""
    return ((name, greedy) for name, (module, _, greedy) in PEERS.items() if find_spec(module) is not None)


def missing() -> tuple[str, ...]:
    """A line for each peer that cannot."""
    return tuple(
        f"{package} is not installed, so it was not measured: pip install 'coresift[bench]'{ONLY.get(package, '')}"
        for module, package, _ in PEERS.values()
        if find_spec(module) is None
    )


def _similarities(distances: Tensor) -> np.ndarray:
    return (distances.amax() - distances).cpu().numpy()
