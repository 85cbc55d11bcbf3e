"""The longest responses, and random samples with the response lengths of something else."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresift.coreset import Coreset
from coresift.errors import SelectionError, SettingsError
from coresift.features.losses import LengthSpec
from coresift.features.memory import InMemoryFeatures
from coresift.selection import select
from coresift.selectors import LengthMatched, Longest
from coresift.selectors.matched import length_edges


def chosen(method: Any, lengths: Any, budget: Any, seed: int = 0) -> Coreset:
    return select(
        method, InMemoryFeatures({LengthSpec(): np.asarray(lengths, dtype=np.float64)[:, None]}), budget, seed=seed
    )


def pool(seed: int = 0, n: int = 3000) -> np.ndarray:
    """Heavy-tailed lengths, many of them equal."""
    return np.ceil(np.random.default_rng(seed).lognormal(3.0, 1.0, n))


def test_the_longest_are_kept_and_ties_go_to_the_first() -> None:
    coreset = chosen(Longest(), [3, 9, 1, 9, 5], 3)
    assert coreset.indices.tolist() == [1, 3, 4] and coreset.weights.tolist() == pytest.approx([5 / 3] * 3)
    assert dict(coreset.diagnostics) == {"mean_tokens": 23 / 3, "mean_tokens_of_pool": 27 / 5}


@pytest.mark.parametrize("kind", ["long", "short", "middle"])
def test_a_matched_sample_has_the_distribution_of_what_it_matches_and_other_examples(kind: str) -> None:
    lengths = pool()
    order = np.argsort(lengths, kind="stable")
    band = {"long": order[-1200:], "short": order[:1200], "middle": order[900:2100]}[kind]
    picks = np.random.default_rng(1).choice(band, 300, replace=False)
    found = chosen(LengthMatched(edges=length_edges(lengths[picks])), lengths, 300).indices
    quantiles = np.linspace(0.05, 0.95, 19)
    wanted, given = (np.quantile(lengths[each], quantiles) for each in (picks, found))
    np.testing.assert_allclose(given, wanted, rtol=0.1, atol=1)
    assert len(np.intersect1d(picks, found)) < 150, "lengths are matched, not examples"


def test_with_no_edges_the_lengths_of_the_pool_are_kept() -> None:
    lengths = pool()
    means = [lengths[chosen(LengthMatched(), lengths, 100, seed).indices].mean() for seed in range(20)]
    plain = [lengths[np.random.default_rng(seed).choice(3000, 100, replace=False)].mean() for seed in range(20)]
    assert np.std(means) < np.std(plain) / 2 and np.mean(means) == pytest.approx(lengths.mean(), rel=0.05)


def test_lengths_that_the_pool_lacks_are_replaced_by_the_nearest() -> None:
    found = chosen(LengthMatched(edges=(100.0, 200.0)), [1, 2, 90, 220, 5], 3)
    assert found.indices.tolist() == [2, 3, 4]


def test_other_seeds_draw_other_samples_and_prefixes_are_nested() -> None:
    lengths = pool()
    one, two = (chosen(LengthMatched(), lengths, 200, seed).indices for seed in (0, 1))
    assert len(np.intersect1d(one, two)) < 60
    assert chosen(LengthMatched(), lengths, 50).indices.tolist() == one[:50].tolist()


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_a_pool_of_few_lengths_can_be_drawn_to_its_last_example(lengths: list[int]) -> None:
    assert sorted(chosen(LengthMatched(), lengths, len(lengths)).indices.tolist()) == list(range(len(lengths)))


def test_edges_that_are_none_are_refused() -> None:
    for edges in ((1.0,), (2.0, 1.0)):
        with pytest.raises(SettingsError, match="Give at least two lengths in ascending order, or none"):
            LengthMatched(edges=edges)
    with pytest.raises(SelectionError, match="no lengths given to match"):
        length_edges(np.array([]))
