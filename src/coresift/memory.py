"""Amounts of memory: read from text, said in words, and how much there is."""

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import psutil

from coresift.errors import SettingsError

if TYPE_CHECKING:
    import torch

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
SHARE = 0.7
"""Part of the memory that is free now which work may count on."""


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
