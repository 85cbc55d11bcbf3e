"""Rows made ready for distances: checked, centred, scaled to about one, and keyed so that equal rows are known."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from coresift.errors import SelectionError

BLOCK = 1 << 16
"""Elements handled at a time."""
SHOWN = 5
"""Bad rows named in a message."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Attributes:
    values: n x d, centred and divided by `scale`.
    scale: A power of two, so that scaling loses nothing.
    keys: n whole numbers; rows that are equal bit for bit have equal keys.
    """

    values: Tensor
    scale: float
    keys: Tensor


def check_rows(rows: Tensor, *, name: str) -> None:
    """Refuse what is not an n x d array of finite numbers.

    Raises:
        SelectionError: With the numbers of the first rows that hold NaN or infinity.
    """
    if rows.ndim != 2 or rows.numel() == 0:
        raise SelectionError(f"{name}: shape {tuple(rows.shape)}. Selection needs an n x d array that is not empty.")
    bad: list[int] = []
    for start, block in blocks(rows):
        bad += (start + (~torch.isfinite(block).all(dim=1)).nonzero().flatten()).tolist()
    if bad:
        named = ", ".join(map(str, bad[:SHOWN])) + (", ..." if len(bad) > SHOWN else "")
        raise SelectionError(
            f"{name}: {len(bad)} of {len(rows)} rows hold NaN or infinity (rows {named}, counted from 0). "
            "Every row must be finite: extract those examples again or leave them out of the pool."
        )


def prepare(rows: Tensor, *, dtype: torch.dtype) -> Rows:
    """Subtract the mean row (in float64), so that products cancel less; distances stay what they are.

    Args:
        rows: n x d, finite.
        dtype: Precision of the values returned.
    """
    mean = torch.zeros(rows.shape[1], dtype=torch.float64, device=rows.device)
    for _, block in blocks(rows):
        mean += (block.double() / len(rows)).sum(dim=0)
    scale = power_of_two(max(float((block.double() - mean).abs().amax()) for _, block in blocks(rows)))
    values = torch.empty(rows.shape, dtype=dtype, device=rows.device)
    keys = torch.empty(len(rows), dtype=torch.int64, device=rows.device)
    for start, block in blocks(rows):
        values[start : start + len(block)] = ((block.double() - mean) / scale).to(dtype)
        keys[start : start + len(block)] = _keys(block)
    return Rows(values, scale, keys)


def power_of_two(value: float) -> float:
    """The smallest power of two not below `value`; 1 for 0."""
    if value == 0.0:
        return 1.0
    mantissa, exponent = math.frexp(value)
    return math.ldexp(1.0, exponent - 1 if mantissa == 0.5 else exponent)


def blocks(rows: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Consecutive rows with the position of the first."""
    step = max(1, BLOCK // rows.shape[1])
    for start in range(0, len(rows), step):
        yield start, rows[start : start + step]


def _keys(rows: Tensor) -> Tensor:
    """A sum of the rows' 32-bit words times fixed odd numbers, modulo 2^64: whole numbers, so the same everywhere."""
    exact = rows if rows.dtype == torch.float64 else rows.float()
    words = (exact + 0.0).contiguous().view(torch.int32)  # + 0.0 turns -0 into 0
    chooser = torch.Generator().manual_seed(words.shape[1])
    odd = torch.randint(-(1 << 62), 1 << 62, (words.shape[1],), generator=chooser) * 2 + 1
    return (words.long() * odd.to(rows.device)).sum(dim=1)
