"""Whether a model folder is whole, told from names, sizes and headers before anything is loaded.

What is cut, only half downloaded or a stand-in for a large file is named by its file, with what to do; the libraries
that read it would speak of headers and types.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coresift.errors import ModelError

AGAIN = "Download the model again, or copy that file from where it came."
POINTER = b"version https://git-lfs"
"""How a file begins that Git LFS put in the place of a large one."""
INSTEAD = "a pointer of Git LFS in the place of the file. Run `git lfs pull` in that folder."
TOKENIZERS = (
    *("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model"),
    *("tekken.json", "*.tiktoken"),
)
"""Files of which a tokenizer needs one."""


def check_config(folder: Path) -> None:
    """Raise ModelError if config.json is no JSON object that names its architecture."""
    if "model_type" not in _object(folder / "config.json"):
        raise ModelError(f"{folder / 'config.json'}: no model_type, so it is not the configuration of a model. {AGAIN}")


def check_tokenizer(folder: Path) -> None:
    """Raise ModelError if there are no tokenizer files, or one of them cannot be read as JSON."""
    if not any(found for pattern in TOKENIZERS for found in folder.glob(pattern)):
        raise ModelError(
            f"{folder}: no tokenizer here: it needs tokenizer.json (or {', '.join(TOKENIZERS[1:4])}) and "
            "tokenizer_config.json. Copy them from the model that this one was made from."
        )
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).is_file():
            _object(folder / name)


def check_weights(folder: Path) -> None:
    """Raise ModelError if weight files are missing, cut, or stand-ins for large files."""
    index = folder / "model.safetensors.index.json"
    whole = folder / "model.safetensors"
    if not whole.exists() and index.is_file():
        _check_listed(index)
    for path in sorted(folder.glob("*.safetensors")):
        if path.is_file():
            check_file(path, AGAIN)


def _check_listed(index: Path) -> None:
    listed = _object(index).get("weight_map")
    if not isinstance(listed, Mapping) or len(listed) == 0:
        raise ModelError(f"{index}: it lists no weights. {AGAIN}")
    names = sorted(set(map(str, listed.values())))
    missing = [name for name in names if not (index.parent / name).is_file()]
    if len(missing) > 0:
        raise ModelError(
            f"{index.parent}: {len(missing)} of {len(names)} weight files are missing (first: {missing[0]}): the "
            f"model was downloaded in part only. {AGAIN}"
        )


def check_file(path: Path, advice: str) -> None:
    """Raise ModelError, with an advice, if a safetensors file is cut, damaged or a stand-in.

    A whole one is 8 bytes with the length of its header, the header, and all bytes that it speaks of.
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        start = handle.read(8)
        if start == POINTER[:8]:
            raise ModelError(f"{path}: {INSTEAD}")
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > size - 8:
            raise ModelError(f"{path}: not a safetensors file, or cut at {size:,} bytes. {advice}")
        try:
            header = json.loads(handle.read(length))
            ends = [int(facts["data_offsets"][1]) for name, facts in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            raise ModelError(f"{path}: the header of this safetensors file is damaged. {advice}") from None
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise ModelError(f"{path}: {size:,} bytes where its header says {expected:,}: it is not whole. {advice}")


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        if path.read_bytes()[: len(POINTER)] == POINTER:
            raise ModelError(f"{path}: {INSTEAD}") from None
        raise ModelError(f"{path}: not readable as JSON ({error}): cut or damaged. {AGAIN}") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path}: holds a {type(found).__name__}, not an object. {AGAIN}")
    return found
