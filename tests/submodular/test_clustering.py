"""k-means and quotas."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coresift.submodular.clustering import k_means, quotas


def blobs(per: int = 30, d: int = 4) -> torch.Tensor:
    source = torch.Generator().manual_seed(0)
    centres = 20.0 * torch.eye(5, d + 1)[:, :d]
    return torch.cat([centre + torch.randn(per, d, generator=source) for centre in centres])


def test_separated_blobs_are_found() -> None:
    found = k_means(blobs(), 5, source=np.random.default_rng(0))
    groups = found.label.reshape(5, 30)
    assert bool((groups == groups[:, :1]).all()) and len(set(groups[:, 0].tolist())) == 5


def test_at_the_end_every_row_is_with_its_closest_centre_and_centres_are_means() -> None:
    rows = torch.randn(200, 6, generator=torch.Generator().manual_seed(1))
    found = k_means(rows, 8, source=np.random.default_rng(1))
    distances = (rows.double()[:, None] - found.centres).square().sum(dim=2)
    assert torch.equal(distances.argmin(dim=1), found.label) and found.rounds < 100
    for number, centre in enumerate(found.centres):
        torch.testing.assert_close(rows[found.label == number].double().mean(dim=0), centre)
    assert found.spread == pytest.approx(float(distances.amin(dim=1).sum()))


def test_the_same_source_gives_the_same_clusters() -> None:
    one, two = (k_means(blobs(), 7, source=np.random.default_rng(3)).label for _ in range(2))
    assert torch.equal(one, two)


def test_there_are_no_more_clusters_than_different_rows() -> None:
    rows = torch.eye(3).repeat(4, 1)
    found = k_means(rows, 10, source=np.random.default_rng(0))
    assert len(found.centres) == 3 and found.spread == 0.0
    assert len(k_means(torch.zeros(5, 2), 4, source=np.random.default_rng(0)).centres) == 1


@pytest.mark.parametrize("seed", range(10))
def test_no_cluster_is_empty(seed: int) -> None:
    rows = torch.cat([torch.randn(50, 2, generator=torch.Generator().manual_seed(seed)), 100 * torch.ones(1, 2)])
    found = k_means(rows, 40, source=np.random.default_rng(seed))
    assert int(torch.bincount(found.label, minlength=len(found.centres)).min()) >= 1


def test_an_empty_cluster_takes_the_row_farthest_from_its_centre() -> None:
    from coresift.submodular.clustering import _no_empty

    rows, centres = torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([[0.0], [50.0]], dtype=torch.float64)
    assert _no_empty(rows, torch.tensor([0, 0, 0]), centres).tolist() == [0, 0, 1]


def test_rounds_are_limited() -> None:
    assert k_means(torch.randn(300, 2), 20, source=np.random.default_rng(0), rounds=1).rounds == 1


def test_quotas_follow_the_largest_remainders() -> None:
    assert quotas([50, 30, 20], 10) == [5, 3, 2]
    assert quotas([10, 10, 10], 4) == [2, 1, 1]
    assert quotas([96, 3, 1], 5) == [5, 0, 0]
    assert quotas([19, 19, 2], 2) == [1, 1, 0]


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40), st.data())
def test_quotas_sum_to_the_total_and_are_within_one_of_their_share(sizes: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(sizes)))
    given_out = quotas(sizes, total)
    assert sum(given_out) == total
    assert all(abs(got - size * total / sum(sizes)) < 1 for got, size in zip(given_out, sizes, strict=True))
    assert all(got <= size for got, size in zip(given_out, sizes, strict=True))
