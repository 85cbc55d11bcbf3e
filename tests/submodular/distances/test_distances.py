"""Distances are symmetric, exact where they can be, and right near zero."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coresift.errors import SelectionError
from coresift.submodular.distances.rows import power_of_two
from coresift.submodular.distances.stored import Blend, Distances, pairwise

LARGE = 2300  # above EXACT: float32, tiles


def reference(rows: torch.Tensor) -> torch.Tensor:
    exact = rows.double()
    return torch.cdist(exact, exact, compute_mode="donot_use_mm_for_euclid_dist")


def real(space: Distances) -> torch.Tensor:
    return space.whole.double() * space.step


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def large() -> tuple[torch.Tensor, Distances]:
    rows = normal(LARGE, 64) * torch.exp(normal(LARGE, 1, seed=1)) + 5.0
    rows[100], rows[LARGE - 1], rows[200] = rows[7], rows[7], -0.0
    rows[201] = 0.0
    rows[300] = rows[9] + 1e-4 * normal(1, 64, seed=2)[0]
    return rows, pairwise(rows)


@pytest.mark.parametrize(("n", "d"), [(40, 7), (1500, 96)])
def test_small_pools_are_held_to_twelve_digits(n: int, d: int) -> None:
    rows = normal(n, d)
    assert (real(pairwise(rows)) - reference(rows)).abs().max() <= 1e-12 * reference(rows).max()


def test_large_pools_are_held_to_about_one_step(large: tuple[torch.Tensor, Distances]) -> None:
    rows, space = large
    assert (real(space) - reference(rows)).abs().max() <= 4.0 * space.step
    assert space.dtype == torch.float32


def test_every_distance_is_a_whole_number_that_float32_holds(large: tuple[torch.Tensor, Distances]) -> None:
    whole = large[1].whole
    assert torch.equal(whole, whole.round()) and float(whole.min()) >= 0 and float(whole.max()) <= 2**24


def test_the_lower_half_mirrors_the_upper_and_the_diagonal_is_zero(large: tuple[torch.Tensor, Distances]) -> None:
    whole = large[1].whole
    assert torch.equal(whole, whole.T) and float(whole.diagonal().abs().max()) == 0.0


def test_equal_rows_are_at_distance_zero(large: tuple[torch.Tensor, Distances]) -> None:
    whole = large[1].whole
    assert whole[7, 100] == whole[7, LARGE - 1] == whole[100, LARGE - 1] == whole[200, 201] == 0.0


def test_nearly_equal_rows_keep_their_distance(large: tuple[torch.Tensor, Distances]) -> None:
    rows, space = large
    true = float(reference(rows[[9, 300]])[0, 1])
    assert true > 0 and abs(float(real(space)[9, 300]) - true) <= 2.0 * space.step


def test_far_from_the_origin_nothing_is_lost() -> None:
    rows = normal(1500, 96).double()
    assert torch.allclose(real(pairwise(rows + 1e6)), real(pairwise(rows)), rtol=1e-7)


def test_small_whole_numbers_give_exact_distances() -> None:
    rows = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0], [0.0, 5.0]])
    assert real(pairwise(rows))[0].tolist() == [0.0, 5.0, 10.0, 5.0]


@pytest.mark.parametrize("size", [1e-30, 1e30])
@pytest.mark.parametrize(("n", "d"), [(12, 3), (1500, 96)])
def test_very_small_and_very_large_rows_neither_vanish_nor_overflow(n: int, d: int, size: float) -> None:
    rows = normal(n, d)
    assert torch.allclose(real(pairwise(rows * size)) / size, reference(rows), rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_float_type_will_do(dtype: torch.dtype) -> None:
    rows = normal(30, 5).to(dtype)
    assert torch.allclose(real(pairwise(rows)), reference(rows), rtol=1e-9)


@pytest.mark.parametrize("n", [1, 5, LARGE])
def test_rows_that_are_all_equal_have_a_step_of_zero(n: int) -> None:
    space = pairwise(torch.full((n, 40), 0.1))
    assert space.step == 0.0 and float(space.whole.abs().max()) == 0.0


def test_rows_with_nan_or_infinity_are_named() -> None:
    rows = normal(9, 3)
    rows[2, 1], rows[5, 0] = torch.nan, torch.inf
    with pytest.raises(
        SelectionError, match=r"following: 2 of 9 rows hold NaN or infinity \(rows 2, 5, counted from 0\)"
    ):
        pairwise(rows, name="following")


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (7,)])
def test_arrays_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SelectionError, match=r"knowledge: shape .* needs an n x d array"):
        pairwise(torch.zeros(shape), name="knowledge")


def test_a_blend_is_one_space_at_each_end() -> None:
    first, second = pairwise(normal(20, 3)), pairwise(100.0 * normal(20, 3, seed=1))
    everything = slice(0, 20)
    assert torch.equal(Blend(first, second, 0.0).rows(everything), first.whole)
    assert torch.equal(Blend(first, second, 1.0).rows(everything), second.whole)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(alpha=st.floats(0.0, 1.0), size=st.sampled_from([1e-9, 1.0, 1e9]))
def test_a_blend_is_the_weighted_sum_whatever_the_scales(alpha: float, size: float) -> None:
    first, second = pairwise(normal(20, 3)), pairwise(size * normal(20, 3, seed=1))
    blend = Blend(first, second, alpha)
    whole = blend.rows(slice(0, 20))
    wanted = (1 - alpha) * real(first) + alpha * real(second)
    assert torch.allclose(whole * blend.step, wanted, rtol=0, atol=1e-11 * float(wanted.max()))
    assert torch.equal(whole, whole.round()) and torch.equal(whole, whole.T)
    points = torch.arange(20)
    assert torch.equal(blend.at(points, points.flip(0)), whole[points, points.flip(0)])


def test_a_blend_with_a_constant_space_is_the_other_space() -> None:
    first, flat = pairwise(normal(20, 3)), pairwise(torch.ones(20, 3))
    assert torch.equal(Blend(first, flat, 0.3).rows(slice(0, 20)), first.whole)
    assert torch.equal(Blend(flat, first, 0.3).rows(slice(0, 20)), first.whole)


def test_spaces_of_different_length_are_refused() -> None:
    with pytest.raises(SelectionError, match="spaces of 5 and 6 rows. Both spaces describe the same pool"):
        Blend(pairwise(normal(5, 2)), pairwise(normal(6, 2)), 0.5)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_an_alpha_outside_zero_to_one_is_refused(alpha: float) -> None:
    space = pairwise(normal(5, 2))
    with pytest.raises(SelectionError, match="alpha is .* between 0 and 1"):
        Blend(space, space, alpha)


@pytest.mark.parametrize(("value", "power"), [(0.0, 1.0), (1.0, 1.0), (1.1, 2.0), (0.25, 0.25), (5e-324, 5e-324)])
def test_power_of_two_is_the_next_one_up(value: float, power: float) -> None:
    assert power_of_two(value) == power
