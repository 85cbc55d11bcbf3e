"""The certificate never promises more than the best subset delivers, and is not idle."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coresift.submodular.cover.certificate import best_prefix, certify
from coresift.submodular.cover.greedy import cover, gains, nearest
from coresift.submodular.distances.stored import Blend, pairwise


def best_error(metric: Blend, size: int) -> float:
    whole = metric.rows(slice(0, metric.n))
    return (
        min(float(whole[list(subset)].amin(dim=0).sum()) for subset in combinations(range(metric.n), size))
        * metric.step
    )


def blend(first: torch.Tensor, second: torch.Tensor, alpha: float) -> Blend:
    return Blend(pairwise(first), pairwise(second), alpha)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    cells=st.lists(st.tuples(*[st.integers(0, 6)] * 4), min_size=2, max_size=10),
    alpha=st.sampled_from([0.0, 0.25, 0.6, 1.0]),
    data=st.data(),
)
def test_no_subset_beats_the_lower_bound(cells: list[tuple[int, ...]], alpha: float, data: st.DataObject) -> None:
    rows = torch.tensor(cells, dtype=torch.float64)
    metric = blend(rows[:, :2], rows[:, 2:], alpha)
    size = data.draw(st.integers(1, len(cells)))
    proof = certify(metric, cover(metric, size).order)
    best = best_error(metric, size)
    assert proof.lower_bound <= best * (1 + 1e-12) <= proof.error * (1 + 1e-12)
    assert 0.0 <= proof.gap <= 1.0


@pytest.mark.parametrize("seed", range(5))
def test_the_gap_is_small_where_the_best_subset_is_known(seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    metric = blend(torch.randn(18, 3, generator=source), torch.randn(18, 3, generator=source), 0.5)
    proof = certify(metric, cover(metric, 3).order)
    best = best_error(metric, 3)
    assert 0.85 * best <= proof.lower_bound <= best + 1e-12


def test_prefixes_are_priced_as_if_each_were_taken_alone() -> None:
    source = torch.Generator().manual_seed(0)
    metric = blend(torch.randn(120, 3, generator=source), torch.randn(120, 3, generator=source), 0.5)
    order = cover(metric, 20).order
    bounds = []
    for size in range(1, 21):
        reach = nearest(metric, order[:size])
        bounds.append(float(reach.sum() - gains(metric, reach).topk(20).values.sum()))
    assert best_prefix(metric, order)[0] == max(bounds)


def test_the_ascent_improves_on_every_prefix() -> None:
    source = torch.Generator().manual_seed(0)
    rows = torch.randn(400, 6, generator=source)
    metric = blend(rows, rows.flip(1), 0.5)
    order = cover(metric, 20).order
    idle, proof = certify(metric, order, iterations=0), certify(metric, order)
    assert idle.lower_bound < proof.lower_bound <= proof.error and proof.gap < 0.03


def test_a_subset_without_error_has_no_gap() -> None:
    flat = pairwise(torch.ones(9, 2))
    proof = certify(flat, cover(flat, 2).order)
    assert (proof.error, proof.lower_bound, proof.gap) == (0.0, 0.0, 0.0)
