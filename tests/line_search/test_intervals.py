"""Exact k-means on a line: against all divisions, and against the rounds that only find a good one."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coresift.errors import SelectionError
from coresift.line_search.intervals import interval_means
from coresift.submodular.clustering import k_means


def spread(values: np.ndarray, bounds: tuple[int, ...]) -> float:
    parts = np.split(np.sort(values), bounds)
    return float(sum(((part - part.mean()) ** 2).sum() for part in parts))


def test_three_means_of_eight_numbers() -> None:
    found = interval_means(np.array([0.1, 0.15, 0.2, 0.55, 0.6, 0.62, 0.95, 0.97]), 3)
    assert found.label.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert found.spread == pytest.approx(0.0078)
    np.testing.assert_allclose(found.centres, [0.15, 0.59, 0.96])


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=12), st.integers(1, 5))
def test_no_division_into_intervals_is_better(numbers: list[int], clusters: int) -> None:
    values = np.array(numbers, dtype=np.float64) / 7.0
    if clusters > len(set(numbers)):
        return
    found = interval_means(values, clusters)
    least = min(spread(values, bounds) for bounds in combinations(range(1, len(values)), clusters - 1))
    assert found.spread == pytest.approx(least, abs=1e-9)
    assert sorted(set(found.label.tolist())) == list(range(clusters))
    assert (np.diff(found.label[np.argsort(values, kind="stable")]) >= 0).all()
    for number, centre in enumerate(found.centres):
        assert values[found.label == number].mean() == pytest.approx(centre)


@pytest.mark.parametrize("seed", range(3))
def test_rounds_from_good_starts_are_never_better(seed: int) -> None:
    values = np.random.default_rng(seed).gamma(2.0, 0.2, 3000)
    rows = torch.from_numpy(values)[:, None]
    rounds = [k_means(rows, 7, source=np.random.default_rng(start)).spread for start in range(5)]
    found = interval_means(values, 7)
    assert found.spread <= min(rounds) * (1 + 1e-9)
    middles = (found.centres[1:] + found.centres[:-1]) / 2.0
    assert np.searchsorted(middles, values).tolist() == found.label.tolist()


def test_the_order_of_the_pool_and_a_shift_do_not_matter() -> None:
    values = np.random.default_rng(0).random(500)
    order = np.random.default_rng(1).permutation(500)
    label = interval_means(values, 7).label
    assert interval_means(values[order], 7).label.tolist() == label[order].tolist()
    assert interval_means(values + 1e6, 7).label.tolist() == label.tolist()


def test_equal_values_share_a_cluster() -> None:
    found = interval_means(np.array([1.0] * 50 + [2.0, 2.1]), 3)
    assert found.label.tolist() == [0] * 50 + [1, 2] and found.spread == 0.0


def test_more_clusters_than_different_values_is_an_error() -> None:
    with pytest.raises(SelectionError, match=r"2 different values of difficulty cannot fill 3 clusters.*at most 2"):
        interval_means(np.array([0.5, 0.5, 0.7, 0.7]), 3, name="difficulty")


def test_a_number_that_is_not_finite_is_named() -> None:
    with pytest.raises(SelectionError, match=r"difficulty\[1\] is nan. Clusters are made of finite numbers"):
        interval_means(np.array([0.5, np.nan]), 1, name="difficulty")
