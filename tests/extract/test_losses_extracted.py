"""Losses and lengths in a store: exact, whatever the batch, resumed, and nothing cut."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from coresift.errors import FeatureError
from coresift.extract.losses import extract_lengths, extract_losses
from coresift.features.losses import NOT_SCORED, LengthSpec, LossSpec
from coresift.features.store import FeatureStore
from coresift.models.losses import pool_losses
from coresift.models.render import Renderer
from coresift.models.rendered_pool import render_pool

POOL = tiny.pool(9)
ROWS = render_pool(POOL, Renderer(tiny.tokenizer("llama3"), max_tokens=512)).rows
TOKENS: dict[str, Any] = {"start_token": 1, "pad_token": 0}
SPECS = [LossSpec(loss="response"), LossSpec(loss="knowledge")]


def store_in(folder: Path) -> FeatureStore:
    return FeatureStore(folder, identity={"model": "tiny"}, ids=POOL.ids, shard_rows=4)


def test_stored_losses_are_those_of_the_pool_to_the_last_bit_of_float32(tmp_path: Path) -> None:
    model, store = tiny.model(), store_in(tmp_path)
    whole = pool_losses(model, [row for row in ROWS if row is not None], **TOKENS)
    for spec, expected in zip(SPECS, (whole.response, whole.knowledge), strict=True):
        extract_losses(model, ROWS, store, spec, batch_tokens=10**6, **TOKENS)
        found = store[spec][:, 0]
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)
        again = store_in(tmp_path / "single")
        extract_losses(model, ROWS, again, spec, batch_tokens=1, **TOKENS)
        torch.testing.assert_close(again[spec][:, 0], found, rtol=1e-5, atol=0)


def test_only_what_is_missing_is_computed_and_its_cost_is_told(tmp_path: Path) -> None:
    model, store, told = tiny.model(), store_in(tmp_path), []
    account = lambda *, seconds, tokens, flops: told.append((tokens, flops))  # noqa: E731
    extract_losses(model, ROWS, store, SPECS[0], account=account, **TOKENS)
    assert sum(tokens for tokens, _ in told) == sum(len(row.tokens) for row in ROWS if row is not None)
    weights = sum(weight.numel() for weight in model.parameters())
    assert all(flops == 2 * weights * tokens for tokens, flops in told) and len(told) == 3
    next(store.array(SPECS[0]).folder.glob("rows-0000004*")).unlink()
    before = len(told)
    extract_losses(model, ROWS, store, SPECS[0], account=account, **TOKENS)
    assert len(told) == before + 1


def test_conversations_too_long_for_the_model_are_marked_and_the_others_keep_their_own_loss(tmp_path: Path) -> None:
    model, store, whole = tiny.model(), store_in(tmp_path / "some"), store_in(tmp_path / "all")
    some = [None if place in (1, 4) else row for place, row in enumerate(ROWS)]
    extract_losses(model, some, store, SPECS[0], **TOKENS)
    extract_losses(model, ROWS, whole, SPECS[0], **TOKENS)
    found, expected = store[SPECS[0]][:, 0], whole[SPECS[0]][:, 0]
    assert found[[1, 4]].tolist() == [NOT_SCORED, NOT_SCORED]
    kept = [place for place in range(9) if place not in (1, 4)]
    torch.testing.assert_close(found[kept], expected[kept], rtol=1e-5, atol=0)


def test_a_model_whose_losses_are_not_finite_is_refused_with_the_examples_named(tmp_path: Path) -> None:
    model = tiny.model()
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    with pytest.raises(FeatureError, match="rows are not finite: ids 'e0', 'e1'"):
        extract_losses(model, ROWS, store_in(tmp_path), SPECS[0], **TOKENS)


def test_lengths_are_the_tokens_that_are_learned(tmp_path: Path) -> None:
    store, rows = store_in(tmp_path), [row for row in ROWS if row is not None]
    extract_lengths(rows, store, LengthSpec())
    assert store[LengthSpec()][:, 0].tolist() == [sum(row.response) for row in rows]
    assert len(np.unique(store[LengthSpec()])) > 1
