"""The three transforms of a raw gradient, with the worked numbers of the specification."""

from types import SimpleNamespace

import pytest
import torch

from coresift.errors import FeatureError
from coresift.extract.preconditioners import Preconditioner, reference_transform

FIRST = torch.tensor([0.1, -0.2], dtype=torch.float64)
SECOND = torch.tensor([0.04, 0.01], dtype=torch.float64)
RESPONSE = torch.tensor([[1.0, 0.5]], dtype=torch.float64)
KNOWLEDGE = torch.tensor([[0.2, -0.3]], dtype=torch.float64)
MOMENTS = SimpleNamespace(first={"w": FIRST}, second={"w": SECOND}, step=10)


def test_the_reference_transform_gives_the_worked_numbers() -> None:
    response, knowledge = (reference_transform(g, FIRST, SECOND) for g in (RESPONSE, KNOWLEDGE))
    assert response[0].tolist() == pytest.approx([0.93880107, -1.28467467], abs=1e-8)
    assert knowledge[0].tolist() == pytest.approx([0.54999993, -2.09164903], abs=1e-8)
    assert (response - knowledge)[0].tolist() == pytest.approx([0.38880113, 0.80697436], abs=1e-8)
    of_difference = reference_transform(RESPONSE - KNOWLEDGE, FIRST, SECOND)
    assert of_difference[0].tolist() == pytest.approx([0.84369573, -0.96991386], abs=1e-8)


def test_the_adam_preconditioner_is_linear_and_divides_by_the_corrected_second_moment() -> None:
    adam = Preconditioner("adam", MOMENTS, ["w"])
    response, knowledge = (adam.apply("w", g) * adam.scale("w") for g in (RESPONSE, KNOWLEDGE))
    assert torch.allclose((RESPONSE - KNOWLEDGE) * adam.scale("w"), response - knowledge, rtol=1e-12)
    expected = RESPONSE / ((SECOND / (1 - 0.999**10)).sqrt() + 1e-8)
    assert torch.allclose(response, expected, rtol=1e-12)


def test_the_reference_transform_needs_no_scale_after_it() -> None:
    reference = Preconditioner("adam-reference", MOMENTS, ["w"])
    assert reference.scale("w") is None
    assert torch.equal(reference.apply("w", RESPONSE), reference_transform(RESPONSE, FIRST, SECOND))


def test_none_changes_nothing_and_needs_no_moments() -> None:
    none = Preconditioner("none", None, ["w"])
    assert none.apply("w", RESPONSE) is RESPONSE and none.scale("w") is None and none.memory == 0


def test_a_preconditioner_without_moments_is_refused() -> None:
    with pytest.raises(FeatureError, match="needs the AdamW moments of the warm-up"):
        Preconditioner("adam", None, ["w"])


def test_moments_of_another_adapter_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"lack 'other' \(1 of 2 LoRA tensors\)"):
        Preconditioner("adam", MOMENTS, ["w", "other"])
