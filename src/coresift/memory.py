"""Amounts of memory: read from text, said in words, and how much there is."""

import re

import psutil

from coresift.errors import SettingsError

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
    if found is None or found[2].upper() not in UNITS or float(found[1]) <= 0:
        raise SettingsError(f"memory is {text!r}. Give an amount with its unit, such as 3GB or 512MiB, or auto.")
    return int(float(found[1]) * UNITS[found[2].upper()])


def in_words(amount: float) -> str:
    """For example '3.2 GB'."""
    for unit in ("TB", "GB", "MB"):
        if amount >= UNITS[unit]:
            return f"{amount / UNITS[unit]:.1f} {unit}"
    return f"{amount / UNITS['KB']:.0f} KB"


def free_memory() -> int:
    """Bytes of main memory that work may count on now."""
    return int(SHARE * psutil.virtual_memory().available)
