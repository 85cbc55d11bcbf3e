"""Non-negative matching pursuit against the conditions of its optimum, brute force and a fresh factorisation."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coresift.submodular import matching
from coresift.submodular.matching import Factor, match

TOY = torch.tensor([[4, 6], [8, 6], [8, 10], [7, 13], [5, 1], [10, 8]], dtype=torch.float64)


def random_rows(n: int, d: int, seed: int = 0, mean: float = 0.2) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + mean


def test_the_six_points_are_matched_as_worked_out() -> None:
    total = TOY.sum(dim=0)
    one, two = match(TOY, total, 1), match(TOY, total, 2)
    assert one.picks.tolist() == [3] and one.weights.tolist() == pytest.approx([3.972477], abs=5e-7)
    assert one.residual * float(total.norm()) == pytest.approx(16.119394, abs=5e-7)
    assert two.picks.tolist() == [3, 5] and two.weights.tolist() == pytest.approx([1.405405, 3.216216], abs=5e-7)
    assert two.residual < 1e-12 and one.reason == two.reason == ""


def test_a_target_that_is_met_ends_the_pursuit_and_is_said() -> None:
    found = match(TOY, TOY.sum(dim=0), 5)
    assert len(found.picks) == 2 and found.reason == "the residual is within the tolerance 0.0001 after 2 picks"


@pytest.mark.parametrize("ridge", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_weights_solve_the_least_squares_of_their_support(ridge: float, seed: int) -> None:
    rows = random_rows(80, 20, seed)
    target = rows.sum(dim=0)
    found = match(rows, target, 12, ridge=ridge)
    atoms = rows[found.picks]
    penalty = ridge * rows.square().sum(dim=1).mean()
    slope = atoms @ (target - found.weights @ atoms) - penalty * found.weights
    assert len(found.picks) == 12 and float(found.weights.min()) > 0
    assert float(slope.abs().max()) < 1e-9 * float((atoms @ target).abs().max())
    assert found.residual == pytest.approx(float((target - found.weights @ atoms).norm() / target.norm()))


@pytest.mark.parametrize("ridge", [0.01, 0.5])
def test_a_pursuit_that_runs_dry_has_found_the_optimum_over_all_rows(ridge: float) -> None:
    rows = random_rows(40, 6, 5, mean=0.0)
    target = rows[:9].sum(dim=0)
    found = match(rows, target, 40, ridge=ridge, tolerance=0.0)
    assert found.reason == f"no further example lowers the objective after {len(found.picks)} picks"
    slope = rows @ (target - found.weights @ rows[found.picks])
    rest = torch.ones(40, dtype=torch.bool)
    rest[found.picks] = False
    assert float(slope[rest].max()) <= 1e-9 < float(slope[found.picks].min())


def test_small_problems_reach_the_non_negative_optimum_when_rows_may_leave() -> None:
    for seed in range(20):
        rows = random_rows(7, 3, seed, mean=0.0)
        target = rows.sum(dim=0) + 0.5
        found = match(rows, target, 7, tolerance=0.0)
        best = min(_residual(rows[list(support)], target) for k in (1, 2, 3) for support in combinations(range(7), k))
        assert found.residual * float(target.norm()) == pytest.approx(best, abs=1e-8)


def _residual(atoms: torch.Tensor, target: torch.Tensor) -> float:
    weights = torch.linalg.lstsq(atoms.T, target[:, None]).solution[:, 0]
    return float((target - weights @ atoms).norm()) if float(weights.min()) >= 0 else torch.inf


@pytest.mark.parametrize("factor", [0.1, 10.0, 1e-6])
def test_the_scale_of_the_gradients_does_not_matter(factor: float) -> None:
    rows = random_rows(90, 12)
    plain = match(rows, rows.sum(dim=0), 30, ridge=0.1)
    scaled = match(factor * rows, factor * rows.sum(dim=0), 30, ridge=0.1)
    assert plain.picks.tolist() == scaled.picks.tolist()
    assert plain.weights.tolist() == pytest.approx(scaled.weights.tolist(), rel=1e-6)


def test_without_a_penalty_more_picks_than_dimensions_are_not_to_be_had() -> None:
    rows = random_rows(200, 16)
    plain, penalised = (match(rows, rows.sum(dim=0), 50, ridge=ridge, tolerance=1e-9) for ridge in (0.0, 0.01))
    assert len(plain.picks) == 16 and "within the tolerance" in plain.reason
    assert len(penalised.picks) == 50 and penalised.reason == ""


def test_only_allowed_rows_are_picked() -> None:
    rows = random_rows(60, 12)
    allowed = torch.arange(60) % 2 == 1
    assert bool((match(rows, rows.sum(dim=0), 10, allowed=allowed).picks % 2 == 1).all())


def test_nothing_is_picked_for_a_target_of_nothing_or_behind_every_row() -> None:
    assert match(TOY, torch.zeros(2), 3).reason == "the residual is within the tolerance 0.0001 after 0 picks"
    behind = match(TOY, torch.tensor([-1.0, -1.0]), 3)
    assert len(behind.picks) == 0 and behind.residual == 1.0 and "no further example" in behind.reason


def test_equal_rows_share_no_weight_without_a_penalty() -> None:
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = match(rows, rows.sum(dim=0), 4)
    assert found.picks.tolist() == [0, 3] and found.weights.tolist() == pytest.approx([3.0, 1.0])


def test_a_row_in_the_span_of_the_support_is_passed_over_while_the_support_stands() -> None:
    """The third row is nearly the sum of the first two; with a target out of reach it points along the residual."""
    rows = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [1.0, 1.0, 1e-7]], dtype=torch.float64)
    found = match(rows, torch.tensor([3.0, 1.0, 5.0], dtype=torch.float64), 3, tolerance=0.0)
    assert len(found.picks) < 3 and "no further example" in found.reason


def test_a_pursuit_that_would_go_on_too_long_is_ended_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "STEPS", 0)
    assert match(TOY, TOY.sum(dim=0), 2).reason == "examples kept leaving the support: 0 picks after 0 steps"


@given(st.lists(st.integers(0, 9), min_size=1, max_size=25), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_a_factor_that_grows_and_shrinks_is_that_of_a_fresh_start(moves: list[int], seed: int) -> None:
    """Each move drops one of the rows if its number is small enough and appends one otherwise."""
    atoms = random_rows(26, 30, seed)
    factor, held = Factor(26), []
    for step, move in enumerate(moves):
        if move < 4 and len(held) > move:
            factor.drop(move)
            del held[move]
        else:
            assert factor.append(atoms[held] @ atoms[step], float(atoms[step] @ atoms[step]))
            held.append(step)
    gram = atoms[held] @ atoms[held].T
    torch.testing.assert_close(factor.lower @ factor.lower.T, gram, rtol=1e-10, atol=1e-10)
    right = torch.arange(1.0, len(held) + 1, dtype=torch.float64)
    if len(held) > 0:
        torch.testing.assert_close(gram @ factor.solve(right), right, rtol=1e-8, atol=1e-8)


def test_a_row_that_depends_on_the_others_is_not_appended() -> None:
    factor = Factor(3)
    assert factor.append(torch.empty(0, dtype=torch.float64), 4.0)
    assert not factor.append(torch.tensor([8.0], dtype=torch.float64), 16.0)
    assert factor.size == 1
