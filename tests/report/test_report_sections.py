from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_views import bare_view, full_view

from coresift.report import sections

FULL = full_view(n=300, k=15)


def test_shares_of_the_source_mix_each_sum_to_one_and_counts_to_the_pool():
    rows = sections.source_mix(FULL)
    for key in ("pool_share", "pick_share", "weight_share"):
        assert sum(row[key] for row in rows) == pytest.approx(1)
    assert sum(row["pool"] for row in rows) == 300 and sum(row["picks"] for row in rows) == 15
    assert sum(row["weight"] for row in rows) == pytest.approx(300)
    assert [row["pool"] for row in rows] == sorted((row["pool"] for row in rows), reverse=True)


def test_weight_facts_by_hand():
    view = bare_view(coreset={"indices": [0, 1, 2], "weights": [6.0, 3.0, 1.0]})
    facts = sections.weight_facts(view)
    assert facts["effective"] == pytest.approx(100 / 46) and facts["half"] == 1 and facts["sum"] == 10
    assert not facts["equal"] and sections.weight_facts(bare_view())["equal"]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4)), min_size=1, max_size=12), st.floats(0.05, 1.0))
def test_a_weighted_quantile_is_the_quantile_of_repeated_values(pairs, share):
    values, weights = (np.array(part, dtype=float) for part in zip(*pairs, strict=True))
    repeated = np.sort(np.repeat(values, weights.astype(int)))
    place = int(np.ceil(share * len(repeated) * (1 - 1e-12) - 1e-9)) - 1
    assert sections.weighted_quantile(values, weights, share) in repeated[max(0, place - 1) : place + 2]


def test_response_lengths_ignore_examples_that_were_not_rendered():
    pool = {"n": 4, "lengths": [10, None, 30, 20]}
    view = bare_view(pool=pool, coreset={"indices": [2, 0], "weights": [3.0, 1.0]})
    everything, counted, weighted = sections.length_rows(view)
    assert (everything["mean"], everything["total"]) == (20, 60)
    assert (counted["mean"], weighted["mean"], weighted["median"]) == (20, 25, 30)


def test_the_bound_of_the_response_error_is_the_sum_of_both_bounds():
    knowledge, following, response = sections.gradient_rows(FULL)
    assert response["bound"] == pytest.approx(knowledge["bound"] + following["bound"])
    assert knowledge["share"] == pytest.approx(knowledge["error"] / knowledge["bound"])


def measured(settings, **diagnostics):
    return replace(
        FULL, coreset={**FULL.coreset, "diagnostics": diagnostics, "provenance": {"settings": settings}}, trials=()
    )


def test_a_response_with_distances_of_its_own_is_bounded_by_them_and_not_by_the_sum():
    own = measured({}, **{**FULL.diagnostics, "A_SFT": 9000.0, "B_SFT": 8000.0})
    response = sections.gradient_rows(own)[-1]
    assert (response["space"], response["bound"], response["cover"]) == ("response", 9000.0, 8000.0)
    assert response["share"] == pytest.approx(FULL.diagnostics["e_SFT"] / 9000)


def test_the_one_space_of_a_method_is_called_by_its_loss():
    (row,) = sections.gradient_rows(measured({"loss": "knowledge"}, e_SFT=3.0, A_SFT=6.0, B_SFT=6.0))
    assert row == {"space": "knowledge", "error": 3.0, "bound": 6.0, "cover": 6.0, "share": 0.5}
    (fitted,) = sections.gradient_rows(measured({}, e_SFT=3.0))
    assert fitted == {"space": "response", "error": 3.0, "bound": None, "cover": None, "share": None}


@pytest.mark.parametrize("settings", [{"unit_norm": True}, {"norm_power": 0.5}])
def test_scaled_distances_are_never_shown_as_a_bound_of_real_errors(settings):
    coreset = {**FULL.coreset, "provenance": {"settings": {"norm_power": 1.0, **settings}}}
    rows = sections.gradient_rows(replace(FULL, coreset=coreset))
    assert [row["bound"] for row in rows] == [None] * 3 and [row["share"] for row in rows] == [None] * 3
    assert rows[0]["error"] == FULL.diagnostics["e_KN"]


def test_the_chosen_trial_is_found_by_its_alpha():
    place = sections.chosen_trial(FULL)
    assert place is not None and FULL.trials[place]["alpha"] == FULL.diagnostics["alpha"]
    assert sections.chosen_trial(bare_view()) is None


def test_settings_are_flattened_with_dots():
    nested = {"a": {"b": {"c": 1}, "d": None}, "e": {}, "f": [1, 2]}
    assert sections.flat_settings(nested) == [("a.b.c", "1"), ("a.d", "none"), ("e", "{}"), ("f", "[1, 2]")]
