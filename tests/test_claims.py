"""What a selection says of itself is true, and worded once."""

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from coresift.claims import beside_random, certified, expected, uncovered, unresolved, with_claims


def test_the_certificate_is_a_share_of_the_sum_found_not_of_the_bound() -> None:
    first, second = certified(110.0, 100.0, 20)
    assert first == "No subset of 20 examples can have a sum of distances more than 9.1 % below that of this one."
    assert "at most 10.0 % above the best possible" in second


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1.0))
def test_the_certificate_is_never_rounded_into_a_false_claim(error: float, share: float) -> None:
    bound = error * share
    text = certified(error, bound, 5)
    if len(text) == 2:
        claimed = float(text[0].split("more than ")[1].split(" %")[0]) / 100
        assert error * (1 - claimed) <= bound + 1e-9 * error


def test_odd_certificates_are_told_apart() -> None:
    assert certified(None, 1.0, 5) == []
    assert "proved optimal" in certified(5.0, 5.0, 5)[0]
    assert certified(5.0, 4.0, 1)[0].startswith("No subset of 1 example can")
    assert "sum of distances is zero" in certified(0.0, 0.0, 5)[0]
    assert "nothing is proved" in certified(5.0, 0.0, 5)[0]
    assert "one of the two is wrong" in certified(5.0, 6.0, 5)[0]


def search(precision: float, low: float, high: float) -> dict[str, Any]:
    return {"precision": precision, "tolerance": 0.001, "flat": [low, high]}


def test_a_search_finer_than_its_objective_resolves_is_said_to_be_so() -> None:
    said = "Every α tried from 0.400 to 0.600 is as good within 0.1 %"
    assert unresolved(search(0.005, 0.4, 0.6)) == f"{said}: a precision of 0.005 is finer than the pool resolves."
    assert "from 0.500000 to 0.500030 is as good" in unresolved(search(1e-6, 0.5, 0.50003))


def test_a_search_no_finer_than_its_objective_resolves_needs_no_word() -> None:
    assert unresolved(search(0.3, 0.4, 0.6)) == unresolved(search(0.005, 0.5, 0.5)) == ""
    assert unresolved({"method": "plateau", "found": True}) == ""


@given(st.floats(1e-6, 0.999))
def test_what_is_expected_of_stochastic_greedy_is_never_rounded_up(epsilon: float) -> None:
    guaranteed, said = 1.0 - 1.0 / math.e - epsilon, expected({"epsilon": epsilon, "size": 9}, 9)
    if guaranteed <= 0.0:
        assert "guarantees nothing" in said
    else:
        share = float(said.split(" = ")[1].split(" %")[0]) / 100
        assert guaranteed - 0.001 <= share <= guaranteed + 1e-12


def test_the_guarantee_of_many_stochastic_picks_is_not_claimed_for_the_first_few() -> None:
    said = expected({"epsilon": 0.1, "size": 40}, 7)
    assert said == "Stochastic greedy, the first 7 of 40 picks: its guarantee is about all of them."


def cover(*, met: bool) -> dict[str, Any]:
    return {"epsilon": 0.25, "limit": 50.0, "met": met, "picks": 9}


def test_an_epsilon_that_the_picks_do_not_meet_is_said_with_both_numbers() -> None:
    said = "An ε of 0.25 is not met: with 9 picks the covering error is 75, and it allows 50."
    assert uncovered(cover(met=False), 75.0, 9) == f"{said} A larger budget comes closer."
    assert uncovered(cover(met=True), 75.0, 1).endswith(
        "with 1 pick the covering error is 75, and it allows 50. It takes 9 picks."
    )


def test_an_epsilon_that_is_met_needs_no_word() -> None:
    assert uncovered(cover(met=True), 50.0, 9) == ""
    assert "says" not in with_claims({"cover": cover(met=True), "B_SFT": 50.0}, 9)["cover"]


def test_diagnostics_without_a_certificate_or_a_search_stay_as_they_are() -> None:
    facts = {"radius": 2.0, "search": None, "certificate": None}
    assert with_claims(facts, 3) == facts


def test_a_certificate_has_the_scale_of_random_subsets() -> None:
    proof = {"error": 100.0, "lower_bound": 99.0, "gap": 0.01, "random": 115.0}
    said = with_claims({"certificate": proof}, 5)["certificate"]["says"]
    assert said.endswith("Random subsets of this size leave 15.0 % more on average.")
    assert beside_random({**proof, "random": 98.0})[0].startswith("Random subsets of this size leave 2.0 % less")
    assert beside_random({"error": 0.0, "random": 1.0}) == beside_random({"error": 1.0}) == []
