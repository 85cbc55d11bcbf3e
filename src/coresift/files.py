"""Files that are either whole or absent: written beside the target, then renamed."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coresift.disk import writing

if TYPE_CHECKING:
    from torch import Tensor


def write_whole(path: Path, write: Callable[[Path], Any], *, size: int | None = None) -> None:
    """Let `write` fill a temporary file next to `path`, flush it to disk, then rename it into place.

    Args:
        path: Its folder is made where it is missing.
        write: Given the temporary file's path.
        size: About how many bytes it will hold, for the message when the disk is full.

    Raises:
        DiskError: If the disk is full or does not take it; what was at `path` is still there.
    """
    temporary = path.with_name(f".{path.name}.tmp")  # a fixed name: what a killed run left is replaced by the next
    with writing(path, size=size, partial=temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all."""
    write_whole(path, lambda temporary: temporary.write_bytes(content), size=len(content))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON (no NaN), whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty where there is no file, or what it holds is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as .npz, whole or not at all; equal arrays, equal bytes."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as handle:  # a handle, because savez appends .npz to a path that does not end in it
            np.savez(handle, allow_pickle=False, **arrays)

    write_whole(path, write, size=sum(np.asarray(array).nbytes for array in arrays.values()))


def write_tensors(path: Path, tensors: Mapping[str, "Tensor"], metadata: Mapping[str, str] | None = None) -> None:
    """Write named tensors as safetensors, whole or not at all; they are brought to the CPU."""
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    size = sum(tensor.nbytes for tensor in plain.values())
    facts = None if metadata is None else dict(metadata)
    write_whole(path, lambda temporary: save_file(plain, temporary, facts), size=size)


def write_folder(folder: Path, fill: Callable[[Path], Any], *, size: int | None = None) -> None:
    """Fill a temporary folder beside `folder`, then rename it into place; what was there is replaced.

    Raises:
        DiskError: If the disk is full or does not take it; what was at `folder` is still there.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    with writing(folder, size=size, partial=temporary):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        fill(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
