"""Weighted sums of several metrics."""

import pytest
import torch

from coresift.errors import SelectionError
from coresift.submodular.cover.greedy import cover
from coresift.submodular.distances.mixture import Mixture
from coresift.submodular.distances.stored import Blend, pairwise

SOURCE = torch.Generator().manual_seed(0)
ROWS = [torch.randn(50, 4, generator=SOURCE, dtype=torch.float64) * scale for scale in (1.0, 30.0, 0.01)]
SPACES = [pairwise(rows) for rows in ROWS]


def test_a_mixture_is_the_weighted_sum_in_real_units() -> None:
    mixture = Mixture(SPACES, (0.5, 1.0, 2.0))
    whole = sum(c * (rows[:, None] - rows).norm(dim=2) for c, rows in zip((0.5, 1.0, 2.0), ROWS, strict=True))
    got = mixture.rows(slice(0, 50))
    torch.testing.assert_close(got * mixture.step, whole, rtol=1e-9, atol=1e-7)
    assert bool((got == got.round()).all()) and bool((got == got.T).all()) and bool((got.diagonal() == 0).all())
    pair = torch.tensor([3, 4]), torch.tensor([5, 4])
    assert torch.equal(mixture.at(*pair), got[pair])
    assert (mixture.n, mixture.device, mixture.dtype) == (50, SPACES[0].device, SPACES[0].dtype)


def test_only_the_ratios_of_coefficients_matter_to_the_picks() -> None:
    orders = [cover(Mixture(SPACES, tuple(f * c for c in (1.0, 2.0, 3.0))), 9).order for f in (1.0, 4.0)]
    assert torch.equal(*orders)


def test_a_mixture_of_two_spaces_picks_like_their_blend() -> None:
    assert torch.equal(cover(Mixture(SPACES[:2], (1.0, 3.0)), 9).order, cover(Blend(*SPACES[:2], 0.75), 9).order)


def test_a_coefficient_of_zero_takes_a_space_out() -> None:
    assert torch.equal(cover(Mixture(SPACES, (0.0, 2.0, 0.0)), 9).order, cover(SPACES[1], 9).order)


def test_constant_spaces_mix_to_nothing() -> None:
    flat = pairwise(torch.ones(5, 2))
    mixture = Mixture([flat, flat], (1.0, 1.0))
    assert mixture.step == 0.0 and bool((mixture.rows(slice(0, 5)) == 0).all())


@pytest.mark.parametrize("coefficients", [(1.0, 2.0), (1.0, -1.0, 0.0), (0.0, 0.0, 0.0)])
def test_coefficients_that_do_not_fit_are_refused(coefficients: tuple[float, ...]) -> None:
    with pytest.raises(SelectionError, match="for 3 spaces. Give one of 0 or more for each, not all 0"):
        Mixture(SPACES, coefficients)


def test_spaces_of_different_size_are_refused() -> None:
    with pytest.raises(SelectionError, match=r"spaces of \[5, 50\] rows"):
        Mixture([SPACES[0], pairwise(torch.ones(5, 2))], (1.0, 1.0))
