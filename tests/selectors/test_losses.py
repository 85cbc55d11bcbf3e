"""IFD and perplexity: the two published ratios, who survives, and orders from the top and from the middle."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresift.coreset import Coreset
from coresift.errors import SelectionError, SettingsError
from coresift.features.losses import LossSpec
from coresift.features.memory import InMemoryFeatures
from coresift.selection import select
from coresift.selectors import IFD, Perplexity
from coresift.selectors.perplexity import outwards


def ifd(response: list[float], alone: list[float], budget: Any = 1.0, **settings: Any) -> Coreset:
    method = IFD(**settings)
    columns = [np.array(each, dtype=np.float64)[:, None] for each in (response, alone)]
    return select(method, InMemoryFeatures(dict(zip(method.requires, columns, strict=True))), budget)


def perplexity(losses: list[float], budget: Any = 1.0, **settings: Any) -> Coreset:
    method = Perplexity(**settings)
    return select(method, InMemoryFeatures({method.requires[0]: np.array(losses)[:, None]}), budget)


def test_the_two_published_ratios_order_the_worked_pair_differently() -> None:
    losses, perplexities = (ifd([1.0, 3.0], [1.25, 3.6], ratio=ratio) for ratio in ("loss", "perplexity"))
    assert losses.indices.tolist() == [1, 0] and perplexities.indices.tolist() == [0, 1]
    assert losses.diagnostics["scores"] == pytest.approx([0.8333333, 0.80])
    assert perplexities.diagnostics["scores"] == pytest.approx([np.exp(-0.25), np.exp(-0.6)])
    assert perplexities.diagnostics["scores"] == pytest.approx([0.779, 0.549], abs=5e-4)


def test_responses_that_their_instruction_makes_harder_are_left_out_and_counted() -> None:
    coreset = ifd([1.0, 2.0, 1.0, 0.5], [2.0, 1.9, 1.0, 1.0])
    assert coreset.indices.tolist() == [2, 0, 3], "a ratio of 1 is kept, as Cherry keeps it; ties go to the first"
    assert coreset.diagnostics["unhelpful"] == 1
    assert coreset.diagnostics["shortfall"] == "only 3 of 4 examples are made easier by their instruction"
    assert ifd([1.0, 2.0], [2.0, 1.9], keep_unhelpful=True).indices.tolist() == [1, 0]


def test_conversations_longer_than_the_model_takes_are_never_picked_and_counted() -> None:
    coreset = ifd([1.0, -1.0, 0.5], [2.0, -1.0, 1.0])
    assert coreset.indices.tolist() == [0, 2] and coreset.diagnostics["not_scored"] == 1
    coreset = perplexity([1.0, -1.0, 0.5])
    assert coreset.indices.tolist() == [0, 2] and coreset.diagnostics["not_scored"] == 1
    assert coreset.diagnostics["shortfall"] == "only 2 of 3 examples are short enough for the model"


def test_a_response_that_is_certain_on_its_own_has_no_ratio_of_losses() -> None:
    coreset = ifd([0.0, 1.0], [0.0, 2.0])
    assert coreset.indices.tolist() == [1] and coreset.diagnostics["not_finite"] == 1
    assert ifd([0.0, 1.0], [0.0, 2.0], ratio="perplexity").indices.tolist() == [0, 1]


def test_a_pool_in_which_nothing_can_be_chosen_is_refused_with_the_reasons() -> None:
    with pytest.raises(SelectionError, match=r"Of 3 examples 1 are longer .* 1 have no finite .* 1 are harder"):
        ifd([-1.0, 0.0, 2.0], [-1.0, 0.0, 1.0])
    with pytest.raises(SelectionError, match="all 2 examples are longer than the model takes"):
        perplexity([-1.0, -1.0])


def test_losses_of_more_than_one_column_are_refused() -> None:
    with pytest.raises(SelectionError, match=r"response losses of shape \(3, 2\). Pass one number per example"):
        select(Perplexity(), InMemoryFeatures({LossSpec(loss="response"): np.ones((3, 2))}), 1)


def test_only_the_base_model_is_warmed_up() -> None:
    for method in (IFD, Perplexity):
        with pytest.raises(SettingsError, match="only the base model of the run is warmed up"):
            method(model="gpt2", warmup=True)
    assert LossSpec(loss="response").key != LossSpec(loss="response", warmup=True).key


@given(st.lists(st.floats(0, 9), min_size=1, max_size=30, unique=True))
def test_every_band_about_the_middle_leaves_as_many_out_above_as_below(losses: list[float]) -> None:
    order = perplexity(losses, part="middle").indices
    for size in range(1, len(losses) + 1):
        band = np.array(losses)[order[:size]]
        below, above = sum(each < band.min() for each in losses), sum(each > band.max() for each in losses)
        assert abs(below - above) <= 1 and below + above + size == len(losses)


def test_the_top_are_the_greatest_losses_and_places_go_outwards_from_the_middle() -> None:
    assert perplexity([0.3, 0.9, 0.9, 0.1], 3).indices.tolist() == [1, 2, 0]
    assert perplexity([1.0, 2.0, 3.0, 4.0, 5.0], 3, part="middle").indices.tolist() == [2, 3, 1]
    assert outwards(1).tolist() == [0] and outwards(5).tolist() == [2, 1, 3, 0, 4]
