"""Gradients of the head, of the last blocks and of any linear map: the numbers of plain autograd, for less work."""

from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
from adapted_models import adapted, one_by_one, rendered
from torch import Tensor, nn
from torch.nn.functional import one_hot
from transformers import AutoConfig, AutoModelForCausalLM

from coresift.errors import FeatureError, ModelError
from coresift.extract.gradients import Contribution, GradientTap
from coresift.extract.maps import blocks_of, maps_of
from coresift.extract.projections import BothSides, Narrow
from coresift.extract.run import GradientExtractor
from coresift.features.specs import GradientSpec
from coresift.models.batches import collate
from coresift.models.lora import lora_parameters
from coresift.models.losses import example_losses, token_nll

WIDE = 40_000
"""Columns enough that the projection loses nothing: inner products say everything."""
SCALED: dict[str, dict[str, Any]] = {
    "granite": {"logits_scaling": 4.0},
    "cohere": {"logit_scale": 0.25},
    "gemma2": {"final_logit_softcapping": 3.0},
}


def scaled(architecture: str, *, tied: bool) -> nn.Module:
    """A tiny model whose logits are scaled or capped after the head."""
    sizes = {"vocab_size": 288, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 8}
    more = {"intermediate_size": 64, "num_key_value_heads": 2, "initializer_range": 0.3, "pad_token_id": None}
    special = {"bos_token_id": None, "eos_token_id": None, "tie_word_embeddings": tied}
    config = AutoConfig.for_model(architecture, **sizes, **more, **special, **SCALED[architecture])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config).double().eval()


def rows_under(model: nn.Module, rows: list, renderer: Any, **fields: Any) -> Tensor:
    spec = GradientSpec(loss="response", dim=WIDE, **fields)
    extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token, batch_tokens=150)
    return extractor.gradients(rows, [spec], extractor.projections([spec]))[spec]


def autograd(model: nn.Module, weights: list[nn.Parameter], rows: list, renderer: Any) -> Tensor:
    """Plain autograd, a batch of one."""
    out = []
    for weight in weights:
        weight.requires_grad_(True)
    for row in rows:
        batch = collate([row], "response", start_token=renderer.start_token, pad_token=renderer.pad_token)
        loss = example_losses(token_nll(model, batch), batch.targets).sum()
        out.append(torch.cat([each.flatten() for each in torch.autograd.grad(loss, weights)]))
    return torch.stack(out)


def same_products(found: Tensor, exact: Tensor) -> bool:
    products = exact @ exact.T
    return torch.allclose(found @ found.T, products, rtol=1e-9, atol=1e-9 * float(products.abs().max()))


@pytest.mark.parametrize("architecture", sorted(tiny.ARCHITECTURES))
def test_the_head_gives_probability_minus_target_times_hidden_state(architecture: str) -> None:
    model = adapted(architecture)
    renderer, rows = rendered(architecture, 4)
    exact, states = [], []
    handle = model.get_output_embeddings().register_forward_pre_hook(lambda head, seen: states.append(seen[0][0]))
    for row in rows:
        tokens, targets = torch.tensor([row.tokens]), torch.tensor(row.response)[1:]
        with torch.no_grad():
            logits = model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits[0]
        wrong = logits[:-1][targets].softmax(dim=1) - one_hot(tokens[0, 1:][targets], logits.shape[1])
        exact.append((wrong.T @ states[-1][:-1][targets] / targets.sum()).flatten())
    handle.remove()
    assert same_products(rows_under(model, rows, renderer, of="head"), torch.stack(exact))


@pytest.mark.parametrize("architecture", sorted(SCALED))
def test_scaled_and_capped_heads_are_tapped_before_what_follows_them(architecture: str) -> None:
    model = scaled(architecture, tied=False)
    renderer, rows = rendered("llama", 4)
    exact = autograd(model, [model.get_output_embeddings().weight], rows, renderer)
    assert same_products(rows_under(model, rows, renderer, of="head"), exact)


@pytest.mark.parametrize("architecture", sorted(SCALED))
def test_tied_heads_give_the_gradient_of_the_head_alone(architecture: str) -> None:
    tied, apart = scaled(architecture, tied=True), scaled(architecture, tied=False)
    apart.load_state_dict({**tied.state_dict(), "lm_head.weight": tied.get_input_embeddings().weight.detach().clone()})
    assert apart.get_output_embeddings().weight is not apart.get_input_embeddings().weight
    renderer, rows = rendered("llama", 4)
    exact = autograd(apart, [apart.get_output_embeddings().weight], rows, renderer)
    assert same_products(rows_under(tied, rows, renderer, of="head"), exact)


def test_nothing_below_the_head_is_kept_for_a_backward_pass() -> None:
    model = adapted("llama")
    renderer, rows = rendered("llama", 2)
    batch = collate(rows, "response", start_token=renderer.start_token, pad_token=renderer.pad_token)
    with GradientTap(model, maps_of(model, GradientSpec(loss="response", of="head")), lambda map, seen: None) as tap:
        tap.forward(batch)
        assert [each.requires_grad for each in tap.held] == [False]


@pytest.mark.parametrize("architecture", ["llama", "phi3", "opt"])
def test_linear_maps_of_the_untuned_model_give_their_gradients(architecture: str) -> None:
    model = tiny.model(architecture, dtype=torch.float64)
    renderer, rows = rendered(architecture, 4)
    maps = maps_of(model, GradientSpec(loss="response", of="linear"))
    assert len(maps) == 2 * {"llama": 7, "phi3": 4, "opt": 6}[architecture]
    exact = autograd(model, [map.weight for map in maps.values()], rows, renderer)
    assert same_products(rows_under(model, rows, renderer, of="linear"), exact)


def test_the_last_layers_give_their_part_of_the_gradient() -> None:
    model = adapted("llama")
    renderer, rows = rendered("llama", 4)
    kept = torch.cat([torch.full((weight.numel(),), ".layers.1." in name) for name, weight in lora_parameters(model)])
    whole = one_by_one(model, rows, renderer, "response")
    assert 0 < int(kept.sum()) < len(kept)
    assert same_products(rows_under(model, rows, renderer, layers="last-1"), whole[:, kept])
    assert same_products(rows_under(model, rows, renderer, layers="last-2"), whole)


def test_the_backward_pass_stops_after_the_last_layers() -> None:
    model = adapted("llama")
    renderer, rows = rendered("llama", 4)
    propagated: dict[int, bool] = {}

    def note(block: nn.Module, seen: object, output: Tensor | tuple[Tensor, ...]) -> None:
        propagated[len(propagated)] = (output if isinstance(output, Tensor) else output[0]).requires_grad

    for block in blocks_of(model):
        block.register_forward_hook(note)
    rows_under(model, rows[:1], renderer, layers="last-1")
    assert propagated == {0: False, 1: True}


def test_cheaper_passes_cost_fewer_operations() -> None:
    model = adapted("llama")
    renderer, _ = rendered("llama", 1)
    extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token)
    whole = extractor.flops_per_token([GradientSpec(loss="response")])
    last = extractor.flops_per_token([GradientSpec(loss="response", layers="last-1")])
    head = extractor.flops_per_token([GradientSpec(loss="response", of="head")])
    everything = sum(weight.numel() for weight in model.parameters())
    adapter = sum(weight.numel() for _, weight in lora_parameters(model))
    assert whole == 4.0 * everything + 2.0 * adapter
    assert head == 2.0 * everything + 2.0 * 288 * 32
    assert head < last < whole


def test_more_layers_than_the_model_has_are_refused() -> None:
    with pytest.raises(ModelError, match=r"layers is last-3, but .* has 2 blocks. Ask for at most last-2"):
        maps_of(adapted("llama"), GradientSpec(loss="response", layers="last-3"))


def test_a_model_that_is_no_list_of_blocks_has_no_last_ones() -> None:
    with pytest.raises(ModelError, match="Linear is not made of a list of blocks. Set layers=all"):
        blocks_of(nn.Linear(2, 2))


def test_blocks_without_linear_maps_are_refused() -> None:
    with pytest.raises(ModelError, match="the blocks of Sequential hold no linear maps. Set of=lora or of=head"):
        maps_of(nn.Sequential(nn.ModuleList([nn.LayerNorm(2)])), GradientSpec(loss="response", of="linear"))


class Unheaded(nn.Module):
    """Logits by a product with the embedding table: no module that could be listened to."""

    def __init__(self, head: nn.Module | None) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(300, 4), head

    def get_output_embeddings(self) -> nn.Module | None:
        return self.head

    def forward(self, input_ids: Tensor, use_cache: bool, logits_to_keep: Tensor | None = None) -> SimpleNamespace:
        states = self.table(input_ids)
        kept = states if logits_to_keep is None else states[:, logits_to_keep]
        return SimpleNamespace(logits=kept @ self.table.weight.T)


@pytest.mark.parametrize("head", [None, nn.LayerNorm(4)])
def test_a_model_without_a_linear_head_is_refused(head: nn.Module | None) -> None:
    with pytest.raises(ModelError, match="Unheaded has no language-model head that is one linear map.*Set of=lora"):
        maps_of(Unheaded(head), GradientSpec(loss="response", of="head"))


def test_a_head_that_takes_no_part_is_refused() -> None:
    renderer, rows = rendered("llama", 2)
    with pytest.raises(ModelError, match="Unheaded computes its output without lm_head: no gradient can be taken"):
        rows_under(Unheaded(nn.Linear(4, 300)), rows, renderer, of="head")


def test_a_map_that_sees_only_some_tokens_is_refused() -> None:
    class Routed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.expert, self.head = nn.Embedding(300, 4), nn.Linear(4, 4), nn.Linear(4, 300)

        def forward(self, input_ids: Tensor, use_cache: bool, logits_to_keep: Tensor) -> SimpleNamespace:
            states = self.table(input_ids)
            states = states + self.expert(states.flatten(0, 1)[::3]).sum()
            return SimpleNamespace(logits=self.head(states[:, logits_to_keep]))

    model = Routed()
    renderer, rows = rendered("llama", 3)
    batch = collate(rows, "response", start_token=renderer.start_token, pad_token=renderer.pad_token)
    taking = GradientTap(model, {"expert": model.expert}, lambda map, seen: seen.gradient)
    with taking as tap, pytest.raises(ModelError, match=r"expert reads \(\d+, 4\) where 3 examples of \d+ tokens run"):
        tap.run(batch)


def test_passes_in_another_dtype_than_the_models_are_refused() -> None:
    extractor = GradientExtractor(tiny.model("llama"), 0, 0)
    with pytest.raises(FeatureError, match="asks for passes in bfloat16, but the model computes in float32. Load it"):
        extractor.projections([GradientSpec(loss="response", of="head", dtype="bfloat16")])


@pytest.mark.parametrize("fields", [{"of": "head"}, {"of": "linear"}, {"of": "lora"}])
def test_passes_in_16_bits_come_close(fields: dict[str, Any]) -> None:
    renderer, rows = rendered("llama", 6)
    exact = rows_under(adapted("llama", torch.float32), rows, renderer, **fields)
    rough = rows_under(adapted("llama", torch.bfloat16), rows, renderer, dtype="bfloat16", **fields)
    assert rough.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(rough, exact).min() > 0.97


def test_narrowing_both_sides_keeps_inner_products_on_average() -> None:
    noise = torch.Generator().manual_seed(0)
    inputs = torch.randn(3, 9, 40, generator=noise, dtype=torch.float64)
    sensitivity = torch.randn(3, 9, 50, generator=noise, dtype=torch.float64)
    exact = torch.bmm(sensitivity.transpose(1, 2), inputs).flatten(1)
    products = []
    for seed in range(300):
        outs, ins = Narrow(50, 16, seed=seed), Narrow(40, 16, seed=seed + 1000)
        rows = torch.bmm(outs(sensitivity).transpose(1, 2), ins(inputs)).flatten(1)
        products.append(rows @ rows.T)
    stacked = torch.stack(products)
    error = (stacked.mean(dim=0) - exact @ exact.T).abs() / (stacked.std(dim=0) / 300**0.5)
    assert float(error.max()) < 4.5


def test_the_numbers_of_both_sides_never_change() -> None:
    """Golden: stores on disk stay comparable between versions and machines."""
    maps = {"a": nn.Linear(3000, 2, bias=False), "b": nn.Linear(2, 2, bias=False)}
    projection = BothSides(maps, dim=4, seed=0)
    assert projection.side == 1024
    assert [(narrow.side, place) for place, _, narrow in projection._narrow.values()] == [(1024, 0), (2, 1)]
    found = torch.zeros(1, 4)
    inputs = torch.zeros(1, 1, 3000)
    inputs[0, 0, [1, 500, 2999]] = torch.tensor([1.0, 10.0, 100.0])
    sensitivity = torch.tensor([[[1.0, 1000.0]]])
    projection.add(found, maps["a"], Contribution("a", inputs, sensitivity, torch.ones(1, 1, dtype=torch.bool)))
    assert found.tolist() == [GOLDEN]


GOLDEN = [110.0, 0.0, -1.0, 109000.0]
