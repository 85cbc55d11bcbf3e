"""`coresift doctor`: what is tried, what is recommended, and that it is said."""

from pathlib import Path

import pytest
import tiny
import torch

from coresift.extract import checkup as module
from coresift.extract.checkup import AGREE, Setting, checkup
from coresift.models.render import Renderer
from coresift.models.rendered_pool import render_pool


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("model"))


def examined(folder: Path, dtype: str) -> tuple[list[Setting], list[str]]:
    renderer = Renderer(tiny.tokenizer("llama3"), max_tokens=256)
    rows = [row for row in render_pool(tiny.pool(5), renderer).rows if row is not None]
    said: list[str] = []
    return checkup(str(folder), rows, renderer, device="cpu", dtype=dtype, rank=4, say=said.append), said


def test_the_first_setting_that_agrees_is_recommended(folder: Path) -> None:
    found, said = examined(folder, "auto")
    assert [(each.dtype, each.attention) for each in found] == [("float32", "sdpa")]
    assert found[0].agrees and found[0].apart < 1e-4 and found[0].off < 1e-4
    assert said[0].startswith("model: ") and "in 2 blocks" in said[0]
    assert said[1] == "head: Linear, can be tapped (of=head)"
    assert "batched and alone agree" in said[2]
    assert said[3].startswith("batch: extract.batch_tokens=") and said[4].startswith("rate: ")
    assert said[5].startswith("use: model.dtype=float32 extract.batch_tokens=")


def test_where_nothing_agrees_every_setting_is_tried_and_the_way_out_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGREE", {4: -1.0, 2: -1.0})
    found, said = examined(folder, "bfloat16")
    assert [(each.dtype, each.attention) for each in found] == [
        ("bfloat16", "sdpa"),
        ("bfloat16", "eager"),
        ("float32", "sdpa"),
    ]
    assert all("do not agree" in line for line in said[2:5])
    assert found[0].off > found[2].off
    assert said[-1].startswith("use: model.dtype=float64 or extract.batch_tokens=1: nothing tried agrees")


@pytest.mark.parametrize(("dtype", "limit"), [("float32", AGREE[4]), ("float64", AGREE[4]), ("bfloat16", AGREE[2])])
def test_16_bit_numbers_may_differ_more(dtype: str, limit: float) -> None:
    assert Setting(dtype, "sdpa", limit, 0.0, 1.0).agrees
    assert not Setting(dtype, "sdpa", 1.01 * limit, 0.0, 1.0).agrees


def test_a_model_without_a_head_is_told_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coresift.extract.maps.head_of", lambda model: None)
    _, said = examined(folder, "float32")
    assert "has no language-model head that is one linear map" in said[1]
    assert torch.get_default_dtype() == torch.float32


def test_the_command_looks_at_the_embedded_model_by_default(coresift) -> None:
    answer = coresift("doctor", "--examples", "2", "--device", "cpu")
    assert answer.code == 0, answer.err
    assert "in 4 blocks" in answer.out and "use: model.dtype=float32" in answer.out


def test_an_unknown_dtype_is_an_error_of_the_models(coresift) -> None:
    answer = coresift("doctor", "--examples", "2", "--dtype", "int8")
    assert answer.code == 2 and "dtype is 'int8'" in answer.err
