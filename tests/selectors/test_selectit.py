"""SelectIT: the paper's score from the probabilities of the marks, and the highest scores are kept."""

from typing import Any

import pytest
import torch

from coresift.coreset import Coreset
from coresift.errors import SelectionError, SettingsError
from coresift.features.memory import InMemoryFeatures
from coresift.features.ratings import ask
from coresift.selection import select
from coresift.selectors.selectit import SelectIT, sentence_score, token_score

TWO = ("{instruction} {response}?", "{response} to {instruction}?")


def selectit(*arrays: torch.Tensor, budget: Any = 1, **settings: Any) -> Coreset:
    method = SelectIT(prompts=TWO, **settings)
    return select(method, InMemoryFeatures(dict(zip(method.requires, arrays, strict=True))), budget)


def test_the_token_score_is_the_likeliest_mark_times_the_mean_lead() -> None:
    marks = torch.tensor([0.05, 0.05, 0.1, 0.6, 0.2], dtype=torch.float64)
    # (0.55 + 0.55 + 0.5 + 0 + 0.4) / 4 = 0.5, times the mark 4
    assert float(token_score(marks)) == pytest.approx(2.0)
    assert float(token_score(0.01 * marks)) == pytest.approx(2.0), "probabilities are made to sum to 1"


def test_no_second_softmax_flattens_the_probabilities() -> None:
    certain = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0])
    assert float(token_score(certain)) == 5.0


def test_equal_marks_and_no_marks_at_all_score_zero() -> None:
    assert token_score(torch.stack([torch.full((5,), 0.2), torch.zeros(5)])).tolist() == [0.0, 0.0]


def test_disagreement_among_the_questions_lowers_the_score() -> None:
    scores = torch.tensor([[3.0, 3.0], [2.0, 4.0]], dtype=torch.float64)
    assert sentence_score(scores, 0.2).tolist() == pytest.approx([3.0, 3.0 / 1.2])
    assert sentence_score(scores, 0.0).tolist() == [3.0, 3.0]


def rated(*marks: int, sure: float = 0.9) -> torch.Tensor:
    """Rows in which both questions give the same mark."""
    rows = torch.full((len(marks), 10), (1 - sure) / 4)
    for place, mark in enumerate(marks):
        rows[place, mark - 1] = rows[place, mark + 4] = sure
    return rows


def test_the_highest_scores_are_kept_and_ties_go_to_the_first() -> None:
    coreset = selectit(rated(2, 5, 3, 5, 4), budget=3)
    assert coreset.indices.tolist() == [1, 3, 4]
    assert coreset.diagnostics["scores"][0] == pytest.approx(5 * 0.875)
    assert coreset.diagnostics["mean_score"] > coreset.diagnostics["mean_score_of_pool"]
    assert coreset.weights.tolist() == pytest.approx([5 / 3] * 3)


def test_every_row_keeps_its_own_score_when_one_has_no_marks() -> None:
    rows = rated(3, 5, 4)
    rows[0] = 0.0
    coreset = selectit(rows, budget=3)
    assert coreset.indices.tolist() == [1, 2, 0] and coreset.diagnostics["scores"][2] == 0.0
    assert coreset.diagnostics["hardly_rated"] == {"base": 1}


def test_models_count_by_their_size() -> None:
    small, large = rated(5, 1), rated(1, 5)
    models = ({"model": "small", "parameters": 1.0}, {"model": "large", "parameters": 3.0})
    coreset = selectit(small, large, budget=2, models=models)
    assert coreset.indices.tolist() == [1, 0]
    assert coreset.diagnostics["scores"] == pytest.approx([0.875 * (0.25 * 1 + 0.75 * 5), 0.875 * (0.25 * 5 + 0.75)])


def test_ratings_of_another_width_or_sign_are_refused() -> None:
    with pytest.raises(SelectionError, match=r"shape \(2, 9\) for 2 prompts.*10 columns"):
        selectit(torch.ones(2, 9))
    with pytest.raises(SelectionError, match="row 1 holds a negative number"):
        selectit(torch.tensor([[0.1] * 10, [0.1] * 9 + [-0.1]]))


@pytest.mark.parametrize("prompt", ["{instruction} only", "{response}", "{instruction} {response} {response}"])
def test_a_prompt_without_its_fields_is_refused(prompt: str) -> None:
    with pytest.raises(SettingsError, match="shows {instruction} and {response} once each"):
        SelectIT(prompts=(prompt,))


def test_texts_fill_a_prompt_without_being_read_as_fields() -> None:
    assert ask(TWO[0], instruction="say {response}", response="{instruction}") == "say {response} {instruction}?"
    assert ask(TWO[1], instruction="say {response}", response="{x}") == "{x} to say {response}?"
