"""DEITA: the greatest scores that are not alike, exactly as one by one, and scores that say nothing are said to."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coresift.coreset import Coreset
from coresift.errors import SelectionError
from coresift.features.columns import ColumnSpec
from coresift.features.memory import InMemoryFeatures
from coresift.features.ratings import RatingSpec
from coresift.selection import select
from coresift.selectors import Deita, deita
from coresift.selectors.deita import unlike

COLUMNS: dict[str, Any] = {"quality": {"column": "q"}, "complexity": {"column": "c"}}


def chosen(quality: Any, complexity: Any, rows: Any, budget: Any = 1.0, say: Any = None, **settings: Any) -> Coreset:
    method = Deita(**{**COLUMNS, **settings})
    arrays = (np.array(quality, float)[:, None], np.array(complexity, float)[:, None], np.array(rows, np.float32))
    features = InMemoryFeatures(dict(zip(method.requires, arrays, strict=True)))
    return select(method, features, budget, **({} if say is None else {"say": say}))


def one_by_one(rows: torch.Tensor, order: list[int], size: int, threshold: float) -> list[int]:
    taken: list[int] = []
    units = torch.nn.functional.normalize(rows, dim=1)
    for position in order:
        if len(taken) < size and all(float(units[position] @ units[other]) <= threshold for other in taken):
            taken.append(position)
    return taken


def test_the_greatest_products_are_taken_and_one_like_an_earlier_pick_is_passed_over() -> None:
    coreset = chosen([1, 2, 3, 2], [1, 3, 3, 1], [[1, 0], [0, 1], [0.1, 1], [-1, 0]])
    assert coreset.indices.tolist() == [2, 3, 0]
    assert coreset.diagnostics["scores"] == [9.0, 2.0, 1.0] and coreset.diagnostics["passed_over"] == 1
    assert coreset.diagnostics["shortfall"] == "only 3 examples have cosines of at most 0.9 with all earlier picks"


def test_a_cosine_at_the_threshold_is_not_too_similar() -> None:
    rows = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    assert chosen([3, 2, 1], [1, 1, 1], rows, threshold=1.0).indices.tolist() == [0, 1, 2]
    assert chosen([3, 2, 1], [1, 1, 1], rows, threshold=0.0).indices.tolist() == [0, 2]


@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(-0.5, 0.9))
def test_blocks_take_what_one_by_one_takes(seed: int, size: int, threshold: float) -> None:
    source = np.random.default_rng(seed)
    rows = torch.from_numpy(source.normal(size=(40, 3)))
    order = source.permutation(40)
    whole = unlike(rows, order, size, threshold)[0].tolist()
    before, deita.BLOCK = deita.BLOCK, 7
    try:
        assert unlike(rows, order, size, threshold)[0].tolist() == whole
    finally:
        deita.BLOCK = before
    assert whole == one_by_one(rows, order.tolist(), size, threshold)


def test_scores_that_are_all_equal_are_said_to_be() -> None:
    said: list[str] = []
    coreset = chosen([3, 3, 3], [1, 1, 1], np.eye(3), 2, say=said.append)
    assert "deita: all scores are equal, so the order is that of the pool. Look at what gives them." in said
    assert coreset.indices.tolist() == [0, 1] and coreset.diagnostics["different_scores"] == 1


def test_a_model_scores_by_the_mark_it_expects() -> None:
    method = Deita()
    quality, complexity = (torch.tensor([[0, 0, 0, 0.5, 0.5], [0.2, 0, 0, 0, 0], [0.0] * 5]) for _ in range(2))
    arrays = dict(zip(method.requires, (quality, complexity, torch.eye(3)), strict=True))
    coreset = select(method, InMemoryFeatures(arrays), 3)
    assert coreset.diagnostics["scores"] == pytest.approx([4.5**2, 1.0, 0.0])
    assert [type(spec) for spec in method.requires[:2]] == [RatingSpec, RatingSpec]
    assert [type(spec) for spec in Deita(**COLUMNS).requires[:2]] == [ColumnSpec, ColumnSpec]


def test_ratings_of_several_questions_are_refused() -> None:
    method = Deita(complexity={"column": "c"})
    arrays = dict(zip(method.requires, (torch.ones(2, 10), torch.ones(2, 1), torch.eye(2)), strict=True))
    with pytest.raises(SelectionError, match=r"quality: ratings of shape \(2, 10\). Pass n x 5 probabilities"):
        select(method, InMemoryFeatures(arrays), 1)
