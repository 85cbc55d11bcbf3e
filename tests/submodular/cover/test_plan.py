"""The way distances are held follows from the memory, is said with its reason, and changes no answer."""

import math
import re
from bisect import bisect_left

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from coresift.errors import SelectionError
from coresift.features.memory import InMemoryFeatures
from coresift.memory import in_words, parse_memory
from coresift.selection import select
from coresift.selectors import Brief, Craig, Mint
from coresift.submodular.cover.plan import plan, spaces_of
from coresift.submodular.distances.stored import Distances
from coresift.submodular.distances.tiled import Tiled

GB = 10**9
N, DIM = 2300, 48
DEVICES = ["cpu", "cuda"]


def rows(seed: int) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    centres = torch.randn(N // 20, DIM, generator=source)
    made = centres[torch.randint(0, len(centres), (N,), generator=source)] + 0.4 * torch.randn(N, DIM, generator=source)
    return made * torch.exp(0.5 * torch.randn(N, 1, generator=source))


@pytest.mark.parametrize(
    ("memory", "way", "bits", "words"),
    [
        (5 * GB, "dense", 24, r"^2 n x n matrices of 24 bits need 3\.\d GB$"),
        (3 * GB, "dense", 16, r"^2 n x n matrices of 16 bits need 2\.\d GB; 24 bits would need 3\.\d GB$"),
        (GB, "tiled", 24, r"^no matrix: 2 n x n matrices of 16 bits would need 2\.\d GB$"),
    ],
)
def test_the_quickest_way_that_fits_is_chosen_and_explained(memory: int, way: str, bits: int, words: str) -> None:
    found = plan(20000, [2048, 2048], memory)
    assert (found.way, found.bits) == (way, bits) and found.need <= memory
    assert re.search(words, found.reason)


def test_small_pools_are_held_in_float64() -> None:
    assert plan(1000, [512], GB).bits == 53


def test_too_little_memory_is_refused_with_what_is_needed_and_what_there_is() -> None:
    with pytest.raises(SelectionError, match=r"needs 2\.\d GB .* memory given is 200\.0 MB.*--memory"):
        plan(100000, [2048, 2048], 200 * 10**6)


@given(st.integers(1, 6_000_000), st.lists(st.integers(1, 20_000), min_size=1, max_size=3), st.sampled_from(DEVICES))
@example(100_000, [2048, 2048], "cpu")  # rounded to the nearest tenth, what is needed was refused when given
@example(1_000, [10], "cpu")  # the matrix is the smallest way
@example(1_500, [1_000_000], "cpu")  # lists of all the pairs that count are shorter than lists must be
@example(5_000_000, [8], "cuda")  # as many pairs as lists must hold are more than lists may hold
def test_the_memory_that_is_named_fits_and_less_than_is_needed_does_not(n: int, dims: list[int], device: str) -> None:
    named = parse_memory(refused(n, dims, 1, device))
    assert named is not None and plan(n, dims, named, device).need <= named
    least = bisect_left(range(named), True, key=lambda memory: fits(n, dims, memory, device))
    # Down to the last byte: all of it is used, what is named is that in words, and one byte less is refused.
    assert least - 1 <= plan(n, dims, least, device).need <= least
    assert refused(n, dims, least - 1, device) == in_words(least, math.ceil)


def fits(n: int, dims: list[int], memory: int, device: str) -> bool:
    try:
        plan(n, dims, memory, device)
    except SelectionError:
        return False
    return True


def refused(n: int, dims: list[int], memory: int, device: str) -> str:
    """The amount that the refusal names."""
    with pytest.raises(SelectionError) as caught:
        plan(n, dims, memory, device)
    found = re.search(r"needs (\d+(?:\.\d)? [KMGT]B) beyond the features", str(caught.value))
    assert found is not None
    return found[1]


def test_blocks_on_a_gpu_are_counted() -> None:
    assert plan(100_000, [512], 10 * GB, "cuda").pairs < plan(100_000, [512], 10 * GB).pairs


@given(st.integers(3_000, 200_000))
def test_the_memory_that_a_reason_names_gets_that_way_when_given(n: int) -> None:
    named = parse_memory(plan(n, [64], 10**15).reason.split("24 bits needs ")[1])
    assert named is not None and plan(n, [64], named).bits == 24


def test_spaces_of_different_length_are_refused() -> None:
    with pytest.raises(SelectionError, match="spaces of different length: {'knowledge': 5, 'following': 6}"):
        spaces_of({"knowledge": torch.zeros(5, 2), "following": torch.zeros(6, 2)}, GB)


@pytest.mark.parametrize(("memory", "kind"), [(GB, Distances), (320 * 10**6, Tiled)])
def test_spaces_are_held_as_planned(memory: int, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coresift.submodular.cover.plan.EXACT", 100)
    monkeypatch.setattr("coresift.submodular.cover.plan._dense", lambda n, dims: [(24, 400 * 10**6), (16, 390 * 10**6)])
    held, way = spaces_of({"a": rows(0)}, memory)
    assert isinstance(held["a"], kind) and way.way == ("dense" if kind is Distances else "tiled")


@pytest.mark.parametrize("method", [Brief(dim=DIM), Craig(dim=DIM), Mint(dim=DIM, alpha=0.4)], ids=lambda m: m.name)
def test_methods_pick_the_same_with_and_without_matrices(
    method: Brief | Craig | Mint, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = InMemoryFeatures({spec.stored: rows(seed) for seed, spec in enumerate(method.requires)})
    dense = select(method, held, [60, 115], memory="1GB")
    monkeypatch.setattr("coresift.submodular.cover.plan._dense", lambda n, dims: [(24, 2 * GB), (16, 2 * GB)])
    tiled = select(method, held, [60, 115], memory="1GB")
    assert dense[0].diagnostics["distances"]["way"] == "dense" and tiled[0].diagnostics["distances"]["way"] == "tiled"
    for one, other in zip(dense, tiled, strict=True):
        assert one.indices.tolist() == other.indices.tolist() and one.weights.tolist() == other.weights.tolist()
        for key in {"alpha", "B_KN", "B_IF", "B_SFT"} & set(one.diagnostics):
            assert other.diagnostics[key] == pytest.approx(one.diagnostics[key], rel=1e-5)


def test_stochastic_greedy_is_a_setting_of_brief() -> None:
    method = Brief(dim=DIM, alpha=0.5, stochastic=0.1)
    held = InMemoryFeatures({spec: rows(seed) for seed, spec in enumerate(method.requires)})
    exact = select(Brief(dim=DIM, alpha=0.5), held, 60)
    first, again = select(method, held, 60, seed=2), select(method, held, 60, seed=2)
    assert first.indices.tolist() == again.indices.tolist() != exact.indices.tolist()
    assert exact.diagnostics["certificate"]["error"] <= first.diagnostics["certificate"]["error"]
