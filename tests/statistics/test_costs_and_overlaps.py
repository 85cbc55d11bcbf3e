"""When a selection has paid for itself, which costs are equal, and how much coresets have in common."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresift.errors import ComparisonError
from coresift.statistics.overlap import distance_parts, jaccard, overlap_by_chance, overlaps, weighted_jaccard
from coresift.statistics.payoff import break_even, equals

costs = st.floats(0, 1e6, allow_nan=False)


@given(costs, costs, costs)
def test_break_even_is_the_first_training_at_which_selecting_costs_no_more(
    selection: float, training: float, instead: float
) -> None:
    found = break_even(selection, training=training, instead=instead)
    if instead <= training:
        assert found is None
        return
    assert found is not None and found >= 1
    assert selection <= found * (instead - training) * (1 + 1e-9)
    assert found == 1 or selection > (found - 1) * (instead - training) * (1 - 1e-9)


def test_break_even_of_round_numbers_is_exact() -> None:
    assert break_even(100.0, training=5.0, instead=45.0) == 3 and break_even(80.0, training=5.0, instead=45.0) == 2
    assert break_even(0.0, training=1.0, instead=2.0) == 1 and break_even(1.0, training=2.0, instead=2.0) is None


def test_costs_that_are_none_are_refused() -> None:
    with pytest.raises(ComparisonError, match="the cost training is -1"):
        break_even(1.0, training=-1.0, instead=2.0)
    with pytest.raises(ComparisonError, match="cost 1 is nan"):
        equals([1.0, float("nan")])


@given(st.lists(costs, max_size=12), st.floats(0, 0.5))
def test_equal_costs_are_within_the_tolerance_and_every_cost_is_in_one_group(
    given: list[float], tolerance: float
) -> None:
    groups = equals(given, tolerance)
    assert sorted(place for group in groups for place in group) == list(range(len(given)))
    for group in groups:
        its = [given[place] for place in group]
        assert max(its) <= (1 + tolerance) * min(its)


def test_small_steps_make_no_chain() -> None:
    assert equals([100.0, 102.0, 104.0], 0.02) == [(0, 1), (2,)]


def test_jaccard_counts_common_picks() -> None:
    assert jaccard(np.array([1, 2, 3]), np.array([3, 4])) == 0.25
    assert jaccard(np.array([]), np.array([])) == 1.0
    found = overlaps([np.array([0, 1]), np.array([1, 2]), np.array([0, 1])])
    assert found.tolist() == [
        [1, pytest.approx(1 / 3), 1],
        [pytest.approx(1 / 3), 1, pytest.approx(1 / 3)],
        [1, pytest.approx(1 / 3), 1],
    ]


def test_weighted_jaccard_is_jaccard_for_equal_weights_of_equal_numbers_and_free_of_scale() -> None:
    one, two = np.array([1, 2, 3]), np.array([3, 4, 5])
    assert weighted_jaccard(one, np.ones(3), two, 7 * np.ones(3)) == pytest.approx(jaccard(one, two))
    # shares 3/4 and 1/4 against 1/4 and 3/4: smaller 1/4 + 1/4, larger 3/4 + 3/4
    assert weighted_jaccard(one[:2], np.array([3, 1]), one[:2], np.array([1, 3])) == pytest.approx(1 / 3)
    with pytest.raises(ComparisonError, match=r"3 picks with weights of shape \(2,\) and sum 2"):
        weighted_jaccard(one, np.ones(2), two, np.ones(3))


def test_random_subsets_overlap_as_by_chance() -> None:
    source = np.random.default_rng(0)
    found = [jaccard(*(source.choice(400, 40, replace=False) for _ in range(2))) for _ in range(300)]
    assert np.mean(found) == pytest.approx(overlap_by_chance(40, 40, 400), abs=0.005)


@given(st.integers(12, 60), st.integers(1, 5), st.integers(0, 10**6))
def test_distance_parts_divide_what_was_not_picked_by_rising_distance(n: int, parts: int, seed: int) -> None:
    source = np.random.default_rng(seed)
    away, picks = source.integers(0, 5, n).astype(float), source.choice(n, 4, replace=False)
    found = distance_parts(away, picks, parts)
    assert sorted(np.concatenate(found).tolist()) == sorted(set(range(n)) - set(picks.tolist()))
    assert max(map(len, found)) - min(map(len, found)) <= 1
    assert all(away[one].max() <= away[two].min() for one, two in zip(found, found[1:], strict=False))


def test_distances_that_cannot_be_divided_are_refused() -> None:
    with pytest.raises(ComparisonError, match="3 examples are left beside the picks, too few for 10 parts"):
        distance_parts(np.ones(5), np.array([0, 1]))
    with pytest.raises(ComparisonError, match="the distance of example 1 is inf"):
        distance_parts(np.array([0.0, np.inf]), np.array([0]))
