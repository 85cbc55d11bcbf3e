"""A model folder that is cut, damaged, downloaded in part or put together wrongly is named, with what to do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny

from coresift.errors import MemoryShortError, ModelError
from coresift.models.load import load_model, load_tokenizer, max_positions
from coresift.models.render import Renderer

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "whole")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def change(**settings: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))

    return damage


def put(name: str, content: str | bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def in_parts(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / FIRST)
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": FIRST, "b": SECOND}}))


def bad_header(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[:8] + b"}" + content[9:])


def alone(index: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        (folder / INDEX).write_text(index)

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            cut(WEIGHTS, 5000),
            r"model.safetensors: 5,000 bytes where its header says 150,224: it is not whole. Download",
        ),
        (cut(WEIGHTS, 4), "not a safetensors file, or cut at 4 bytes. Download the model again"),
        (put(WEIGHTS, b"x" * 3000), "not a safetensors file, or cut at 3,000 bytes"),
        (bad_header, "the header of this safetensors file is damaged"),
        (put(WEIGHTS, LFS), "a pointer of Git LFS in the place of the file. Run `git lfs pull` in that folder"),
        (in_parts, rf"1 of 2 weight files are missing \(first: {SECOND}\): the model was downloaded in part only"),
        (alone('{"weight_map": {}}'), f"{INDEX}: it lists no weights"),
        (alone("{"), f"{INDEX}: not readable as JSON .*: cut or damaged"),
        (change(num_hidden_layers=4), r"18 weights that config.json speaks of are in no file \(first: model.layers.2"),
        (
            change(vocab_size=300),
            r"do not fit: lm_head.weight is \(288, 32\) in the file, and \(300, 32\) by the config",
        ),
        (
            change(num_attention_heads=3),
            "cannot be loaded as a causal .*hidden size .32. is not a multiple of the number",
        ),
        (change(num_hidden_layers="two"), "cannot be loaded as a causal .*'num_hidden_layers' expected int, got str"),
        (change(model_type="nosuch"), "cannot be loaded as a causal .*model type `nosuch`"),
        (cut("config.json", 50), "config.json: not readable as JSON .*line 4 column 5.*: cut or damaged"),
        (put("config.json", LFS), "config.json: a pointer of Git LFS"),
        (put("config.json", "[]"), "config.json: holds a list, not an object"),
        (put("config.json", "{}"), "config.json: no model_type, so it is not the configuration of a model"),
    ],
)
def test_what_is_wrong_with_a_model_is_named(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(ModelError, match=message):
        load_model(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut("config.json", 50), "config.json: not readable as JSON"),
        (cut("tokenizer.json", 100), "tokenizer.json: not readable as JSON .*: cut or damaged. Download"),
        (put("tokenizer_config.json", "{"), "tokenizer_config.json: not readable as JSON"),
        (put("tokenizer.json", "{}"), "its tokenizer cannot be loaded"),
        (
            lambda folder: (folder / "tokenizer.json").unlink(),
            r"no tokenizer here: it needs tokenizer.json \(or tokenizer",
        ),
    ],
)
def test_what_is_wrong_with_a_tokenizer_is_named(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(ModelError, match=message):
        load_tokenizer(folder)


def test_a_damaged_configuration_is_named_when_only_its_length_is_asked(folder: Path) -> None:
    cut("config.json", 50)(folder)
    with pytest.raises(ModelError, match="config.json: not readable as JSON"):
        max_positions(folder)
    change_type = json.dumps({"model_type": "nosuch"})
    put("config.json", change_type)(folder)
    with pytest.raises(ModelError, match="its configuration cannot be read .*nosuch"):
        max_positions(folder)


def test_a_tokenizer_whose_special_tokens_are_lost_says_which_file_names_them(folder: Path) -> None:
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(
        ModelError, match="no BOS, EOS or PAD token.*has no tokenizer_config.json, which names them: copy"
    ):
        _ = Renderer(load_tokenizer(folder), max_tokens=9).start_token


def test_a_model_that_does_not_fit_into_memory_is_no_damaged_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to "
            "allocate 4000000000 bytes. Error code 12 (Cannot allocate memory)"
        )

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", fail)
    with pytest.raises(MemoryShortError, match="4.0 GB more were asked for, .* are free.. Load the model in a smaller"):
        load_model(folder)


def test_weights_in_several_whole_files_are_loaded(whole: Path, tmp_path: Path) -> None:
    tiny.model().save_pretrained(tmp_path / "parts", max_shard_size="60KB")
    assert (tmp_path / "parts" / INDEX).is_file()
    assert load_model(tmp_path / "parts").num_parameters() == load_model(whole).num_parameters()
