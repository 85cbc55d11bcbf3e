"""Per-example gradients: many at once are the same as one by one, padded or not, for every architecture."""

from typing import Any

import pytest
import tiny
import torch
from adapted_models import adapted, one_by_one, rendered
from torch import nn

from coresift.errors import ModelError
from coresift.extract.gradients import GradientTap
from coresift.extract.maps import maps_of
from coresift.extract.memory import describe_memory
from coresift.extract.run import GradientExtractor, tokens_read
from coresift.features.specs import GradientSpec, Loss
from coresift.models.batches import collate
from coresift.models.lora import lora_parameters
from coresift.models.losses import example_losses, token_nll


@pytest.mark.parametrize("architecture", sorted(tiny.ARCHITECTURES))
@pytest.mark.parametrize("kind", ["response", "knowledge"])
def test_a_padded_batch_gives_the_gradients_of_one_by_one(architecture: str, kind: str) -> None:
    model = adapted(architecture)
    renderer, rows = rendered(architecture)
    batch = collate(rows, kind, start_token=renderer.start_token, pad_token=renderer.pad_token)
    found: dict[str, torch.Tensor] = {}
    maps = maps_of(model, GradientSpec(loss="response"))
    with GradientTap(model, maps, lambda map, seen: found.update({seen.name: seen.gradient})) as tap:
        losses = tap.run(batch)
    together = torch.cat([found[name] for name, _ in lora_parameters(model)], dim=1)
    assert torch.allclose(losses, example_losses(token_nll(model, batch), batch.targets), rtol=1e-12)
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
    extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token, batch_tokens=1)
    seen: list[int] = []

    def count(module: nn.Module, args: tuple[()], kwargs: dict[str, Any]) -> None:
        seen.append(kwargs["input_ids"].numel())

    handle = model.register_forward_pre_hook(count, with_kwargs=True)
    together = extractor.gradients(rows, specs, extractor.projections(specs))
    handle.remove()
    assert len(seen) == passes * len(rows) and sum(seen) == tokens_read(rows, specs)
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
    assert small < entries * spec.dim / 50


def test_the_prediction_names_what_holds_it() -> None:
    model = adapted("llama", torch.float32)
    renderer, rows = rendered("llama")
    extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token)
    whole, cheap = GradientSpec(loss="response", dim=64), GradientSpec(loss="response", dim=64, of="head")
    parts, fewer = extractor.predicted_memory(rows, [whole]), extractor.predicted_memory(rows, [cheap])
    assert parts["weights"] == sum(weight.numel() * 4 for weight in model.parameters())
    assert fewer["activations"] < parts["activations"] / 100
    assert describe_memory({"weights": 3 << 20, "moments": 0}) == "predicted memory for gradients: 3 MiB (weights 3)"


def test_maps_that_read_the_same_tensor_hold_it_once_and_let_go_of_it() -> None:
    model = adapted("llama")
    renderer, rows = rendered("llama", 2)
    batch = collate(rows, "response", start_token=renderer.start_token, pad_token=renderer.pad_token)
    left: list[int] = []
    maps = maps_of(model, GradientSpec(loss="response"))
    tap = GradientTap(model, maps, lambda map, seen: left.append(len(tap.held)))
    with tap:
        losses = tap.forward(batch)
        assert len(tap.held) == len(maps) and len({each.data_ptr() for each in tap.held}) == 2 * (1 + 3 + 1 + 1)
        tap.backward(losses)
    assert left == list(range(len(maps)))[::-1] and tap.held == []


def test_weights_are_left_as_trainable_as_they_were() -> None:
    model = adapted("llama")
    before = {name: weight.requires_grad for name, weight in model.named_parameters()}
    with GradientTap(model, maps_of(model, GradientSpec(loss="response")), lambda map, seen: None):
        assert not any(weight.requires_grad for weight in model.parameters())
    assert {name: weight.requires_grad for name, weight in model.named_parameters()} == before


def test_a_weight_that_is_not_a_linear_map_is_refused() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lora_A = nn.ModuleDict({"default": nn.Embedding(3, 2)})

    with pytest.raises(ModelError, match="lora_A.weight is not the weight of a linear map without bias"):
        maps_of(Odd(), GradientSpec(loss="response"))


@pytest.mark.gpu
@pytest.mark.parametrize("fields", [{}, {"layers": "last-1"}, {"of": "head"}, {"of": "linear"}])
def test_cuda_gives_the_gradients_of_the_cpu(fields: dict[str, Any]) -> None:
    renderer, rows = rendered("llama")
    spec = GradientSpec(loss="following", dim=64, **fields)
    found = []
    for device in ("cpu", "cuda"):
        model = adapted("llama").to(device)
        extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token, batch_tokens=150)
        found.append(extractor.gradients(rows, [spec], extractor.projections([spec]))[spec].cpu())
    assert torch.allclose(*found, rtol=1e-8, atol=1e-9)
