"""Distances and utilities: the worked numbers, ranges and symmetries."""

import pytest
import torch

from coresift.extract.icl_metrics import distance, distances, utility

WITHOUT = torch.tensor([0.2, 0.5, 0.9]).log()
SHOWN = torch.tensor([0.6, 0.7, 0.95]).log()


def test_the_distance_is_the_root_mean_square_miss() -> None:
    assert float(distance(WITHOUT, "l2")) == pytest.approx(0.547723, abs=1e-6)
    assert float(distance(SHOWN, "l2")) == pytest.approx(0.290115, abs=1e-6)
    assert float(distance(WITHOUT, "l2")) * 3**0.5 == pytest.approx(0.948683, abs=1e-6)
    assert float(distance(SHOWN, "l2")) * 3**0.5 == pytest.approx(0.502494, abs=1e-6)


@pytest.mark.parametrize(
    ("metric", "expected"), [("l2", 0.257608), ("pmi", 1.489152), ("pmi-mean", 1.489152 / 3), ("exp", 1.293832)]
)
def test_utilities_of_the_worked_example(metric: str, expected: float) -> None:
    found = utility(distance(WITHOUT, metric), distance(SHOWN, metric), metric)
    assert float(found) == pytest.approx(expected, abs=1e-6)


def test_distances_lie_between_0_and_1_and_are_0_only_for_certainty() -> None:
    logs = torch.randn(50, 7).log_softmax(dim=1)
    found = distances(list(logs), "l2")
    assert found.dtype == torch.float64 and bool(((found > 0) & (found <= 1)).all())
    assert float(distance(torch.zeros(4), "l2")) == 0.0
    assert float(distance(torch.tensor([0.0, -1e-3]), "l2")) > 0.0
    assert float(distance(torch.full((3,), -1e4), "l2")) == 1.0


@pytest.mark.parametrize("metric", ["l2", "pmi", "pmi-mean", "exp"])
def test_the_order_of_tokens_does_not_matter_and_many_are_as_one(metric: str) -> None:
    parts = [torch.randn(size).abs().neg() for size in (1, 5, 3)]
    shuffled = [part[torch.randperm(len(part))] for part in parts]
    torch.testing.assert_close(distances(parts, metric), distances(shuffled, metric))
    assert [float(d) for d in distances(parts, metric)] == [float(distance(part, metric)) for part in parts]
    assert len(distances([], metric)) == 0
