"""The grid of alphas and the plateau rule, on worked examples."""

import pytest

from coresift.line_search.plateau import alpha_grid, plateau


def test_the_grid_has_174_values_and_is_ten_times_finer_near_one() -> None:
    grid = alpha_grid()
    assert len(grid) == 174 and grid[:3] == (0.1, 0.11, 0.12) and grid[80] == 0.9
    assert grid[81:85] == (0.905, 0.9075, 0.90875, 0.90975) and grid[-1] == 0.99875
    assert grid == tuple(sorted(set(grid)))


@pytest.mark.parametrize(
    ("errors", "alphas", "place", "sigma"),
    [
        (
            [10, 8, 6.9, 6.4, 6.38, 6.37, 6.365, 6.36, 6.35],
            [0.1, 0.3, 0.5, 0.7, 0.9, 0.94, 0.96, 0.97, 0.98],
            *(6, 0.014826),
        ),
        ([5, 4, 3.5, 3.4, 3.39, 3.385], [0.2, 0.4, 0.6, 0.8, 0.9, 0.99], 3, 0.140847),
    ],
)
def test_the_worked_examples_of_the_rule(errors: list[float], alphas: list[float], place: int, sigma: float) -> None:
    found = plateau(errors, alphas)
    assert (found.place, found.found) == (place, True)
    assert found.sigma == pytest.approx(sigma, abs=5e-7)


def test_a_flat_place_at_095_or_above_is_preferred_to_an_earlier_one() -> None:
    alphas = [0.1, 0.2, 0.3, 0.4, 0.5, 0.95, 0.96, 0.97, 0.98]
    assert plateau([5.0] * 9, alphas).place == 5
    assert plateau([5.0] * 9, [alpha / 2 for alpha in alphas]).place == 1


def test_without_a_flat_place_the_last_alpha_is_taken() -> None:
    found = plateau([100.0, 60.0, 61.0, 20.0, 21.0, 1.0], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert (found.place, found.found) == (5, False)
    assert plateau([1.0], [0.3]).place == 0
