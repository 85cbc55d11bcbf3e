"""What stops a write, in one sentence: a full disk, no room for another file, a limit, a folder that is read only.

Every library says it in its own way: `OSError` with or without a file's name, safetensors' and tokenizers' own errors
with the system's number in their text, torch's writer with nothing but where it stands in its file. So whatever writes
is put inside `writing`.
"""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coresift import memory
from coresift.errors import DiskError

NUMBER = re.compile(r"\(os error (\d+)\)|\[errno:? (\d+)\]", re.IGNORECASE)
BROKEN_OFF = ("inline_container", "PytorchStreamWriter", "requested and")
"""In the text of errors that only say that less was written than asked for (torch, NumPy)."""
NOTHING = 2**20
"""Bytes free on a disk that counts as full."""
AGAIN = "Run the same line again afterwards: it goes on from here."


@contextmanager
def writing(path: Path, *, size: int | None = None, partial: Path | None = None) -> Iterator[None]:
    """Work that writes to `path`, or below it.

    Args:
        path: What is written, for messages.
        size: About how many bytes it takes; None where that is not known.
        partial: File or folder that a failed write leaves and that is worth nothing: it is removed, and the space said
            to be free is what there is without it.

    Raises:
        DiskError: If the disk is full or does not take it; anything else passes.
    """
    try:
        yield
    except BaseException as error:
        number = None if isinstance(error, DiskError) else _number(error, path)
        _remove(partial)
        if number is None:
            raise
        raise DiskError(_sentence(number, path, size)) from error


def in_words(error: OSError, path: Path) -> str | None:
    """What stopped a write to `path`, as a sentence; None where that may also have been a read, or something else."""
    number = _number(error, path)
    return None if number in (None, errno.EACCES, errno.EPERM) else _sentence(number, path, None)


def _number(error: BaseException | None, path: Path) -> int | None:
    """The system's number of what stopped a write, from the error or from those that led to it."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        if isinstance(error, OSError) and error.errno in _SENTENCES:
            return error.errno
        text = str(error)
        found = NUMBER.search(text)
        if found is not None and int(found[1] or found[2]) in _SENTENCES:
            return int(found[1] or found[2])
        if any(mark in text for mark in BROKEN_OFF) and _free(path) < NOTHING:
            return errno.ENOSPC
        error = error.__cause__ or error.__context__
    return None


def _sentence(number: int, path: Path, size: int | None) -> str:
    if number == errno.ENOSPC and _files_left(path) == 0:
        return f"no room for another file at {path}: the disk is out of inodes. Delete some files. {AGAIN}"
    free = memory.in_words(_free(path))
    needs = f"about {memory.in_words(size)}" if size is not None and size > _free(path) else "more than that"
    return _SENTENCES[number].format(path=path, needs=needs, free=free, again=AGAIN)


_FULL = "disk full at {path}: it needs {needs}, and {free} are free. Make room. {again}"
_CLOSED = "{path} cannot be written: {why}. Mend that, or name another folder (--out, or --set out=...)."
_SENTENCES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: "quota reached at {path}: it needs {needs}, and the disk itself has {free}. Make room. {again}",
    errno.EFBIG: "{path} is larger than a file may be here (ulimit -f, or the file system's limit). Raise it. {again}",
    errno.EROFS: _CLOSED.replace("{why}", "the file system is read only"),
    errno.EACCES: _CLOSED.replace("{why}", "its folder may not be written by this user"),
    errno.EPERM: _CLOSED.replace("{why}", "its folder may not be changed"),
}


def _existing(path: Path) -> Path:
    return next((place for place in (path, *path.absolute().parents) if place.exists()), Path("/"))


def _free(path: Path) -> int:
    return shutil.disk_usage(_existing(path)).free


def _files_left(path: Path) -> int | None:
    """Inodes that are left; None where the file system does not count them."""
    if not hasattr(os, "statvfs"):
        return None
    told = os.statvfs(_existing(path))
    return told.f_favail if told.f_files > 0 else None


def _remove(partial: Path | None) -> None:
    if partial is not None and partial.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
    elif partial is not None:
        partial.unlink(missing_ok=True)
