"""`coresift bench gradients` and `fidelity`: passes take turns with other builds; cheap rows are held to whole ones."""

import argparse
import json
from pathlib import Path

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from coresift.bench.exact_gradients import SPACES, exact_rows, points, slices
from coresift.bench.fidelity import compare, rank_correlation
from coresift.bench.gradient_worker import random_llama
from coresift.bench.gradients import LLAMA_8B, shape
from coresift.extract.run import GradientExtractor
from coresift.models.render import Renderer
from coresift.models.rendered_pool import render_pool

ROOT = Path(__file__).resolve().parents[2]


def test_passes_are_set_against_bare_ones_and_another_build(bench, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    asked = ("--examples", 3, "--repeats", 1, "--dim", 64, "--alone", "--memory", "--against", ROOT)
    answer = bench("gradients", *asked, "--passes", "lora", "head", "--json", file)
    assert answer.code == 0, answer.err
    whole, against, memory = json.loads(file.read_text())["tables"]
    assert [row["name"] for row in whole["rows"]] == ["bare passes", "lora", "head", "one by one"]
    assert whole["rows"][0]["ratio"] == 1.0 and all(row["seconds"][0] > 0 for row in whole["rows"])
    assert "bytes per example" in whole["notes"][0] and whole["notes"][1].startswith("'lora' does ")
    assert [row["name"] for row in against["rows"]] == ["lora, build compared with", "lora", "head"]
    assert against["notes"] == ["rows of both builds for 'lora' differ by 0.0e+00 of their length at most"]
    assert [row["name"] for row in memory["rows"]] == ["lora", "head", "lora, build compared with"]
    assert all(row["predicted_MiB"] > 0 for row in memory["rows"])


def test_a_random_llama_keeps_the_lengths_of_a_pool(bench) -> None:
    asked = ("--examples", 2, "--repeats", 1, "--dim", 64, "--llama", "64x2x100", "--passes", "lora, last quarter")
    answer = bench("gradients", *asked)
    assert answer.code == 0, answer.err
    assert "gradients of 2 examples of the embedded pool" in answer.out and "lora, last quarter" in answer.out
    model = random_llama(shape("64x2x100"), "bfloat16", "cpu")
    assert model.config.num_hidden_layers == 2 and model.get_output_embeddings().weight.shape == (100, 64)
    assert model.dtype == torch.bfloat16 and torch.get_default_dtype() == torch.float32
    assert torch.equal(model.lm_head.weight, random_llama(shape("64x2x100"), "bfloat16", "cpu").lm_head.weight)


def test_the_shape_of_the_8b_model_has_its_weights() -> None:
    """8,030,261,248 weights, as its card says."""
    its = shape("8b")
    assert its == LLAMA_8B
    width, depth, heads = its["hidden_size"], its["intermediate_size"], its["num_attention_heads"]
    block = 2 * width**2 + 2 * width * width // heads * its["num_key_value_heads"] + 3 * width * depth + 2 * width
    assert its["num_hidden_layers"] * block + 2 * its["vocab_size"] * width + width == 8_030_261_248


@pytest.mark.parametrize("text", ["64x2", "65x2x100", "64x0x100", "64x2x100x1", "axbxc"])
def test_a_shape_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}' is not WIDTHxBLOCKSxVOCABULARY"):
        shape(text)


def test_fidelity_holds_every_pass_to_the_whole_gradient_and_to_the_adapters(bench, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    answer = bench("fidelity", "--examples", 8, "--warm-up", 4, "--dim", 64, "--budget", 2, "--json", file)
    assert answer.code == 0, answer.err
    tables = json.loads(file.read_text())["tables"]
    assert len(tables) == 4
    assert [row["name"] for row in tables[0]["rows"]][:3] == ["lora", "lora, last quarter", "head"]
    assert [row["name"] for row in tables[2]["rows"]][:2] == ["lora, last quarter", "head"]
    assert all(row["objective"] > -1 and 0 <= row["overlap"] <= 1 for table in tables for row in table["rows"])


def test_whole_gradients_in_slices_are_those_of_plain_autograd() -> None:
    model = tiny.model("llama")
    renderer = Renderer(tiny.tokenizer("llama3"), max_tokens=256)
    rows = [row for row in render_pool(tiny.pool(3), renderer).rows if row is not None]
    extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token)
    whole = exact_rows(extractor, rows, room=1 << 30)
    sliced = exact_rows(extractor, rows, room=8 * 3 * 5000)
    entries = sum(weight.numel() for weight in model.parameters())
    assert len(list(slices(list(model.parameters()), entries=5000))) == -(-entries // 5000)
    for space in SPACES:
        assert torch.allclose(whole[space] @ whole[space].T, sliced[space] @ sliced[space].T, rtol=1e-4, atol=1e-6)
        assert float(whole[space].norm()) > 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 12))
def test_slices_hold_every_entry_once(sizes: list[int], entries: int) -> None:
    weights = [nn.Parameter(torch.zeros(size)) for size in sizes]
    groups = list(slices(weights, entries=entries))
    assert all(sum(end - begin for _, begin, end in group) <= entries for group in groups)
    for weight in weights:
        pieces = [(begin, end) for group in groups for each, begin, end in group if each is weight]
        assert [begin for begin, _ in pieces] == [0, *(end for _, end in pieces[:-1])] and pieces[-1][1] == len(weight)


def test_points_have_the_inner_products_they_are_made_from() -> None:
    rows = torch.randn(5, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = points(rows @ rows.T)
    assert torch.allclose(found @ found.T, rows @ rows.T)


def test_rows_compared_with_themselves_lose_nothing() -> None:
    rows = torch.randn(20, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    same = compare(3.0 * rows, rows, 4)
    assert same["distance_error"] < 1e-12 and same["objective"] == 0.0 and same["overlap"] == 1.0
    assert same["rank"] == pytest.approx(1.0)
    other = compare(torch.randn(20, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64), rows, 4)
    assert other["distance_error"] > 0.05 and other["rank"] < 0.9 and other["objective"] > 0


def test_ranks_turned_round_correlate_negatively() -> None:
    distances = torch.tensor([[0.0, 1.0, 2.0, 3.0], [1, 0, 2, 3], [1, 2, 0, 3], [1, 2, 3, 0]])
    assert rank_correlation(distances, 10.0 - distances) == pytest.approx(-1.0)
