"""All alphas of a search share the passes over the features: every block of distances is counted as it is computed."""

from collections.abc import Callable
from typing import Literal

import pytest
import torch

from coresift.coreset import Coreset
from coresift.features.memory import InMemoryFeatures
from coresift.line_search.search import Searched, golden_section, ternary
from coresift.selection import select
from coresift.selectors import Brief
from coresift.submodular.cover.greedy import cover_all
from coresift.submodular.cover.lazy import Cover
from coresift.submodular.distances.blocks import Tiles
from coresift.submodular.distances.rows import Rows
from coresift.submodular.distances.stored import Blend
from coresift.submodular.distances.tiled import Tiled

N, DIM, SIZE = 2300, 24, 60
AHEAD = 3
Looked = dict[int, torch.Tensor]


def rows(seed: int) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    centres = torch.randn(N // 20, DIM, generator=source)
    made = centres[torch.randint(0, len(centres), (N,), generator=source)] + 0.4 * torch.randn(N, DIM, generator=source)
    return made * torch.exp(0.5 * torch.randn(N, 1, generator=source))


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Looked:
    """For the rows of every space how often each distance was computed in blocks: n x n."""
    seen: Looked = {}
    kept: list[Rows] = []  # so that no later rows get the name of earlier ones
    block = Tiles.block

    def counted(tiles: Tiles, first: slice, second: slice) -> torch.Tensor:
        assert first == second or first.stop <= second.start, "only the upper half is computed"
        if id(tiles.rows) not in seen:
            kept.append(tiles.rows)
            seen[id(tiles.rows)] = torch.zeros(N, N, dtype=torch.int16)
        seen[id(tiles.rows)][first, second] += 1
        return block(tiles, first, second)

    monkeypatch.setattr(Tiles, "block", counted)
    return seen


def passes_of(looked: Looked) -> list[int]:
    """Passes over each space: each computes every distance of the upper half once."""
    above = torch.ones(N, N, dtype=torch.bool).triu()
    counts = [computed[above] for computed in looked.values()]
    assert all(int(each.min()) == int(each.max()) for each in counts)
    return [int(each.max()) for each in counts]


def searched(method: Brief) -> Coreset:
    held = InMemoryFeatures({spec: rows(seed) for seed, spec in enumerate(method.requires)})
    return select(method, held, SIZE, memory="1GB")


def groups_of(search: Callable[..., Searched], totals: dict[float, float], method: Brief) -> list[list[float]]:
    """The groups of alphas that a search which sees these totals prepares."""
    groups: list[list[float]] = []
    limits = {"precision": method.precision, "max_iterations": method.max_iterations}
    found = search(totals.__getitem__, **limits, prepare=groups.append, ahead=AHEAD)
    assert dict(found.trials) == totals
    return groups


@pytest.mark.parametrize(("name", "search"), [("golden", golden_section), ("ternary", ternary)])
def test_a_search_without_a_matrix_passes_over_the_features_by_groups_of_alphas(
    name: Literal["golden", "ternary"],
    search: Callable[..., Searched],
    looked: Looked,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("coresift.submodular.cover.plan._dense", lambda n, dims: [(24, 2 * 10**9), (16, 2 * 10**9)])
    method = Brief(dim=DIM, search=name)
    facts = searched(method).diagnostics
    totals = {trial["alpha"]: trial["B_KN"] + trial["B_IF"] for trial in facts["trials"]}
    groups = groups_of(search, totals, method)
    assert facts["distances"]["way"] == "tiled"
    # Sums of rows once; gains and near pairs once per group; the winner's near pairs may have to be found again.
    assert max(passes_of(looked)) <= 1 + 2 * len(groups) + 1 < len(totals)


@pytest.mark.parametrize("search", [golden_section, ternary])
def test_both_searches_share_passes_among_the_alphas_of_a_group(
    search: Callable[..., Searched], looked: Looked
) -> None:
    spaces = Tiled.of(rows(0)), Tiled.of(rows(1))
    covers: dict[float, Cover] = {}
    groups: list[list[float]] = []

    def prepare(alphas: list[float]) -> None:
        groups.append(alphas)
        covers.update(zip(alphas, cover_all([Blend(*spaces, alpha) for alpha in alphas], 5), strict=True))

    def evaluate(alpha: float) -> float:
        return -float(covers[alpha].gains.sum())

    found = search(evaluate, precision=0.005, max_iterations=15, prepare=prepare, ahead=AHEAD)
    assert max(passes_of(looked)) <= 1 + 2 * len(groups) < len(found.trials)


def test_distances_that_are_held_are_computed_once_and_for_the_upper_half_only(looked: Looked) -> None:
    facts = searched(Brief(dim=DIM)).diagnostics
    assert facts["distances"]["way"] == "dense" and len(facts["trials"]) > 10
    assert passes_of(looked) == [1, 1]
