"""Adapters: where they sit, how they start, their order, and merging."""

import json
from pathlib import Path

import pytest
import tiny
import torch

from coresift.errors import ModelError, SettingsError
from coresift.models.load import load_model, load_tokenizer, model_fingerprint
from coresift.models.lora import (
    ORDER_FILE,
    LoraSettings,
    adapter_weights,
    attach_lora,
    load_adapter,
    lora_parameters,
    merge_adapter,
    save_adapter,
    target_names,
)

SMALL = LoraSettings(rank=4, alpha=8, dropout=0.0)
TARGETS = {
    "llama": ["k_proj", "o_proj", "q_proj", "v_proj"],
    "qwen3": ["k_proj", "o_proj", "q_proj", "v_proj"],
    "mistral": ["k_proj", "o_proj", "q_proj", "v_proj"],
    "gemma": ["k_proj", "o_proj", "q_proj", "v_proj"],
    "phi3": ["o_proj", "qkv_proj"],
    "opt": ["k_proj", "out_proj", "q_proj", "v_proj"],
}
TOKENS = torch.arange(3, 19).reshape(2, 8)


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(TOKENS).logits


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """Give the adapters an effect."""
    numbers = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for _, weight in lora_parameters(model):
            weight.add_(torch.randn(weight.shape, generator=numbers) * 0.2)
    return model


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_attention_means_query_key_value_and_output_everywhere(architecture: str) -> None:
    model = tiny.model(architecture)
    assert target_names(model, "attention") == TARGETS[architecture]
    adapted = attach_lora(model, SMALL, seed=0)
    assert len(lora_parameters(adapted)) == 2 * 2 * len(TARGETS[architecture])
    trainable = {name for name, weight in adapted.named_parameters() if weight.requires_grad}
    assert len(trainable) == len(lora_parameters(adapted)) and not adapted.training


def test_a_fresh_adapter_changes_nothing() -> None:
    plain = logits(tiny.model())
    assert torch.equal(logits(attach_lora(tiny.model(), SMALL, seed=0)), plain)


def test_start_depends_on_the_seed_alone_and_leaves_global_randomness_alone() -> None:
    torch.manual_seed(1)
    first = attach_lora(tiny.model(), SMALL, seed=5)
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after)
    torch.manual_seed(2)
    again, other = attach_lora(tiny.model(), SMALL, seed=5), attach_lora(tiny.model(), SMALL, seed=6)
    for (name, left), (_, right), (_, far) in zip(*map(lora_parameters, (first, again, other)), strict=True):
        assert torch.equal(left, right)
        assert ("lora_A" in name) != torch.equal(left, far)
        assert float(left.detach().abs().max()) <= left.shape[1] ** -0.5


def test_defaults_are_the_published_settings() -> None:
    assert LoraSettings().model_dump() == {"rank": 128, "alpha": 512, "dropout": 0.1, "targets": "attention"}


def test_order_and_names_are_those_of_the_saved_adapter(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    adapted = attach_lora(tiny.model(), SMALL, seed=0)
    save_adapter(adapted, tmp_path / "adapter")
    names = [name for name, _ in lora_parameters(adapted)]
    assert json.loads((tmp_path / "adapter" / ORDER_FILE).read_text()) == names
    assert set(load_file(tmp_path / "adapter" / "adapter_model.safetensors")) == set(names)
    in_order = [weight for name, weight in adapted.named_parameters() if "lora_" in name]
    assert all(left is right for left, (_, right) in zip(in_order, lora_parameters(adapted), strict=True))


def test_saved_adapter_comes_back(tmp_path: Path) -> None:
    adapted = shaken(attach_lora(tiny.model(), SMALL, seed=0))
    save_adapter(adapted, tmp_path / "adapter")
    back = load_adapter(tiny.model(), tmp_path / "adapter")
    assert torch.equal(logits(back), logits(adapted)) and not back.training
    assert not any(weight.requires_grad for weight in back.parameters())
    assert all(
        weight.requires_grad
        for _, weight in lora_parameters(load_adapter(tiny.model(), tmp_path / "adapter", trainable=True))
    )


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_merged_model_computes_what_the_adapter_computed(architecture: str, tmp_path: Path) -> None:
    base = tiny.save(tmp_path / "base", architecture)
    adapted = shaken(attach_lora(load_model(base), SMALL, seed=0))
    save_adapter(adapted, tmp_path / "adapter")
    merged = merge_adapter(base, tmp_path / "adapter", tmp_path / "merged")
    assert not torch.allclose(logits(load_model(base)), logits(adapted), atol=1e-2)
    assert torch.allclose(logits(load_model(merged)), logits(adapted), atol=1e-5)
    assert load_tokenizer(merged).chat_template == load_tokenizer(base).chat_template
    with pytest.raises(ModelError, match="merged exists already. Name a new folder"):
        merge_adapter(base, tmp_path / "adapter", tmp_path / "merged")


def test_an_adapter_is_merged_into_the_model_it_was_trained_on_unless_that_is_forced(tmp_path: Path) -> None:
    base, other = tiny.save(tmp_path / "base"), tiny.save(tmp_path / "other", seed=1)
    save_adapter(attach_lora(load_model(base), SMALL, seed=0), tmp_path / "adapter", base=model_fingerprint(base))
    with pytest.raises(
        ModelError, match="was trained on a model with the fingerprint .*, but .*other has .*--force merg"
    ):
        merge_adapter(other, tmp_path / "adapter", tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    merge_adapter(other, tmp_path / "adapter", tmp_path / "forced", force=True)
    merge_adapter(base, tmp_path / "adapter", tmp_path / "merged")


def test_targets_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ModelError, match=r"lora.targets \('nope',\) do not fit LlamaForCausalLM"):
        attach_lora(tiny.model(), LoraSettings(targets=("nope",)), seed=0)
    with pytest.raises(SettingsError, match="lora.targets is empty"):
        attach_lora(tiny.model(), LoraSettings(targets=()), seed=0)
    with pytest.raises(ModelError, match="no attention maps found among the linear layers .*Name them in lora.targets"):
        target_names(torch.nn.Sequential(torch.nn.Linear(2, 2)), "attention")


def test_named_targets_are_used_as_given() -> None:
    adapted = attach_lora(tiny.model(), LoraSettings(rank=2, targets=("q_proj", "up_proj")), seed=0)
    assert {name.split(".")[-3] for name, _ in lora_parameters(adapted)} == {"q_proj", "up_proj"}


def test_a_map_called_alike_outside_attention_is_left_alone() -> None:
    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = torch.nn.ModuleDict({"dense": torch.nn.Linear(2, 2)})
            self.mlp = torch.nn.ModuleDict({"dense": torch.nn.Linear(2, 2)})

    assert target_names(Odd(), "attention") == ["attention.dense"]


def test_broken_or_foreign_adapters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no adapter_config.json here"):
        load_adapter(tiny.model(), tmp_path)
    with pytest.raises(ModelError, match="LlamaForCausalLM has no LoRA tensors. Attach an adapter first"):
        lora_parameters(tiny.model())
    folder = tmp_path / "adapter"
    save_adapter(attach_lora(tiny.model(), SMALL, seed=0), folder)
    with pytest.raises(ModelError, match="16 tensors recorded, 4 found in the model.*base model it was trained on"):
        load_adapter(tiny.model("phi3"), folder)
    with pytest.raises(ModelError, match="does not fit GPT2LMHeadModel.*base model it was trained on"):
        load_adapter(other_model(), folder)
    names = json.loads((folder / ORDER_FILE).read_text())
    (folder / ORDER_FILE).write_text(json.dumps(names[::-1]))
    with pytest.raises(ModelError, match="16 tensors recorded, 16 found in the model; first difference"):
        load_adapter(tiny.model(), folder)
    (folder / ORDER_FILE).write_text("[")
    with pytest.raises(
        ModelError, match="adapter_order.json: not readable as JSON .*Restore the file, or train the adap"
    ):
        load_adapter(tiny.model(), folder)
    whole = (folder / "adapter_model.safetensors").read_bytes()
    (folder / "adapter_model.safetensors").write_bytes(whole[:-5])
    for read in (adapter_weights, lambda it: load_adapter(tiny.model(), it)):
        with pytest.raises(ModelError, match="it is not whole. Restore the file, or train the adapter again"):
            read(folder)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(ModelError, match="no adapter_model.safetensors here"):
        load_adapter(tiny.model(), folder)


def other_model() -> torch.nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config(vocab_size=32, n_embd=16, n_layer=1, n_head=2, n_positions=32))


def test_the_tensors_of_a_saved_adapter_are_read_without_a_model(tmp_path: Path) -> None:
    model = shaken(attach_lora(tiny.model(), SMALL, seed=0))
    save_adapter(model, tmp_path / "adapter")
    found = adapter_weights(tmp_path / "adapter")
    assert all(torch.equal(found[name], weight) for name, weight in lora_parameters(model))
    with pytest.raises(ModelError, match="no adapter_model.safetensors here. Name the folder of a LoRA adapter"):
        adapter_weights(tmp_path)
