"""Samples: few gains looked at, nearly as good as greedy, the same for the same seed."""

import math

import pytest
import torch

from coresift.errors import SelectionError
from coresift.submodular.cover.greedy import cover, gains, nearest
from coresift.submodular.cover.stochastic import cover_stochastic, sample_size
from coresift.submodular.distances.stored import Blend, Distances, Metric, pairwise
from coresift.submodular.distances.tiled import Tiled

N = 2300


def rows(seed: int, n: int = N) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    centres = torch.randn(n // 20, 24, generator=source)
    return centres[torch.randint(0, len(centres), (n,), generator=source)] + 0.3 * torch.randn(n, 24, generator=source)


def error(metric: Metric, order: torch.Tensor) -> float:
    return float(nearest(metric, order).sum(dtype=torch.float64))


@pytest.fixture(scope="module")
def blend() -> Blend:
    return Blend(pairwise(rows(0)), pairwise(rows(1)), 0.4)


def test_samples_of_everything_are_greedy() -> None:
    metric = pairwise(rows(0, 200))
    wanted = cover(metric, 20)
    found = cover_stochastic(metric, 20, epsilon=1e-12)
    assert sample_size(200, 20, 1e-12) == 200
    assert torch.equal(found.order, wanted.order) and torch.equal(found.gains[1:], wanted.gains[1:])


def test_the_error_is_near_that_of_greedy_and_below_random(blend: Blend) -> None:
    greedy = error(blend, cover(blend, 115).order)
    found = [error(blend, cover_stochastic(blend, 115, seed=seed).order) for seed in range(3)]
    random = error(blend, torch.randperm(N, generator=torch.Generator().manual_seed(0))[:115])
    assert greedy <= min(found) and max(found) < 1.05 * greedy < random


def stars(count: int, leaves: int) -> Distances:
    """Stars: a centre at distance 1 from each of its leaves; all else lies 2 apart. Centres come first."""
    n = count * (leaves + 1)
    apart = torch.full((n, n), 2.0, dtype=torch.float64).fill_diagonal_(0.0)
    for leaf in range(count, n):
        apart[leaf, leaf % count] = apart[leaf % count, leaf] = 1.0
    return Distances(apart, 1.0)


def every_value(metric: Distances, size: int) -> torch.Tensor:
    """F of every subset of so many points, by brute force, counted from the largest distance, where it says most."""
    whole = metric.whole
    subsets = torch.combinations(torch.arange(metric.n), size)
    reach = whole[subsets[:, 0]]
    for others in subsets.T[1:]:
        reach = torch.minimum(reach, whole[others])
    return (whole.max() - reach).sum(dim=1)


@pytest.mark.parametrize("epsilon", [0.1, 0.25])
def test_the_mean_value_keeps_the_guarantee_where_random_picks_do_not(
    epsilon: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = stars(4, 10)
    values = every_value(metric, 4)
    bar = (1.0 - 1.0 / math.e - epsilon) * float(values.max())

    def mean() -> float:
        found = [cover_stochastic(metric, 4, epsilon=epsilon, seed=seed).order for seed in range(40)]
        return sum(2.0 * metric.n - error(metric, order) for order in found) / len(found)

    assert sample_size(metric.n, 4, epsilon) < metric.n
    assert mean() >= bar
    # The controls: a random subset, in the mean over all of them, and the same code with samples of one candidate.
    assert values.mean() < bar
    monkeypatch.setattr("coresift.submodular.cover.stochastic.sample_size", lambda n, size, epsilon: 1)
    assert mean() < bar


def test_samples_are_as_large_as_the_guarantee_needs() -> None:
    # BRIEF at the scale of Tulu 3: 20 ln 10 = 46.05 candidates, so 47 rows of distances for a pick, 2.35 n in all.
    assert sample_size(939_000, 46_950, 0.1) == 47
    assert sample_size(100, 50, 0.5) == 2 and sample_size(100, 1, 0.1) == 100


def test_the_same_seed_gives_the_same_picks_with_and_without_matrices(blend: Blend) -> None:
    first = cover_stochastic(blend, 60, seed=4)
    assert torch.equal(cover_stochastic(blend, 60, seed=4).order, first.order)
    assert not torch.equal(cover_stochastic(blend, 60, seed=5).order, first.order)
    tiled = Blend(Tiled.of(rows(0)), Tiled.of(rows(1)), 0.4)
    assert torch.equal(cover_stochastic(tiled, 60, seed=4).order, first.order)


def test_gains_are_those_of_the_picks_made(blend: Blend) -> None:
    found = cover_stochastic(blend, 30)
    for number in (1, 12, 29):
        left = gains(blend, nearest(blend, found.order[:number])) * blend.step
        assert float(found.gains[number]) == float(left[found.order[number]])


def test_every_example_can_be_picked() -> None:
    assert sorted(cover_stochastic(pairwise(rows(0, 50)), 50).order.tolist()) == list(range(50))


@pytest.mark.parametrize(
    ("size", "epsilon", "match"), [(0, 0.1, "size 0"), (9, 0.1, "size 9"), (2, 1.0, "epsilon is 1")]
)
def test_sizes_and_losses_that_make_no_sense_are_refused(size: int, epsilon: float, match: str) -> None:
    with pytest.raises(SelectionError, match=match):
        cover_stochastic(pairwise(torch.arange(5.0)[:, None]), size, epsilon=epsilon)


def test_first_gains_at_sixteen_bits_are_exact_although_the_reach_is_twice_a_distance() -> None:
    source = torch.Generator().manual_seed(2)
    rows = torch.randn(2600, 8, generator=source) * torch.exp(0.8 * torch.randn(2600, 1, generator=source))
    longest = rows.norm(dim=1).argsort(descending=True)
    space = pairwise(rows[longest], bits=16)
    found = cover_stochastic(space, 3, epsilon=0.5)
    reach = 2.0 * space.rows(slice(0, 1)).amax()
    assert float(reach) > 2**16
    first = (reach - space.rows(found.order[:1])).double().sum()
    assert float(found.gains[0]) == float(first) * space.step
