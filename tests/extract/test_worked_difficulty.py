"""Difficulty of four examples by both ratios, and which of them are in no cluster."""

import numpy as np
import pytest

from coresift.extract.difficulty import checked
from coresift.features.losses import ratio
from coresift.online import Lead
from coresift.policy import OnlineProblem

RESPONSE, ALONE = np.array([1.2, 0.9, 2.0, 1.5]), np.array([2.4, 1.0, 1.6, 1.5])


def test_the_worked_ratios() -> None:
    np.testing.assert_allclose(ratio(RESPONSE, ALONE), [0.301194, 0.904837, 1.491825, 1.0], atol=1e-6)
    np.testing.assert_allclose(ratio(RESPONSE, ALONE, "loss"), [0.5, 0.9, 1.25, 1.0])


def test_invalid_examples_are_never_the_easiest() -> None:
    found = checked(ratio(RESPONSE, ALONE), np.array([1.2, np.nan, 2.0, 1.5]))
    assert [bool(reason) for reason in found.reasons] == [False, True, True, False]
    problem = OnlineProblem(4, 2, utilities=found.utilities, difficulty=found.values)
    assert Lead(clusters=2).init(problem).derived.arm.tolist() == [0, -1, -1, 1]
    own = Lead(clusters=2, invalid="own-cluster").init(problem)
    assert own.derived.arm.tolist() == [0, -1, 2, 1]  # a loss that is not finite cannot be trained on


@pytest.mark.parametrize("form", ["perplexity", "loss"])
def test_a_response_without_loss_has_no_difficulty_by_loss(form: str) -> None:
    values = ratio(np.array([0.0, 1.0]), np.array([0.0, 2.0]), form)  # type: ignore[arg-type]
    found = checked(values, np.array([0.0, 1.0]))
    assert np.isnan(found.values[0]) == (form == "loss") and np.isfinite(found.values[1])
