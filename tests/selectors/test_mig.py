"""MIG: the greedy picks of the information that labels hold, as computed one by one; nothing is dropped unsaid."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresift.coreset import Coreset
from coresift.errors import SelectionError
from coresift.features.memory import InMemoryFeatures
from coresift.selection import select
from coresift.selectors import MIG
from coresift.selectors.mig import OFFSET, most_informative


def chosen(labels: Any, scores: Any, budget: Any = 1.0, **settings: Any) -> Coreset:
    method = MIG(quality={"column": "q"}, **settings)
    arrays = (np.array(labels, float), np.array(scores, float)[:, None])
    return select(method, InMemoryFeatures(dict(zip(method.requires, arrays, strict=True))), budget)


def naive(mass: np.ndarray, size: int, power: float, gain: str) -> list[int]:
    whole, taken = np.zeros(mass.shape[1]), []
    for _ in range(size):
        if gain == "slope":
            gains = mass @ (power * (whole + OFFSET) ** (power - 1))
        else:
            gains = ((whole + mass + OFFSET) ** power - (whole + OFFSET) ** power).sum(axis=1)
        gains[taken] = -1.0
        gains[mass.sum(axis=1) == 0] = -1.0
        if gains.max() < 0:
            break
        best = int(np.flatnonzero(gains >= gains.max() * (1 - 1e-12))[0])
        taken.append(best)
        whole += mass[best]
    return taken


def test_a_new_label_is_worth_more_than_a_better_example_of_a_full_one() -> None:
    coreset = chosen([[1, 0], [1, 0], [0, 1]], [5, 4, 1])
    assert coreset.indices.tolist() == [0, 2, 1]
    slope = 0.8 * 1e-6**-0.2
    assert coreset.diagnostics["gains"] == pytest.approx([5 * slope, slope, 4 * 0.8 * (5 + 1e-6) ** -0.2])
    assert coreset.diagnostics["information"] == pytest.approx((9 + 1e-6) ** 0.8 + (1 + 1e-6) ** 0.8)
    assert (coreset.diagnostics["labels"], coreset.diagnostics["labels_reached"]) == (2, 2)


def test_with_power_one_only_the_scores_count() -> None:
    assert chosen([[1, 0], [1, 0], [0, 1]], [5, 4, 1], power=1.0).indices.tolist() == [0, 1, 2]


@given(st.integers(0, 10**6), st.sampled_from(["slope", "exact"]), st.sampled_from([0.3, 0.8]))
def test_lazy_picks_are_those_of_computing_every_gain(seed: int, gain: Any, power: float) -> None:
    source = np.random.default_rng(seed)
    mass = source.random((25, 6)) * (source.random((25, 6)) < 0.3)
    order, gains = most_informative(mass, 20, power=power, gain=gain)
    assert order.tolist() == naive(mass, 20, power, gain)
    assert (np.diff(gains) <= 1e-9).all()


def test_exact_gains_add_up_to_the_information() -> None:
    mass = np.random.default_rng(0).random((9, 3))
    order, gains = most_informative(mass, 5, gain="exact")
    whole = (mass[order].sum(axis=0) + OFFSET) ** 0.8
    assert gains.sum() == pytest.approx(whole.sum() - 3 * OFFSET**0.8)


def test_examples_without_a_label_or_a_score_are_counted_and_never_picked() -> None:
    coreset = chosen([[1, 0], [0, 0], [0, 1]], [2, 5, 0])
    assert coreset.indices.tolist() == [0] and coreset.diagnostics["without_labels"] == 2
    assert coreset.diagnostics["shortfall"] == "only 1 of 3 examples have both a label and a score above 0"
    with pytest.raises(SelectionError, match="nothing to choose from. None of the 2 examples has both"):
        chosen([[0.0], [1.0]], [1, 0])


def test_negative_scores_are_refused() -> None:
    with pytest.raises(SelectionError, match="row 1 has a negative label or score"):
        chosen([[1.0], [1.0]], [1, -1])
