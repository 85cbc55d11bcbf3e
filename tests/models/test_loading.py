"""Loading: the dtype asked for, clear errors, no slow retries."""

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from coresift.errors import ModelError
from coresift.models import sources
from coresift.models.load import load_model, load_tokenizer, max_positions, model_fingerprint, resolve_device


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("model") / "tiny")


class Answer:
    """What the Hub says to one question."""

    def __init__(self, status: int | None) -> None:
        self.status = status

    def head(self, *args: Any, **kwargs: Any) -> "Answer":
        if self.status is None:
            raise ConnectionError("no route")
        return self

    @property
    def status_code(self) -> int:
        assert self.status is not None
        return self.status


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_dtype_is_the_one_asked_for(folder: Path, dtype: str) -> None:
    model = load_model(folder, dtype=dtype)
    assert {weight.dtype for weight in model.parameters()} == {getattr(torch, dtype)}
    assert not model.training


def test_auto_dtype_is_the_stored_one(folder: Path, tmp_path: Path) -> None:
    load_model(folder, dtype="bfloat16").save_pretrained(tmp_path / "half")
    assert next(load_model(tmp_path / "half", dtype="auto").parameters()).dtype == torch.bfloat16
    assert next(load_model(folder, dtype="auto").parameters()).dtype == torch.float32


def test_unknown_dtype_and_device_are_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="dtype is 'fp32'; it must be one of float32, bfloat16"):
        load_model(folder, dtype="fp32")
    with pytest.raises(ModelError, match="device is 'gpu'; it must be cpu, cuda, cuda:N or auto"):
        load_model(folder, device="gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_absent_device_is_refused() -> None:
    with pytest.raises(ModelError, match="device is 'cuda', but torch sees no CUDA device here. Use cpu or auto"):
        resolve_device("cuda")
    assert resolve_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("name", ["./absent", "/absent/model", "~/absent-model", "a/b/c", "models/", ""])
def test_path_that_does_not_exist_is_refused_at_once(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    with pytest.raises(ModelError, match="no such folder|no config.json"):
        load_model(name)
    assert time.monotonic() - began < 1


def test_file_and_empty_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match="is a file. Name the folder that holds config.json"):
        load_model(tmp_path / "file")
    with pytest.raises(ModelError, match="no config.json in this folder"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (None, "the Hub cannot be reached.*not in the local cache. Give the path of a model folder"),
        (404, "no model with a config.json under this id. Check the spelling"),
        (401, "no such model, or it is gated. Check the id, or run `hf auth login`"),
    ],
)
def test_hub_id_that_cannot_be_had_is_refused_after_one_question(
    status: int | None, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.get_session", lambda: Answer(status))
    with pytest.raises(ModelError, match=says):
        load_model(f"nobody/no-model-{status}")


def test_hub_id_in_offline_mode_is_refused_without_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="nobody/no-model: no folder of this name, offline mode is set"):
        load_tokenizer("nobody/no-model")
    with pytest.raises(ModelError, match="'no body' is neither a folder nor a valid Hub id"):
        load_tokenizer("no body")


def test_hub_id_that_answers_is_loaded_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.get_session", lambda: Answer(200))
    assert sources.find("somebody/some-model") == sources.Source("somebody/some-model", local=False)


def test_cached_hub_id_is_used_when_the_hub_is_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commit = tmp_path / "snapshots" / "abc123" / "config.json"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, file: str(commit))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda name, file, local_files_only: str(commit))
    assert sources.find("somebody/cached") == sources.Source("somebody/cached", local=True)
    assert model_fingerprint("somebody/cached") == model_fingerprint("somebody/cached")


def test_weights_that_are_not_safetensors_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save({}, tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded as a causal language model.*safetensors.*not accepted"):
        load_model(tmp_path / "pickled")


def test_folder_without_tokenizer_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "mute")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "mute" / file).unlink()
    with pytest.raises(ModelError, match="no tokenizer here: it needs tokenizer.json .* and tokenizer_config.json."):
        load_tokenizer(tmp_path / "mute")


def test_fingerprint_follows_weights_and_template_not_the_place(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    assert model_fingerprint(tmp_path / "copy") == model_fingerprint(folder)
    (tmp_path / "copy" / "chat_template.jinja").write_text("{{ messages }}")
    changed = model_fingerprint(tmp_path / "copy")
    assert changed != model_fingerprint(folder)
    tiny.model(seed=1).save_pretrained(tmp_path / "copy")
    assert model_fingerprint(tmp_path / "copy") not in (changed, model_fingerprint(folder))


def test_the_embedded_model_is_known_by_name_everywhere() -> None:
    assert sources.find("world") == sources.Source(str(sources.EMBEDDED), local=True)
    assert model_fingerprint("world") == model_fingerprint(sources.EMBEDDED)
    assert max_positions("world") == 1024
