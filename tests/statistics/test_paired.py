"""Differences on the same items: what they agree with, how often they cover the truth, what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from coresift.errors import ComparisonError
from coresift.statistics.paired import Comparison, Difference, compare
from coresift.statistics.resampling import item_deviations, standard_error
from coresift.statistics.spread import DrawSpread, cautious, draw_spread, pooled

seeds = st.integers(0, 10**6)


def table(
    seed: int, draws: int, items: int = 60, *, lift: float = 0.0, draw: float = 0.3, rest: float = 0.5
) -> np.ndarray:
    """Scores with known spread over draws; the items of one seed are alike in all tables of that seed."""
    base = np.random.default_rng(seed // 100).normal(size=items)
    source = np.random.default_rng(seed)
    return lift + base + draw * source.normal(size=(draws, 1)) + rest * source.normal(size=(draws, items))


def one(first: np.ndarray, second: np.ndarray, **settings: Any) -> Difference:
    return compare({"method": first}, second, **settings).differences["method"]


def test_resampled_items_are_those_of_scipy_for_the_same_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=37)
    monkeypatch.setattr("coresift.statistics.resampling.generator", lambda *names: np.random.default_rng(5))
    theirs = stats.bootstrap((values,), np.mean, n_resamples=500, rng=np.random.default_rng(5), method="percentile")
    ours = item_deviations(values[:, None], 500)[:, 0] + values.mean()
    np.testing.assert_allclose(ours, theirs.bootstrap_distribution, atol=1e-12)
    monkeypatch.setattr("coresift.statistics.resampling.BLOCK", 37 * 7)
    np.testing.assert_allclose(item_deviations(values[:, None], 500)[:, 0] + values.mean(), ours, atol=1e-12)


def test_with_draws_alone_the_p_value_is_that_of_the_t_test_over_draws() -> None:
    means = np.array([0.8, 1.1, 0.3])
    found = one(np.tile(means[:, None], 20), np.zeros((3, 20)), shared_draws=True, resamples=99_999)
    known = stats.ttest_1samp(means, 0.0)
    assert found.p == pytest.approx(known.pvalue, abs=0.004)
    low, high = known.confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03)
    assert found.error == pytest.approx(means.std(ddof=1) / np.sqrt(3))


def test_with_items_alone_the_p_value_is_that_of_the_paired_t_test_over_items() -> None:
    source = np.random.default_rng(3)
    first, second = source.normal(size=(2, 30))
    found = one(first + 0.4, second, fixed=("method", "random"), resamples=99_999)
    known = stats.ttest_rel(first + 0.4, second)
    assert found.p == pytest.approx(known.pvalue, abs=0.02)
    assert found.error == pytest.approx((first - second).std(ddof=1) / np.sqrt(30))


def test_the_spread_of_draws_is_the_classical_estimate_of_a_two_way_layout() -> None:
    scores = np.array([[1.0, 2.0, 6.0], [2.0, 4.0, 3.0]])
    found = draw_spread(scores)  # means 3 and 3; rest +-[0.5, 1, -1.5], sum of squares 7 over 1 * 2, by 3 items
    assert (found.variance, found.noise, found.freedom) == pytest.approx((0.0, 7 / 2 / 3, 1))
    assert found.excess == 0.0 and draw_spread(scores[:1]) == DrawSpread(0.0, 0.0, 0)


def test_a_spread_is_never_believed_to_be_below_what_all_methods_show() -> None:
    small, large = DrawSpread(0.1, 0.0, 2), DrawSpread(0.7, 0.0, 4)
    together = pooled([small, large])
    assert together == DrawSpread(pytest.approx(0.5), 0.0, 6)
    assert cautious(small, together) == together and cautious(large, together) == DrawSpread(0.7, 0.0, 6)
    assert pooled([DrawSpread(0.0, 0.0, 0)]) == DrawSpread(0.0, 0.0, 0)


def share_of_tables(count: int, holds: Any) -> float:
    return sum(bool(holds(seed)) for seed in range(count)) / count


@pytest.mark.parametrize(
    ("draw", "rest"), [(1.0, 0.05), (0.3, 0.5), (0.0, 0.7)], ids=["draws differ", "both differ", "items differ"]
)
def test_intervals_of_three_draws_cover_no_difference_in_about_95_of_100_tables(draw: float, rest: float) -> None:
    def covers(seed: int) -> bool:
        first, second = (table(100 * seed + each, 3, 40, draw=draw, rest=rest) for each in (1, 2))
        found = one(first, second, resamples=499, seed=seed)
        return found.low <= 0.0 <= found.high

    assert share_of_tables(300, covers) >= 0.92


def test_draws_drawn_with_replacement_would_cover_three_of_four_tables_only() -> None:
    def covers(seed: int) -> bool:
        source = np.random.default_rng(seed)
        means = source.normal(size=3)
        low, high = np.quantile(source.choice(means, (499, 3)).mean(axis=1), [0.025, 0.975])
        return bool(low <= 0.0 <= high)

    assert 0.65 <= share_of_tables(300, covers) <= 0.85


def test_a_method_that_scatters_three_times_as_much_as_the_others_is_covered_in_nine_of_ten_tables() -> None:
    def covers(seed: int) -> bool:
        scores = {str(each): table(100 * seed + each, 3, 40, draw=0.9 if each == 1 else 0.3) for each in range(1, 6)}
        found = compare(scores, table(100 * seed, 4, 40), resamples=499, seed=seed).differences["1"]
        return found.low <= 0.0 <= found.high

    assert 0.82 <= share_of_tables(200, covers) <= 0.95


def test_no_method_of_a_table_without_differences_is_resolved_in_95_of_100_tables() -> None:
    def silent(seed: int) -> bool:
        scores = {str(each): table(100 * seed + each, 3, 40) for each in range(1, 6)}
        found = compare(scores, table(100 * seed, 4, 40), resamples=499, seed=seed)
        return all(each.verdict == "not resolved" for each in found.differences.values())

    assert share_of_tables(200, silent) >= 0.92


def test_a_detectable_difference_is_resolved_in_about_the_stated_share_of_tables() -> None:
    typical = np.median(
        [one(table(100 * seed + 1, 8), table(100 * seed + 2, 8), resamples=499).detectable for seed in range(40)]
    )

    def found(seed: int) -> bool:
        first, second = table(100 * seed + 1, 8, lift=typical), table(100 * seed + 2, 8)
        return one(first, second, resamples=499, seed=seed).verdict == "better"

    assert 0.65 <= share_of_tables(200, found) <= 0.95


@settings(max_examples=30, deadline=None)
@given(seeds, st.floats(-1.5, 1.5), st.sampled_from(["higher", "lower"]))
def test_a_difference_is_resolved_exactly_where_it_is_above_the_threshold_beside_it(
    seed: int, lift: float, better: Any
) -> None:
    scores = {str(each): table(100 * seed + each, 3, 30, lift=each * lift / 4) for each in range(1, 5)}
    found = compare(scores, table(100 * seed, 5, 30), better=better, resamples=499)
    for each in found.differences.values():
        assert (each.verdict != "not resolved") == (abs(each.value) > each.resolvable)
        assert (each.verdict != "not resolved") == (each.adjusted <= 0.05 + 1e-12)
        assert each.p <= each.adjusted and (each.p <= 0.05 + 1e-12) == (not each.low <= 0.0 <= each.high)
        assert each.detectable >= each.resolvable
        if each.verdict != "not resolved":
            assert (each.verdict == "better") == ((each.value > 0) == (better == "higher"))


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_the_order_of_draws_and_of_methods_changes_nothing(seed: int) -> None:
    scores = {str(each): table(100 * seed + each, 4, 20) for each in range(1, 4)}
    control = table(100 * seed, 4, 20)
    plain = compare(scores, control, resamples=199)
    turned = compare(dict(reversed(scores.items())), control[::-1], resamples=199)
    other = compare({each: rows[[2, 0, 3, 1]] for each, rows in scores.items()}, control, resamples=199)
    for each, found in plain.differences.items():
        for again in (turned.differences[each], other.differences[each]):
            for name in ("value", "error", "low", "high", "p", "adjusted", "resolvable"):
                assert getattr(again, name) == pytest.approx(getattr(found, name), abs=1e-9)


def test_the_order_of_items_changes_nothing_beyond_the_resamples() -> None:
    first, second = table(101, 3, lift=0.4), table(102, 3)
    turned = np.random.default_rng(0).permutation(60)
    plain, other = one(first, second), one(first[:, turned], second[:, turned])
    assert (other.value, other.error) == pytest.approx((plain.value, plain.error))
    assert (other.low, other.high, other.p) == pytest.approx((plain.low, plain.high, plain.p), abs=0.05)


def test_a_unit_of_another_size_changes_no_verdict() -> None:
    first, second = table(101, 3, lift=0.4), table(102, 3)
    plain, scaled = one(first, second, resamples=999), one(100 * first, 100 * second, resamples=999)
    assert scaled.p == plain.p and scaled.resolvable == pytest.approx(100 * plain.resolvable)


def test_what_shared_draws_do_to_both_cancels() -> None:
    source = np.random.default_rng(0)
    order = 3.0 * source.normal(size=(4, 1))
    first, second = (order + source.normal(size=(4, 50)) for _ in range(2))
    apart, shared = one(first, second), one(first, second, shared_draws=True)
    assert shared.value == pytest.approx(apart.value) and shared.error < apart.error / 5


def test_a_model_without_draws_is_no_less_certain_for_its_single_row() -> None:
    control = table(100, 6)
    base, single = (compare({"base": table(101, 1)}, control, fixed=each) for each in (("base",), ()))
    assert base.differences["base"].error < single.differences["base"].error
    assert base.differences["base"].value == single.differences["base"].value and base.draws_known


def test_one_draw_of_everything_is_about_these_subsets_alone() -> None:
    found = compare({"a": table(101, 1)}, table(102, 1))
    assert not found.draws_known
    assert found.differences["a"].error == pytest.approx(standard_error(table(101, 1)[0] - table(102, 1)[0], []))


def test_equal_scores_are_no_difference_and_a_constant_one_is() -> None:
    rows = table(100, 3)
    same, more = one(rows, rows, shared_draws=True), one(rows + 1.0, rows, shared_draws=True)
    assert (same.value, same.p, same.verdict) == (0.0, 1.0, "not resolved")
    assert (more.verdict, more.value) == ("better", pytest.approx(1.0))


def refused(match: str, scores: dict[str, Any], control: Any, **settings: Any) -> Comparison | None:
    with pytest.raises(ComparisonError, match=match):
        return compare(scores, control, **settings)
    return None


def test_tables_that_cannot_be_compared_are_refused() -> None:
    rows = table(100, 3, 9)
    refused("no methods given to compare with random", {}, rows)
    refused("a was scored on 8 items and random on 9", {"a": rows[:, 1:]}, rows)
    refused("a has 2 draws and random has 3, so draws are not shared", {"a": rows[1:]}, rows, shared_draws=True)
    refused("base is said to have no draws, but has 3 rows", {"base": rows}, rows, fixed=("base",))
    refused("one test item: nothing can be said about others", {"a": [[1.0]]}, [[0.0]])
    refused("2 methods at level 0.95 need at least 40", {"a": rows, "b": rows}, rows, resamples=39)
    refused(r"scores of a have shape \(1, 0\)", {"a": []}, rows)
    refused(
        "scores of a: draw 1, item 2 is nan", {"a": np.where(np.arange(27).reshape(3, 9) == 11, np.nan, rows)}, rows
    )
