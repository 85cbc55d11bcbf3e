"""Amounts of memory: read from text, said in words, how much there is, and what to do when it is not enough."""

import errno
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import psutil

from coresift.errors import MemoryShortError, SettingsError

if TYPE_CHECKING:
    import torch

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
SHARE = 0.7
"""Part of the memory that is free now which work may count on."""

SHORT = (
    *("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory", "CUDA out of memory"),
    *("CUBLAS_STATUS_ALLOC_FAILED", "Cannot allocate memory", "(os error 12)"),
)
"""In the text of errors of torch, safetensors and the system when there is no memory left."""


def parse_memory(text: str) -> int | None:
    """Bytes, from '3GB', '512 MiB' and the like; None for 'auto'.

    Raises:
        SettingsError: If it is none of these.
    """
    if text.strip().lower() == "auto":
        return None
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([A-Za-z]+)\s*", text)
    # Decimal: 4.1 * 10**9 in binary is a little less than 4,100,000,000, and an amount must not lose a byte.
    amount = 0 if found is None else int(Decimal(found[1]) * UNITS.get(found[2].upper(), 0))
    if amount == 0:
        raise SettingsError(f"memory is {text!r}. Give an amount with its unit, such as 3GB or 512MiB, or auto.")
    return amount


def in_words(amount: float, whole: Callable[[Fraction], int] = round) -> str:
    """For example '3.2 GB'.

    Args:
        amount: Bytes.
        whole: How the last digit is reached: `math.ceil` for what is needed, so that these words given back suffice;
            `math.floor` for what there is.
    """
    for unit in ("TB", "GB", "MB"):
        if amount >= UNITS[unit]:
            return f"{whole(10 * Fraction(amount) / UNITS[unit]) / 10:.1f} {unit}"
    return f"{whole(Fraction(amount) / UNITS['KB'])} KB"


def free_memory(device: "torch.device | None" = None) -> int:
    """Bytes that work may count on now: of main memory, or of the GPU that `device` is."""
    if device is None or device.type != "cuda":
        return int(SHARE * psutil.virtual_memory().available)
    from torch import cuda

    # What torch keeps from earlier work is not free to others, but it is to us.
    kept = cuda.memory_reserved(device) - cuda.memory_allocated(device)
    return int(SHARE * (cuda.mem_get_info(device)[0] + kept))


@contextmanager
def fitting(advice: str) -> Iterator[None]:
    """Work that may not fit into memory, here or on a GPU; also a decorator.

    Args:
        advice: Which setting to lower, as a sentence.

    Raises:
        MemoryShortError: If memory ran out, with the advice.
    """
    try:
        yield
    except Exception as error:
        if not is_shortage(error):
            raise
        raise MemoryShortError(
            f"out of memory ({_asked(error)}). {advice} Run the same line again afterwards: it goes on from here."
        ) from error


def is_shortage(error: Exception) -> bool:
    """Whether an error says that memory ran out, here or on a GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return any(mark in str(error) for mark in SHORT)


def _asked(error: Exception) -> str:
    """What was asked for, where the error says so, and what there is."""
    free = f"{in_words(psutil.virtual_memory().available, math.floor)} of main memory are free"
    text = str(error)
    if "CUDA" in text:
        return " ".join(re.findall(r"Tried to allocate [^.]*\.\d+ \S+|GPU \d+", text)) or "on the GPU"
    found = re.search(r"allocate (\d+) bytes", text)
    if found is not None:
        return f"{in_words(int(found[1]), math.ceil)} more were asked for, {free}"
    return free
