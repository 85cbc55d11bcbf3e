"""Influence of pool examples on target examples: the worked numbers, and both readings of a sub-task's mean."""

import pytest
import torch

from coresift.errors import SelectionError
from coresift.targets.aggregate import ranked, subtask_means
from coresift.targets.influence import cosines, influence, mean_rows, shares_of, units

RATES = (3e-5, 1e-5)
POOL = (torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]]), torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 2.0]]))
TARGET = (
    torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.0]]),
    torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
)
SUBTASKS = ("one", "one", "two", "two")


def test_the_worked_influences_means_and_scores_come_out() -> None:
    found = influence(POOL, TARGET, RATES)
    expected = [
        [0.9267767, 0.1767767, 0.7071068, 1.0],
        [0.25, 1.0, 0.5303301, 0.1767767],
        [0.45, 0.6, 0.9924621, 0.6267768],
    ]
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-6, rtol=0)
    means = subtask_means(found, SUBTASKS)
    by_hand = [[0.5517767, 0.8535534], [0.625, 0.3535534], [0.525, 0.8096194]]
    torch.testing.assert_close(means, torch.tensor(by_hand, dtype=torch.float64), atol=1e-6, rtol=0)
    scores = means.amax(dim=1)
    assert scores.tolist() == pytest.approx([0.8535534, 0.625, 0.8096194], abs=1e-6)
    assert ranked(scores, 1).tolist() == [0]


def test_the_mean_gradient_of_a_subtask_is_another_reading_than_the_mean_cosine() -> None:
    means = [mean_rows(rows, SUBTASKS) for rows in TARGET]
    assert means[0].tolist() == [[0.5, 0.5], [1.5, 0.5]]
    found = influence(POOL, means, RATES)
    by_hand = 0.75 * 0.5**0.5 + 0.25 * 0.5**0.5  # the first example with the first sub-task
    assert found.shape == (3, 2) and float(found[0, 0]) == pytest.approx(by_hand)
    assert not torch.allclose(found.double(), subtask_means(influence(POOL, TARGET, RATES), SUBTASKS), atol=0.01)


def test_both_readings_agree_where_every_subtask_has_one_example() -> None:
    names = ["a", "b", "c", "d"]
    means = [mean_rows(rows, names) for rows in TARGET]
    torch.testing.assert_close(influence(POOL, means, RATES), influence(POOL, TARGET, RATES))


def test_only_the_ratios_of_the_learning_rates_matter() -> None:
    torch.testing.assert_close(influence(POOL, TARGET, [3.0, 1.0]), influence(POOL, TARGET, RATES))
    assert shares_of([2.0, 0.0, 2.0]) == [0.5, 0.0, 0.5]


def test_rows_of_zeros_are_similar_to_nothing() -> None:
    rows = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    assert units(rows).tolist() == [[0.0, 0.0], [pytest.approx(0.6), pytest.approx(0.8)]]
    assert cosines(rows, rows).tolist() == [[0.0, 0.0], [0.0, pytest.approx(1.0)]]


def test_cosines_of_half_precision_rows_are_computed_in_float32() -> None:
    rows = torch.tensor([[300.0, 400.0]], dtype=torch.float16)
    assert cosines(rows, rows).dtype == torch.float32 and float(cosines(rows, rows)) == pytest.approx(1.0)


@pytest.mark.parametrize("rates", [[], [0.0, 0.0], [1.0, -1.0], [float("nan")]])
def test_rates_that_are_no_weights_are_refused(rates: list[float]) -> None:
    with pytest.raises(SelectionError, match="learning rates .* of the checkpoints. Give one of 0 or more"):
        shares_of(rates)


def test_checkpoints_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(SelectionError, match="2 pool arrays, 2 target arrays and 1 learning rates. Give one of each"):
        influence(POOL, TARGET, [1.0])
