"""Difficulty and first utilities come out of as few passes as the models allow; what means nothing has a reason."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from coresift.extract.difficulty import NOT_FINITE, UNHELPFUL, Difficulty, checked, measure_difficulty
from coresift.models.lora import LoraSettings, attach_lora
from coresift.models.losses import pool_losses
from coresift.models.render import Renderer
from coresift.models.rendered_pool import render_pool
from kills import until_done

ROWS = [row for row in render_pool(tiny.pool(8), Renderer(tiny.tokenizer("llama3"), max_tokens=512)).rows if row]
TOKENS: dict[str, Any] = {"start_token": 1, "pad_token": 0}


def moved(model: Any) -> Any:
    """The model with an adapter that does something."""
    adapted = attach_lora(model, LoraSettings(rank=2, alpha=4, dropout=0.0), seed=0)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.add_(0.3)
    return adapted.eval()


def test_with_the_base_model_one_pass_gives_difficulty_and_utility(monkeypatch: pytest.MonkeyPatch) -> None:
    model, passes = tiny.model(), []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda **given: passes.append(len(given["input_ids"])) or forward(**given))
    found = measure_difficulty(model, ROWS, keep_unhelpful=True, **TOKENS)
    assert sum(passes) == 2 * len(ROWS)
    losses = pool_losses(model, ROWS, **TOKENS)
    assert np.allclose(found.values, losses.ifd) and np.allclose(found.utilities, losses.response)
    assert found.tokens == sum(len(row.tokens) + row.n_targets + 1 for row in ROWS)


def test_with_an_adapter_difficulty_is_its_own_and_the_utility_that_of_the_base() -> None:
    found = measure_difficulty(moved(tiny.model()), ROWS, keep_unhelpful=True, **TOKENS)
    base, warm = pool_losses(tiny.model(), ROWS, **TOKENS), pool_losses(moved(tiny.model()), ROWS, **TOKENS)
    assert np.allclose(found.utilities, base.response, atol=1e-5) and np.allclose(found.values, warm.ifd, atol=1e-5)
    assert not np.allclose(warm.ifd, base.ifd, atol=1e-3)
    assert found.tokens == sum(2 * len(row.tokens) + row.n_targets + 1 for row in ROWS)


def test_scores_killed_again_and_again_are_those_of_one_go_and_no_batch_is_scored_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, passes = moved(tiny.model()), []
    forward = model.forward
    shared = {"keep_unhelpful": True, "batch_tokens": 100, **TOKENS}
    wanted = measure_difficulty(model, ROWS, **shared)
    monkeypatch.setattr(model, "forward", lambda **given: passes.append(len(given["input_ids"])) or forward(**given))
    found, kills = until_done(
        lambda savepoints: measure_difficulty(model, ROWS, savepoints=savepoints, **shared), tmp_path, lives=2
    )
    assert kills >= 3 and sum(passes) == 3 * len(ROWS)
    assert np.array_equal(found.values, wanted.values) and np.array_equal(found.utilities, wanted.utilities)


def test_the_ratio_of_losses_is_there_by_name() -> None:
    found = measure_difficulty(tiny.model(), ROWS, form="loss", keep_unhelpful=True, **TOKENS)
    losses = pool_losses(tiny.model(), ROWS, **TOKENS)
    assert np.allclose(found.values, losses.response / losses.knowledge)


def test_what_means_nothing_has_a_reason_and_no_value() -> None:
    values, utilities = np.array([0.5, 1.2, np.nan, 0.7, np.inf]), np.array([1.0, 2.0, 3.0, np.inf, 4.0])
    found = checked(values, utilities)
    assert found.reasons == ("", UNHELPFUL, NOT_FINITE, NOT_FINITE, NOT_FINITE)
    assert np.isnan(found.values).tolist() == [False, True, True, True, True]
    assert np.isnan(found.utilities).tolist() == [False, False, False, True, False]
    assert found.invalid == {UNHELPFUL: 1, NOT_FINITE: 3}
    kept = checked(values, utilities, keep_unhelpful=True)
    assert kept.values[1] == 1.2 and isinstance(kept, Difficulty)
