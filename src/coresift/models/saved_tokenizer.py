"""A saved tokenizer that tokenises as the one it came from: compared after saving, and mended."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coresift import files
from coresift.errors import ModelError
from coresift.models.load import load_tokenizer
from coresift.models.quiet import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PATTERNS = ("tokenizer*", "tekken.json", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt")
"""The files of a model folder that a tokenizer is made of."""
CONFIG = "tokenizer_config.json"


def save_tokenizer(tokenizer: "PreTrainedTokenizerBase", folder: Path) -> None:
    """Write a tokenizer into a model folder.

    What transformers writes is loaded again and compared. Where it tokenises otherwise (`legacy: true` of a Llama
    tokenizer is not written, and decides where spaces go), the files it came from are taken, or the setting put back.

    Args:
        tokenizer: The tokenizer, as it was trained with.
        folder: A folder with the model's config.json.

    Raises:
        ModelError: If nothing of this makes the saved tokenizer equal.
    """
    with quiet():
        tokenizer.save_pretrained(str(folder))
    if _same(tokenizer, folder):
        return
    base = Path(str(tokenizer.name_or_path or ""))
    for mend in (_put_back_legacy, _copy_files):
        if mend(tokenizer, base, folder) and _same(tokenizer, folder):
            return
    raise ModelError(
        f"{folder}: the saved tokenizer does not tokenise as the one it came from. Copy the tokenizer's files from the "
        "base model's folder by hand."
    )


def _put_back_legacy(tokenizer: "PreTrainedTokenizerBase", base: Path, folder: Path) -> bool:
    legacy = tokenizer.init_kwargs.get("legacy", getattr(tokenizer, "legacy", None))
    path = folder / CONFIG
    if legacy is None or not path.is_file():
        return False
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    files.write_json(path, {**config, "legacy": legacy})
    return True


def _copy_files(tokenizer: "PreTrainedTokenizerBase", base: Path, folder: Path) -> bool:
    found = [path for pattern in PATTERNS for path in base.glob(pattern) if path.is_file()] if base.is_dir() else []
    for path in found:
        shutil.copyfile(path, folder / path.name)
    return len(found) > 0


def _same(tokenizer: "PreTrainedTokenizerBase", folder: Path) -> bool:
    try:
        saved = load_tokenizer(folder)
    except ModelError:
        return False
    return saved.chat_template == tokenizer.chat_template and _ids(saved) == _ids(tokenizer)


def _ids(tokenizer: "PreTrainedTokenizerBase") -> list[list[int]]:
    """The tokens of texts with every kind of boundary: start, space, newline, special tokens, unusual characters."""
    special = [str(token) for token in tokenizer.all_special_tokens[:8]]
    texts = ["Hi you", " Hi", "  Hi  you ", "\nHi\n\nyou", "a.b,c 12 (x)", "\u00e9\u4e2d\U0001f600 \u0e01"]
    texts += [f"{token}{text}" for token in special for text in ("Hi", " Hi", "\nHi")]
    texts += [f"Hi{token} you {token}" for token in special]
    return [list(ids) for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]]
