"""Tokenizers in folders: which files are read, what is said of those that are not, and that saving changes nothing."""

import json
import shutil
from pathlib import Path

import pytest
import tiny
import vocabularies

from coresift.errors import ModelError
from coresift.models import load, saved_tokenizer
from coresift.models.load import load_tokenizer
from coresift.models.lora import save_model
from coresift.models.render import Renderer
from coresift.models.saved_tokenizer import save_tokenizer


def llama_folder(folder: Path, *, legacy: bool | None) -> Path:
    """A folder whose configuration names `LlamaTokenizer`, which makes its own rules for spaces from `legacy`."""
    folder.mkdir(parents=True)
    vocabularies.vocabulary("always").backend_tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    config |= {} if legacy is None else {"legacy": legacy}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return folder


TEXTS = ["Hi</s>Ann", "[INST]Ann", " the", "\nAnn."]


def ids(folder: Path) -> list[list[int]]:
    return load_tokenizer(folder)(TEXTS, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("legacy", [True, False, None])
def test_a_saved_model_tokenises_as_the_one_it_came_from(tmp_path: Path, legacy: bool | None) -> None:
    base = llama_folder(tmp_path / "base", legacy=legacy)
    save_model(tiny.model(), load_tokenizer(base), tmp_path / "saved")
    assert ids(tmp_path / "saved") == ids(base)
    assert ids(llama_folder(tmp_path / "other", legacy=not legacy)) != ids(base), "or the test would be empty"


def test_where_the_setting_is_not_known_the_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_tokenizer, "_put_back_legacy", lambda *given: False)
    base = llama_folder(tmp_path / "base", legacy=True)
    save_model(tiny.model(), load_tokenizer(base), tmp_path / "saved")
    assert ids(tmp_path / "saved") == ids(base)


def test_a_saved_tokenizer_that_cannot_be_mended_is_refused(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(llama_folder(tmp_path / "base", legacy=True))
    shutil.rmtree(tmp_path / "base")
    tokenizer.legacy = None
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelError, match="the saved tokenizer does not tokenise as the one it came from.*Copy the"):
        save_tokenizer(tokenizer, tmp_path / "saved")


def test_what_reads_tekken_and_sentencepiece_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_installed", lambda module: False)
    for file, needed in (("tekken.json", "mistral-common"), ("tokenizer.model", "sentencepiece protobuf")):
        folder = tmp_path / file.replace(".", "-")
        folder.mkdir()
        (folder / "config.json").write_text('{"model_type": "mistral"}')
        (folder / file).write_bytes(b"\x0e\x00")
        with pytest.raises(ModelError, match=f"has only {file}, which needs other packages: pip install .*{needed}"):
            load_tokenizer(folder)


def test_a_package_inside_a_missing_one_is_not_installed() -> None:
    assert load._installed("json.decoder") and not load._installed("no_such_package.inner")


def test_tekken_beside_a_tokenizer_changes_nothing(tmp_path: Path) -> None:
    base = tiny.save(tmp_path / "base", "mistral")
    before = Renderer(load_tokenizer(base), max_tokens=99).render(tiny.example("q", "a"))
    (base / "tekken.json").write_text('{"config": {}, "vocab": []}')
    assert Renderer(load_tokenizer(base), max_tokens=99).render(tiny.example("q", "a")) == before
