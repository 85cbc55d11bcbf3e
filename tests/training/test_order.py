"""The order of the examples is named by seed and epoch; sampling follows the weights."""

import numpy as np
import tiny

from coresift.models.render import Renderer
from coresift.models.rendered_pool import render_pool
from coresift.training.build import data_order
from coresift.training.order import EpochOrder
from coresift.training.settings import TrainSettings


def test_every_epoch_holds_every_example_once_in_another_order() -> None:
    order = EpochOrder(list(range(50)), step_size=8, seed=3)
    epochs = [order.positions(epoch).tolist() for epoch in range(3)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs == [EpochOrder(list(range(50)), step_size=8, seed=3).positions(epoch).tolist() for epoch in range(3)]
    assert epochs[0] != EpochOrder(list(range(50)), step_size=8, seed=4).positions(0).tolist()


def test_set_epoch_chooses_what_iteration_yields() -> None:
    order = EpochOrder([3, 1, 2], step_size=2, seed=0)
    order.set_epoch(5)
    assert list(order) == order.positions(5).tolist() and len(order) == 3


def test_steps_are_sorted_inside_and_shuffled_between() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, size=64)
    for_steps = EpochOrder(lengths.tolist(), step_size=16, seed=0).positions(0).reshape(4, 16)
    assert all((np.diff(lengths[step]) >= 0).all() for step in for_steps)
    assert (np.diff(lengths[for_steps.ravel()]) < 0).any()


def test_sampling_draws_as_many_with_replacement_by_weight() -> None:
    rows = render_pool(tiny.pool(4), Renderer(tiny.tokenizer("llama3"), max_tokens=512)).rows
    settings = TrainSettings(weighting="sampling", batch_size=2, micro_batch_size=1)
    order = data_order(rows, np.array([1.0, 1.0, 2.0, 4.0]), settings, 0)  # type: ignore[arg-type]
    drawn = np.concatenate([order.positions(epoch) for epoch in range(3000)])
    assert len(drawn) == 4 * 3000
    assert np.allclose(np.bincount(drawn) / len(drawn), np.array([1, 1, 2, 4]) / 8, atol=0.015)
    assert (order.positions(0) != order.positions(1)).any()


def test_loss_weighting_draws_every_example_whatever_its_weight() -> None:
    rows = render_pool(tiny.pool(4), Renderer(tiny.tokenizer("llama3"), max_tokens=512)).rows
    order = data_order(rows, np.array([1.0, 1.0, 2.0, 400.0]), TrainSettings(), 0)  # type: ignore[arg-type]
    assert sorted(order.positions(0)) == [0, 1, 2, 3]
