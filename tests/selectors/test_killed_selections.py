"""A whole selection without matrices, killed again and again, ends where one that was left alone does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from coresift.coreset import Coreset
from coresift.features.memory import InMemoryFeatures
from coresift.savepoints import Savepoints
from coresift.selection import select
from coresift.selectors import Brief, Mint, mint
from coresift.submodular.cover.lazy import Cover
from coresift.submodular.cover.plan import plan
from coresift.submodular.distances.stored import Blend
from kills import until_done

N, DIM, SIZE = 1100, 16, 55
Method = Brief | Mint


@pytest.fixture(autouse=True)
def no_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coresift.submodular.cover.plan._dense", lambda n, dims: [(24, 10**12), (16, 10**12)])


def features(method: Method) -> InMemoryFeatures:
    source = torch.Generator().manual_seed(5)
    centres = torch.randn(2, N // 20, DIM, generator=source)
    label = torch.randint(0, N // 20, (N,), generator=source)
    held = {}
    for spec, centre in zip(method.requires, centres, strict=True):
        made = centre[label] + 0.4 * torch.randn(N, DIM, generator=source)
        held[spec.stored] = made * torch.exp(0.5 * torch.randn(N, 1, generator=source))
    return InMemoryFeatures(held)


def chosen(method: Method, savepoints: Savepoints | None = None) -> Coreset:
    return select(method, features(method), SIZE, seed=3, memory="1GB", savepoints=savepoints)


def survived(method: Method, folder: Path, lives: int) -> tuple[Coreset, int]:
    """The selection that ends at last, and how often one was killed before."""
    return until_done(lambda savepoints: chosen(method, savepoints), folder, lives=lives, most=200)


@pytest.mark.parametrize(
    ("method", "lives"),
    [
        (Brief(dim=DIM, max_iterations=6), 7),
        (Brief(dim=DIM, search="ternary", max_iterations=2), 5),
        (Mint(dim=DIM, pilot=0.2), 30),
    ],
    ids=["brief", "brief-ternary", "mint"],
)
def test_a_selection_killed_again_and_again_is_the_one_that_was_not(method: Method, lives: int, tmp_path: Path) -> None:
    alone, (found, kills) = chosen(method), survived(method, tmp_path, lives)
    assert kills >= 3
    assert alone.diagnostics["distances"]["way"] == "tiled"
    assert found.indices.tolist() == alone.indices.tolist() and found.weights.tolist() == alone.weights.tolist()
    assert found.diagnostics == alone.diagnostics


class Watched:
    """`cover_all`, with the pool sizes, alphas and room for pairs it was called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[int, list[float], float]] = []
        self._cover_all = mint.cover_all
        monkeypatch.setattr(mint, "cover_all", self)

    def __call__(self, metrics: Sequence[Blend], size: int, *, pairs: float, **given: Any) -> list[Cover]:
        self.calls.append((metrics[0].n, [each.alpha for each in metrics], pairs))
        return self._cover_all(metrics, size, pairs=pairs, **given)


def test_a_killed_pilot_goes_on_with_the_alphas_that_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    _, kills = survived(Mint(dim=DIM, pilot=0.2), tmp_path, lives=30)
    begun = [alphas[0] for n, alphas, _ in watched.calls if n < N]
    assert kills >= 3 and begun == sorted(begun)
    assert len(begun) <= len(set(begun)) + kills  # only what was under way is taken up again


def test_the_lists_of_a_pilot_are_held_within_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    chosen(Mint(dim=DIM, pilot=0.2))
    sizes = {n: pairs for n, _, pairs in watched.calls}
    assert sizes == {n: plan(n, [DIM, DIM], 10**9).pairs for n in (220, N)}
