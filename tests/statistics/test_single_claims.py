"""McNemar's exact test, Holm's adjustment, and the sentences that verdicts are put in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from coresift.errors import ComparisonError
from coresift.statistics.mcnemar import mcnemar
from coresift.statistics.multiple import holm
from coresift.statistics.paired import compare
from coresift.statistics.words import summary, verdict


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_the_exact_binomial_test_on_the_items_that_differ(pairs: list[tuple[bool, bool]]) -> None:
    first, second = np.array(pairs).T
    found = mcnemar(first, second)
    differ = found.first + found.second
    assert differ == int((first != second).sum())
    known = stats.binomtest(found.first, differ).pvalue if differ else 1.0
    assert found.p == pytest.approx(known, abs=1e-12)


def test_mcnemar_of_a_thousand_items_neither_overflows_nor_vanishes() -> None:
    first, second = np.repeat([1, 0], [700, 300]), np.repeat([0, 1], [700, 300])
    assert mcnemar(first, second).p == pytest.approx(stats.binomtest(300, 1000).pvalue, rel=1e-9)


def test_mcnemar_refuses_other_lengths_and_scores_that_are_neither_right_nor_wrong() -> None:
    with pytest.raises(ComparisonError, match=r"shapes \(2,\) and \(3,\)"):
        mcnemar(np.ones(2), np.ones(3))
    with pytest.raises(ComparisonError, match=r"a score is 0\.5"):
        mcnemar(np.array([1, 0.5]), np.array([1, 0]))


def test_the_worked_example_of_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0] and holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.floats(0.001, 0.5))
def test_holm_claims_what_its_steps_claim(values: list[float], alpha: float) -> None:
    claimed: set[int] = set()
    for step, place in enumerate(sorted(range(len(values)), key=lambda each: values[each])):
        if values[place] * (len(values) - step) > alpha:
            break
        claimed.add(place)
    assert {int(each) for each in np.flatnonzero(holm(values) <= alpha)} == claimed


def lifted(lift: float, draws: int = 3, seed: int = 0) -> np.ndarray:
    """Scores whose mean over all is exactly `lift`."""
    noise = 0.1 * np.random.default_rng(seed).normal(size=(draws, 80))
    return lift + noise - noise.mean()


def test_the_first_sentence_says_what_is_resolved_and_what_is_not() -> None:
    scores = {"brief": lifted(0.5, seed=1), "longest": lifted(-0.5, seed=2), "mint": lifted(0.01, seed=3)}
    found = compare(scores, lifted(0.0, draws=4))
    said = summary(found)
    limit, true = (f"±{getattr(found.differences['mint'], name):.3f}" for name in ("resolvable", "detectable"))
    assert said.startswith(
        "Resolved better than random: brief (+0.500). Resolved worse than random: longest (-0.500). "
        f"Not resolved: mint (+0.010, smallest resolvable {limit}). "
        "80 test items, 3 draws of each method and 4 of random; 95% confidence for all verdicts together. "
        "True differences of ±"
    )
    assert true in said and said.endswith(" would be resolved in 80% of such tables.")
    assert [verdict(each) for each in found.differences.values()] == [
        "resolved better",
        "resolved worse",
        f"not resolved (smallest resolvable {limit})",
    ]


def test_nothing_resolved_is_said_first_and_one_draw_is_said_to_be_one() -> None:
    said = summary(compare({"mint": lifted(0.0, 1, seed=1)}, lifted(0.0, 1)))
    assert said.startswith("No method is resolved better or worse than random. Not resolved: mint (")
    assert "1 draw of each method and 1 of random" in said and said.endswith("this is about these subsets alone.")


def test_lower_losses_are_better() -> None:
    said = summary(compare({"brief": lifted(-0.5, seed=1)}, lifted(0.0), better="lower"))
    assert said.startswith("Resolved better than random: brief (-0.500).")
