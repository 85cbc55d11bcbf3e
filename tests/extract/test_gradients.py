"""Per-example gradients: many at once are the same as one by one, padded or not, for every architecture."""

from typing import Any

import pytest
import tiny
import torch
from torch import nn

from coresift.errors import ModelError
from coresift.extract.gradients import GradientTap
from coresift.extract.run import GradientExtractor, tokens_read
from coresift.features.specs import GradientSpec, Loss
from coresift.models.batches import collate
from coresift.models.lora import LoraSettings, attach_lora, lora_parameters
from coresift.models.losses import example_losses, token_nll
from coresift.models.render import Renderer, render_pool

LORA = LoraSettings(rank=4, alpha=8, dropout=0.1)


def adapted(architecture: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A tiny model with LoRA maps that already do something."""
    model = attach_lora(tiny.model(architecture, dtype=dtype), LORA, seed=1).to(dtype)
    noise = torch.Generator().manual_seed(2)
    for _, weight in lora_parameters(model):
        weight.data += 0.1 * torch.randn(weight.shape, generator=noise, dtype=dtype)
    return model


def rendered(architecture: str, n: int = 7) -> tuple[Renderer, list]:
    renderer = Renderer(tiny.tokenizer(tiny.ARCHITECTURES[architecture]), max_tokens=256)
    return renderer, [row for row in render_pool(tiny.pool(n), renderer).rows if row is not None]


def one_by_one(model: nn.Module, rows: list, renderer: Renderer, kind: str) -> torch.Tensor:
    """Plain autograd, a batch of one, gradients of the weights themselves."""
    weights = [weight for _, weight in lora_parameters(model)]
    out = []
    for row in rows:
        batch = collate([row], kind, start_token=renderer.start_token, pad_token=renderer.pad_token)
        loss = example_losses(token_nll(model, batch), batch.targets).sum()
        out.append(torch.cat([gradient.flatten() for gradient in torch.autograd.grad(loss, weights)]))
    return torch.stack(out)


@pytest.mark.parametrize("architecture", sorted(tiny.ARCHITECTURES))
@pytest.mark.parametrize("kind", ["response", "knowledge"])
def test_a_padded_batch_gives_the_gradients_of_one_by_one(architecture: str, kind: str) -> None:
    model = adapted(architecture)
    renderer, rows = rendered(architecture)
    batch = collate(rows, kind, start_token=renderer.start_token, pad_token=renderer.pad_token)
    with GradientTap(model, lora_parameters(model)) as tap:
        losses = example_losses(token_nll(model, batch), batch.targets)
        together = torch.cat(list(tap.per_example(losses)), dim=1)
    alone = one_by_one(model, rows, renderer, kind)
    assert together.abs().max() > 1e-3
    assert (together - alone).abs().max() < 1e-8


@pytest.mark.parametrize("batch_tokens", [1, 97, 10_000])
def test_the_extractor_gives_the_same_rows_for_any_batch_size(batch_tokens: int) -> None:
    model = adapted("llama")
    renderer, rows = rendered("llama")
    specs = [GradientSpec(loss=loss, dim=10**5) for loss in ("knowledge", "response", "following")]
    extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token, batch_tokens=batch_tokens)
    found = extractor.gradients(rows, specs, extractor.projections(specs))
    alone = {kind: one_by_one(model, rows, renderer, kind) for kind in ("knowledge", "response")}
    alone["following"] = alone["response"] - alone["knowledge"]
    for spec in specs:  # the projection is an isometry here, so inner products say everything
        exact = alone[spec.loss] @ alone[spec.loss].T
        assert torch.allclose(found[spec] @ found[spec].T, exact, atol=1e-9)


@pytest.mark.parametrize("preconditioner", ["none", "adam"])
def test_response_is_knowledge_plus_following(preconditioner: str) -> None:
    model = adapted("llama")
    renderer, rows = rendered("llama")
    moments = ones_like_moments(model)
    specs = [
        GradientSpec(loss=loss, dim=256, preconditioner=preconditioner)
        for loss in ("knowledge", "following", "response")
    ]
    extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token, moments=moments)
    knowledge, following, response = extractor.gradients(rows, specs, extractor.projections(specs)).values()
    assert (response - knowledge - following).abs().max() < 1e-10 * response.abs().max()


@pytest.mark.parametrize(
    ("losses", "passes"), [(["response"], 1), (["knowledge"], 1), (["following"], 2), (["response", "knowledge"], 2)]
)
def test_only_losses_that_are_asked_for_are_propagated_and_counted(losses: list[Loss], passes: int) -> None:
    model = adapted("llama")
    renderer, rows = rendered("llama")
    specs = [GradientSpec(loss=loss, dim=16) for loss in losses]
    extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token, batch_tokens=10**6)
    seen: list[int] = []

    def count(module: nn.Module, args: tuple[()], kwargs: dict[str, Any]) -> None:
        seen.append(int(kwargs["attention_mask"].sum()))

    handle = model.register_forward_pre_hook(count, with_kwargs=True)
    together = extractor.gradients(rows, specs, extractor.projections(specs))
    handle.remove()
    assert len(seen) == passes and sum(seen) == tokens_read(rows, specs)
    every = [GradientSpec(loss=loss, dim=16) for loss in ("response", "knowledge", "following")]
    alone = extractor.gradients(rows, every, extractor.projections(every))
    assert all(torch.equal(together[spec], alone[spec]) for spec in specs)


def ones_like_moments(model: nn.Module):
    from types import SimpleNamespace

    names = {name: torch.ones_like(weight) for name, weight in lora_parameters(model)}
    return SimpleNamespace(first=names, second=names, step=5)


def test_the_prediction_of_memory_grows_with_the_batch_and_never_with_parameters_times_dim() -> None:
    model = adapted("llama")
    renderer, rows = rendered("llama")
    spec = GradientSpec(loss="response", dim=10**6)
    extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token, batch_tokens=64)
    wider = GradientExtractor(model, renderer.start_token, renderer.pad_token, batch_tokens=640)
    entries = sum(weight.numel() for _, weight in lora_parameters(model))
    small, large = (sum(each.predicted_memory(rows, [spec]).values()) for each in (extractor, wider))
    assert small < large
    assert small < entries * spec.dim / 100


def test_a_weight_that_is_not_a_linear_map_is_refused() -> None:
    embedding = nn.Embedding(3, 2)
    with pytest.raises(ModelError, match="table is not the weight of a linear map without bias"):
        GradientTap(embedding, [("table", embedding.weight)])
