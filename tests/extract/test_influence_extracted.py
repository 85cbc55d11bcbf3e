"""Gradient similarities in one pass per checkpoint: LESS's equation on real gradients, kept or not, killed or not."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor, nn

from coresift.extract.influence import At, extract_gradient_similarities
from coresift.extract.preconditioners import reference_transform
from coresift.extract.run import GradientExtractor, tokens_read
from coresift.features.store import FeatureStore
from coresift.features.targets import GradientSimilaritySpec
from coresift.models.batches import Kind, collate
from coresift.models.lora import LoraSettings, attach_lora, lora_parameters
from coresift.models.losses import example_losses, token_nll
from coresift.models.render import Rendered, Renderer
from coresift.models.rendered_pool import render_pool
from coresift.targets.influence import influence, mean_rows

LOSSLESS = 10**5
"""More columns than parameters: the projection is an isometry."""
LESS = GradientSimilaritySpec(dim=LOSSLESS, checkpoints="epochs")
RATES = (3e-5, 1e-5)
SUBTASKS = ["a", "b", "a"]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return attach_lora(tiny.model("llama"), LoraSettings(rank=2, alpha=4), seed=1)


@pytest.fixture(scope="module")
def rows() -> list[Rendered]:
    renderer = Renderer(tiny.tokenizer("llama3"), max_tokens=256)
    return [row for row in render_pool(tiny.pool(10), renderer).rows if row is not None]


def state(model: nn.Module, seed: int) -> dict[str, Tensor]:
    """LoRA tensors of a made-up checkpoint."""
    noise = torch.Generator().manual_seed(seed)
    return {name: 0.3 * torch.randn(weight.shape, generator=noise) for name, weight in lora_parameters(model)}


def moments(model: nn.Module, seed: int) -> Any:
    first, second = state(model, seed + 10), state(model, seed + 20)
    return SimpleNamespace(first=first, second={name: each.square() for name, each in second.items()}, step=5)


def points_of(model: nn.Module, count: int = 2) -> list[At]:
    return [
        At(GradientExtractor(model, 3, 4, moments=moments(model, k), batch_tokens=200), state(model, k), RATES[k])
        for k in range(count)
    ]


def raw(model: nn.Module, rows: Sequence[Rendered], seed: int, loss: Kind = "response") -> list[list[Tensor]]:
    """Gradients of every example at a made-up checkpoint, tensor by tensor, one example at a time."""
    weights = lora_parameters(model)
    with torch.no_grad():
        for name, weight in weights:
            weight.copy_(state(model, seed)[name])
    found = []
    for row in rows:
        batch = collate([row], loss, start_token=3, pad_token=4)
        value = example_losses(token_nll(model, batch), batch.targets).sum()
        found.append([part.flatten() for part in torch.autograd.grad(value, [weight for _, weight in weights])])
    return found


def by_hand(model: nn.Module, rows: Sequence[Rendered], target: Sequence[Rendered]) -> tuple[list, list]:
    pool, shown = [], []
    for seed in range(2):
        known = moments(model, seed)
        pairs = [(known.first[n].flatten(), known.second[n].flatten()) for n, _ in lora_parameters(model)]
        adam = [
            torch.cat([reference_transform(g, m, v) for g, (m, v) in zip(parts, pairs, strict=True)])
            for parts in raw(model, rows, seed)
        ]
        pool.append(torch.stack(adam))
        shown.append(torch.stack([torch.cat(parts) for parts in raw(model, target, seed)]))
    return pool, shown


def stores(folder: Path, rows: Sequence[Rendered], names: Sequence[str]) -> list[FeatureStore]:
    ids = [row.id for row in rows]
    return [FeatureStore(folder / name, identity={}, ids=ids, shard_rows=4) for name in names]


def extracted(
    folder: Path,
    points: Sequence[At],
    rows: Sequence[Rendered],
    target: Sequence[Rendered],
    specs: Sequence[GradientSimilaritySpec],
    keep: bool = False,
) -> tuple[FeatureStore, int]:
    """The store of similarities, and the tokens that were read."""
    (store,) = stores(folder, rows, ["scores"])
    kept = stores(folder, rows, [f"kept-{k}" for k in range(len(points))]) if keep else []
    read: list[int] = []
    extract_gradient_similarities(
        points,
        rows,
        target,
        store,
        specs,
        subtasks=SUBTASKS[: len(target)],
        keep=kept,
        account=lambda seconds, tokens, flops: read.append(tokens),
    )
    return store, sum(read)


def test_similarities_are_the_equation_on_gradients_taken_one_by_one(
    model: nn.Module, rows: list[Rendered], tmp_path: Path
) -> None:
    pool, target = rows[:7], rows[7:]
    mean = LESS.model_copy(update={"average": "gradients"})
    store, _ = extracted(tmp_path, points_of(model), pool, target, [LESS, mean])
    adam, plain = by_hand(model, pool, target)
    torch.testing.assert_close(store[LESS], influence(adam, plain, RATES), atol=2e-3, rtol=0)
    expected = influence(adam, [mean_rows(each, SUBTASKS) for each in plain], RATES)
    assert store[mean].shape == (7, 2)
    torch.testing.assert_close(store[mean], expected, atol=2e-3, rtol=0)


def test_only_scores_are_kept_and_every_example_is_read_once_per_checkpoint(
    model: nn.Module, rows: list[Rendered], tmp_path: Path
) -> None:
    pool, target = rows[:7], rows[7:]
    _, tokens = extracted(tmp_path, points_of(model), pool, target, [LESS])
    assert [path.name for path in tmp_path.iterdir()] == ["scores"]
    assert tokens == 2 * tokens_read(rows, [LESS.pool_gradients])


def test_kept_gradients_give_the_same_scores_and_serve_another_target_without_a_pass(
    model: nn.Module, rows: list[Rendered], tmp_path: Path
) -> None:
    pool, target = rows[:7], rows[7:]
    spec = LESS.model_copy(update={"dim": 512})
    alone, _ = extracted(tmp_path / "alone", points_of(model), pool, target, [spec])
    kept, _ = extracted(tmp_path / "kept", points_of(model), pool, target, [spec], keep=True)
    torch.testing.assert_close(kept[spec], alone[spec], atol=2e-3, rtol=0)
    (tmp_path / "kept" / "scores").rename(tmp_path / "first")
    again, tokens = extracted(tmp_path / "kept", points_of(model), pool, target[:1], [spec], keep=True)
    assert tokens == 2 * tokens_read(target[:1], [spec.target_gradients])
    torch.testing.assert_close(again[spec], kept[spec][:, :1], atol=2e-3, rtol=0)


@pytest.mark.parametrize("keep", [False, True])
def test_a_killed_extraction_ends_byte_identical(
    keep: bool, model: nn.Module, rows: list[Rendered], tmp_path: Path
) -> None:
    pool, target, spec = rows[:7], rows[7:], LESS.model_copy(update={"dim": 64})
    extracted(tmp_path, points_of(model), pool, target, [spec], keep)
    shards = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*.*"))}
    for folder in ("scores", "kept-1") if keep else ("scores",):
        next((tmp_path / folder).rglob("rows-0000004*")).unlink()
    _, tokens = extracted(tmp_path, points_of(model), pool, target, [spec], keep)
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*.*"))} == shards
    passes = 1 if keep else 2  # with kept gradients only one checkpoint lacks that shard
    assert tokens == 2 * tokens_read(target, [spec.target_gradients]) + passes * tokens_read(
        pool[4:], [spec.pool_gradients]
    )


def test_both_parts_of_the_loss_share_their_passes(model: nn.Module, rows: list[Rendered], tmp_path: Path) -> None:
    pool, target = rows[:7], rows[7:]
    parts = [
        GradientSimilaritySpec(loss=loss, dim=LOSSLESS, preconditioner="none") for loss in ("knowledge", "following")
    ]
    store, tokens = extracted(tmp_path, points_of(model, 1), pool, target, parts)
    assert tokens == tokens_read(rows, [part.pool_gradients for part in parts])
    found = {
        loss: torch.stack([torch.cat(each) for each in raw(model, rows, 0, loss)]) for loss in ("response", "knowledge")
    }
    exact = {"knowledge": found["knowledge"], "following": found["response"] - found["knowledge"]}
    for part in parts:
        units = torch.nn.functional.normalize(exact[part.loss], dim=1)
        torch.testing.assert_close(store[part], units[:7] @ units[7:].T, atol=2e-3, rtol=0)


def test_nothing_is_read_when_all_is_there(model: nn.Module, rows: list[Rendered], tmp_path: Path) -> None:
    spec = LESS.model_copy(update={"dim": 64})
    extracted(tmp_path, points_of(model), rows[:7], rows[7:], [spec])
    assert extracted(tmp_path, [], rows[:7], rows[7:], [spec])[1] == 0
